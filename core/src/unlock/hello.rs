//! The first bytes on a stream: which versions both sides speak, and which door is meant.

use aliro::keys::BleVersions;
use latchkey_protocol::hello::{Answer, ClientHello, Parsed, ServerHello};
use latchkey_protocol::ids::DoorId;

use super::carrier::Link;
use crate::error::{DoorFault, Error, TooOld};

/// Says hello. The versions agreed on, and what the door sent behind its answer.
pub(super) async fn greet(
    link: &mut dyn Link,
    door: DoorId,
) -> Result<(BleVersions, Vec<u8>), Error> {
    let ours = ClientHello::to(door);
    link.send(&ours.to_bytes()).await.map_err(broken)?;
    let mut bytes = Vec::new();
    let (theirs, rest) = loop {
        match ServerHello::parse(&bytes).map_err(|error| protocol(&error))? {
            Parsed::Whole(hello, used) => break (hello, bytes.split_off(used)),
            Parsed::Needs(_) => {
                let piece = link.receive().await.map_err(broken)?;
                if piece.is_empty() {
                    return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
                }
                bytes.extend_from_slice(&piece);
            }
        }
    };
    match theirs.accept(&ours).map_err(|error| protocol(&error))? {
        Answer::Go { version } => {
            let versions = BleVersions {
                offered: theirs.offered,
                selected: version,
            };
            Ok((versions, rest))
        }
        Answer::PhoneTooOld => Err(Error::TooOld { what: TooOld::App }),
        Answer::DoorTooOld => Err(Error::TooOld { what: TooOld::Door }),
        Answer::NoSuchDoor => Err(Error::WrongDoor),
    }
}

pub(super) fn broken(error: std::io::Error) -> Error {
    Error::DoorNotReached(DoorFault::Broken(error))
}

pub(super) fn protocol(error: &dyn std::fmt::Display) -> Error {
    Error::DoorNotReached(DoorFault::Protocol(error.to_string()))
}
