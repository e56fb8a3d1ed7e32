//! The secure channel: AES-256-GCM with a counter in each direction.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::crypto::Secret;
use crate::message::{Message, MessageError, Protocol, header};

/// Bytes that encryption adds.
pub const TAG_LENGTH: usize = 16;

/// No message is sent or taken with a counter from here on: the channel is used
/// up long before a nonce could come again.
const COUNTER_LIMIT: u32 = 0xffff;

/// Why a channel cannot go on. It never recovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// A message was not sealed with this key, for this place in the order.
    #[error("a message does not open")]
    Authentication,
    /// The counter reached its limit.
    #[error("the channel is used up")]
    UsedUp,
    /// A message did not open before: nothing is received any more.
    #[error("the channel failed before")]
    Closed,
}

/// Two keys and two counters. The first message in each direction has counter
/// 1, and each message steps its direction's counter by one. A message that does
/// not open ends what is received, for good; what is sent has a key and a
/// counter of its own, so that the peer can still be told.
#[derive(Debug)]
pub struct Channel {
    send: Direction,
    receive: Direction,
    failed: bool,
}

#[derive(Debug)]
struct Direction {
    key: Secret,
    /// Last byte of the 8 in front of the counter: 0 from the reader, 1 from
    /// the device.
    sender: u8,
    counter: u32,
}

impl Channel {
    /// The reader's end.
    pub fn of_reader([reader, device]: [Secret; 2]) -> Self {
        Self {
            send: Direction::new(reader, 0),
            receive: Direction::new(device, 1),
            failed: false,
        }
    }

    /// The device's end.
    pub fn of_device([reader, device]: [Secret; 2]) -> Self {
        Self {
            send: Direction::new(device, 1),
            receive: Direction::new(reader, 0),
            failed: false,
        }
    }

    /// Ciphertext and tag of the next message to the peer.
    ///
    /// # Errors
    /// [`ChannelError::UsedUp`].
    pub fn seal(&mut self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>, ChannelError> {
        self.seal_behind(&[], associated, plain)
    }

    /// The same with something in clear before it.
    fn seal_behind(
        &mut self,
        clear: &[u8],
        associated: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, ChannelError> {
        let (key, nonce) = self.send.next()?;
        let mut out = Vec::with_capacity(clear.len() + plain.len() + TAG_LENGTH);
        out.extend_from_slice(clear);
        out.extend_from_slice(plain);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(associated), &mut out[clear.len()..])
            .map_err(|_| ChannelError::UsedUp)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// The plaintext of the next message from the peer.
    ///
    /// # Errors
    /// [`ChannelError`]; after any failure nothing opens any more.
    pub fn open(&mut self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, ChannelError> {
        if self.failed {
            return Err(ChannelError::Closed);
        }
        let (key, nonce) = self.receive.next()?;
        let mut buffer = sealed.to_vec();
        match key.open_in_place(nonce, Aad::from(associated), &mut buffer) {
            Ok(plain) => {
                let length = plain.len();
                buffer.truncate(length);
                Ok(buffer)
            }
            Err(_) => {
                self.failed = true;
                Err(ChannelError::Authentication)
            }
        }
    }

    /// Seals a whole BLE message: its header, with the plaintext's length, is
    /// authenticated; the header on the wire counts the tag.
    ///
    /// # Errors
    /// [`ChannelError`], or [`MessageError::Length`] as `UsedUp` cannot be: a
    /// payload that does not fit.
    pub fn seal_message(
        &mut self,
        protocol: Protocol,
        id: u8,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let wire = header(protocol, id, plain.len() + TAG_LENGTH)?;
        let associated = header(protocol, id, plain.len())?;
        Ok(self.seal_behind(&wire, &associated, plain)?)
    }

    /// Opens a BLE message's payload.
    ///
    /// # Errors
    /// [`ChannelError`]; after any failure nothing opens any more.
    pub fn open_message(&mut self, message: &Message<'_>) -> Result<Vec<u8>, ChannelError> {
        let plain_length = message.payload.len().checked_sub(TAG_LENGTH);
        let associated = plain_length.and_then(|n| header(message.protocol, message.id, n).ok());
        let Some(associated) = associated else {
            self.failed = true;
            return Err(ChannelError::Authentication);
        };
        self.open(&associated, message.payload)
    }
}

/// A message could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is too long.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The channel cannot go on.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

impl Direction {
    fn new(key: Secret, sender: u8) -> Self {
        Self {
            key,
            sender,
            counter: 1,
        }
    }

    fn next(&mut self) -> Result<(LessSafeKey, Nonce), ChannelError> {
        if self.counter >= COUNTER_LIMIT {
            return Err(ChannelError::UsedUp);
        }
        let mut nonce = [0; 12];
        nonce[7] = self.sender;
        nonce[8..].copy_from_slice(&self.counter.to_be_bytes());
        self.counter += 1;
        // The key is bound anew for each message, so that the one copy that
        // lives on is the one that is wiped.
        let key =
            UnboundKey::new(&AES_256_GCM, self.key.expose()).map_err(|_| ChannelError::UsedUp)?;
        Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, Channel) {
        let keys = || [Secret::new([1; 32]), Secret::new([2; 32])];
        (Channel::of_reader(keys()), Channel::of_device(keys()))
    }

    #[test]
    fn replay_reorder_and_reflection_do_not_open_and_close_the_channel() {
        let (mut reader, mut device) = pair();
        let first = reader.seal(&[], b"one").unwrap();
        let second = reader.seal(&[], b"two").unwrap();
        assert_eq!(device.open(&[], &first).unwrap(), b"one");
        assert_eq!(
            device.open(&[], &first),
            Err(ChannelError::Authentication),
            "replay"
        );
        assert_eq!(device.open(&[], &second), Err(ChannelError::Closed));
        // What the device sends stays what it was.
        let told = device.seal(&[], b"it does not open").unwrap();
        assert_eq!(reader.open(&[], &told).unwrap(), b"it does not open");

        let (_, mut late) = pair();
        assert_eq!(
            late.open(&[], &second),
            Err(ChannelError::Authentication),
            "order"
        );
        assert_eq!(
            reader.open(&[], &first),
            Err(ChannelError::Authentication),
            "own message"
        );
    }

    #[test]
    fn a_channel_stops_before_its_counter_could_wrap() {
        let (mut reader, mut device) = pair();
        for _ in 1..COUNTER_LIMIT {
            let sealed = reader.seal(&[], &[]).unwrap();
            device.open(&[], &sealed).unwrap();
        }
        assert_eq!(reader.seal(&[], &[]), Err(ChannelError::UsedUp));
        assert_eq!(device.open(&[], &[0; 16]), Err(ChannelError::UsedUp));
    }

    #[test]
    fn a_message_opens_only_under_its_own_header() {
        let (mut reader, mut device) = pair();
        let wire = reader
            .seal_message(Protocol::ThirdParty, 3, b"page")
            .unwrap();
        let mut message = Message::parse(&wire).unwrap();
        message.id = 4;
        assert_eq!(
            device.open_message(&message),
            Err(ChannelError::Authentication)
        );
    }
}
