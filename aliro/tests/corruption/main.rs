//! One byte of one message or APDU is changed on its way, each in turn: nothing
//! opens that should not, and both sides end as the notes on the protocol say.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

#[path = "../common/mod.rs"]
mod common;
mod fields;

use common::Way;
use common::ending::Ending;
use common::scenes::{Carrier, Kind, Run, Scene};
use fields::{Field, REST, fields};
use proptest::prelude::*;

/// The field of a message of this length in which this byte stands.
fn field(fields: &[Field], length: usize, byte: usize) -> Field {
    let sizes = fields.iter().map(|(size, ..)| *size);
    let fixed: usize = sizes.filter(|size| *size != REST).sum();
    let mut end = 0;
    for field in fields {
        end += match field.0 {
            REST => length - fixed,
            size => size,
        };
        if byte < end {
            return *field;
        }
    }
    panic!("byte {byte} of {length} is in no field");
}

/// The place of the message that makes the door open: what comes after it can
/// spoil no decision.
fn decisive(scene: &Scene, honest: &Run) -> usize {
    let mut to_reader = honest
        .sent
        .iter()
        .rposition(|(way, _)| *way == Way::ToReader);
    if scene.carrier == Carrier::Apdus {
        to_reader = Some(honest.sent.len() - 1);
    }
    to_reader.unwrap()
}

/// How it ends when this byte is changed so, and how it may.
fn outcome(scene: &Scene, honest: &Run, (at, byte): (usize, usize), change: u8) -> Outcome {
    let run = scene.run(|number, _, mut message| {
        if number == at {
            message[byte] ^= change;
        }
        vec![message]
    });
    let fields = fields(scene, honest).swap_remove(at);
    let field = field(&fields, honest.sent[at].1.len(), byte);
    Outcome {
        ending: Ending::of(scene, honest, &run),
        allowed: match at > decisive(scene, honest) {
            true => &[Ending::OpenBefore],
            false => field.2,
        },
        field,
        told: format!("byte {byte} of {at}, {} ^ {change:02x}: {run:?}", field.1),
    }
}

struct Outcome {
    ending: Ending,
    allowed: &'static [Ending],
    field: Field,
    told: String,
}

fn every_byte(carrier: Carrier, kind: Kind) {
    let scene = Scene::new(carrier, kind);
    let honest = scene.honest();
    assert_eq!(
        (honest.opened, honest.reader, honest.device),
        (1, None, None)
    );
    for (at, (_, message)) in honest.sent.iter().enumerate() {
        for byte in 0..message.len() {
            for change in [0x01, 0x80] {
                let outcome = outcome(&scene, &honest, (at, byte), change);
                assert!(
                    outcome.allowed.contains(&outcome.ending),
                    "{:?} is not in {:?}: {}",
                    outcome.ending,
                    outcome.allowed,
                    outcome.told,
                );
            }
        }
    }
}

#[test]
fn standard_over_messages() {
    every_byte(Carrier::Messages, Kind::Standard);
}

#[test]
fn standard_over_apdus() {
    every_byte(Carrier::Apdus, Kind::Standard);
}

#[test]
fn step_up_over_messages() {
    every_byte(Carrier::Messages, Kind::StepUp);
}

#[test]
fn step_up_over_apdus() {
    every_byte(Carrier::Apdus, Kind::StepUp);
}

#[test]
fn fast_over_messages() {
    every_byte(Carrier::Messages, Kind::Fast);
}

#[test]
fn fast_over_apdus() {
    every_byte(Carrier::Apdus, Kind::Fast);
}

#[test]
fn mailbox_over_messages() {
    every_byte(Carrier::Messages, Kind::Mailbox);
}

#[test]
fn mailbox_over_apdus() {
    every_byte(Carrier::Apdus, Kind::Mailbox);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_change_of_any_byte(
        (carrier, kind) in scene(), at in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(), change in 1u8..,
    ) {
        let scene = Scene::new(carrier, kind);
        let honest = scene.honest();
        let at = at.index(honest.sent.len());
        let byte = byte.index(honest.sent[at].1.len());
        let outcome = outcome(&scene, &honest, (at, byte), change);
        // What tells messages, commands and objects apart may become any other;
        // what they hold has the same end whatever it becomes.
        let structure = outcome.field.0 <= 14;
        let failed = !matches!(outcome.ending, Ending::AsEver | Ending::FellBack);
        prop_assert!(
            outcome.allowed.contains(&outcome.ending) || (structure && failed),
            "{:?}: {}", outcome.ending, outcome.told
        );
    }
}

fn scene() -> impl Strategy<Value = (Carrier, Kind)> {
    let kinds = [Kind::Standard, Kind::StepUp, Kind::Fast, Kind::Mailbox];
    let carriers = [Carrier::Messages, Carrier::Apdus];
    (
        prop::sample::select(carriers.to_vec()),
        prop::sample::select(kinds.to_vec()),
    )
}
