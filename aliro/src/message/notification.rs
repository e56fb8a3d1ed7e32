//! Notifications (type 2): events, states, requests.

use super::{MessageError, Protocol, attributes, clear_message, push_attribute};
use crate::channel::{Channel, SealError};

/// What *general error* says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// No information.
    Unknown,
    /// Something that is needed is not there.
    ResourceUnavailable,
    /// A message had wrong content.
    WrongParameters,
    /// No ranging key.
    RangingKeyUnavailable,
    /// A value that this version does not know.
    Other(u8),
}

/// The state of the lock behind a reader. Values that this version does not
/// know count as unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReaderState {
    /// Locked.
    Secured,
    /// Unlocked.
    Unsecured,
    /// Jammed or blocked.
    Jammed,
    /// On the way to locked.
    EnteringSecured,
    /// On the way to unlocked.
    EnteringUnsecured,
    /// Not known.
    Unknown,
}

/// What made the state change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationSource {
    /// Not said.
    Unspecified,
    /// By hand.
    Manual,
    /// By itself.
    Automatic,
    /// By a schedule.
    Schedule,
    /// This device, by BLE and UWB.
    ThisDeviceUwb,
    /// This device, over NFC.
    ThisDeviceNfc,
    /// This device, by the remote keyless flow.
    ThisDeviceRke,
    /// Through Matter.
    Matter,
    /// A value that this version does not know.
    Other(u8),
}

/// To whom a reader reports later changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reporting {
    /// To nobody.
    None,
    /// To every connected device.
    EveryDevice,
    /// To this device only.
    ThisDevice,
}

/// What a device asks for in the remote keyless flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Lock.
    Secure,
    /// Unlock.
    Unsecure,
}

/// How a device opens the access protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// On approach, with UWB ranging to follow.
    Ranging,
    /// At the press of a button (remote keyless entry).
    RemoteKeyless,
}

/// A notification, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// The sender needs more time: start its deadline afresh.
    Busy,
    /// The sender gave up.
    GeneralError(ErrorCode),
    /// Any ranging event: not implemented, by number.
    Ranging(u8),
    /// The lock moved.
    StatusChanged {
        /// Why.
        source: OperationSource,
        /// To what.
        state: ReaderState,
    },
    /// The reader let the device in as far as the protocol goes.
    AccessCompleted {
        /// To whom later changes are reported.
        reporting: Reporting,
        /// The lock's state now.
        state: ReaderState,
    },
    /// The device says what it wants done.
    RkeRequest(Action),
    /// The device opens the protocol.
    Initiate {
        /// In which flow.
        flow: Flow,
        /// Its A5 object, as it is.
        proprietary: Vec<u8>,
    },
}

impl Notification {
    /// Reads the payload of message `id` of type 2, already decrypted.
    /// Attributes that are not known are skipped.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn parse(id: u8, payload: &[u8]) -> Result<Self, MessageError> {
        let attributes = attributes(payload)?;
        if id == 0 || id == 1 {
            let (kind, value) = *attributes.first().ok_or(MessageError::Attribute(0))?;
            return match (id, kind, value) {
                (0, 0, []) => Ok(Self::Busy),
                (0, 1, [code]) => Ok(Self::GeneralError(ErrorCode::from(*code))),
                (1, ..) => Ok(Self::Ranging(kind)),
                _ => Err(MessageError::Attribute(kind)),
            };
        }
        let mut mandatory = attributes.iter().filter(|(id, _)| *id == 0);
        let (Some((_, value)), None) = (mandatory.next(), mandatory.next()) else {
            return Err(MessageError::Attribute(0));
        };
        match (id, *value) {
            (2, [source, state]) => Ok(Self::StatusChanged {
                source: OperationSource::from(*source),
                state: ReaderState::from(*state),
            }),
            (3, [policy, state]) => Ok(Self::AccessCompleted {
                reporting: Reporting::from_bits(policy >> 5),
                state: ReaderState::from(*state),
            }),
            (4, [0]) => Ok(Self::RkeRequest(Action::Secure)),
            (4, [1]) => Ok(Self::RkeRequest(Action::Unsecure)),
            (4, [_]) => Err(MessageError::Value(0)),
            (5, proprietary) => Ok(Self::Initiate {
                flow: Flow::Ranging,
                proprietary: proprietary.to_vec(),
            }),
            (6, proprietary) => Ok(Self::Initiate {
                flow: Flow::RemoteKeyless,
                proprietary: proprietary.to_vec(),
            }),
            (2..=4, _) => Err(MessageError::Attribute(0)),
            _ => Err(MessageError::UnknownId(id)),
        }
    }

    /// The whole message: encrypted once there is a channel, in clear before.
    pub(crate) fn seal(&self, channel: Option<&mut Channel>) -> Result<Vec<u8>, SealError> {
        let (id, payload) = self.encode()?;
        match channel {
            Some(channel) => channel.seal_message(Protocol::Notification, id, &payload),
            None => Ok(clear_message(Protocol::Notification, id, &payload)?),
        }
    }

    /// Message id and plain payload.
    ///
    /// # Errors
    /// [`MessageError::Attribute`] when an A5 object is longer than 255 bytes.
    pub fn encode(&self) -> Result<(u8, Vec<u8>), MessageError> {
        let mut payload = Vec::with_capacity(16);
        let id = match self {
            Self::Busy => {
                push_attribute(&mut payload, 0, &[])?;
                0
            }
            Self::GeneralError(code) => {
                push_attribute(&mut payload, 1, &[u8::from(*code)])?;
                0
            }
            Self::Ranging(event) => {
                push_attribute(&mut payload, *event, &[])?;
                1
            }
            Self::StatusChanged { source, state } => {
                push_attribute(&mut payload, 0, &[u8::from(*source), u8::from(*state)])?;
                2
            }
            Self::AccessCompleted { reporting, state } => {
                push_attribute(&mut payload, 0, &[reporting.bits() << 5, u8::from(*state)])?;
                3
            }
            Self::RkeRequest(action) => {
                push_attribute(&mut payload, 0, &[*action as u8])?;
                4
            }
            Self::Initiate { flow, proprietary } => {
                push_attribute(&mut payload, 0, proprietary)?;
                match flow {
                    Flow::Ranging => 5,
                    Flow::RemoteKeyless => 6,
                }
            }
        };
        Ok((id, payload))
    }
}

impl Reporting {
    fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::EveryDevice,
            2 => Self::ThisDevice,
            _ => Self::None,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::EveryDevice => 1,
            Self::ThisDevice => 2,
        }
    }
}

impl From<u8> for ErrorCode {
    fn from(byte: u8) -> Self {
        match byte {
            0 => Self::Unknown,
            1 => Self::ResourceUnavailable,
            2 => Self::WrongParameters,
            3 => Self::RangingKeyUnavailable,
            other => Self::Other(other),
        }
    }
}

impl From<ErrorCode> for u8 {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Unknown => 0,
            ErrorCode::ResourceUnavailable => 1,
            ErrorCode::WrongParameters => 2,
            ErrorCode::RangingKeyUnavailable => 3,
            ErrorCode::Other(other) => other,
        }
    }
}

impl From<u8> for ReaderState {
    fn from(byte: u8) -> Self {
        match byte {
            0x00 => Self::Secured,
            0x01 => Self::Unsecured,
            0x02 => Self::Jammed,
            0x80 => Self::EnteringSecured,
            0x81 => Self::EnteringUnsecured,
            _ => Self::Unknown,
        }
    }
}

impl From<ReaderState> for u8 {
    fn from(state: ReaderState) -> Self {
        match state {
            ReaderState::Secured => 0x00,
            ReaderState::Unsecured => 0x01,
            ReaderState::Jammed => 0x02,
            ReaderState::EnteringSecured => 0x80,
            ReaderState::EnteringUnsecured => 0x81,
            ReaderState::Unknown => 0x82,
        }
    }
}

impl From<u8> for OperationSource {
    fn from(byte: u8) -> Self {
        match byte {
            0 => Self::Unspecified,
            1 => Self::Manual,
            2 => Self::Automatic,
            3 => Self::Schedule,
            4 => Self::ThisDeviceUwb,
            5 => Self::ThisDeviceNfc,
            6 => Self::ThisDeviceRke,
            7 => Self::Matter,
            other => Self::Other(other),
        }
    }
}

impl From<OperationSource> for u8 {
    fn from(source: OperationSource) -> Self {
        match source {
            OperationSource::Unspecified => 0,
            OperationSource::Manual => 1,
            OperationSource::Automatic => 2,
            OperationSource::Schedule => 3,
            OperationSource::ThisDeviceUwb => 4,
            OperationSource::ThisDeviceNfc => 5,
            OperationSource::ThisDeviceRke => 6,
            OperationSource::Matter => 7,
            OperationSource::Other(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(message: &str) -> Notification {
        let bytes = hex::decode(message.replace([' ', '|'], "")).unwrap();
        let message = crate::message::Message::parse(&bytes).unwrap();
        Notification::parse(message.id, message.payload).unwrap()
    }

    #[test]
    fn published_examples() {
        assert_eq!(
            parse("02 03 00 04 | 00 02 40 00"),
            Notification::AccessCompleted {
                reporting: Reporting::ThisDevice,
                state: ReaderState::Secured
            }
        );
        assert_eq!(
            parse("02 02 00 04 | 00 02 04 81"),
            Notification::StatusChanged {
                source: OperationSource::ThisDeviceUwb,
                state: ReaderState::EnteringUnsecured
            }
        );
        let Notification::Initiate { flow, proprietary } = parse(
            "02 05 00 19 | 00 17 | A5 15 80 02 00 00 5C 04 01 00 00 09 7F 66 08 02 02 0E 00 02 02 0E 00",
        ) else {
            panic!("not initiate");
        };
        assert_eq!(flow, Flow::Ranging);
        assert_eq!(proprietary.len(), 0x17);
    }

    #[test]
    fn every_notification_reads_as_it_was_written() {
        let all = [
            Notification::Busy,
            Notification::GeneralError(ErrorCode::WrongParameters),
            Notification::GeneralError(ErrorCode::Other(9)),
            Notification::Ranging(4),
            Notification::StatusChanged {
                source: OperationSource::ThisDeviceRke,
                state: ReaderState::Unsecured,
            },
            Notification::AccessCompleted {
                reporting: Reporting::EveryDevice,
                state: ReaderState::Jammed,
            },
            Notification::RkeRequest(Action::Unsecure),
            Notification::RkeRequest(Action::Secure),
            Notification::Initiate {
                flow: Flow::RemoteKeyless,
                proprietary: vec![0xa5, 0],
            },
        ];
        for notification in all {
            let (id, payload) = notification.encode().unwrap();
            assert_eq!(Notification::parse(id, &payload), Ok(notification));
        }
    }

    proptest! {
        #[test]
        fn never_panics(id in 0u8..8, payload in any::<Vec<u8>>()) {
            let _ = Notification::parse(id, &payload);
        }
    }
}
