//! A phone and a door over messages, with whatever can be done to those on their way, and callers
//! that are late or out of turn: the script says what. Nobody panics; what one end hears within the
//! protection was said by the other, in that order and once; when nobody interferes, the door opens.
#![no_main]

use latchkey_fuzz::sessions::{End, Sessions};
use latchkey_fuzz::{Script, Setup};

/// Most that is done in a run.
const OPERATIONS: usize = 100;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let mut sessions = Sessions::start(Setup::choose(&mut script));
    let mut honest = true;
    for _ in 0..OPERATIONS {
        match script.next() {
            None => break,
            Some(steps @ ..0x80) => sessions.steps(1 + usize::from(steps) % 32),
            Some(interference) => {
                honest = false;
                interfere(&mut sessions, interference, &mut script);
            }
        }
    }
    if honest {
        sessions.steps(1_000);
        sessions.assert_done();
    }
    sessions.assert_mailbox();
});

fn interfere(sessions: &mut Sessions, interference: u8, script: &mut Script<'_>) {
    let to = match interference & 1 {
        0 => End::Reader,
        _ => End::Device,
    };
    match interference >> 1 & 0xf {
        // Early: before the callers have answered.
        0 => {
            if let Some(message) = sessions.way(to).pop_front() {
                sessions.deliver(to, &message);
            }
        }
        // Twice.
        1 => {
            if let Some(message) = sessions.way(to).front().cloned() {
                sessions.deliver(to, &message);
            }
        }
        // Late.
        2 => {
            if let Some(message) = sessions.way(to).pop_front() {
                sessions.way(to).push_back(message);
            }
        }
        // Lost.
        3 => drop(sessions.way(to).pop_front()),
        4 | 5 => {
            if let Some(mut message) = sessions.way(to).pop_front() {
                script.spoil(&mut message);
                sessions.deliver(to, &message);
            }
        }
        6 => {
            if let Some(mut message) = sessions.way(to).pop_front() {
                resize(&mut message, script);
                sessions.deliver(to, &message);
            }
        }
        // Of before, to either end.
        7 | 8 => {
            if let Some(number) = script.one_of(sessions.sent().len()) {
                let message = sessions.sent()[number].clone();
                sessions.deliver(to, &message);
            }
        }
        9 | 10 => sessions.deliver(to, &invented(script)),
        11 => sessions.time_out(to),
        12 => sessions.forget_due(to),
        _ => sessions.call(to, script.byte()),
    }
}

/// Cuts or prolongs a message, and its length field with it.
fn resize(message: &mut Vec<u8>, script: &mut Script<'_>) {
    let payload = script.number() % 1024;
    message.resize(4 + payload, script.byte());
    message[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
}

/// A message of the script's own.
fn invented(script: &mut Script<'_>) -> Vec<u8> {
    let (kind, id, payload) = (script.byte(), script.byte(), script.piece());
    let mut message = vec![kind, id, 0, payload.len() as u8];
    message.extend(payload);
    message
}
