//! What stands in each message, and what the notes on the protocol make of it
//! when it is spoilt.

use aliro::command::ins;

use super::common::Way;
use super::common::ending::{
    BAD_CERTIFICATE, BAD_CLASS, BAD_PARAMETERS, CHAIN_BROKEN, Ending, GIVEN_UP, MALFORMED,
    NO_RANGING, NO_VERSION, NOT_OPENED, SECURITY, UNKNOWN_APPLICATION, VERSION, WRONG_MESSAGE,
    WRONG_STATE,
};
use super::common::scenes::{Carrier, Run, Scene};

/// So many bytes of a message, what they are, and how it may end when one of
/// them is changed. The last field of a message takes what is left.
pub(crate) type Field = (usize, &'static str, &'static [Ending]);

/// What stands before the APDU in an access protocol message, and what a change
/// there looks like before and after the receiver has keys.
const HEADER: &[Field] = &[
    (1, "type", &[NO_RANGING, WRONG_MESSAGE, NOT_OPENED]),
    (1, "id", &[WRONG_MESSAGE]),
    (2, "length", &[WRONG_MESSAGE]),
];

/// A message of any other type, once there are keys.
const ENCRYPTED: &[Field] = &[
    (1, "type", &[NO_RANGING, WRONG_MESSAGE, NOT_OPENED]),
    (1, "id", &[NOT_OPENED]),
    (2, "length", &[WRONG_MESSAGE]),
    (REST, "ciphertext and tag", &[NOT_OPENED]),
];

const INITIATE: &[Field] = &[
    (14, "type to the version's length", &[WRONG_MESSAGE]),
    (2, "version", &[NO_VERSION]),
];

/// What is left.
pub(crate) const REST: usize = usize::MAX;

const AUTH0: &[Field] = &[
    (1, "class", &[BAD_CLASS, MALFORMED]),
    (1, "instruction", &[WRONG_STATE]),
    (2, "parameters", &[BAD_PARAMETERS]),
    (1, "length", &[MALFORMED]),
    (2, "tag and length", &[MALFORMED]),
    // Another phase than was asked for; a bit that is not defined.
    (1, "command parameters", &[GIVEN_UP, MALFORMED]),
    (2, "tag and length", &[MALFORMED]),
    // Another policy, which the salt of the keys contains; one without meaning.
    (1, "policy", &[GIVEN_UP, MALFORMED]),
    (2, "tag and length", &[MALFORMED]),
    (2, "version", &[VERSION]),
    (2, "tag and length", &[MALFORMED]),
    (65, "a point, no more on the curve", &[MALFORMED]),
    (2, "tag and length", &[MALFORMED]),
    (16, "transaction", &[SECURITY]),
    (2, "tag and length", &[MALFORMED]),
    (32, "reader, of a group that may be unknown", &[SECURITY]),
    (1, "Le", &[MALFORMED]),
];

const LOAD_CERT: &[Field] = &[
    (1, "class", &[BAD_CLASS, MALFORMED]),
    (1, "instruction", &[WRONG_STATE]),
    (2, "parameters", &[BAD_PARAMETERS]),
    (1, "length", &[MALFORMED, BAD_CERTIFICATE]),
    // What it says and who signed it shows at AUTH1.
    (REST, "certificate", &[BAD_CERTIFICATE, SECURITY]),
    (1, "Le", &[MALFORMED]),
];

const AUTH1: &[Field] = &[
    (1, "class", &[BAD_CLASS, MALFORMED]),
    (1, "instruction", &[WRONG_STATE]),
    (2, "parameters", &[BAD_PARAMETERS]),
    (1, "length", &[MALFORMED]),
    (2, "tag and length", &[MALFORMED]),
    // The slot instead of the key: not what the reader asked for.
    (1, "command parameters", &[Ending::Told(0x0022), MALFORMED]),
    (2, "tag and length", &[MALFORMED]),
    (64, "signature", &[SECURITY]),
    (1, "Le", &[MALFORMED]),
];

/// AUTH1 with the certificate inside, cut in two: the first part.
const AUTH1_FIRST: &[Field] = &[
    (
        4,
        "class to parameters",
        &[CHAIN_BROKEN, BAD_CLASS, MALFORMED],
    ),
    (3, "lengths and tag", &[MALFORMED]),
    (1, "command parameters", &[Ending::Told(0x0022), MALFORMED]),
    (2, "tag and length", &[MALFORMED]),
    (64, "signature", &[SECURITY]),
    // A certificate's tag that is unknown is skipped: there is none then.
    (1, "tag", &[SECURITY, MALFORMED]),
    (2, "length", &[MALFORMED, BAD_CERTIFICATE]),
    (REST, "certificate", &[BAD_CERTIFICATE, SECURITY, MALFORMED]),
    (1, "Le", &[MALFORMED]),
];

const AUTH1_LAST: &[Field] = &[
    (
        4,
        "class to parameters",
        &[CHAIN_BROKEN, BAD_CLASS, MALFORMED],
    ),
    (1, "length", &[MALFORMED]),
    (REST, "the certificate's signature", &[SECURITY]),
    (1, "Le", &[MALFORMED]),
];

const SELECT: &[Field] = &[
    (1, "class", &[BAD_PARAMETERS, MALFORMED]),
    (1, "instruction", &[WRONG_STATE]),
    (2, "parameters", &[BAD_PARAMETERS]),
    (1, "length", &[MALFORMED]),
    (9, "application", &[UNKNOWN_APPLICATION]),
    (1, "Le", &[MALFORMED]),
];

const EXCHANGE: &[Field] = &[
    (1, "class", &[BAD_CLASS, MALFORMED]),
    (1, "instruction", &[WRONG_STATE]),
    (2, "parameters", &[BAD_PARAMETERS]),
    // One less: what was the tag's last byte stands for Le.
    (1, "length", &[MALFORMED, SECURITY]),
    (REST, "ciphertext and tag", &[SECURITY]),
    (1, "Le", &[MALFORMED]),
];

const ENVELOPE: &[Field] = &[
    (1, "class", &[BAD_CLASS, MALFORMED]),
    (1, "instruction", &[WRONG_STATE]),
    (2, "parameters", &[BAD_PARAMETERS]),
    (10, "lengths, tag and the map around", &[MALFORMED]),
    (REST, "ciphertext and tag", &[SECURITY]),
    (1, "Le", &[MALFORMED]),
];

const GET_RESPONSE: &[Field] = &[(REST, "all of it", &[MALFORMED])];

/// The status word of an answer that is not the last.
const STATUS: Field = (2, "status word", &[GIVEN_UP]);

const SELECTED: &[Field] = &[
    (21, "application and type", &[GIVEN_UP]),
    (2, "version", &[NO_VERSION]),
    STATUS,
];

/// What the step-up application says of itself beyond its name does not count.
const STEP_UP_SELECTED: &[Field] = &[
    (13, "application", &[GIVEN_UP]),
    (10, "what it supports", &[Ending::AsEver, GIVEN_UP]),
    STATUS,
];

const AUTH0_ANSWER: &[Field] = &[(67, "a point, no more on the curve", &[GIVEN_UP]), STATUS];

const AUTH0_FAST_ANSWER: &[Field] = &[
    (67, "a point, no more on the curve", &[GIVEN_UP]),
    (2, "tag and length", &[GIVEN_UP]),
    (64, "cryptogram", &[Ending::FellBack]),
    STATUS,
];

const EMPTY_ANSWER: &[Field] = &[STATUS];

/// The answer to a part of a chain: the reader ends with CONTROL FLOW, which
/// breaks the chain.
const PART_ANSWER: &[Field] = &[(2, "status word", &[CHAIN_BROKEN])];

const SEALED_ANSWER: &[Field] = &[(REST, "ciphertext and tag", &[GIVEN_UP]), STATUS];

const ENVELOPE_ANSWER: &[Field] = &[
    // Told inside the channel, which stands.
    (
        13,
        "tag, lengths and the map around",
        &[Ending::Told(0x0006)],
    ),
    (REST, "ciphertext", &[GIVEN_UP]),
    (1, "61, more to come", &[GIVEN_UP]),
    // GET RESPONSE for another length than was announced.
    (1, "how much", &[MALFORMED]),
];

/// The answer to the reader's last word is of no use to anybody.
const LAST_ANSWER: &[Field] = &[(REST, "all of it", &[Ending::LastWord])];

/// The fields of each message of a scene, in their order.
pub(crate) fn fields(scene: &Scene, honest: &Run) -> Vec<Vec<Field>> {
    let mut command = Vec::new();
    let last = honest.sent.len() - 1;
    let all = honest.sent.iter().enumerate();
    all.map(|(at, (way, message))| {
        let (header, apdu) = match (scene.carrier, message[0]) {
            (Carrier::Apdus, _) => (&[][..], &message[..]),
            (Carrier::Messages, 0) => (HEADER, &message[4..]),
            (Carrier::Messages, _) if at == 0 => return INITIATE.to_vec(),
            (Carrier::Messages, _) => return ENCRYPTED.to_vec(),
        };
        let first = at < 2;
        let body = match way {
            Way::ToDevice => {
                command = apdu.to_vec();
                command_fields(apdu)
            }
            Way::ToReader if scene.carrier == Carrier::Apdus && at == last => LAST_ANSWER,
            Way::ToReader => answer_fields(&command, apdu, first),
        };
        [header, body].concat()
    })
    .collect()
}

fn command_fields(apdu: &[u8]) -> &'static [Field] {
    match (apdu[1], apdu[0], apdu.len()) {
        (ins::SELECT, ..) => SELECT,
        (ins::AUTH0, ..) => AUTH0,
        (ins::LOAD_CERT, ..) => LOAD_CERT,
        (ins::AUTH1, 0x90, _) => AUTH1_FIRST,
        (ins::AUTH1, _, ..60) => AUTH1_LAST,
        (ins::AUTH1, ..) => AUTH1,
        (ins::EXCHANGE, ..) => EXCHANGE,
        (ins::ENVELOPE, ..) => ENVELOPE,
        (ins::GET_RESPONSE, ..) => GET_RESPONSE,
        other => panic!("{other:x?}"),
    }
}

fn answer_fields(command: &[u8], answer: &[u8], first: bool) -> &'static [Field] {
    match command[1] {
        ins::SELECT if first => SELECTED,
        ins::SELECT => STEP_UP_SELECTED,
        ins::AUTH0 if answer.len() > 100 => AUTH0_FAST_ANSWER,
        ins::AUTH0 => AUTH0_ANSWER,
        ins::LOAD_CERT => EMPTY_ANSWER,
        _ if command[0] == 0x90 => PART_ANSWER,
        ins::ENVELOPE => ENVELOPE_ANSWER,
        _ => SEALED_ANSWER,
    }
}
