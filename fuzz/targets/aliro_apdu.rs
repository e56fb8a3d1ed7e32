//! APDUs as they come over NFC: whole, cut by the other engine, and in any order at either end.
#![no_main]

use aliro::apdu::{Assembler, Command, Exchange, Limits, Progress, Received, Response};
use aliro::command::StatusWord;
use aliro::proprietary::ExtendedLength;

const GET_RESPONSE: u8 = 0xc0;
const CHAIN: u8 = 0x10;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let response = Response::parse(bytes);
    if let Ok(response) = &response {
        assert_eq!(Response::parse(&response.encode()).as_ref(), Ok(response));
    }
    if let Ok((command, ..)) = Command::parse(bytes)
        && command.cla & CHAIN == 0
        && command.ins != GET_RESPONSE
    {
        carried(&command, None, 255);
        if command.data.len() < 64 {
            carried(&command, None, 7);
        }
        let limits = ExtendedLength {
            max_command: 300,
            max_response: 300,
        };
        carried(&command, Some(limits), 255);
    }
    in_any_order(bytes);
});

/// A command that one end cuts arrives whole at the other, and so does its answer.
fn carried(command: &Command, extended: Option<ExtendedLength>, short: u8) {
    let limits = Limits { short, extended };
    let mut assembler = Assembler::new(extended);
    let answer = Response::ok(command.data.repeat(2));
    let (mut exchange, mut apdu) = Exchange::begin(command.clone(), limits);
    loop {
        let reply = match assembler.on_apdu(&apdu) {
            Received::Reply(reply) => reply,
            Received::Command(arrived) => {
                assert_eq!(&arrived, command);
                assembler.respond(answer.clone())
            }
            Received::Broken(status) => panic!("our own command is broken: {status:?}"),
        };
        match exchange.on_response(&reply).expect("our own answer") {
            Progress::Send(next) => apdu = next,
            Progress::Done(arrived) => {
                assert_eq!(arrived, answer);
                return;
            }
        }
    }
}

/// The script is cut at its own lengths; no piece brings an end down.
fn in_any_order(mut script: &[u8]) {
    let mut assembler = Assembler::new(None);
    let command = Command::aliro(0x81, vec![3; 20]);
    let limits = Limits {
        short: 6,
        extended: None,
    };
    let (mut exchange, _) = Exchange::begin(command, limits);
    while let Some((length, rest)) = script.split_first() {
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        script = rest;
        if let Received::Command(_) = assembler.on_apdu(piece) {
            let answer = assembler.respond(Response::ok(piece.repeat(3)));
            assert!(answer.len() <= 256, "longer than a short answer");
            let refused = assembler.respond(Response::error(StatusWord::SECURITY));
            assert_eq!(refused.len(), 2);
        }
        let _ = exchange.on_response(piece);
    }
}
