//! What other instances have committed, by LISTEN. A notification that comes while the connection is away is lost: after
//! each reconnect everybody looks for themselves, at the change log and at what was signed, and conversations between
//! instances end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::time::Duration;

use latchkey_env::{Backoff, sleep};
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

use super::Shared;
use crate::store::wake::CHANNEL;
use crate::store::{Instance, Post, Wake};

/// What is to be said to which instance.
type Outgoing = mpsc::Receiver<(Instance, String)>;

pub(super) async fn listen(shared: Shared, mut outgoing: Outgoing) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let Err(error) = listen_once(&shared, &mut outgoing, &mut backoff).await;
        let wait = backoff.next_wait(&*shared.random);
        tracing::warn!(error = %words(&error), ?wait, "other instances are not heard");
        sleep(&*shared.clock, wait).await;
    }
}

async fn listen_once(
    shared: &Shared,
    outgoing: &mut Outgoing,
    backoff: &mut Backoff,
) -> Result<Infallible, tokio_postgres::Error> {
    let server = &shared.server;
    let (client, mut connection) = server.config.connect(server.tls.clone()).await?;
    let own = shared.instance.channel();
    let saying = async {
        // Nothing that is said here is worth the wait for a disk.
        let listen = format!("SET synchronous_commit = off; LISTEN {CHANNEL}; LISTEN {own}");
        client.batch_execute(&listen).await?;
        backoff.reset();
        // What waited meanwhile belongs to conversations that are broken now.
        while outgoing.try_recv().is_ok() {}
        tell(shared, Wake::Anything);
        deliver(shared, Post::Broken);
        let notify = client.prepare("SELECT pg_notify($1, $2)").await?;
        while let Some((to, text)) = outgoing.recv().await {
            client.execute(&notify, &[&to.channel(), &text]).await?;
        }
        std::future::pending().await
    };
    let hearing = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    if notification.channel() == own {
                        deliver(shared, Post::Text(notification.payload().to_owned()));
                        continue;
                    }
                    for wake in Wake::heard(shared.instance, notification.payload()) {
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
        ended = saying => ended,
        ended = hearing => ended,
    }
}

fn tell(shared: &Shared, wake: Wake) {
    shared.wakes.tell(wake);
}

fn deliver(shared: &Shared, post: Post) {
    // Nobody may be listening yet.
    let _ = shared.posts.send(post);
}

fn words(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
