//! A door's clock against a true time that only the test knows.

use std::time::Duration;

use latchkey_protocol::clock::*;
use latchkey_protocol::ids::{DoorId, PropertyId};
use proptest::prelude::*;

const START: u64 = 1_800_000_000_000;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn answer(nonce: u8, unix_ms: u64) -> TimeAnswer {
    TimeAnswer {
        property: PropertyId([1; 16]),
        door: DoorId([2; 12]),
        nonce: [nonce; 16],
        unix_ms,
    }
}

/// The world outside: true time, an oscillator that is off, and an issuer whose clock is right.
struct World {
    true_ms: u64,
    monotonic_us: u64,
    /// The oscillator runs this much too fast.
    fast_ppm: i64,
    clock: DoorClock,
    nonce: u8,
}

impl World {
    fn new(fast_ppm: i64, persisted: PersistedClock) -> Self {
        let monotonic_us = 5_000_000;
        let clock = DoorClock::start(persisted, Duration::from_micros(monotonic_us));
        Self {
            true_ms: START,
            monotonic_us,
            fast_ppm,
            clock,
            nonce: 0,
        }
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic_us)
    }

    fn wait_ms(&mut self, ms: u64) {
        self.true_ms += ms;
        let us = i64::try_from(ms * 1000).unwrap();
        self.monotonic_us += u64::try_from(us + us / 1_000_000 * self.fast_ppm).unwrap();
    }

    fn challenge(&mut self, there_ms: u64, back_ms: u64) -> Result<Set, TimeRefused> {
        self.nonce += 1;
        let monotonic = self.monotonic();
        self.clock.challenge(1, [self.nonce; 16], monotonic);
        self.wait_ms(there_ms);
        let answer = answer(self.nonce, self.true_ms);
        self.wait_ms(back_ms);
        self.clock.answer(1, &answer, self.monotonic())
    }

    fn now(&self) -> ClockReading {
        self.clock.now(self.monotonic())
    }

    fn off_ms(&self) -> u64 {
        self.now().unix_ms.abs_diff(self.true_ms)
    }
}

#[test]
fn half_the_round_trip_is_what_the_door_cannot_know() {
    let mut world = World::new(0, PersistedClock::default());
    assert!(world.now().unsure);
    assert!(matches!(world.challenge(300, 100), Ok(Set::Adopted { .. })));
    let now = world.now();
    assert!(!now.unsure);
    assert_eq!(now.unix_ms, START + 300 + 200);
    assert_eq!(now.uncertainty_ms, 201);
    world.wait_ms(1000 * HOUR);
    assert_eq!(
        world.now().uncertainty_ms,
        201 + 360,
        "a hundred parts per million of an hour"
    );
}

#[test]
fn a_nonce_is_good_once_in_its_own_session_and_for_ten_seconds() {
    let at = |ms| Duration::from_millis(ms);
    let mut clock = DoorClock::start(PersistedClock::default(), at(0));
    assert_eq!(
        clock.answer(1, &answer(1, START), at(0)),
        Err(TimeRefused::NotAsked)
    );

    clock.challenge(1, [1; 16], at(0));
    clock.challenge(2, [2; 16], at(0));
    assert_eq!(
        clock.answer(2, &answer(1, START), at(1)),
        Err(TimeRefused::NotAsked)
    );
    assert!(clock.answer(1, &answer(1, START), at(1)).is_ok());
    assert_eq!(
        clock.answer(1, &answer(1, START), at(2)),
        Err(TimeRefused::NotAsked),
        "once"
    );

    assert_eq!(
        clock.answer(2, &answer(2, START), at(10_001)),
        Err(TimeRefused::TooLate)
    );
    assert_eq!(
        clock.answer(2, &answer(2, START), at(10_001)),
        Err(TimeRefused::NotAsked),
        "a late answer uses the nonce up"
    );

    clock.challenge(3, [3; 16], at(20_000));
    clock.end_session(3);
    assert_eq!(
        clock.answer(3, &answer(3, START), at(20_001)),
        Err(TimeRefused::NotAsked)
    );

    clock.challenge(4, [4; 16], at(20_000));
    clock.challenge(4, [5; 16], at(20_000));
    assert_eq!(
        clock.answer(4, &answer(4, START), at(20_001)),
        Err(TimeRefused::NotAsked),
        "a session asks one thing at a time"
    );
    assert!(
        clock.answer(4, &answer(5, START), at(30_000)).is_ok(),
        "ten seconds, that included"
    );
}

#[test]
fn a_worse_estimate_does_not_replace_a_better_one() {
    let mut world = World::new(0, PersistedClock::default());
    world.challenge(10, 10).unwrap();
    world.wait_ms(60_000);
    // Held back on the way there: the answer says an hour too little for what the door can tell.
    assert_eq!(world.challenge(10, 9_000), Ok(Set::NoBetter));
    assert_eq!(world.now().unix_ms, world.true_ms);
    assert!(world.now().uncertainty_ms < 50);
    assert!(matches!(
        world.challenge(5, 5),
        Ok(Set::Adopted { moved_ms: 0 })
    ));
}

#[test]
fn after_a_restart_it_counts_on_from_the_bound_and_is_unsure() {
    let mut world = World::new(0, PersistedClock::default());
    world.challenge(10, 10).unwrap();
    world.wait_ms(HOUR * 1000);
    let stored = world.clock.persisted(world.monotonic());
    assert_eq!(stored.running_ms, world.true_ms);
    assert_eq!(stored.signed_ms, START + 10);

    // The power was away for two days.
    let mut again = World::new(0, stored);
    again.true_ms = world.true_ms + 2 * DAY * 1000;
    again.wait_ms(90_000);
    let now = again.now();
    assert!(now.unsure);
    assert_eq!(now.uncertainty_ms, u32::MAX);
    assert_eq!(now.unix_ms, world.true_ms + 90_000);
    assert!(
        now.ended(now.unix_seconds()),
        "what ended before the bound is over"
    );
    assert!(!now.ended(now.unix_seconds() + 1));

    // Somebody carries a list along that was signed yesterday.
    again
        .clock
        .raise_bound(again.true_ms - DAY * 1000, again.monotonic());
    assert_eq!(again.now().unix_ms, again.true_ms - DAY * 1000);
    again.wait_ms(5_000);
    assert_eq!(
        again.now().unix_ms,
        again.true_ms - DAY * 1000,
        "and counts on from there"
    );

    again.challenge(10, 10).unwrap();
    assert!(!again.now().unsure);
    assert_eq!(again.off_ms(), 0);
}

#[test]
fn an_answer_lowers_the_stored_clock_but_never_what_was_signed() {
    // Stored by a clock that ran ahead; signed an hour ago.
    let stored = PersistedClock {
        signed_ms: START - 3_600_000,
        running_ms: START + 86_400_000,
        drift: None,
    };
    let mut world = World::new(0, stored);
    assert_eq!(world.now().unix_ms, START + 86_400_000);
    world.challenge(10, 10).unwrap();
    assert_eq!(world.off_ms(), 0);
    assert_eq!(
        world.clock.persisted(world.monotonic()).running_ms,
        world.true_ms
    );

    // One wrong time was signed, an hour ahead: the clock stands there and says how unsure it is.
    world
        .clock
        .raise_bound(START + 3_600_000, world.monotonic());
    let now = world.now();
    assert_eq!(now.unix_ms, START + 3_600_000);
    assert!(!now.unsure);
    assert!(u64::from(now.uncertainty_ms) >= START + 3_600_000 - world.true_ms);
    world.wait_ms(2 * HOUR * 1000);
    assert_eq!(world.off_ms(), 0, "until the true time has caught up");
    let stored = world.clock.persisted(world.monotonic());
    assert_eq!(stored.signed_ms, START + 3_600_000);
}

#[test]
fn drift_is_measured_over_a_day_or_more_and_clamped() {
    let mut world = World::new(40, PersistedClock::default());
    world.challenge(10, 10).unwrap();
    world.wait_ms((DAY - HOUR) * 1000);
    world.challenge(10, 10).unwrap();
    assert_eq!(world.clock.drift(), None, "not a day yet");
    world.wait_ms(2 * HOUR * 1000);
    world.challenge(10, 10).unwrap();
    let drift = world.clock.drift().unwrap();
    assert!((-41..=-39).contains(&drift.ppm), "it runs fast: {drift:?}");
    assert!(drift.error_ppm < 25, "{drift:?}");
    world.wait_ms(10 * DAY * 1000);
    assert!(
        world.off_ms() < 1000,
        "{} ms off after ten days",
        world.off_ms()
    );
    assert!(world.clock.persisted(world.monotonic()).drift.is_some());

    let mut broken = World::new(5_000, PersistedClock::default());
    broken.challenge(10, 10).unwrap();
    broken.wait_ms(2 * DAY * 1000);
    broken.challenge(10, 10).unwrap();
    let drift = broken.clock.drift();
    assert!(
        drift.is_none_or(|drift| drift.ppm == -100 && drift.error_ppm == 100),
        "no oscillator does that: {drift:?}"
    );
}

#[test]
fn a_stored_drift_is_not_believed_beyond_the_limit() {
    let drift = Some(Drift {
        ppm: i32::MIN,
        error_ppm: 0,
    });
    let clock = DoorClock::start(
        PersistedClock {
            drift,
            ..Default::default()
        },
        Duration::ZERO,
    );
    assert_eq!(
        clock.drift(),
        Some(Drift {
            ppm: -100,
            error_ppm: 20
        })
    );
}

#[derive(Debug, Clone)]
enum Happening {
    Wait(u64),
    Challenge { there: u64, back: u64 },
    Document { age: u64 },
    Restart { away: u64 },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0u64..3 * DAY * 1000).prop_map(Happening::Wait),
        (0u64..6_000, 0u64..6_000).prop_map(|(there, back)| Happening::Challenge { there, back }),
        (0u64..100_000_000).prop_map(|age| Happening::Document { age }),
        (0u64..10 * DAY * 1000).prop_map(|away| Happening::Restart { away }),
    ]
}

proptest! {
    /// Whatever happens in a world whose issuer is honest and whose oscillator is as good as they are:
    /// a sure clock is off by no more than it says, an unsure one is never ahead, and no bound is passed.
    #[test]
    fn it_is_never_further_off_than_it_says(
        fast_ppm in -80i64..=80, happenings in proptest::collection::vec(happening(), 1..40),
    ) {
        let mut world = World::new(fast_ppm, PersistedClock::default());
        for happening in happenings {
            match happening {
                Happening::Wait(ms) => world.wait_ms(ms),
                Happening::Challenge { there, back } => {
                    world.nonce = world.nonce.wrapping_add(1) & 0x7f;
                    let asked = world.challenge(there, back);
                    prop_assert_eq!(asked.is_err(), there + back > 10_000 + 1, "{:?}", asked);
                }
                Happening::Document { age } => {
                    world.clock.raise_bound(world.true_ms - age, world.monotonic());
                }
                Happening::Restart { away } => {
                    let stored = world.clock.persisted(world.monotonic());
                    world.true_ms += away;
                    world.monotonic_us = 5_000_000;
                    world.clock = DoorClock::start(stored, world.monotonic());
                }
            }
            let now = world.now();
            prop_assert!(now.unix_ms >= world.clock.persisted(world.monotonic()).signed_ms);
            if now.unsure {
                // It counts on by an oscillator that may run fast.
                let slack = 80 * (world.monotonic_us / 1_000_000) / 1000 + 2 + 10_000;
                prop_assert!(now.unix_ms <= world.true_ms + slack);
            } else {
                prop_assert!(
                    now.unix_ms.abs_diff(world.true_ms) <= u64::from(now.uncertainty_ms) + 1,
                    "{} ms off, says {}", now.unix_ms.abs_diff(world.true_ms), now.uncertainty_ms
                );
            }
        }
    }
}
