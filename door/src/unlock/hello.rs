//! The first bytes on a stream.

use std::time::Duration;

use aliro::keys::BleVersions;
use latchkey_env::timeout;
use latchkey_protocol::hello::{Answer, ClientHello, Parsed, SUPPORTED};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::session::Ended;
use crate::door::Door;

/// How long a connection may say nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest hello.
const LONGEST: usize = 64;

/// Answers the phone's hello. The versions agreed on and what came behind it, or none when the two
/// cannot go on; the phone has then been told why.
pub(super) async fn greet<S>(
    door: &Door,
    stream: &mut S,
) -> Result<Option<(BleVersions, Vec<u8>)>, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (hello, early) = timeout(&door.env().clock, PATIENCE, read(stream))
        .await
        .map_err(|_| Ended::Silent)??;
    let answer = hello.answer(SUPPORTED, door.id());
    stream.write_all(&answer.to_bytes()).await?;
    stream.flush().await?;
    Ok(match answer.answer {
        Answer::Go { version } => Some((
            BleVersions {
                offered: answer.offered,
                selected: version,
            },
            early,
        )),
        _ => None,
    })
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(ClientHello, Vec<u8>), Ended> {
    let mut bytes = Vec::with_capacity(LONGEST);
    loop {
        match ClientHello::parse(&bytes).map_err(|_| Ended::NotLatchkey)? {
            Parsed::Whole(hello, used) => return Ok((hello, bytes.split_off(used))),
            Parsed::Needs(_) if bytes.len() > LONGEST => return Err(Ended::NotLatchkey),
            Parsed::Needs(_) => {}
        }
        let mut piece = [0; LONGEST];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(Ended::Gone);
        }
        bytes.extend_from_slice(&piece[..count]);
    }
}
