//! What portal and signer say to each other, byte by byte (`tests/vectors/signer.json`), and with any bytes in its
//! place.

use std::path::Path;

use aliro::crypto::PublicKey;
use latchkey_portal::signer_wire::{
    Answer, BundleDraft, GrantDraft, Hello, MAX_FRAME, Request, Series, SignedBundle, SignerError,
    VERSION, decode, encode, length,
};
use latchkey_protocol::bundle::Content;
use latchkey_protocol::doorlog::Receipt;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::grant::{KeyAt, Place, Right, Rights};
use latchkey_protocol::ids::{
    BudgetId, DoorId, DoorNumber, ElementId, Generation, PassId, PropertyId,
};
use latchkey_protocol::pass::{DoorSet, Pass};
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::{
    AccessRules, LocalMoment, OffsetChange, Offsets, Range, Span, Weekdays, WeeklyWindow,
};
use latchkey_protocol::statement::{Addressee, Body, DoorSettings};
use proptest::prelude::*;
use serde_json::{Value, json};

const PROPERTY: PropertyId = PropertyId(*b"property 16 byte");
const DOOR: DoorId = DoorId(*b"door12 bytes");

/// The generator of P-256: any point will do.
fn point() -> PublicKey {
    let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    let y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let bytes = hex::decode(format!("04{x}{y}")).unwrap();
    PublicKey::from_uncompressed(&bytes).unwrap()
}

fn zurich() -> Offsets {
    let at = |text: &str| text.parse().unwrap();
    let span = Span {
        from: at("2026-01-01T00:00:00Z"),
        until: at("2028-01-01T00:00:00Z"),
    };
    let change = OffsetChange {
        at: at("2026-03-29T01:00:00Z"),
        offset: 7200,
    };
    Offsets::new("Europe/Zurich", "2026b", span, 3600, [change]).unwrap()
}

fn rules(uses: Option<u32>) -> AccessRules {
    let range = Range::new(
        Some(LocalMoment::parse_start("2027-01-15T15:00").unwrap()),
        Some(LocalMoment::parse_end("2027-01-22T11:00").unwrap()),
    );
    let days = Weekdays::from_bits(0b001_1111).unwrap();
    let window = WeeklyWindow::parse(days, "07:00", "22:00").unwrap();
    let uses = uses.map(|uses| uses.try_into().unwrap());
    AccessRules::new(range.unwrap(), [window], true, uses).unwrap()
}

/// One of each, with these numbers in them.
fn requests(number: u64, bytes: &[u8]) -> Vec<Request> {
    let property = PROPERTY;
    let small = u32::try_from(number % 1000).unwrap();
    vec![
        Request::Create { property },
        Request::Standing { property },
        Request::BeginEpoch { property },
        Request::Statement {
            property,
            addressee: Addressee::All,
            number,
            body: Body::LogKey(point()),
        },
        Request::Statement {
            property,
            addressee: Addressee::Door(DOOR),
            number,
            body: Body::DoorSettings(DoorSettings {
                relay_pulse_ms: small,
            }),
        },
        Request::Pass {
            property,
            pass: Pass {
                id: PassId(*b"pass id "),
                code_key: point(),
                doors: DoorSet::of([DoorNumber(7), DoorNumber(300)]),
                rules: rules(Some(small + 1)),
                budget: Some(BudgetId(*b"budget 8")),
                until: small,
            },
        },
        Request::Time {
            property,
            door: DOOR,
            nonce: *b"nonce of 16 byte",
        },
        Request::Grant {
            property,
            draft: GrantDraft {
                holder: point(),
                keys: vec![
                    KeyAt {
                        place: Place::AllDoors,
                        id: ElementId(*b"element1"),
                        rules: rules(Some(small + 1)),
                        budget: Some(BudgetId(*b"budget 8")),
                        rights: Rights::NONE,
                    },
                    KeyAt {
                        place: Place::Door(DoorNumber(7)),
                        id: ElementId(*b"element2"),
                        rules: AccessRules::default(),
                        budget: None,
                        rights: Rights::NONE.with(Right::CarryLockSync),
                    },
                ],
                offsets: zurich(),
                lifetime: small,
                signed_after: Some(1_800_000_000),
            },
        },
        Request::RevocationList {
            property,
            version: number,
            list: Revocations {
                number: ListNumber::default(),
                contains: [ListNumber {
                    epoch: small,
                    version: number,
                }]
                .into(),
                credentials: [[9; 32]].into(),
                elements: [ElementId(*b"element1")].into(),
                superseded: [ElementId(*b"element2")].into(),
                passes: [PassId(*b"pass id ")].into(),
            },
            signed_after: None,
        },
        Request::Bundle {
            property,
            draft: BundleDraft {
                door: DOOR,
                generation: Generation(small),
                sealing_key: point(),
                number,
                all: number,
                own: 2,
                content: Content {
                    revocations: Some(bytes.to_vec()),
                    ..Content::default()
                },
            },
        },
        Request::LogReceipt {
            receipt: Receipt {
                property,
                door: DOOR,
                generation: Generation(small),
                up_to: number,
            },
        },
        Request::Certificate {
            property,
            door: DOOR,
            generation: Generation(small),
            reader_key: point(),
        },
        Request::Confirm {
            property,
            series: Series::Bundles(DOOR),
            number,
        },
        Request::Confirm {
            property,
            series: Series::Statements(Addressee::Door(DOOR)),
            number,
        },
        Request::KeepList {
            property,
            document: bytes.to_vec(),
        },
    ]
}

fn answers(number: u64, bytes: &[u8]) -> Vec<Answer> {
    let nested = |text: Value| decode(&serde_json::to_vec(&text).unwrap()).unwrap();
    let signed = i64::try_from(number >> 1).unwrap();
    vec![
        nested(json!({ "standing": {
            "epoch": 2, "iteration": number, "keeps_list": true, "given_out": { "all": number, "lists": 3 },
        }})),
        nested(json!({ "begun": { "epoch": 3, "list": null } })),
        nested(json!({ "begun": { "epoch": 3, "list": "AQI" } })),
        nested(json!({ "grant": {
            "documents": [{
                "doors": [7, 300], "keys": [0, 1], "document": "AQI", "valid_until": "2027-01-15T08:00:00Z",
            }],
            "elements": ["656c656d656e7431"],
            "signed": signed,
        }})),
        Answer::List {
            number: ListNumber {
                epoch: 2,
                version: number,
            },
            signed,
            document: bytes.to_vec(),
        },
        Answer::Bundle(SignedBundle {
            header: bytes.to_vec(),
            body: bytes.to_vec(),
        }),
        Answer::Signed(bytes.to_vec()),
        Answer::Done,
        Answer::Refused(SignerError::UnknownProperty),
        Answer::Refused(SignerError::Behind {
            asked: number,
            confirmed: number,
        }),
        Answer::Refused(SignerError::ClockStepped { seconds: -120 }),
        Answer::Refused(SignerError::TooFast { seconds: number }),
        Answer::Refused(SignerError::ForOperators),
        Answer::Refused(SignerError::ListTooLong),
        Answer::Refused(SignerError::NotSignable("why".to_owned())),
    ]
}

fn text(frame: &[u8]) -> &str {
    std::str::from_utf8(&frame[4..]).unwrap()
}

#[test]
fn what_is_said_is_as_it_was_frozen() {
    let said = |frame: Vec<u8>| json!({ "length": hex::encode(&frame[..4]), "json": text(&frame) });
    let requests = requests(5, b"some bytes").into_iter();
    let answers = answers(5, b"some bytes").into_iter();
    let made = json!({
        "hello": said(encode(&Hello { version: VERSION }).unwrap()),
        "requests": requests.map(|it| said(encode(&it).unwrap())).collect::<Vec<_>>(),
        "answers": answers.map(|it| said(encode(&it).unwrap())).collect::<Vec<_>>(),
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/signer.json");
    if std::env::var_os("LATCHKEY_WRITE_VECTORS").is_some() {
        let pretty = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, format!("{pretty}\n")).unwrap();
        return;
    }
    let frozen: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(frozen, made, "a published format has changed");
}

#[test]
fn what_is_longer_than_a_frame_is_neither_sent_nor_read() {
    let most = u32::try_from(MAX_FRAME).unwrap();
    assert_eq!(length(most.to_be_bytes()), Ok(MAX_FRAME));
    assert!(length((most + 1).to_be_bytes()).is_err());
    let document = vec![0; MAX_FRAME];
    let property = PROPERTY;
    assert!(encode(&Request::KeepList { property, document }).is_err());
}

#[test]
fn a_word_of_another_version_reads_as_one_and_unknown_words_do_not() {
    let newer: Hello = decode(br#"{"latchkey-signer":2,"more":"of it"}"#).unwrap();
    assert_eq!(newer.version, 2);
    let property = PROPERTY;
    for bad in [
        format!(r#"{{"standing":{{"property":"{property}","epoch":1}}}}"#),
        format!(r#"{{"pass":{{"property":"{property}","pass":"AQI"}}}}"#),
        r#"{"standing":{}}"#.to_owned(),
        "{}".to_owned(),
    ] {
        assert!(decode::<Request>(bad.as_bytes()).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn whatever_is_said_is_understood(number: u64, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for request in requests(number, &bytes) {
            let frame = encode(&request).unwrap();
            let head = frame[..4].try_into().unwrap();
            prop_assert_eq!(length(head), Ok(frame.len() - 4));
            prop_assert_eq!(decode::<Request>(&frame[4..]), Ok(request));
        }
        for answer in answers(number, &bytes) {
            let frame = encode(&answer).unwrap();
            prop_assert_eq!(decode::<Answer>(&frame[4..]), Ok(answer));
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>, which: prop::sample::Index, at: prop::sample::Index, byte: u8) {
        let _ = decode::<Request>(&bytes);
        let _ = decode::<Answer>(&bytes);
        let _ = decode::<Hello>(&bytes);
        let all = requests(5, &bytes);
        let mut frame = encode(&all[which.index(all.len())]).unwrap();
        let at = 4 + at.index(frame.len() - 4);
        frame[at] = byte;
        if let Ok(request) = decode::<Request>(&frame[4..]) {
            prop_assert!(encode(&request).is_ok());
        }
    }
}
