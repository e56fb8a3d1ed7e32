//! The stream carrier: phones on the spot, over TCP.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::door::Door;
use crate::unlock::{Carrier, Carriers};

/// Accepts phones until `stop` says otherwise. How many at a time, and for how long, is bounded by
/// [`Carriers`].
pub(crate) async fn listen(
    door: Arc<Door>,
    listener: TcpListener,
    carriers: Arc<Carriers>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // Messages are small and each waits for the answer to the one before.
                let _ = stream.set_nodelay(true);
                let (door, carriers) = (door.clone(), carriers.clone());
                tokio::spawn(async move { carriers.serve(&door, stream, Carrier::Stream).await });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Most likely no file handles: some have to be given back first.
                latchkey_env::sleep(&door.env().clock, PAUSE).await;
            }
        }
    }
}

const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
