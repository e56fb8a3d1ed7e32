//! What carries an unlock's messages to a door.

use std::io;

use async_trait::async_trait;
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::hello::INTERFACE_STREAM;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::{DoorFault, Error};
use crate::views::DoorRef;

/// Which way the messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CarrierKind {
    /// A stream on the spot, to the door's own address.
    Stream,
    /// Through the portal: *unlock over the network*.
    Relay,
}

/// A way to doors.
///
/// Built in are the stream and the relay; an app adds those of its platform (BLE, NFC). The library
/// connects to several at once, nearest first, and commits on one.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Which way it is.
    fn kind(&self) -> CarrierKind;

    /// Aliro's interface byte: enters every key, so that what was said on one carrier means nothing on
    /// another. See [`latchkey_protocol::hello`].
    fn interface(&self) -> u8;

    /// Whether it is worth trying to reach this door.
    fn reaches(&self, door: &Door) -> bool;

    /// Connects. May take as long as it takes: the caller has the time limits, and drops what lost.
    ///
    /// # Errors
    /// [`Error::DoorNotReached`], mostly.
    async fn connect(&self, at: DoorRef, door: &Door) -> Result<Box<dyn Link>, Error>;
}

/// A connection to a door: bytes, in order, in whatever pieces.
#[async_trait]
pub trait Link: Send {
    /// Sends all of it.
    ///
    /// # Errors
    /// When the connection is broken.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// The next piece; empty when the door has hung up. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection is broken.
    async fn receive(&mut self) -> io::Result<Vec<u8>>;
}

/// TCP to the address that the door was installed with.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamCarrier;

#[async_trait]
impl Carrier for StreamCarrier {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Stream
    }

    fn interface(&self) -> u8 {
        INTERFACE_STREAM
    }

    fn reaches(&self, door: &Door) -> bool {
        door.stream_address.is_some()
    }

    async fn connect(&self, _: DoorRef, door: &Door) -> Result<Box<dyn Link>, Error> {
        let address = door
            .stream_address
            .as_deref()
            .ok_or(Error::DoorNotReached(DoorFault::NoCarrier))?;
        let failed = |error| Error::DoorNotReached(DoorFault::Connect(error));
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        // Small messages that wait for each other.
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Box::new(StreamLink(stream)))
    }
}

struct StreamLink(TcpStream);

#[async_trait]
impl Link for StreamLink {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(4096);
        self.0.read_buf(&mut piece).await?;
        Ok(piece)
    }
}
