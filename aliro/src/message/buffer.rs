//! Cuts a byte stream into messages.

use super::HEADER_LENGTH;

/// Collects bytes as they come, in whatever pieces, and hands out whole
/// messages. It holds at most one message and what came with it.
#[derive(Debug)]
pub struct MessageBuffer {
    bytes: Vec<u8>,
    max_payload: usize,
}

/// A message announces a payload beyond the limit: the stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of {length} bytes, {limit} are allowed")]
pub struct TooLong {
    /// What the header says.
    pub length: usize,
    /// What is allowed.
    pub limit: usize,
}

impl MessageBuffer {
    /// Room for payloads of up to `max_payload` bytes (on the wire, tags
    /// included). 4 KiB does for the access protocol; applications that send
    /// larger messages of their own say so here.
    pub fn new(max_payload: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max_payload,
        }
    }

    /// Appends what the carrier delivered. Take out all messages before the
    /// next piece: the buffer does not bound what is pushed at once.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, header included, if it is there.
    ///
    /// # Errors
    /// [`TooLong`], as soon as the header is there.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let [_, _, high, low, ..] = self.bytes[..] else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > self.max_payload {
            return Err(TooLong {
                length,
                limit: self.max_payload,
            });
        }
        if self.bytes.len() < HEADER_LENGTH + length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(HEADER_LENGTH + length);
        Ok(Some(std::mem::replace(&mut self.bytes, rest)))
    }

    /// Whether bytes of an unfinished message wait: at the end of a stream they
    /// mean that it was cut.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, Protocol};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cut_of_a_stream_gives_the_same_messages(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            piece in 1usize..50,
        ) {
            let messages: Vec<Vec<u8>> = payloads
                .iter()
                .map(|payload| {
                    Message { protocol: Protocol::ThirdParty, id: 7, payload }.encode().unwrap()
                })
                .collect();
            let mut buffer = MessageBuffer::new(40);
            let mut seen = Vec::new();
            for part in messages.concat().chunks(piece) {
                buffer.push(part);
                while let Some(message) = buffer.next_message().unwrap() {
                    seen.push(message);
                }
            }
            prop_assert_eq!(seen, messages);
            prop_assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_header_beyond_the_limit_is_refused_before_its_payload_comes() {
        let mut buffer = MessageBuffer::new(16);
        buffer.push(&[0, 0, 0, 17]);
        assert_eq!(
            buffer.next_message(),
            Err(TooLong {
                length: 17,
                limit: 16
            })
        );
    }
}
