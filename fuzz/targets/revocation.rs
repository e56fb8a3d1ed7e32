//! Revocation lists in any order, cut into pages: what is withdrawn stays so until a list answers for it.
#![no_main]

use std::collections::BTreeSet;
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

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut view = RevocationView::new();
    let mut assembler = PageAssembler::new();
    // Few numbers, so that lists meet.
    for step in bytes.chunks_exact(4) {
        let list = Revocations {
            number: ListNumber {
                epoch: u32::from(step[0] % 4),
                version: u64::from(step[1] % 4),
            },
            contains: contained(step[0] % 4, step[2]),
            passes: [PassId([step[3] % 8; 8])].into(),
            ..Revocations::default()
        };
        let document = sign(&list);
        let mut whole = None;
        for page in Page::cut(list.number, &document) {
            whole = assembler.take(page);
        }
        let whole = whole.expect("all pages were given");
        let read = RevocationList::verify(&whole, &public()).expect("what was signed");
        assert_eq!(read.content(), &list);

        let lacked = view.lacks(list.number);
        let before = view.clone();
        let taken = view.take(read);
        assert_eq!(lacked, taken != Taken::Known);
        assert!(taken == Taken::Full || !view.lacks(list.number));
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
