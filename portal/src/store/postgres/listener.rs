//! What other instances have committed, by LISTEN. A notification that comes while the connection is away is lost: after
//! each reconnect everybody looks for themselves, at the change log and at what was signed.

use std::convert::Infallible;
use std::future::poll_fn;
use std::time::Duration;

use latchkey_env::{Backoff, sleep};
use tokio_postgres::AsyncMessage;

use super::Shared;
use crate::store::Wake;
use crate::store::wake::{CHANNEL, heard};

pub(super) async fn listen(shared: Shared) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let Err(error) = listen_once(&shared, &mut backoff).await;
        let wait = backoff.next_wait(&*shared.random);
        tracing::warn!(error = %words(&error), ?wait, "other instances are not heard");
        sleep(&*shared.clock, wait).await;
    }
}

async fn listen_once(
    shared: &Shared,
    backoff: &mut Backoff,
) -> Result<Infallible, tokio_postgres::Error> {
    let server = &shared.server;
    let (client, mut connection) = server.config.connect(server.tls.clone()).await?;
    let listening = async {
        let listen = format!("LISTEN {CHANNEL}");
        client.batch_execute(&listen).await?;
        backoff.reset();
        tell(shared, Wake::Anything);
        std::future::pending().await
    };
    let hearing = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    for wake in heard(shared.instance, notification.payload()) {
                        tell(shared, wake);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                // The other future says so.
                None => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        ended = listening => ended,
        ended = hearing => ended,
    }
}

fn tell(shared: &Shared, wake: Wake) {
    // Nobody may be listening yet.
    let _ = shared.wakes.send(wake);
}

fn words(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
