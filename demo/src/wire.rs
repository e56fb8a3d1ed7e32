//! A piece of network that can be cut: everything between phones or doors and the portal goes through one.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A cuttable line to one address. It ends when this is dropped.
pub(crate) struct Wire {
    /// Where this end is.
    pub(crate) addr: SocketAddr,
    up: watch::Sender<bool>,
    target: watch::Sender<Option<SocketAddr>>,
    task: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// Opens this end on a free port of the loopback; it leads nowhere yet.
    pub(crate) async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no port is free on the loopback")?;
        let addr = listener.local_addr()?;
        let (up, up_seen) = watch::channel(true);
        let (target, target_seen) = watch::channel(None);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = *target_seen.borrow();
                if let (true, Some(far)) = (*up_seen.borrow(), far) {
                    tokio::spawn(carry(near, far, up_seen.clone()));
                }
            }
        });
        Ok(Self {
            addr,
            up,
            target,
            task,
        })
    }

    /// Leads it to an address.
    pub(crate) fn lead_to(&self, far: SocketAddr) {
        self.target.send_replace(Some(far));
    }

    /// Cuts it, connections that stand included, or mends it.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut near: TcpStream, far: SocketAddr, mut up: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(far).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = up.wait_for(|up| !up) => {}
    }
}
