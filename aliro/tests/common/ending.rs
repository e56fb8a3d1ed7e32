//! How a transaction ended, in the words of the notes on the protocol.

use aliro::command::ins;
use aliro::device;
use aliro::message::ErrorCode;
use aliro::reader::{self, Phase};

use super::Way;
use super::scenes::{Carrier, Run, Scene};

/// How a run ended, judged by what was on the wire and by what both sides say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As if nothing had been done to it.
    AsEver,
    /// The fast phase missed, the standard phase came to the same end.
    FellBack,
    /// The door opened; what came after that failed.
    OpenBefore,
    /// The device refused a command with this status word, and failed.
    Refused(u16),
    /// The reader ended it by CONTROL FLOW with this S2.
    ControlFlow(u8),
    /// The reader ended it by EXCHANGE with this reader status.
    Told(u16),
    /// One side ended it by *general error* with this code.
    GeneralError(u8),
    /// Only the reader failed, over the answer to its own last word.
    LastWord,
}

/// The certificate does not parse.
pub(crate) const BAD_CERTIFICATE: Ending = Ending::Refused(0x6400);
/// A TLV object, or the APDU around it, is malformed.
pub(crate) const MALFORMED: Ending = Ending::Refused(0x6701);
/// A wrong class.
pub(crate) const BAD_CLASS: Ending = Ending::Refused(0x6800);
/// A chain was broken.
pub(crate) const CHAIN_BROKEN: Ending = Ending::Refused(0x6883);
/// A signature, a certificate or a tag does not verify.
pub(crate) const SECURITY: Ending = Ending::Refused(0x6982);
/// The version is not one of the device's.
pub(crate) const VERSION: Ending = Ending::Refused(0x6985);
/// There is no such application.
pub(crate) const UNKNOWN_APPLICATION: Ending = Ending::Refused(0x6a82);
/// Wrong P1 or P2.
pub(crate) const BAD_PARAMETERS: Ending = Ending::Refused(0x6a86);
/// There is no such command here.
pub(crate) const WRONG_STATE: Ending = Ending::Refused(0x6d00);
/// The reader could make nothing of an answer.
pub(crate) const GIVEN_UP: Ending = Ending::ControlFlow(0x00);
/// The reader found no version in common.
pub(crate) const NO_VERSION: Ending = Ending::ControlFlow(0x27);

const UNKNOWN: u8 = 0;
const UNAVAILABLE: u8 = 1;
const WRONG: u8 = 2;
/// No code of the protocol's.
const UNHEARD: u8 = 0xff;

/// *General error*, without information: something did not open.
pub(crate) const NOT_OPENED: Ending = Ending::GeneralError(UNKNOWN);
/// *General error*: what came would be ranging.
pub(crate) const NO_RANGING: Ending = Ending::GeneralError(UNAVAILABLE);
/// *General error*: a message makes no sense.
pub(crate) const WRONG_MESSAGE: Ending = Ending::GeneralError(WRONG);

/// *General error*, encrypted, and nobody was there any more to read the code.
pub(crate) const NOT_HEARD: Ending = Ending::GeneralError(UNHEARD);

impl Ending {
    pub(crate) fn of(scene: &Scene, honest: &Run, run: &Run) -> Self {
        let failed = (run.reader, run.device) != (None, None);
        match (run.opened, failed) {
            (1, false) if run.phases == honest.phases => return Self::AsEver,
            (1, false) => {
                assert_eq!(run.phases, [Phase::Standard], "{run:?}");
                return Self::FellBack;
            }
            (1, true) => return Self::OpenBefore,
            (0, true) => {}
            other => panic!("{other:?}: {run:?}"),
        }
        if let Some(status) = refusal(scene, run) {
            // Whoever refuses has failed, unless nothing had begun.
            assert!(run.device.is_some() || run.phases.is_empty(), "{run:?}");
            return Self::Refused(status);
        }
        if let Some(code) = general_error(scene, run) {
            return Self::GeneralError(code);
        }
        if let Some(s2) = control_flow(scene, run) {
            let (_, answer) = run.sent.last().unwrap();
            assert!(answer.ends_with(&[0x90, 0x00]), "it is always answered");
            return Self::ControlFlow(s2);
        }
        match run.status {
            Some(status) if !status.is_success() => Self::Told(status.0),
            _ if run.reader.is_some() && run.device.is_none() => Self::LastWord,
            _ => panic!("nobody was told: {run:?}"),
        }
    }
}

/// What an access protocol message or an APDU carries.
fn apdu(scene: &Scene, message: &[u8]) -> Option<Vec<u8>> {
    match scene.carrier {
        Carrier::Apdus => Some(message.to_vec()),
        Carrier::Messages if message[0] == 0 => Some(message[4..].to_vec()),
        Carrier::Messages => None,
    }
}

/// The error status that the device itself sent.
fn refusal(scene: &Scene, run: &Run) -> Option<u16> {
    let answers = run.sent.iter().filter(|(way, _)| *way == Way::ToReader);
    answers
        .filter_map(|(_, message)| apdu(scene, message))
        .filter(|apdu| apdu.len() == 2)
        .map(|apdu| u16::from_be_bytes([apdu[0], apdu[1]]))
        .find(|status| *status != 0x9000)
}

fn control_flow(scene: &Scene, run: &Run) -> Option<u8> {
    let mut commands = run.sent.iter().filter(|(way, _)| *way == Way::ToDevice);
    let last = commands.next_back()?;
    let apdu = apdu(scene, &last.1)?;
    match apdu[..] {
        [0x80, ins::CONTROL_FLOW, 0, 0, 6, 0x41, 1, 0, 0x42, 1, s2] => Some(s2),
        _ => None,
    }
}

/// *General error*, in clear by its bytes, else by who understood it.
fn general_error(scene: &Scene, run: &Run) -> Option<u8> {
    if scene.carrier == Carrier::Apdus {
        return None;
    }
    let heard = match (run.reader, run.device) {
        (Some(reader::Failure::DeviceError(code)), _)
        | (_, Some(device::Failure::ReaderError(code))) => Some(byte(code)),
        _ => None,
    };
    let said = run.sent.iter().find_map(|(_, message)| match message[..] {
        [2, 0, 0, 3, 1, 1, code] => Some(code),
        // Encrypted, for a peer that had gone by then.
        [2, 0, 0, 19, ..] => Some(UNHEARD),
        _ => None,
    });
    heard.or(said)
}

fn byte(code: ErrorCode) -> u8 {
    u8::from(code)
}
