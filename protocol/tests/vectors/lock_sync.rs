//! Lock sync: bundles, logs, and the messages that carry them.

use latchkey_protocol::api::events::Means;
use latchkey_protocol::bundle::{Content, Draft, Header, SignedHeader, Unsigned};
use latchkey_protocol::doorlink::{DoorEvent, Subject};
use latchkey_protocol::doorlog::{Parcel, Receipt, SignedParcel, SignedReceipt};
use latchkey_protocol::doorstate::{BundleNumber, ListNumber, StatementNumbers};
use latchkey_protocol::ids::*;
use latchkey_protocol::private::*;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::sealing::SealingKey;
use latchkey_protocol::statement::{Addressee, Body, DoorSettings, SignedStatement, Statement};
use latchkey_protocol::uses::{Ceiling, LeaseNumber};
use serde_json::{Value, json};

use super::signed::{pass, sign_pass};
use super::test_key::TestKey;
use super::{DOOR, GENERATION, NOW_MS, PROPERTY, check, signed_by};

const SEED: [u8; 32] = *b"a seed of exactly 32 bytes, once";

fn number() -> BundleNumber {
    BundleNumber {
        epoch: 2,
        number: 5,
    }
}

/// The private key of this name: see `keys.json`.
fn sealing_key(name: &str) -> SealingKey {
    let scalar = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let key = SealingKey::from_bytes(scalar.as_ref()).unwrap();
    assert_eq!(key.public().unwrap(), TestKey::of(name).public());
    key
}

fn statement(number: u64, body: Body) -> SignedStatement {
    let payload = Statement {
        property: PROPERTY,
        addressee: Addressee::All,
        epoch: 2,
        number,
        body,
    }
    .payload();
    let signature = TestKey::of("issuer").sign(&Statement::to_be_signed(&payload));
    SignedStatement::new(payload, signature)
}

#[test]
fn bundles() {
    let full = Content {
        statements: vec![
            statement(
                2,
                Body::DoorSettings(DoorSettings {
                    relay_pulse_ms: 3000,
                }),
            ),
            statement(3, Body::LogKey(TestKey::of("log").public())),
        ],
        passes: vec![(17, sign_pass(&pass()))],
        revocations: Some(b"a Revocation Document".to_vec()),
        ceilings: Vec::new(),
    };
    check_bundles("bundle", [("full", full), ("empty", Content::default())]);
}

/// With uses of counted keys.
#[test]
fn bundles_with_ceilings() {
    let ceiling = |budget: &[u8; 8], until| Ceiling {
        budget: BudgetId(*budget),
        number: LeaseNumber { epoch: 2, count: 7 },
        ceiling: 12,
        spent: 11,
        until,
    };
    let content = Content {
        ceilings: vec![
            ceiling(b"budget 1", None),
            ceiling(b"budget 2", Some(1_800_000_000)),
        ],
        ..Content::default()
    };
    check_bundles("bundle-ceilings", [("ceilings", content)]);
}

fn check_bundles<const N: usize>(file: &str, contents: [(&str, Content); N]) {
    let vectors = contents.map(|(name, content)| {
        let draft = Draft {
            property: PROPERTY,
            door: DOOR,
            generation: GENERATION,
            number: number(),
            all: 17,
            own: 3,
            content: content.clone(),
        };
        let Unsigned { header, body } = draft.seal(&TestKey::of("sealing").public(), SEED).unwrap();
        let payload = header.payload();
        let input = Header::to_be_signed(&payload);
        let signed = SignedHeader::new(payload.clone(), TestKey::of("issuer").sign(&input));
        let read = SignedHeader::from_bytes(&signed.to_bytes()).unwrap();
        let read = read.verify(&TestKey::of("issuer").public(), PROPERTY);
        assert_eq!(read, Ok(header.clone()));
        assert_eq!(
            header.open(&sealing_key("sealing"), body.clone()),
            Ok(content.clone())
        );
        json!({
            "bundle": name,
            "content": hex::encode(content.to_bytes()),
            "sealed to": "sealing",
            "seed": hex::encode(SEED),
            "header payload": hex::encode(&payload),
            "header signed": signed_by("issuer", &input),
            "header": hex::encode(signed.to_bytes()),
            "body": hex::encode(body),
        })
    });
    check(file, &json!(vectors.to_vec()));
}

#[test]
fn logs() {
    let event = |sequence, denied| DoorEvent {
        id: EventId(*b"event of 16 byte"),
        sequence,
        at_ms: i64::try_from(NOW_MS).unwrap(),
        clock_unsure: false,
        means: Means::Code,
        subject: Subject::Pass { pass: pass().id },
        attempt: None,
        denied,
    };
    let events = [event(8, None), event(10, Some(Reason::CodeUsedBefore))];
    let (payload, up_to) = Parcel::payload(PROPERTY, DOOR, GENERATION, 6, 7, &events).unwrap();
    assert_eq!(up_to, 10);
    let input = Parcel::to_be_signed(&payload);
    let signed = SignedParcel::new(payload.clone(), TestKey::of("door").sign(&input));
    let sealed = signed
        .seal(PROPERTY, &TestKey::of("log").public(), SEED)
        .unwrap();
    let opened = SignedParcel::open(&sealed, PROPERTY, &sealing_key("log")).unwrap();
    let parcel = opened.verify(&TestKey::of("door").public()).unwrap();
    assert_eq!(parcel.events, events);

    let receipt = Receipt {
        property: PROPERTY,
        door: DOOR,
        generation: GENERATION,
        up_to: 10,
    };
    let receipt_payload = receipt.payload();
    let receipt_input = Receipt::to_be_signed(&receipt_payload);
    let receipt = SignedReceipt::new(
        receipt_payload.clone(),
        TestKey::of("issuer").sign(&receipt_input),
    );
    let log_key = statement(3, Body::LogKey(TestKey::of("log").public()));
    check(
        "door-log",
        &json!({
            "log key statement": hex::encode(log_key.to_bytes()),
            "parcel": {
                "payload": hex::encode(&payload),
                "signed": signed_by("door", &input),
                "sealed to": "log",
                "seed": hex::encode(SEED),
                "sealed": hex::encode(&sealed),
            },
            "receipt": {
                "payload": hex::encode(&receipt_payload),
                "signed": signed_by("issuer", &receipt_input),
                "bytes": hex::encode(receipt.to_bytes()),
            },
        }),
    );
}

#[test]
fn private_messages_of_lock_sync() {
    let needs = |assembling, time| {
        PrivateMessage::Needs(Box::new(Needs {
            generation: GENERATION,
            list_after: ListNumber {
                epoch: 2,
                version: 41,
            },
            statements_after: StatementNumbers {
                epoch: 2,
                all: 17,
                own: 3,
            },
            bundle_after: number(),
            assembling,
            log: LogReach { kept: 7, last: 10 },
            time,
        }))
    };
    let assembling = Assembling {
        number: BundleNumber {
            epoch: 2,
            number: 6,
        },
        missing: vec![0, 3, 200],
    };
    let parcel = LogParcel {
        up_to: 10,
        sealed: b"sealed".to_vec(),
    };
    let messages = [
        ("carry", PrivateMessage::Carry),
        ("needs", needs(None, None)),
        (
            "needs the rest of a bundle, and the time",
            needs(Some(assembling), Some(*b"nonce of 16 byte")),
        ),
        (
            "bundle header",
            PrivateMessage::BundleHeader(b"header".to_vec()),
        ),
        (
            "bundle page",
            PrivateMessage::BundlePage(BundlePage {
                number: number(),
                index: 1,
                bytes: b"page".to_vec(),
            }),
        ),
        (
            "log receipt",
            PrivateMessage::LogReceipt(b"receipt".to_vec()),
        ),
        ("take log", PrivateMessage::TakeLog { after: 7 }),
        ("log", PrivateMessage::Log(Some(parcel))),
        ("no more log", PrivateMessage::Log(None)),
        ("time", PrivateMessage::Time(b"answer".to_vec())),
    ];
    let vectors: Vec<Value> = messages
        .into_iter()
        .map(|(name, message)| {
            let bytes = message.encode();
            assert_eq!(PrivateMessage::decode(&bytes), Ok(message));
            json!({ "message": name, "bytes": hex::encode(bytes) })
        })
        .collect();
    check("private-lock-sync", &json!(vectors));
}
