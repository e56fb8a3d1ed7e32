//! Revocation lists in any order, cut into pages: what is withdrawn stays so until a list answers for it.
#![no_main]

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::LazyLock;

use aliro::crypto::{PublicKey, Signature};
use aliro::document::Timestamp;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::PassId;
use latchkey_protocol::private::{Page, PageAssembler};
use latchkey_protocol::revocation::{RevocationList, RevocationView, Revocations, Taken};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

static KEY: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &SystemRandom::new()).expect("a key")
});

/// A list's document, and what a door reads in it. Few lists are made, and each is signed once.
type Signed = (Vec<u8>, RevocationList);

thread_local! {
    static LISTS: RefCell<HashMap<[u8; 4], Rc<Signed>>> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut view = RevocationView::new();
    let mut assembler = PageAssembler::new();
    // Few numbers, so that lists meet.
    for step in bytes.chunks_exact(4).take(64) {
        let signed = signed_list([step[0] % 4, step[1] % 4, step[2] & 0x3f, step[3] % 8]);
        let (document, read) = &*signed;
        let mut whole = None;
        for page in Page::cut(read.number(), document) {
            whole = assembler.take(page);
        }
        assert_eq!(whole.as_ref(), Some(document), "all pages were given");

        let lacked = view.lacks(read.number());
        let before = view.clone();
        let taken = view.take(read.clone());
        assert_eq!(lacked, taken != Taken::Known);
        assert!(taken == Taken::Full || !view.lacks(read.number()));
        assert!(view.number() >= before.number());
        for kept in before.lists() {
            let answered = view
                .lists()
                .iter()
                .any(|held| held.content().answers_for(kept.number()));
            assert!(answered, "a list was dropped that none answers for");
        }
    }
});

fn signed_list(made_of: [u8; 4]) -> Rc<Signed> {
    let known = LISTS.with_borrow(|lists| lists.get(&made_of).cloned());
    known.unwrap_or_else(|| {
        let [epoch, version, bits, pass] = made_of;
        let list = Revocations {
            number: ListNumber {
                epoch: u32::from(epoch),
                version: u64::from(version),
            },
            contains: contained(epoch, bits),
            passes: [PassId([pass; 8])].into(),
            ..Revocations::default()
        };
        let document = sign(&list);
        let read = RevocationList::verify(&document, &public()).expect("what was signed");
        assert_eq!(read.content(), &list);
        let signed = Rc::new((document, read));
        LISTS.with_borrow_mut(|lists| lists.insert(made_of, Rc::clone(&signed)));
        signed
    })
}

fn contained(epoch: u8, bits: u8) -> BTreeSet<ListNumber> {
    (0..epoch)
        .map(|epoch| ListNumber {
            epoch: epoch.into(),
            version: u64::from(bits >> (2 * epoch) & 3),
        })
        .collect()
}

fn sign(list: &Revocations) -> Vec<u8> {
    let signed = Timestamp::from_epoch(1_800_000_000).expect("a year of four digits");
    let unsigned = list
        .prepare(&public(), signed, [1; 16])
        .expect("few entries");
    let signature = KEY
        .sign(&SystemRandom::new(), &unsigned.to_be_signed())
        .expect("signed");
    let signature = Signature::from_slice(signature.as_ref()).expect("64 bytes");
    unsigned
        .finish(signature)
        .expect("a document")
        .as_bytes()
        .to_vec()
}

fn public() -> PublicKey {
    PublicKey::from_uncompressed(KEY.public_key().as_ref()).expect("a point")
}
