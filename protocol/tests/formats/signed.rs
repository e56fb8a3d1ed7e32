//! Signed formats read back, and notice every changed byte.

use std::num::NonZeroU32;

use latchkey_protocol::FormatError;
use latchkey_protocol::clock::{SignedTimeAnswer, TimeAnswer};
use latchkey_protocol::doorstate::{DoorState, SignedDoorState, StatementNumbers};
use latchkey_protocol::ids::*;
use latchkey_protocol::pass::{MAX_IN_CODE, Pass, SignedPass};
use latchkey_protocol::proof::{CredentialProof, DoorSignIn, KeyKind, Registrant};
use latchkey_protocol::rules::{AccessRules, LocalMoment, Range, Weekdays, WeeklyWindow};
use latchkey_protocol::signing::{Purpose, SignedError, input};
use latchkey_protocol::statement::{
    Addressee, Body, DoorSettings, SignedStatement, Statement, Step,
};
use proptest::prelude::*;

use super::test_key::TestKey;
use super::values;

const PROPERTY: PropertyId = PropertyId([1; 16]);
const OTHER: PropertyId = PropertyId([9; 16]);

fn sign_statement(statement: &Statement) -> SignedStatement {
    let payload = statement.payload();
    let signature = TestKey::of("issuer").sign(&Statement::to_be_signed(&payload));
    SignedStatement::new(payload, signature)
}

fn sign_state(state: &DoorState) -> SignedDoorState {
    let payload = state.payload();
    let signature = TestKey::of("door").sign(&DoorState::to_be_signed(&payload));
    SignedDoorState::new(payload, signature)
}

fn sign_pass(pass: &Pass) -> SignedPass {
    let payload = pass.payload().unwrap();
    let signature = TestKey::of("issuer").sign(&Pass::to_be_signed(PROPERTY, &payload));
    SignedPass::new(payload, signature)
}

/// The bytes with one bit changed.
fn spoil(bytes: &[u8], at: prop::sample::Index, bit: u8) -> Vec<u8> {
    let mut spoilt = bytes.to_vec();
    spoilt[at.index(bytes.len())] ^= 1 << bit;
    spoilt
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn statements_read_back_and_notice_changes(
        statement in values::statement(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let issuer = TestKey::of("issuer").public();
        let bytes = sign_statement(&statement).to_bytes();
        let read = SignedStatement::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.to_bytes(), bytes.clone());
        prop_assert_eq!(read.verify(&issuer, OTHER), Err(SignedError::Elsewhere));
        prop_assert_eq!(read.verify(&issuer, PROPERTY), Ok(statement));
        prop_assert!(read.verify(&TestKey::of("mallory").public(), PROPERTY).is_err());

        let spoilt = SignedStatement::from_bytes(&spoil(&bytes, at, bit));
        prop_assert!(spoilt.is_err() || spoilt.unwrap().verify(&issuer, PROPERTY).is_err());
    }

    #[test]
    fn passes_read_back_and_notice_changes(
        pass in values::pass(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let issuer = TestKey::of("issuer").public();
        let bytes = sign_pass(&pass).to_bytes();
        let read = SignedPass::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.to_bytes(), bytes.clone());
        prop_assert_eq!(read.verify(&issuer, PROPERTY), Ok(pass));
        prop_assert!(read.verify(&issuer, OTHER).is_err(), "a pass is good at its property alone");

        let spoilt = SignedPass::from_bytes(&spoil(&bytes, at, bit)).unwrap();
        prop_assert!(spoilt.verify(&issuer, PROPERTY).is_err());
    }

    #[test]
    fn door_states_read_back_and_notice_changes(
        state in values::door_state(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let door = TestKey::of("door").public();
        let bytes = sign_state(&state).to_bytes();
        prop_assert!(bytes.len() <= SignedDoorState::MAX);
        let read = SignedDoorState::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.claimed(), Ok((PROPERTY, state.door, state.generation)));
        prop_assert_eq!(read.verify(&door), Ok(state));

        let spoilt = SignedDoorState::from_bytes(&spoil(&bytes, at, bit));
        prop_assert!(spoilt.is_err() || spoilt.unwrap().verify(&door).is_err());
    }

    #[test]
    fn time_answers_read_back_and_notice_changes(
        answer in values::time_answer(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let issuer = TestKey::of("issuer");
        let payload = answer.payload();
        let signature = issuer.sign(&TimeAnswer::to_be_signed(&payload));
        let bytes = SignedTimeAnswer::new(payload, signature).to_bytes();
        let read = SignedTimeAnswer::from_bytes(&bytes).unwrap();
        let door = DoorId([2; 12]);
        prop_assert_eq!(read.verify(&issuer.public(), PROPERTY, door), Ok(answer));
        prop_assert_eq!(
            read.verify(&issuer.public(), PROPERTY, DoorId([3; 12])),
            Err(SignedError::Elsewhere)
        );
        prop_assert_eq!(read.verify(&issuer.public(), OTHER, door), Err(SignedError::Elsewhere));

        let spoilt = SignedTimeAnswer::from_bytes(&spoil(&bytes, at, bit));
        let refused =
            spoilt.is_err() || spoilt.unwrap().verify(&issuer.public(), PROPERTY, door).is_err();
        prop_assert!(refused);
    }

    #[test]
    fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
        let _ = SignedStatement::from_bytes(&bytes);
        let _ = SignedPass::from_bytes(&bytes);
        let _ = SignedDoorState::from_bytes(&bytes);
        let _ = SignedTimeAnswer::from_bytes(&bytes);
    }

    /// The payloads too, which only a holder of the issuer's key could make.
    #[test]
    fn any_rightly_signed_payload_is_answered(payload in prop_oneof![
        any::<Vec<u8>>(),
        values::statement().prop_map(|statement| statement.payload()),
    ], at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut payload = payload;
        if !payload.is_empty() {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let issuer = TestKey::of("issuer");
        let signature = issuer.sign(&input(Purpose::Statement, &[&payload]));
        let signed = SignedStatement::new(payload.clone(), signature);
        if let Ok(statement) = signed.verify(&issuer.public(), PROPERTY) {
            prop_assert_eq!(statement.payload(), payload, "one meaning has one encoding");
        }
    }
}

#[test]
fn a_kind_from_the_future_asks_for_an_update() {
    // [1, property, null, 1, 1, 99, []]
    let mut payload = vec![0x87, 0x01, 0x50];
    payload.extend([1; 16]);
    payload.extend([0xf6, 0x01, 0x01, 0x18, 99, 0x80]);
    let issuer = TestKey::of("issuer");
    let signature = issuer.sign(&Statement::to_be_signed(&payload));
    assert_eq!(
        SignedStatement::new(payload, signature).verify(&issuer.public(), PROPERTY),
        Err(SignedError::Format(FormatError::UnknownKind(99)))
    );
}

#[test]
fn a_pass_with_two_windows_a_range_and_two_doors_fits_into_a_long_code() {
    let window =
        |days, from, to| WeeklyWindow::parse(Weekdays::from_bits(days).unwrap(), from, to).unwrap();
    let range = Range::new(
        Some(LocalMoment::parse_start("2026-11-24T15:00").unwrap()),
        Some(LocalMoment::parse_end("2026-12-01T11:00").unwrap()),
    );
    let windows = [
        window(0b11111, "08:00", "22:00"),
        window(0b1100000, "10:00", "02:00"),
    ];
    let pass = Pass {
        id: PassId([0xff; 8]),
        code_key: TestKey::of("guest").public(),
        doors: latchkey_protocol::pass::DoorSet::of([DoorNumber(65_534), DoorNumber(65_535)]),
        rules: AccessRules::new(range.unwrap(), windows, true, None).unwrap(),
        budget: None,
        until: u32::MAX,
    };
    let signed = sign_pass(&pass);
    assert!(
        signed.to_bytes().len() <= MAX_IN_CODE,
        "{} bytes",
        signed.to_bytes().len()
    );
    assert!(signed.fits_in_code());
    // What counts its uses takes the room of three windows.
    let counted = Pass {
        rules: AccessRules::new(*pass.rules.range(), [], true, NonZeroU32::new(30)).unwrap(),
        budget: Some(BudgetId([0xff; 8])),
        ..pass
    };
    assert!(sign_pass(&counted).fits_in_code());
}

#[test]
fn a_pass_with_a_number_of_uses_says_what_counts_them_and_no_other_does() {
    let rules = |uses| AccessRules::new(Range::ALWAYS, [], false, NonZeroU32::new(uses)).unwrap();
    let pass = |rules, budget| Pass {
        id: PassId([1; 8]),
        code_key: TestKey::of("guest").public(),
        doors: latchkey_protocol::pass::DoorSet::All,
        rules,
        budget,
        until: 0,
    };
    let budget = Some(BudgetId([2; 8]));
    assert!(pass(rules(3), None).payload().is_err());
    assert!(pass(rules(0), budget).payload().is_err());
    assert!(pass(rules(3), budget).payload().is_ok());
}

#[test]
fn a_door_obeys_only_the_next_number() {
    let door = DoorId([2; 12]);
    let say = |addressee, epoch, number| Statement {
        property: PROPERTY,
        addressee,
        epoch,
        number,
        body: Body::DoorSettings(DoorSettings::default()),
    };
    let held = StatementNumbers {
        epoch: 4,
        all: 7,
        own: 2,
    };
    let step = |addressee, epoch, number| held.step(door, &say(addressee, epoch, number));
    let (all, own) = (Addressee::All, Addressee::Door(door));

    assert_eq!(
        step(all, 4, 8),
        Step::Apply(StatementNumbers { all: 8, ..held })
    );
    assert_eq!(
        step(own, 4, 3),
        Step::Apply(StatementNumbers { own: 3, ..held })
    );
    assert_eq!(step(all, 4, 7), Step::Known);
    assert_eq!(step(own, 4, 1), Step::Known);
    assert_eq!(step(all, 4, 10), Step::Missing { epoch: 4, from: 8 });
    assert_eq!(step(own, 4, 8), Step::Missing { epoch: 4, from: 3 });
    assert_eq!(step(all, 3, 8), Step::Stale, "an epoch that has passed");
    assert_eq!(
        step(own, 5, 1),
        Step::BeginEpoch(StatementNumbers {
            epoch: 5,
            all: 0,
            own: 1
        }),
        "a new epoch begins both series"
    );
    assert_eq!(step(all, 5, 8), Step::Missing { epoch: 5, from: 1 });
    assert_eq!(step(Addressee::Door(DoorId([3; 12])), 4, 3), Step::NotForUs);
}

#[test]
fn proofs_hold_for_what_they_name_alone() {
    let door = TestKey::of("door");
    let sign_in = DoorSignIn {
        property: PROPERTY,
        door: DoorId([2; 12]),
        generation: Generation(1),
        nonce: [7; 32],
    };
    let signature = door.sign(&sign_in.to_be_signed());
    assert!(sign_in.verify(&door.public(), &signature).is_ok());
    for other in [
        DoorSignIn {
            property: OTHER,
            ..sign_in.clone()
        },
        DoorSignIn {
            door: DoorId([3; 12]),
            ..sign_in.clone()
        },
        DoorSignIn {
            generation: Generation(2),
            ..sign_in.clone()
        },
        DoorSignIn {
            nonce: [8; 32],
            ..sign_in.clone()
        },
    ] {
        assert!(
            other.verify(&door.public(), &signature).is_err(),
            "{other:?}"
        );
    }

    let phone = TestKey::of("phone");
    let proof = CredentialProof {
        property: PROPERTY,
        kind: KeyKind::AccessCredential,
        registrant: Registrant::Account(AccountId([5; 16])),
        nonce: [7; 32],
        key: phone.public(),
    };
    let signature = phone.sign(&proof.to_be_signed());
    assert!(proof.verify(&signature).is_ok());
    for other in [
        CredentialProof {
            property: OTHER,
            ..proof.clone()
        },
        CredentialProof {
            kind: KeyKind::CodeKey,
            ..proof.clone()
        },
        CredentialProof {
            registrant: Registrant::Link(LinkId([5; 16])),
            ..proof.clone()
        },
        CredentialProof {
            registrant: Registrant::Account(AccountId([6; 16])),
            ..proof.clone()
        },
        CredentialProof {
            nonce: [8; 32],
            ..proof.clone()
        },
        CredentialProof {
            key: TestKey::of("mallory").public(),
            ..proof.clone()
        },
    ] {
        assert!(other.verify(&signature).is_err(), "{other:?}");
    }
}
