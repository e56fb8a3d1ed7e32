//! What a device does for a reader by EXCHANGE.

use std::sync::Arc;

use super::steps::{Refusal, expect};
use crate::apdu::{Command, Response};
use crate::channel::Channel;
use crate::command::{ExchangeCommand, ExchangeResult, exchange_response, ins};
use crate::crypto::PublicKey;
use crate::mailbox::{Mailboxes, Stage};

/// What a device offers by EXCHANGE, during one transaction.
#[derive(Default)]
pub struct Services {
    mailboxes: Option<Arc<dyn Mailboxes>>,
    notifications: bool,
    stage: Stage,
}

impl Services {
    /// These mailboxes, if any; whether notifications (tag AE) are taken for
    /// others.
    pub fn new(mailboxes: Option<Arc<dyn Mailboxes>>, notifications: bool) -> Self {
        Self {
            mailboxes,
            notifications,
            stage: Stage::default(),
        }
    }

    /// These mailboxes are offered from now on.
    pub(super) fn offer_mailboxes(&mut self, mailboxes: Arc<dyn Mailboxes>) {
        self.mailboxes = Some(mailboxes);
    }

    /// Notifications are taken from now on.
    pub(super) fn take_notifications(&mut self) {
        self.notifications = true;
    }

    /// Another command came: an open mailbox session is dropped.
    pub fn interrupt(&mut self) {
        self.stage = Stage::default();
    }

    pub(super) fn exchange(
        &mut self,
        channel: &mut Channel,
        credential: &PublicKey,
        command: &Command,
    ) -> Result<(Response, ExchangeCommand), Refusal> {
        expect(command, ins::EXCHANGE)?;
        let plain = channel
            .open(&[], &command.data)
            .map_err(|_| Refusal::channel())?;
        let parsed = ExchangeCommand::parse(&plain).ok();
        let done = parsed.and_then(|exchange| {
            let read = self.carry_out(credential, &exchange)?;
            Some((read, exchange))
        });
        let (answer, exchange) = match done {
            Some((read, exchange)) => (exchange_response(&read, ExchangeResult::OK), exchange),
            None => {
                self.interrupt();
                let answer = exchange_response(&[], ExchangeResult::FAILED);
                (answer, ExchangeCommand::default())
            }
        };
        let sealed = channel.seal(&[], &answer).map_err(|_| Refusal::channel())?;
        Ok((Response::ok(sealed), exchange))
    }

    /// All of it or nothing.
    fn carry_out(
        &mut self,
        credential: &PublicKey,
        exchange: &ExchangeCommand,
    ) -> Option<Vec<Vec<u8>>> {
        if exchange.update.is_some() || (exchange.notify.is_some() && !self.notifications) {
            return None;
        }
        let Some(request) = &exchange.mailbox else {
            return Some(Vec::new());
        };
        let mailboxes = self.mailboxes.as_deref()?;
        self.stage.carry_out(request, mailboxes, credential).ok()
    }
}
