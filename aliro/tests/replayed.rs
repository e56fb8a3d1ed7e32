//! Messages and APDUs cut short, lost, repeated, in another order, and replayed
//! from the same and from an earlier transaction, over either carrier: nothing
//! opens by it, and both sides end as the notes on the protocol say.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use common::Way;
use common::ending::{
    BAD_CERTIFICATE, BAD_CLASS, BAD_PARAMETERS, CHAIN_BROKEN, Ending, GIVEN_UP, MALFORMED,
    NO_RANGING, NO_VERSION, NOT_HEARD, NOT_OPENED, SECURITY, UNKNOWN_APPLICATION, VERSION,
    WRONG_MESSAGE, WRONG_STATE,
};
use common::scenes::{Carrier, Kind, Run, Scene};

const SCENES: [(Carrier, Kind); 8] = [
    (Carrier::Messages, Kind::Standard),
    (Carrier::Messages, Kind::StepUp),
    (Carrier::Messages, Kind::Fast),
    (Carrier::Messages, Kind::Mailbox),
    (Carrier::Apdus, Kind::Standard),
    (Carrier::Apdus, Kind::StepUp),
    (Carrier::Apdus, Kind::Fast),
    (Carrier::Apdus, Kind::Mailbox),
];

/// Calls with each scene, an honest run of it, and the place of the message that
/// decides: over messages the request, over APDUs the last answer.
fn everywhere(mut with: impl FnMut(&Scene, &Run, usize)) {
    for (carrier, kind) in SCENES {
        let scene = Scene::new(carrier, kind);
        let honest = scene.honest();
        let request = honest
            .sent
            .iter()
            .rposition(|(way, _)| *way == Way::ToReader);
        with(&scene, &honest, request.unwrap());
    }
}

/// Runs with `instead` in the place of one message.
fn with_instead(scene: &Scene, at: usize, instead: &[u8]) -> Run {
    scene.run(|number, _, message| {
        if number == at {
            vec![instead.to_vec()]
        } else {
            vec![message]
        }
    })
}

#[track_caller]
fn assert_one_of(ending: Ending, allowed: &[Ending], told: &dyn std::fmt::Debug) {
    assert!(
        allowed.contains(&ending),
        "{ending:x?} is not in {allowed:x?}: {told:?}"
    );
}

/// The shorter message with a header that fits it; none where it is no message.
fn cut(carrier: Carrier, message: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut cut = message[..length].to_vec();
    if carrier == Carrier::Messages {
        let payload = u16::try_from(length.checked_sub(4)?).unwrap();
        cut[2..4].copy_from_slice(&payload.to_be_bytes());
    }
    Some(cut)
}

#[test]
fn cut_anywhere() {
    everywhere(|scene, honest, request| {
        for (at, (way, message)) in honest.sent.iter().enumerate() {
            for length in 0..message.len() {
                if cut(scene.carrier, message, length).is_none() {
                    continue;
                }
                let run = scene.run(|number, _, message| match number == at {
                    true => cut(scene.carrier, &message, length).into_iter().collect(),
                    false => vec![message],
                });
                let ending = Ending::of(scene, honest, &run);
                let command =
                    *way == Way::ToDevice && (scene.carrier == Carrier::Apdus || message[0] == 0);
                let told = (scene.carrier, scene.kind, at, length, &run);
                if command {
                    // Le may be absent, but in GET RESPONSE.
                    let le = length + 1 == message.len();
                    let allowed: &[Ending] = if le {
                        &[Ending::AsEver, MALFORMED]
                    } else {
                        &[
                            MALFORMED,
                            WRONG_STATE,
                            BAD_CERTIFICATE,
                            SECURITY,
                            UNKNOWN_APPLICATION,
                        ]
                    };
                    assert_one_of(ending, allowed, &told);
                } else if at > request {
                    assert_one_of(ending, &[Ending::OpenBefore], &told);
                } else {
                    // What a status word is made of may be any byte of data.
                    let refused = [
                        GIVEN_UP,
                        NO_VERSION,
                        NOT_OPENED,
                        WRONG_MESSAGE,
                        Ending::LastWord,
                        Ending::Told(0x0006),
                        CHAIN_BROKEN,
                        MALFORMED,
                        WRONG_STATE,
                    ];
                    assert_one_of(ending, &refused, &told);
                }
            }
        }
    });
}

/// Every end that is none: a refusal by status word, by CONTROL FLOW, by
/// EXCHANGE, by *general error*.
const REFUSALS: [Ending; 16] = [
    BAD_CERTIFICATE,
    MALFORMED,
    BAD_CLASS,
    CHAIN_BROKEN,
    SECURITY,
    VERSION,
    UNKNOWN_APPLICATION,
    BAD_PARAMETERS,
    WRONG_STATE,
    GIVEN_UP,
    NOT_OPENED,
    NO_RANGING,
    WRONG_MESSAGE,
    NOT_HEARD,
    Ending::Told(0x0006),
    Ending::LastWord,
];

#[test]
fn another_message_of_the_same_transaction_in_its_place() {
    everywhere(|scene, honest, request| {
        for at in 0..=request {
            let (way, own) = &honest.sent[at];
            // From this very run, as far as it has come.
            for other in 0..at {
                if honest.sent[other].0 != *way {
                    continue;
                }
                let mut sent: Vec<Vec<u8>> = Vec::new();
                let run = scene.run(|number, _, message| {
                    sent.push(message.clone());
                    match number == at && sent[other] != message {
                        true => vec![sent[other].clone()],
                        false => vec![message],
                    }
                });
                let told = (scene.carrier, scene.kind, at, other, &run);
                let ending = Ending::of(scene, honest, &run);
                // Some answers are the same bytes: done, without data.
                let same = own == &honest.sent[other].1;
                let allowed: &[Ending] = if same { &[Ending::AsEver] } else { &REFUSALS };
                assert_one_of(ending, allowed, &told);
            }
        }
    });
}

#[test]
fn the_same_message_of_an_earlier_transaction_in_its_place() {
    everywhere(|scene, honest, request| {
        for at in 0..=request {
            let (way, recorded) = &honest.sent[at];
            let run = with_instead(scene, at, recorded);
            let told = (scene.carrier, scene.kind, at, &run);
            let ending = Ending::of(scene, honest, &run);
            let fresh = scene.honest().sent.swap_remove(at).1 != *recorded;
            let cryptogram = scene.kind == Kind::Fast && recorded.len() > 130;
            match (fresh, way) {
                // SELECT, the opening, the certificate, its answer: constants.
                (false, _) => assert_one_of(ending, &[Ending::AsEver], &told),
                // An old AUTH0 leads to keys that the reader does not share; an
                // old answer to it may hold a cryptogram that nothing opens.
                (true, _) if cryptogram => {
                    assert_one_of(ending, &[SECURITY, GIVEN_UP, Ending::LastWord], &told);
                }
                (true, Way::ToDevice) => assert_one_of(ending, &[SECURITY, NOT_OPENED], &told),
                (true, Way::ToReader) => {
                    let refused = [SECURITY, GIVEN_UP, NOT_OPENED, Ending::LastWord];
                    assert_one_of(ending, &refused, &told);
                }
            }
        }
    });
}

#[test]
fn lost_repeated_and_swapped() {
    everywhere(|scene, honest, request| {
        if scene.carrier == Carrier::Apdus {
            return;
        }
        for at in 0..honest.sent.len() {
            let lost = scene.run(|number, _, message| match number == at {
                true => vec![],
                false => vec![message],
            });
            // An application's messages are in the order of the others, so that
            // the loss of one is noticed.
            assert_eq!(lost.opened, usize::from(at > request), "{at} lost");

            let repeated = scene.run(|number, _, message| match number == at {
                true => vec![message.clone(), message],
                false => vec![message],
            });
            assert!(repeated.opened <= 1, "{at} repeated");
            assert!(repeated.reader.is_some() || repeated.device.is_some());

            // Held back until the next one of the same direction is there.
            let mut held = None;
            let swapped = scene.run(|number, _, message| {
                if number == at {
                    held = Some(message);
                    return vec![];
                }
                match held.take() {
                    Some(earlier) if honest.sent[at].0 == honest.sent[number].0 => {
                        vec![message, earlier]
                    }
                    other => {
                        held = other;
                        vec![message]
                    }
                }
            });
            assert_eq!(swapped.opened, usize::from(at > request), "{at} swapped");
        }
    });
}

#[test]
fn a_repeated_apdu_ends_it() {
    everywhere(|scene, honest, _| {
        if scene.carrier == Carrier::Messages {
            return;
        }
        // The next command is the one before, and its answer arrives twice.
        for at in 2..honest.sent.len() {
            let mut before = [Vec::new(), Vec::new()];
            let run = scene.run(|number, _, message| {
                let earlier = std::mem::replace(&mut before[number % 2], message.clone());
                match number == at {
                    true => vec![earlier],
                    false => vec![message],
                }
            });
            let told = (scene.kind, at, &run);
            let same = honest.sent[at] == honest.sent[at - 2];
            let allowed: &[Ending] = if same { &[Ending::AsEver] } else { &REFUSALS };
            assert_one_of(Ending::of(scene, honest, &run), allowed, &told);
        }
    });
}

/// Over messages a whole recording is played to a device, over APDUs too: it
/// tells a stranger nothing beyond what it tells everybody.
#[test]
fn a_recorded_reader_learns_nothing() {
    everywhere(|scene, honest, _| {
        let mut recorded = honest.sent.iter().filter(|(way, _)| *way == Way::ToDevice);
        let run = scene.run(|_, way, message| match way {
            Way::ToReader => vec![message],
            Way::ToDevice => vec![recorded.next().map_or(message, |(_, old)| old.clone())],
        });
        let ending = Ending::of(scene, honest, &run);
        let refused = [SECURITY, NOT_OPENED, NOT_HEARD, WRONG_MESSAGE, GIVEN_UP];
        assert_one_of(ending, &refused, &run);
        assert!(!run.written && run.notified == 0);
        assert!(run.phases.is_empty() || scene.kind == Kind::Fast);
    });
}
