//! Offers, codes and packages.

use aliro::certificate::CertificateRequest;
use aliro::crypto::PublicKey;
use aliro::document::Timestamp;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::clock::{SignedTimeAnswer, TimeAnswer, TimeChallenge};
use latchkey_protocol::commissioning::*;
use latchkey_protocol::doorstate::{ListNumber, StatementNumbers};
use latchkey_protocol::ids::*;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::signing::SignedError;
use latchkey_protocol::statement::{Addressee, Body, DoorSettings, SignedStatement, Statement};
use proptest::prelude::*;

use super::test_key::TestKey;

const PROPERTY: PropertyId = PropertyId([1; 16]);
const DOOR: DoorId = DoorId([2; 12]);

fn offer_of(reader: &str) -> Offer {
    Offer {
        reader_key: TestKey::of(reader).public(),
        sealing_key: TestKey::of("sealing").public(),
        challenge: TimeChallenge { nonce: [3; 16] },
        versions: vec![0x0100],
    }
}

fn sign_offer(offer: &Offer, by: &str) -> SignedOffer {
    let payload = offer.payload();
    let signature = TestKey::of(by).sign(&Offer::to_be_signed(&payload));
    SignedOffer::new(payload, signature)
}

fn certificate(key: PublicKey, subject: &str, by: &str) -> Base64 {
    let ca = TestKey::of(by);
    let request = CertificateRequest::new(key).subject(subject).unwrap();
    let signature = ca.sign(&request.to_be_signed(&ca.public()));
    Base64(request.assemble(&signature).compress().as_bytes().to_vec())
}

fn statement(addressee: Addressee, epoch: u32, number: u64) -> Base64 {
    let body = Body::DoorSettings(DoorSettings {
        relay_pulse_ms: 1500,
    });
    let payload = Statement {
        property: PROPERTY,
        addressee,
        epoch,
        number,
        body,
    }
    .payload();
    let signature = TestKey::of("issuer").sign(&Statement::to_be_signed(&payload));
    Base64(SignedStatement::new(payload, signature).to_bytes())
}

fn time(nonce: [u8; 16]) -> Base64 {
    let answer = TimeAnswer {
        property: PROPERTY,
        door: DOOR,
        nonce,
        unix_ms: 1_800_000_000_000,
    };
    let payload = answer.payload();
    let signature = TestKey::of("issuer").sign(&TimeAnswer::to_be_signed(&payload));
    Base64(SignedTimeAnswer::new(payload, signature).to_bytes())
}

fn list() -> Base64 {
    let issuer = TestKey::of("issuer");
    let list = Revocations {
        number: ListNumber {
            epoch: 1,
            version: 4,
        },
        ..Revocations::default()
    };
    let signed = Timestamp::from_epoch(1_800_000_000).unwrap();
    let unsigned = list.prepare(&issuer.public(), signed, [7; 16]).unwrap();
    let signature = issuer.sign(&unsigned.to_be_signed());
    Base64(unsigned.finish(signature).unwrap().as_bytes().to_vec())
}

fn package() -> Package {
    let offer = offer_of("reader");
    Package {
        property: PROPERTY,
        door: DOOR,
        door_number: DoorNumber(7),
        generation: Generation(1),
        certificate: certificate(
            offer.reader_key,
            &certificate_subject(DOOR, Generation(1)),
            "reader ca",
        ),
        reader_ca_key: Base64(TestKey::of("reader ca").public().as_bytes().to_vec()),
        issuer_key: Base64(TestKey::of("issuer").public().as_bytes().to_vec()),
        statements: vec![
            statement(Addressee::All, 2, 1),
            statement(Addressee::Door(DOOR), 2, 1),
            statement(Addressee::All, 2, 2),
        ],
        revocation: Some(list()),
        time: Some(time([3; 16])),
        iteration: 12,
        portal_url: Some("https://portal.example".to_owned()),
    }
}

#[test]
fn a_whole_package_is_believed() {
    let text = serde_json::to_string(&package()).unwrap();
    let read: Package = serde_json::from_str(&text).unwrap();
    assert_eq!(read, package());
    let commissioned = read.verify(&offer_of("reader")).unwrap();
    assert_eq!(
        commissioned.numbers,
        StatementNumbers {
            epoch: 2,
            all: 2,
            own: 1
        }
    );
    assert_eq!(commissioned.statements.len(), 3);
    assert_eq!(
        commissioned.revocation.unwrap().number(),
        ListNumber {
            epoch: 1,
            version: 4
        }
    );
    assert_eq!(commissioned.time.unwrap().unix_ms, 1_800_000_000_000);
    assert_eq!(commissioned.issuer, TestKey::of("issuer").public());

    let bare = Package {
        revocation: None,
        time: None,
        statements: vec![],
        ..package()
    };
    assert!(bare.verify(&offer_of("reader")).is_ok());
}

#[test]
fn what_does_not_hold_together_is_refused() {
    let offer = offer_of("reader");
    let refusal = |change: &dyn Fn(&mut Package)| {
        let mut changed = package();
        change(&mut changed);
        changed.verify(&offer).unwrap_err()
    };
    let subject = certificate_subject(DOOR, Generation(1));

    assert_eq!(
        package().verify(&offer_of("another")).unwrap_err(),
        PackageError::NotOurKey
    );
    assert_eq!(
        refusal(&|package| package.certificate = certificate(offer.reader_key, &subject, "mallory")),
        PackageError::BadCertificate
    );
    assert_eq!(
        refusal(&|package| package.door = DoorId([9; 12])),
        PackageError::Gap,
        "statements for another door"
    );
    assert_eq!(
        refusal(&|package| package.generation = Generation(2)),
        PackageError::NotOurDoor,
        "the certificate names the first controller"
    );
    assert_eq!(
        refusal(&|package| package.issuer_key = Base64(vec![4; 65])),
        PackageError::BadKey
    );
    assert!(matches!(
        refusal(&|package| {
            package.issuer_key = Base64(TestKey::of("mallory").public().as_bytes().to_vec());
        }),
        PackageError::BadStatement(_)
    ));
    assert_eq!(
        refusal(&|package| drop(package.statements.remove(0))),
        PackageError::Gap
    );
    assert_eq!(
        refusal(&|package| package.statements.push(statement(Addressee::All, 3, 1))),
        PackageError::Gap,
        "two epochs"
    );
    assert!(matches!(
        refusal(&|package| package.property = PropertyId([9; 16])),
        PackageError::BadStatement(SignedError::Elsewhere)
    ));
    assert_eq!(
        refusal(&|package| package.time = Some(time([4; 16]))),
        PackageError::BadTime(SignedError::Elsewhere),
        "an answer to another question"
    );
    assert!(matches!(
        refusal(&|package| package.revocation = Some(Base64(vec![1, 2, 3]))),
        PackageError::BadRevocation(_)
    ));
}

#[test]
fn a_code_reads_back_as_people_type_it() {
    let code = offer_of("reader").code();
    let text = code.to_string();
    assert_eq!(text.len(), 23);
    assert_eq!(text.parse(), Ok(code));
    assert_eq!(text.replace('-', " ").to_lowercase().parse(), Ok(code));
    assert_eq!(text.replace('0', "o").replace('1', "l").parse(), Ok(code));
    assert_ne!(offer_of("another").code(), code, "a code is of its keys");
    for bad in [
        "",
        "ABCDE",
        &text[..22],
        &format!("{text}0"),
        &text.replace(&text[..1], "U"),
    ] {
        assert_eq!(
            bad.parse::<CommissioningCode>(),
            Err(NotACommissioningCode),
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn an_offer_proves_its_reader_key(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let offer = offer_of("reader");
        let signed = sign_offer(&offer, "reader");
        let bytes = signed.to_bytes();
        prop_assert_eq!(SignedOffer::from_bytes(&bytes).unwrap().verify(), Ok(offer.clone()));
        prop_assert!(sign_offer(&offer, "mallory").verify().is_err());
        let mut spoilt = bytes;
        let at = at.index(spoilt.len());
        spoilt[at] ^= 1 << bit;
        let read = SignedOffer::from_bytes(&spoilt);
        prop_assert!(read.is_err() || read.unwrap().verify().is_err());
    }

    #[test]
    fn any_bytes_and_texts_are_answered(bytes in any::<Vec<u8>>(), text in "\\PC*") {
        let _ = SignedOffer::from_bytes(&bytes).map(|offer| offer.verify());
        let _ = text.parse::<CommissioningCode>();
        let _ = serde_json::from_str::<Package>(&text);
    }
}
