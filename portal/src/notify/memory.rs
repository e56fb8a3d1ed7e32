//! A mailbox in memory, for a portal within another process.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::Courier;
use crate::model::outbox::Letter;

/// A delivered letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub address: String,
    /// What about.
    pub subject: String,
    /// What it says.
    pub body: String,
}

/// All letters that were delivered; clones are the same mailbox.
#[derive(Debug, Clone)]
pub struct Mailbox {
    mails: Arc<Mutex<Vec<Mail>>>,
    count: watch::Sender<usize>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            mails: Arc::default(),
            count: watch::channel(0).0,
        }
    }
}

impl Mailbox {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many letters have been delivered.
    #[must_use]
    pub fn len(&self) -> usize {
        *self.count.borrow()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the first letter to this address after the first `seen` letters of the box.
    pub async fn next_to(&self, address: &str, seen: usize) -> Mail {
        let mut count = self.count.subscribe();
        loop {
            let found = {
                let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
                mails
                    .iter()
                    .skip(seen)
                    .find(|mail| mail.address == address)
                    .cloned()
            };
            if let Some(mail) = found {
                return mail;
            }
            if count.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

#[async_trait]
impl Courier for Mailbox {
    async fn send(&self, letter: &Letter) -> Result<(), String> {
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.push(Mail {
            address: letter.address.clone(),
            subject: letter.subject.clone(),
            body: letter.body.clone(),
        });
        self.count.send_replace(mails.len());
        Ok(())
    }
}
