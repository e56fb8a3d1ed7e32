//! What is signed under a prefix of ours.

use std::num::NonZeroU32;

use latchkey_protocol::clock::{ClockReading, SignedTimeAnswer, TimeAnswer, TimeChallenge};
use latchkey_protocol::code::{Code, IssueTime};
use latchkey_protocol::commissioning::{Offer, SignedOffer, certificate_subject};
use latchkey_protocol::doorstate::{
    BundleNumber, ClockState, DoorState, ListNumber, SignedDoorState, StatementNumbers,
};
use latchkey_protocol::ids::*;
use latchkey_protocol::pass::{DoorSet, Pass, SignedPass};
use latchkey_protocol::proof::{CredentialProof, DoorSignIn, KeyKind, Registrant};
use latchkey_protocol::rules::{AccessRules, Range};
use latchkey_protocol::signing::Purpose;
use latchkey_protocol::statement::{
    Addressee, Body, DoorSettings, PropertySettings, SignedStatement, Statement,
};
use latchkey_protocol::uses::{LeaseNumber, LeaseReport};
use serde_json::{Value, json};

use super::test_key::TestKey;
use super::{DOOR, GENERATION, NOW, NOW_MS, PROPERTY, check, holidays, rules, signed_by, zurich};

#[test]
fn prefixes() {
    let prefixes: Vec<_> = Purpose::ALL
        .iter()
        .map(|purpose| String::from_utf8(purpose.prefix().to_vec()).unwrap())
        .collect();
    check("prefixes", &json!(prefixes));
}

pub(crate) fn pass() -> Pass {
    Pass {
        id: PassId(*b"pass 8 b"),
        code_key: TestKey::of("guest").public(),
        doors: DoorSet::of([DoorNumber(7), DoorNumber(300)]),
        rules: rules(),
        budget: None,
        until: u32::try_from(NOW).unwrap() + 30 * 86_400,
    }
}

pub(crate) fn sign_pass(pass: &Pass) -> SignedPass {
    let payload = pass.payload().unwrap();
    let signature = TestKey::of("issuer").sign(&Pass::to_be_signed(PROPERTY, &payload));
    SignedPass::new(payload, signature)
}

#[test]
fn passes() {
    let all = [
        pass(),
        Pass {
            doors: DoorSet::All,
            rules: Default::default(),
            ..pass()
        },
    ];
    check_passes("pass", &all);
}

#[test]
fn passes_of_counted_keys() {
    let counted = AccessRules::new(Range::ALWAYS, [], false, NonZeroU32::new(30)).unwrap();
    let pass = Pass {
        rules: counted,
        budget: Some(BudgetId(*b"budget 1")),
        ..pass()
    };
    check_passes("pass-counted", &[pass]);
}

fn check_passes(name: &str, all: &[Pass]) {
    let issuer = TestKey::of("issuer").public();
    let vectors: Vec<Value> = all
        .iter()
        .map(|pass| {
            let payload = pass.payload().unwrap();
            let signed = sign_pass(pass);
            let read = SignedPass::from_bytes(&signed.to_bytes()).unwrap();
            assert_eq!(read.verify(&issuer, PROPERTY).as_ref(), Ok(pass));
            json!({
                "property": PROPERTY,
                "pass": pass.id,
                "rules": pass.rules,
                "until": pass.until,
                "payload": hex::encode(&payload),
                "signed": signed_by("issuer", &Pass::to_be_signed(PROPERTY, &payload)),
                "bytes": hex::encode(signed.to_bytes()),
            })
        })
        .collect();
    check(name, &json!(vectors));
}

#[test]
fn codes() {
    let issued = IssueTime::from_unix_ms(NOW_MS + 120);
    let input = Code::to_be_signed(PROPERTY, pass().id, issued);
    let signature = TestKey::of("guest").sign(&input);
    let vectors = [None, Some(sign_pass(&pass()))].map(|statement| {
        let code = Code {
            pass: pass().id,
            issued,
            signature,
            statement,
        };
        let text = code.to_text();
        assert_eq!(Code::parse(&text).as_ref(), Ok(&code));
        assert!(
            code.verify(&TestKey::of("guest").public(), PROPERTY)
                .is_ok()
        );
        json!({
            "property": PROPERTY,
            "pass": code.pass,
            "issued_unix_ms": issued.unix_ms(),
            "issued": hex::encode(issued.to_bytes()),
            "long": code.is_long(),
            "signed": signed_by("guest", &input),
            "text": text,
        })
    });
    check("code", &json!(vectors));
}

#[test]
fn statements() {
    let bodies = [
        (
            "settings",
            Body::Settings(PropertySettings {
                offsets: zurich(),
                holidays: holidays(),
            }),
        ),
        (
            "door settings",
            Body::DoorSettings(DoorSettings {
                relay_pulse_ms: 3000,
            }),
        ),
        ("pass", Body::Pass(sign_pass(&pass()))),
    ];
    let addressees = [Addressee::All, Addressee::Door(DOOR), Addressee::All];
    let vectors: Vec<Value> = bodies
        .into_iter()
        .zip(addressees)
        .zip(1..)
        .map(|(((kind, body), addressee), number)| {
            let statement = Statement {
                property: PROPERTY,
                addressee,
                epoch: 2,
                number,
                body,
            };
            let payload = statement.payload();
            let input = Statement::to_be_signed(&payload);
            let signed = SignedStatement::new(payload.clone(), TestKey::of("issuer").sign(&input));
            let read = SignedStatement::from_bytes(&signed.to_bytes()).unwrap();
            assert_eq!(
                read.verify(&TestKey::of("issuer").public(), PROPERTY),
                Ok(statement)
            );
            json!({
                "kind": kind,
                "epoch": 2,
                "number": number,
                "payload": hex::encode(&payload),
                "signed": signed_by("issuer", &input),
                "bytes": hex::encode(signed.to_bytes()),
            })
        })
        .collect();
    check("statement", &json!(vectors));
}

pub(crate) fn door_state() -> SignedDoorState {
    let payload = state(Some(-12), Some(87)).payload();
    let signature = TestKey::of("door").sign(&DoorState::to_be_signed(&payload));
    SignedDoorState::new(payload, signature)
}

fn state(drift_ppm: Option<i32>, battery: Option<u8>) -> DoorState {
    DoorState {
        property: PROPERTY,
        door: DOOR,
        generation: GENERATION,
        iteration: 12,
        list: ListNumber {
            epoch: 2,
            version: 41,
        },
        statements: StatementNumbers {
            epoch: 2,
            all: 17,
            own: 3,
        },
        clock: ClockState {
            reading: ClockReading {
                unix_ms: NOW_MS,
                uncertainty_ms: 250,
                unsure: false,
            },
            drift_ppm,
        },
        battery,
        counter: 1234,
        leases: Vec::new(),
        bundle: BundleNumber::default(),
    }
}

#[test]
fn door_states() {
    let lost = DoorState {
        clock: ClockState {
            reading: ClockReading {
                unix_ms: NOW_MS,
                uncertainty_ms: u32::MAX,
                unsure: true,
            },
            drift_ppm: None,
        },
        ..state(None, None)
    };
    check_states("door-state", &[state(Some(-12), Some(87)), lost]);
}

#[test]
fn door_states_with_leases() {
    let lease = |budget: &[u8; 8], count, ceiling, spent| LeaseReport {
        budget: BudgetId(*budget),
        number: LeaseNumber { epoch: 2, count },
        ceiling,
        spent,
    };
    let with_leases = DoorState {
        leases: vec![
            lease(b"budget 1", 7, 12, 12),
            lease(b"budget 2", 1, 300, 299),
        ],
        ..state(None, Some(87))
    };
    check_states("door-state-leases", &[with_leases]);
}

#[test]
fn door_states_with_bundles() {
    let with_bundle = DoorState {
        bundle: BundleNumber {
            epoch: 2,
            number: 5,
        },
        ..state(None, Some(87))
    };
    let lease = LeaseReport {
        budget: BudgetId(*b"budget 1"),
        number: LeaseNumber { epoch: 2, count: 7 },
        ceiling: 12,
        spent: 3,
    };
    let with_both = DoorState {
        leases: vec![lease],
        ..with_bundle.clone()
    };
    check_states("door-state-bundle", &[with_bundle, with_both]);
}

fn check_states(name: &str, states: &[DoorState]) {
    let vectors = states.iter().map(|state| {
        let payload = state.payload();
        let input = DoorState::to_be_signed(&payload);
        let signed = SignedDoorState::new(payload.clone(), TestKey::of("door").sign(&input));
        let read = SignedDoorState::from_bytes(&signed.to_bytes()).unwrap();
        assert_eq!(
            read.verify(&TestKey::of("door").public()).as_ref(),
            Ok(state)
        );
        json!({
            "payload": hex::encode(&payload),
            "signed": signed_by("door", &input),
            "bytes": hex::encode(signed.to_bytes()),
        })
    });
    check(name, &json!(vectors.collect::<Vec<Value>>()));
}

#[test]
fn time_answers() {
    let answer = TimeAnswer {
        property: PROPERTY,
        door: DOOR,
        nonce: *b"nonce of 16 byte",
        unix_ms: NOW_MS,
    };
    let payload = answer.payload();
    let input = TimeAnswer::to_be_signed(&payload);
    let signed = SignedTimeAnswer::new(payload.clone(), TestKey::of("issuer").sign(&input));
    let read = SignedTimeAnswer::from_bytes(&signed.to_bytes()).unwrap();
    assert_eq!(
        read.verify(&TestKey::of("issuer").public(), PROPERTY, DOOR),
        Ok(answer)
    );
    check(
        "time",
        &json!([{
            "payload": hex::encode(&payload),
            "signed": signed_by("issuer", &input),
            "bytes": hex::encode(signed.to_bytes()),
        }]),
    );
}

#[test]
fn proofs() {
    let nonce = *b"a nonce of the portal's, 32 byte";
    let sign_in = DoorSignIn {
        property: PROPERTY,
        door: DOOR,
        generation: GENERATION,
        nonce,
    };
    let credential = CredentialProof {
        property: PROPERTY,
        kind: KeyKind::AccessCredential,
        registrant: Registrant::Account(AccountId(*b"account 16 bytes")),
        nonce,
        key: TestKey::of("phone").public(),
    };
    let code_key = CredentialProof {
        property: PROPERTY,
        kind: KeyKind::CodeKey,
        registrant: Registrant::Link(LinkId(*b"link of 16 bytes")),
        nonce,
        key: TestKey::of("guest").public(),
    };
    check(
        "proof",
        &json!({
            "door sign-in": signed_by("door", &sign_in.to_be_signed()),
            "access credential of an account": signed_by("phone", &credential.to_be_signed()),
            "code key of a link": signed_by("guest", &code_key.to_be_signed()),
        }),
    );
}

#[test]
fn commissioning() {
    let offer = Offer {
        reader_key: TestKey::of("door").public(),
        sealing_key: TestKey::of("sealing").public(),
        challenge: TimeChallenge {
            nonce: *b"nonce of 16 byte",
        },
        versions: vec![0x0100],
    };
    let payload = offer.payload();
    let input = Offer::to_be_signed(&payload);
    let signed = SignedOffer::new(payload.clone(), TestKey::of("door").sign(&input));
    assert_eq!(
        SignedOffer::from_bytes(&signed.to_bytes())
            .unwrap()
            .verify()
            .as_ref(),
        Ok(&offer)
    );
    check(
        "commissioning",
        &json!({
            "payload": hex::encode(&payload),
            "signed": signed_by("door", &input),
            "bytes": hex::encode(signed.to_bytes()),
            "code": offer.code().to_string(),
            "certificate subject": certificate_subject(DOOR, GENERATION),
        }),
    );
}
