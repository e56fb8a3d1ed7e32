use super::*;
use crate::proprietary::ExtendedLength;
use proptest::prelude::*;

const SIZES: ExtendedLength = ExtendedLength {
    max_command: 600,
    max_response: 700,
};

/// Runs one command through both ends and counts the round trips.
fn carry(
    data: &[u8],
    answer: &[u8],
    limits: Limits,
    extended: Option<ExtendedLength>,
) -> (Command, Response, usize) {
    let mut device = Assembler::new(extended);
    let (mut exchange, mut apdu) = Exchange::begin(Command::envelope(data.to_vec()), limits);
    let mut received = None;
    for round in 1.. {
        let reply = match device.on_apdu(&apdu) {
            Received::Command(command) => {
                received = Some(command);
                device.respond(Response::ok(answer.to_vec()))
            }
            Received::Reply(reply) => reply,
            Received::Broken(status) => panic!("broken: {status:?}"),
        };
        match exchange.on_response(&reply).unwrap() {
            Progress::Send(next) => apdu = next,
            Progress::Done(response) => return (received.unwrap(), response, round),
        }
    }
    unreachable!()
}

proptest! {
    #[test]
    fn commands_and_answers_of_any_length_arrive_whole(
        data in prop::collection::vec(any::<u8>(), 1..2000),
        answer in prop::collection::vec(any::<u8>(), 0..2000),
        short in 1u8..=255,
        extended in any::<bool>(),
    ) {
        let extended = extended.then_some(SIZES);
        let limits = Limits { short, extended };
        let (command, response, _) = carry(&data, &answer, limits, extended);
        prop_assert_eq!(command, Command::envelope(data));
        prop_assert_eq!(response, Response::ok(answer));
    }

    #[test]
    fn parsers_never_panic(apdu in any::<Vec<u8>>()) {
        let _ = Command::parse(&apdu);
        let _ = Assembler::new(Some(SIZES)).on_apdu(&apdu);
        let (mut exchange, _) = Exchange::begin(
            Command::aliro(0x80, vec![0; 300]),
            Limits::announced(None),
        );
        let _ = exchange.on_response(&apdu);
    }
}

#[test]
fn extended_length_saves_round_trips_and_only_when_announced() {
    let rounds = |extended| carry(&[1; 300], &[2; 600], Limits::announced(extended), extended).2;
    assert_eq!(rounds(Some(SIZES)), 1);
    assert_eq!(rounds(None), 4);
    let mut device = Assembler::new(None);
    let (_, apdu) = Exchange::begin(
        Command::aliro(0x81, vec![0; 300]),
        Limits::announced(Some(SIZES)),
    );
    assert_eq!(
        device.on_apdu(&apdu),
        Received::Broken(StatusWord::MALFORMED)
    );
}

#[test]
fn a_chain_broken_by_another_command_is_an_error_and_forgotten() {
    let mut device = Assembler::new(None);
    let (_, part) = Exchange::begin(Command::aliro(0x80, vec![0; 300]), Limits::announced(None));
    assert!(matches!(device.on_apdu(&part), Received::Reply(_)));
    let other = Command::aliro(0x81, vec![1]).encode_short(0x80, &[1], 0);
    assert_eq!(
        device.on_apdu(&other),
        Received::Broken(StatusWord::CHAIN_BROKEN)
    );
    assert!(matches!(device.on_apdu(&other), Received::Command(_)));
}
