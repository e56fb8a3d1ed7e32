//! Notifications: from the outbox to the world, at least once.

mod console;
mod memory;
mod smtp;

use std::time::Duration;

use async_trait::async_trait;

pub use memory::{Mail, Mailbox};
pub(crate) use smtp::SmtpError;

use crate::fault::Fault;
use crate::http::Shared;
use crate::model::outbox::{self, Letter};
use crate::store::{Scope, Tx, Wake};

/// Where letters go.
#[derive(Debug, Clone, Default)]
pub enum MailRoute {
    /// One line a letter on standard output: `mail to ADDRESS: code 123456`.
    #[default]
    Console,
    /// A mail server, as a URL: `smtps://user:password@host` or `smtp://host:25?tls=opportunistic`.
    Smtp {
        /// The server.
        url: String,
        /// The sender's address.
        from: String,
    },
    /// A mailbox in memory.
    Memory(Mailbox),
}

/// Carries a letter.
#[async_trait]
pub(crate) trait Courier: Send + Sync {
    /// Hands a letter over; an error says why not, and it is tried again.
    async fn send(&self, letter: &Letter) -> Result<(), String>;
}

/// The courier of a route.
pub(crate) fn courier(route: &MailRoute) -> Result<Box<dyn Courier>, SmtpError> {
    Ok(match route {
        MailRoute::Console => Box::new(console::Console),
        MailRoute::Smtp { url, from } => Box::new(smtp::Smtp::new(url, from)?),
        MailRoute::Memory(mailbox) => Box::new(mailbox.clone()),
    })
}

/// Without news, the outbox is looked at this often.
const AT_LEAST: Duration = Duration::from_secs(60);

/// Empties the outbox until the portal goes down.
pub(crate) async fn run(app: Shared, courier: Box<dyn Courier>) {
    let mut wakes = app.store.wakes(&[Wake::Outbox]);
    loop {
        if let Err(error) = deliver(&app, &*courier).await {
            tracing::error!(%error, "the outbox could not be emptied");
        }
        let wait = wait(&app).await;
        let news = latchkey_env::timeout(&*app.tools.clock, wait, async {
            tokio::select! {
                news = wakes.next() => news.is_some(),
                () = app.closed() => false,
            }
        });
        if news.await == Ok(false) {
            return;
        }
    }
}

async fn deliver(app: &Shared, courier: &dyn Courier) -> Result<(), Fault> {
    loop {
        let tools = app.tools.clone();
        let take = move |tx: &mut dyn Tx| Ok::<_, Fault>(outbox::take_due(tx, &tools)?);
        let letters = app.store.write(Scope::Portal, take).await?;
        if letters.is_empty() {
            return Ok(());
        }
        for letter in letters {
            let outcome = courier.send(&letter).await;
            if let Err(error) = &outcome {
                tracing::warn!(error, tries = letter.tries, "a notification was not sent");
            }
            let note = move |tx: &mut dyn Tx| {
                match outcome {
                    Ok(()) => outbox::sent(tx, letter.id)?,
                    Err(error) => outbox::failed(tx, &letter, &error)?,
                }
                Ok::<_, Fault>(())
            };
            app.store.write(Scope::Portal, note).await?;
        }
    }
}

/// How long until the next letter is due.
async fn wait(app: &Shared) -> Duration {
    let next = app
        .store
        .read(|tx| Ok::<_, Fault>(outbox::next_due(tx)?))
        .await;
    let until = next
        .ok()
        .flatten()
        .map(|due| (due - app.tools.clock.now()).to_std());
    until.map_or(AT_LEAST, |until| until.unwrap_or_default().min(AT_LEAST))
}
