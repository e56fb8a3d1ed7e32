//! What a controller is handed in order to work: as any JSON, and as a true package in which the
//! script changes things. It holds together exactly when what is signed is as it was.
#![no_main]

use std::cell::OnceCell;

use aliro::certificate::CertificateRequest;
use aliro::document::Timestamp;
use latchkey_fuzz::{Key, Script};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::clock::{SignedTimeAnswer, TimeAnswer, TimeChallenge};
use latchkey_protocol::commissioning::{Offer, Package, certificate_subject};
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, PropertyId};
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::statement::{Addressee, Body, DoorSettings, SignedStatement, Statement};

const CA: Key = Key(1);
const ISSUER: Key = Key(2);
const READER: Key = Key(3);
const SEALING: Key = Key(4);

const PROPERTY: PropertyId = PropertyId([1; 16]);
const DOOR: DoorId = DoorId([2; 12]);
const NONCE: [u8; 16] = [3; 16];

/// Series and number of the package's statements.
const STATEMENTS: [(Addressee, u64); 3] = [
    (Addressee::All, 1),
    (Addressee::Door(DOOR), 1),
    (Addressee::All, 2),
];

thread_local! {
    static TRUE: OnceCell<Package> = const { OnceCell::new() };
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(package) = serde_json::from_slice::<Package>(bytes) {
        let json = serde_json::to_vec(&package).expect("what was read can be written");
        let again: Package = serde_json::from_slice(&json).expect("what was written can be read");
        assert_eq!(again, package);
        let _ = package.verify(&offer());
    }
    TRUE.with(|made| {
        let whole = made.get_or_init(package);
        let mut changed = whole.clone();
        let mut script = Script::new(bytes);
        for _ in 0..8 {
            let Some(change) = script.next() else {
                break;
            };
            apply(change, &mut script, whole, &mut changed);
        }
        let holds = changed.verify(&offer()).is_ok();
        assert_eq!(holds, is_as_signed(whole, &changed), "{changed:?}");
    });
});

fn apply(change: u8, script: &mut Script<'_>, whole: &Package, changed: &mut Package) {
    let spoil = |optional: &mut Option<Base64>, script: &mut Script<'_>| {
        if let Some(bytes) = optional {
            script.spoil(&mut bytes.0);
        }
    };
    match change % 14 {
        0 => script.spoil(&mut changed.certificate.0),
        1 => script.spoil(&mut changed.reader_ca_key.0),
        2 => script.spoil(&mut changed.issuer_key.0),
        3 => spoil(&mut changed.revocation, script),
        4 => spoil(&mut changed.time, script),
        5 => changed.revocation = None,
        6 => changed.time = None,
        7 => changed.generation = Generation(u32::from(script.byte())),
        8 => script.spoil(&mut changed.door.0),
        9 => script.spoil(&mut changed.property.0),
        10 => {
            if let Some(at) = script.one_of(changed.statements.len()) {
                script.spoil(&mut changed.statements[at].0);
            }
        }
        11 => {
            if let Some(at) = script.one_of(changed.statements.len()) {
                changed.statements.remove(at);
            }
        }
        12 => {
            if let Some(which) = script.one_of(whole.statements.len()) {
                changed.statements.push(whole.statements[which].clone());
            }
        }
        _ => {
            let (one, other) = (
                script.one_of(changed.statements.len()),
                script.one_of(changed.statements.len()),
            );
            if let (Some(one), Some(other)) = (one, other) {
                changed.statements.swap(one, other);
            }
        }
    }
}

/// Whether all that is signed is as it was, and each series of statements goes on from its first.
fn is_as_signed(whole: &Package, changed: &Package) -> bool {
    let mut reached = [0, 0];
    let in_order = changed.statements.iter().all(|statement| {
        let which = whole.statements.iter().position(|one| one == statement);
        which.is_some_and(|which| {
            let (addressee, number) = STATEMENTS[which];
            let reached = &mut reached[usize::from(addressee != Addressee::All)];
            *reached += 1;
            *reached == number
        })
    });
    in_order
        && changed.certificate == whole.certificate
        && changed.reader_ca_key == whole.reader_ca_key
        && changed.issuer_key == whole.issuer_key
        && (changed.revocation.is_none() || changed.revocation == whole.revocation)
        && (changed.time.is_none() || changed.time == whole.time)
        && changed.generation == whole.generation
        && changed.door == whole.door
        && (changed.property == whole.property
            || changed.statements.is_empty() && changed.time.is_none())
}

fn offer() -> Offer {
    Offer {
        reader_key: READER.public(),
        sealing_key: SEALING.public(),
        challenge: TimeChallenge { nonce: NONCE },
        versions: vec![0x0100],
    }
}

fn package() -> Package {
    let bytes_of = |key: Key| Base64(key.public().as_bytes().to_vec());
    Package {
        property: PROPERTY,
        door: DOOR,
        door_number: DoorNumber(7),
        generation: Generation(1),
        certificate: certificate(),
        reader_ca_key: bytes_of(CA),
        issuer_key: bytes_of(ISSUER),
        statements: STATEMENTS.map(statement).into(),
        revocation: Some(list()),
        time: Some(time()),
        iteration: 12,
        portal_url: Some("https://portal.example".to_owned()),
    }
}

fn certificate() -> Base64 {
    let subject = certificate_subject(DOOR, Generation(1));
    let request = CertificateRequest::new(READER.public()).subject(&subject);
    let request = request.expect("a subject");
    let signature = CA.sign(&request.to_be_signed(&CA.public()));
    let certificate = request.assemble(&signature).compress();
    Base64(certificate.as_bytes().to_vec())
}

fn statement((addressee, number): (Addressee, u64)) -> Base64 {
    let body = Body::DoorSettings(DoorSettings {
        relay_pulse_ms: 1500,
    });
    let payload = Statement {
        property: PROPERTY,
        addressee,
        epoch: 2,
        number,
        body,
    }
    .payload();
    let signature = ISSUER.sign(&Statement::to_be_signed(&payload));
    Base64(SignedStatement::new(payload, signature).to_bytes())
}

fn time() -> Base64 {
    let answer = TimeAnswer {
        property: PROPERTY,
        door: DOOR,
        nonce: NONCE,
        unix_ms: 1_800_000_000_000,
    };
    let payload = answer.payload();
    let signature = ISSUER.sign(&TimeAnswer::to_be_signed(&payload));
    Base64(SignedTimeAnswer::new(payload, signature).to_bytes())
}

fn list() -> Base64 {
    let list = Revocations {
        number: ListNumber {
            epoch: 1,
            version: 4,
        },
        ..Revocations::default()
    };
    let signed = Timestamp::from_epoch(1_800_000_000).expect("a year of four digits");
    let unsigned = list.prepare(&ISSUER.public(), signed, [7; 16]);
    let unsigned = unsigned.expect("few entries");
    let signature = ISSUER.sign(&unsigned.to_be_signed());
    let document = unsigned.finish(signature).expect("a document");
    Base64(document.as_bytes().to_vec())
}
