//! A phone's clock, which hears any times from a portal, goes, sleeps, and is set forward and back.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_core::portal::clock::PortalClock;
use latchkey_env::{Clock as _, VirtualClock};
use latchkey_fuzz::Script;

/// Less of a step is taken for a clock that runs unevenly.
const STEP: TimeDelta = TimeDelta::milliseconds(500);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let device = VirtualClock::new(start);
    let kept = TimeDelta::seconds(number(&mut script) % 600);
    let clock = PortalClock::new(Arc::new(device.clone()), kept);
    assert_eq!(clock.now(), device.now() + kept);
    for _ in 0..32 {
        let Some(step) = script.next() else {
            break;
        };
        let before = clock.now();
        match step % 4 {
            0 => {
                let passed = Duration::from_millis(number(&mut script).unsigned_abs() % 100_000);
                device.advance(passed);
                let passed = TimeDelta::from_std(passed).expect("100 seconds");
                assert_eq!(clock.now(), before + passed);
            }
            1 => {
                let back = TimeDelta::milliseconds(number(&mut script).abs());
                device.jump_wall(-back);
                let made_up = if back > STEP { TimeDelta::zero() } else { back };
                assert_eq!(clock.now(), before - made_up);
            }
            2 => {
                let forward = TimeDelta::milliseconds(number(&mut script).abs());
                device.jump_wall(forward);
                assert_eq!(clock.now(), before + forward, "as sleep");
            }
            _ => hear(&clock, &mut script),
        }
    }
});

fn hear(clock: &PortalClock, script: &mut Script<'_>) {
    let seconds = number(script) << (script.byte() % 20);
    let nanos = script.byte().into();
    let Some(portal) = DateTime::<Utc>::from_timestamp(seconds, nanos) else {
        return;
    };
    let round_trip = Duration::from_millis(number(script).unsigned_abs());
    let before = clock.now();
    let corrected = clock.heard(portal, round_trip);
    let now = clock.now();
    let readable = (DateTime::UNIX_EPOCH..last_moment()).contains(&portal);
    if !readable || corrected.is_none() {
        assert_eq!((corrected, now), (None, before));
    }
    if readable {
        // Whole seconds may have had a fraction, and all but a second of the way there may have been waiting.
        let on_the_way =
            TimeDelta::from_std(round_trip).expect("some weeks") + TimeDelta::seconds(1);
        assert!((portal..=portal + on_the_way).contains(&now), "{now}");
    }
}

fn last_moment() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_300_800, 0).expect("the first moment of the year 10000")
}

fn number(script: &mut Script<'_>) -> i64 {
    i64::from(i32::from_be_bytes(std::array::from_fn(|_| script.byte())))
}
