//! The data of each command and answer of an unlock; the first byte says of which.
#![no_main]

use aliro::command::{
    Auth0Command, Auth0Response, Auth1Command, Auth1Response, ExchangeCommand,
    parse_exchange_response, parse_session_data,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, data)) = bytes.split_first() else {
        return;
    };
    match which {
        0 => again(
            Auth0Command::parse(data),
            Auth0Command::encode,
            Auth0Command::parse,
        ),
        1 | 2 => {
            let fast = *which == 1;
            let parse = |data: &[u8]| Auth0Response::parse(data, fast);
            again(parse(data), Auth0Response::encode, parse);
        }
        3 => again(
            Auth1Command::parse(data),
            Auth1Command::encode,
            Auth1Command::parse,
        ),
        4 => again(
            Auth1Response::parse(data),
            Auth1Response::encode,
            Auth1Response::parse,
        ),
        5 => again(
            ExchangeCommand::parse(data),
            ExchangeCommand::encode,
            ExchangeCommand::parse,
        ),
        6 => drop(parse_session_data(data)),
        reads => drop(parse_exchange_response(data, usize::from(*reads) - 7)),
    }
});

/// What was read can be written, and reads the same.
fn again<T: PartialEq + std::fmt::Debug, E: PartialEq + std::fmt::Debug>(
    parsed: Result<T, E>,
    encode: impl Fn(&T) -> Vec<u8>,
    parse: impl Fn(&[u8]) -> Result<T, E>,
) {
    if let Ok(parsed) = parsed {
        assert_eq!(parse(&encode(&parsed)), Ok(parsed));
    }
}
