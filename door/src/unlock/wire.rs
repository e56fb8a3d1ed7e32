//! Whole messages on a stream of bytes.

use aliro::message::MessageBuffer;
use latchkey_protocol::private::MAX_MESSAGE;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::session::Ended;

/// Our longest message and the tag behind it.
const LONGEST_PAYLOAD: usize = MAX_MESSAGE + 16;

const PIECE: usize = 4096;

/// A stream, read message by message.
pub(super) struct Wire<S> {
    stream: S,
    buffer: MessageBuffer,
    piece: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// `early` is what came behind the hello.
    pub(super) fn new(stream: S, early: &[u8]) -> Self {
        let mut buffer = MessageBuffer::new(LONGEST_PAYLOAD);
        buffer.push(early);
        Self {
            stream,
            buffer,
            piece: vec![0; PIECE],
        }
    }

    /// The next whole message; none at the stream's end. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        loop {
            if let Some(message) = self.buffer.next_message().map_err(|_| Ended::TooLong)? {
                return Ok(Some(message));
            }
            let count = self.stream.read(&mut self.piece).await?;
            if count == 0 {
                return Ok(None);
            }
            self.buffer.push(&self.piece[..count]);
        }
    }

    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), Ended> {
        self.stream.write_all(message).await?;
        Ok(self.stream.flush().await?)
    }

    /// Says that nothing more comes.
    pub(super) async fn close(&mut self) {
        // The phone may have gone first.
        let _ = self.stream.shutdown().await;
    }
}
