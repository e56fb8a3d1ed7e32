//! A phone as a card in the field of one door's terminal after the other, with whatever can be done
//! to commands and answers: the script says what. Nobody panics; every command has one answer; what
//! one end hears within the protection was said by the other; when nobody interferes, it ends well.
#![no_main]

use latchkey_fuzz::field::Field;
use latchkey_fuzz::{Script, Setup};

/// Most that is done in a run.
const OPERATIONS: usize = 100;
const TRANSACTIONS: usize = 4;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let mut field = Field::start(Setup::choose(&mut script));
    let (mut honest, mut transactions) = (true, 1);
    for _ in 0..OPERATIONS {
        match script.next() {
            None => break,
            Some(steps @ ..0x80) => field.steps(1 + usize::from(steps) % 32),
            Some(0x80..0x90) if transactions < TRANSACTIONS => {
                if honest {
                    finish(&mut field);
                }
                transactions += 1;
                honest = true;
                field.again();
            }
            Some(interference) => {
                honest = false;
                interfere(&mut field, interference, &mut script);
            }
        }
    }
    if honest {
        finish(&mut field);
    }
    field.assert_mailbox();
});

fn finish(field: &mut Field) {
    field.steps(1_000);
    field.assert_done();
}

fn interfere(field: &mut Field, interference: u8, script: &mut Script<'_>) {
    match interference % 8 {
        0 | 1 => {
            if let Some(mut command) = field.take_command() {
                script.spoil(&mut command);
                let answer = field.to_card(&command);
                field.to_terminal(&answer);
            }
        }
        2 | 3 => {
            if let Some(command) = field.take_command() {
                let mut answer = field.to_card(&command);
                script.spoil(&mut answer);
                field.to_terminal(&answer);
            }
        }
        // Another command before the one that is due.
        4 => drop(field.to_card(script.piece())),
        5 => {
            if let Some(number) = script.one_of(field.sent().len()) {
                let command = field.sent()[number].clone();
                drop(field.to_card(&command));
            }
        }
        // An answer that the card did not give.
        6 => {
            if field.take_command().is_some() {
                field.to_terminal(script.piece());
            }
        }
        _ => {
            if let Some(number) = script.one_of(field.sent().len())
                && field.take_command().is_some()
            {
                let answer = field.sent()[number].clone();
                field.to_terminal(&answer);
            }
        }
    }
}
