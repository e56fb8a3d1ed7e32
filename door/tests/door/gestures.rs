//! Gestures in any order, with a lock that jams and power that goes, beside a model of what they
//! may do.

use std::collections::BTreeMap;
use std::time::Duration;

use aliro::message::ReaderState;
use latchkey_door::RunConfig;
use latchkey_protocol::private::Outcome;
use proptest::prelude::*;

use crate::phone::Phone;
use crate::property::{Door, Property};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Commits this gesture, which takes the place of another.
    Press(u8, Option<u8>),
    Jam(bool),
    PowerCut,
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..4, proptest::option::weighted(0.3, 0u8..4)).prop_map(|(g, r)| Step::Press(g, r)),
        2 => any::<bool>().prop_map(Step::Jam),
        1 => Just(Step::PowerCut),
        1 => (1u8..40).prop_map(Step::Wait),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Spent { at: u64 },
    Moved,
    Replaced,
}

/// What the person sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Opened,
    Denied,
    Jammed,
}

#[derive(Default)]
struct Model {
    gestures: BTreeMap<u8, State>,
    now: u64,
    jammed: bool,
    movements: usize,
    /// One for each gesture that was spent, and one for each denial.
    events: u64,
}

impl Model {
    fn press(&mut self, gesture: u8, replaced: Option<u8>) -> Seen {
        match self.gestures.get(&gesture) {
            None => {
                self.replace(gesture, replaced);
                self.events += 1;
                self.gestures.insert(gesture, State::Spent { at: self.now });
                self.move_lock(gesture)
            }
            Some(State::Spent { at }) if self.now - at <= 30 => self.move_lock(gesture),
            Some(State::Moved) => Seen::Opened,
            Some(State::Spent { .. } | State::Replaced) => {
                self.replace(gesture, replaced);
                self.events += 1;
                Seen::Denied
            }
        }
    }

    fn replace(&mut self, by: u8, replaced: Option<u8>) {
        if let Some(replaced) = replaced.filter(|replaced| *replaced != by) {
            let state = self.gestures.entry(replaced).or_insert(State::Replaced);
            if *state != State::Moved {
                *state = State::Replaced;
            }
        }
    }

    fn move_lock(&mut self, gesture: u8) -> Seen {
        if self.jammed {
            return Seen::Jammed;
        }
        self.movements += 1;
        self.gestures.insert(gesture, State::Moved);
        Seen::Opened
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_moves_the_lock_once_at_most_and_costs_one_event(
        steps in proptest::collection::vec(step(), 1..24)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let property = Property::new();
            let mut door = Door::new(&property).await;
            let mut phone = Phone::resident(&property, "{}");
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Press(gesture, replaced) => {
                        phone.replaces = Vec::new();
                        if let Some(replaced) = replaced {
                            phone = phone.gesture(replaced);
                            phone.replaces = vec![phone.attempt];
                        }
                        phone = phone.gesture(gesture);
                        let visit = phone.visit(&door).await;
                        let seen = match (visit.record, visit.lock) {
                            (None, Some(ReaderState::Jammed)) => Seen::Jammed,
                            (Some(record), _) => match record.outcome {
                                Outcome::Opened { .. } => Seen::Opened,
                                Outcome::Denied { .. } => Seen::Denied,
                            },
                            other => panic!("{other:?}"),
                        };
                        assert_eq!(seen, model.press(gesture, replaced), "{step:?}");
                    }
                    Step::Jam(jammed) => {
                        door.strike.jam(jammed);
                        model.jammed = jammed;
                    }
                    Step::PowerCut => door = door.restart(true, RunConfig::default()).await,
                    Step::Wait(seconds) => {
                        property.clock.advance(Duration::from_secs(seconds.into()));
                        model.now += u64::from(seconds);
                    }
                }
                assert_eq!(door.strike.count(), model.movements, "{step:?}");
            }
            assert_eq!(door.running.status().await.unwrap().events, model.events);
        });
    }
}
