//! Letters by a mail server.

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::Courier;
use crate::model::outbox::Letter;

/// The mail server's settings do not read.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The URL.
    #[error("--smtp-url: {0}")]
    Url(#[from] lettre::transport::smtp::Error),
    /// The sender.
    #[error("--smtp-from: {0}")]
    From(#[from] lettre::address::AddressError),
}

pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    pub(super) fn new(url: &str, from: &str) -> Result<Self, SmtpError> {
        Ok(Self {
            transport: AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.build(),
            from: from.parse()?,
        })
    }
}

#[async_trait]
impl Courier for Smtp {
    async fn send(&self, letter: &Letter) -> Result<(), String> {
        let to: Mailbox = letter.address.parse().map_err(|error| format!("{error}"))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject.clone())
            .body(letter.body.clone())
            .map_err(|error| error.to_string())?;
        self.transport
            .send(message)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}
