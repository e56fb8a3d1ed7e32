//! A door's clock in any order of questions, answers, bounds and restarts: it never goes below what was
//! signed, and never back but by an answer that it adopts, or a restart.
#![no_main]

use std::time::Duration;

use latchkey_protocol::clock::{DoorClock, PersistedClock, Set, TimeAnswer};
use latchkey_protocol::ids::{DoorId, PropertyId};

const SESSIONS: u64 = 3;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut monotonic = Duration::ZERO;
    let mut clock = DoorClock::start(PersistedClock::default(), monotonic);
    let mut last = clock.now(monotonic).unix_ms;
    for step in bytes.chunks_exact(10) {
        let session = u64::from(step[1]) % SESSIONS;
        let nonce = [step[1]; 16];
        let number = u64::from_be_bytes(step[2..].try_into().expect("eight bytes"));
        let mut may_go_back = false;
        match step[0] % 6 {
            0 => monotonic = monotonic.saturating_add(Duration::from_micros(number >> 16)),
            1 => drop(clock.challenge(session, nonce, monotonic)),
            2 => {
                let answer = TimeAnswer {
                    property: PropertyId([0; 16]),
                    door: DoorId([0; 12]),
                    nonce,
                    unix_ms: number,
                };
                let set = clock.answer(session, &answer, monotonic);
                may_go_back = matches!(set, Ok(Set::Adopted { .. }));
                if set.is_ok() {
                    let again = clock.answer(session, &answer, monotonic);
                    assert!(again.is_err(), "a nonce is good once");
                }
            }
            3 => clock.raise_bound(number, monotonic),
            4 => clock.end_session(session),
            _ => {
                let stored = clock.persisted(monotonic);
                monotonic = Duration::from_micros(number >> 32);
                clock = DoorClock::start(stored, monotonic);
                assert!(clock.now(monotonic).unsure);
            }
        }
        let now = clock.now(monotonic);
        assert!(now.unix_ms >= clock.persisted(monotonic).signed_ms);
        assert!(may_go_back || now.unix_ms >= last, "it went back");
        last = now.unix_ms;
    }
});
