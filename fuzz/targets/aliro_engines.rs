//! Each engine alone, fed arbitrary messages and APDUs in arbitrary order: nothing that a stranger
//! sends brings one down, gets a name out of a phone, or passes for a phone at a door.
#![no_main]

use std::sync::Arc;

use aliro::crypto::{PublicKey, RingEntropy, Signature};
use aliro::device::{self, Card, Credential, DeviceConfig, GroupBinding, Trust};
use aliro::identifier::ReaderIdentifier;
use aliro::reader::{self, ReaderConfig, ReaderKey, Terminal};

/// The point that SEC 2 names as P-256's base: a valid key whose private half is 1, and which no
/// script holds a signature of.
const BASE: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, script)) = bytes.split_first() else {
        return;
    };
    let pieces = Pieces(script);
    match which % 4 {
        0 => reader_session(pieces),
        1 => device_session(pieces),
        2 => terminal(pieces),
        _ => card(pieces),
    }
});

/// Cuts the script: a length, then so many bytes.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first()?;
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        self.0 = rest;
        Some(piece)
    }
}

fn key() -> PublicKey {
    let digits = BASE.as_bytes().chunks(2);
    let bytes: Vec<u8> = digits
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    PublicKey::from_uncompressed(&bytes).expect("the base point")
}

fn reader_config() -> ReaderConfig {
    let door = ReaderIdentifier::new([1; 16], [2; 16]);
    ReaderConfig::new(door, ReaderKey::Direct(key()))
}

fn device_config() -> DeviceConfig {
    DeviceConfig::new(vec![Credential {
        public_key: key(),
        groups: vec![GroupBinding {
            group: [1; 16],
            trust: Trust::DirectKey(key()),
        }],
    }])
}

fn reader_session(pieces: Pieces<'_>) {
    let mut session = reader::Session::new(reader_config(), &RingEntropy).expect("randomness");
    for piece in pieces {
        let mut events = session.on_message(piece);
        while let Some(event) = events.pop() {
            match event {
                reader::Event::Sign(_) => {
                    events.extend(session.signed(Signature([1; 64])).expect("it asked"));
                }
                reader::Event::Send(_) | reader::Event::Failed(_) | reader::Event::Closed => {}
                other => panic!("from a stranger: {other:?}"),
            }
        }
    }
}

fn device_session(pieces: Pieces<'_>) {
    let mut session = device::Session::new(device_config(), &RingEntropy).expect("randomness");
    session.start_rke().expect("it has not begun");
    for piece in pieces {
        for event in session.on_message(piece) {
            match event {
                device::Event::Send(_)
                | device::Event::Busy
                | device::Event::Failed(_)
                | device::Event::Closed => {}
                other => panic!("to a stranger: {other:?}"),
            }
        }
    }
}

fn terminal(pieces: Pieces<'_>) {
    let mut terminal = Terminal::new(reader_config(), None, &RingEntropy).expect("randomness");
    terminal.start().expect("it has not begun");
    for piece in pieces {
        let mut events = terminal.on_apdu(piece);
        while let Some(event) = events.pop() {
            match event {
                reader::TerminalEvent::Sign(_) => {
                    events.extend(terminal.signed(Signature([1; 64])).expect("it asked"));
                }
                reader::TerminalEvent::Send(_) | reader::TerminalEvent::Failed(_) => {}
                other => panic!("from a stranger: {other:?}"),
            }
        }
    }
}

fn card(pieces: Pieces<'_>) {
    let mut card = Card::new(device_config(), None, Arc::new(RingEntropy));
    for piece in pieces {
        let events = card.on_apdu(piece);
        let answers = events
            .iter()
            .filter(|event| matches!(event, device::CardEvent::Send(_)));
        assert_eq!(answers.count(), 1, "every command has one answer");
        for event in events {
            match event {
                device::CardEvent::Send(_) | device::CardEvent::Failed(_) => {}
                other => panic!("to a stranger: {other:?}"),
            }
        }
    }
}
