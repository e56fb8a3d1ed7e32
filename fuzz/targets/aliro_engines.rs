//! Each engine alone, fed arbitrary messages and APDUs in arbitrary order: nothing that a stranger
//! sends brings one down, gets a name out of a phone, or passes for a phone at a door.
#![no_main]

use std::sync::Arc;

use aliro::crypto::Signature;
use aliro::device::{self, Card, Credential, DeviceConfig, GroupBinding, Trust};
use aliro::identifier::ReaderIdentifier;
use aliro::reader::{self, ReaderConfig, ReaderKey, Terminal};
use latchkey_fuzz::{Dealt, Key, Script};

/// What no script holds a signature of.
const STRANGE: Key = Key(1);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let which = script.byte();
    let pieces = Pieces {
        framed: which & 4 != 0,
        script,
    };
    match which % 4 {
        0 => reader_session(pieces),
        1 => device_session(pieces),
        2 => terminal(pieces.bare()),
        _ => card(pieces.bare()),
    }
});

/// Cuts the script: a length, then so many bytes.
struct Pieces<'a> {
    script: Script<'a>,
    /// Whether a piece is the type, the id and the payload of a message whose length is right.
    framed: bool,
}

impl Pieces<'_> {
    fn bare(self) -> Self {
        Self {
            framed: false,
            ..self
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.script.is_over() {
            return None;
        }
        let piece = self.script.piece();
        match piece {
            [kind, id, payload @ ..] if self.framed => {
                let mut message = vec![*kind, *id, 0, payload.len() as u8];
                message.extend(payload);
                Some(message)
            }
            _ => Some(piece.to_vec()),
        }
    }
}

fn reader_config() -> ReaderConfig {
    let door = ReaderIdentifier::new([1; 16], [2; 16]);
    ReaderConfig::new(door, ReaderKey::Direct(STRANGE.public()))
}

fn device_config() -> DeviceConfig {
    DeviceConfig::new(vec![Credential {
        public_key: STRANGE.public(),
        groups: vec![GroupBinding {
            group: [1; 16],
            trust: Trust::DirectKey(STRANGE.public()),
        }],
    }])
}

fn reader_session(pieces: Pieces<'_>) {
    let mut session = reader::Session::new(reader_config(), &Dealt::from(16)).expect("randomness");
    for piece in pieces {
        let mut events = session.on_message(&piece);
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
    let mut session = device::Session::new(device_config(), &Dealt::from(16)).expect("randomness");
    session.start_rke().expect("it has not begun");
    for piece in pieces {
        for event in session.on_message(&piece) {
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
    let mut terminal = Terminal::new(reader_config(), None, &Dealt::from(16)).expect("randomness");
    terminal.start().expect("it has not begun");
    for piece in pieces {
        let mut events = terminal.on_apdu(&piece);
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
    let mut card = Card::new(device_config(), None, Arc::new(Dealt::from(16)));
    for piece in pieces {
        let events = card.on_apdu(&piece);
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
