//! Uses of counted keys on a door's line: orders that it has not signed for, and questions for one more.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use latchkey_protocol::doorlink::{FromPortal, MOST_CEILINGS};
use latchkey_protocol::ids::BudgetId;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::uses::{Ceiling, LeaseNumber};

use super::conversation::{End, refused};
use super::send;
use super::sign_in::SignedIn;
use crate::app::App;
use crate::model::uses::{self, Asked, Asker, Wanted};
use crate::store::Tx;
use crate::tools::Tools;

/// How long doors have for giving back what they hold. Whoever stands in front of the one that asked waits for 1.5
/// seconds.
const PATIENCE: Duration = Duration::from_millis(1200);

/// Questions that wait on one line. A door asks for those who stand in front of it.
const MOST_WAITING: usize = 32;

/// The uses' part of a line.
pub(super) struct Uses {
    door: SignedIn,
    /// The connection's number.
    line: u64,
    /// The last order of each budget that was sent here.
    sent: HashMap<BudgetId, LeaseNumber>,
    waiting: Vec<Waiting>,
}

/// A question that waits for other doors.
#[derive(Clone, Copy)]
struct Waiting {
    request: u64,
    wanted: Wanted,
    /// On the monotonic clock.
    until: Duration,
}

impl Uses {
    pub(super) fn new(door: SignedIn, line: u64) -> Self {
        Self {
            door,
            line,
            sent: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    /// Sends the orders that the door has not signed for, each once on this line.
    pub(super) async fn push(&mut self, app: &App, socket: &mut WebSocket) -> Result<(), End> {
        let (property, holder) = (self.door.property, self.holder());
        let look = move |tx: &mut dyn Tx| {
            uses::unconfirmed(tx, property, holder).map_err(crate::fault::Fault::from)
        };
        let orders = app.store.read(look).await.map_err(refused)?;
        let news: Vec<Ceiling> = orders
            .into_iter()
            .filter(|order| self.sent.get(&order.budget) != Some(&order.number))
            .collect();
        for ceilings in news.chunks(MOST_CEILINGS) {
            self.sent
                .extend(ceilings.iter().map(|order| (order.budget, order.number)));
            let ceilings = ceilings.to_vec();
            send(socket, &FromPortal::Ceilings { ceilings }).await?;
        }
        Ok(())
    }

    /// The door asks for one more.
    pub(super) async fn ask(
        &mut self,
        app: &App,
        socket: &mut WebSocket,
        request: u64,
        wanted: Wanted,
    ) -> Result<(), End> {
        let question = Waiting {
            request,
            wanted,
            until: app.tools.clock.monotonic() + PATIENCE,
        };
        self.answer(app, socket, question).await
    }

    /// Something may have come back, or the time is up.
    pub(super) async fn ask_again(&mut self, app: &App, socket: &mut WebSocket) -> Result<(), End> {
        for question in std::mem::take(&mut self.waiting) {
            self.answer(app, socket, question).await?;
        }
        Ok(())
    }

    /// Resolves when the first of those who wait has waited long enough.
    pub(super) async fn patience(&self, tools: &Tools) {
        match self.waiting.iter().map(|question| question.until).min() {
            Some(until) => tools.clock.sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    async fn answer(
        &mut self,
        app: &App,
        socket: &mut WebSocket,
        question: Waiting,
    ) -> Result<(), End> {
        let asker = Asker {
            property: self.door.property,
            holder: self.holder(),
            line: self.line,
        };
        let tools = app.tools.clone();
        let ask = move |tx: &mut dyn Tx| uses::ask(tx, &tools, asker, question.wanted);
        let asked = app.store.write(asker.property, ask).await;
        match asked.map_err(refused)? {
            Asked::Raised => {
                self.push(app, socket).await?;
                let answer = FromPortal::UseAnswer {
                    request: question.request,
                    denied: None,
                };
                Ok(send(socket, &answer).await?)
            }
            Asked::TakingBack
                if app.tools.clock.monotonic() < question.until
                    && self.waiting.len() < MOST_WAITING =>
            {
                self.waiting.push(question);
                Ok(())
            }
            Asked::TakingBack => self.deny(socket, question, Reason::NoUsesHeldHere).await,
            Asked::Denied(reason) => self.deny(socket, question, reason).await,
            Asked::Dropped => Ok(()),
        }
    }

    async fn deny(
        &self,
        socket: &mut WebSocket,
        question: Waiting,
        reason: Reason,
    ) -> Result<(), End> {
        let answer = FromPortal::UseAnswer {
            request: question.request,
            denied: Some(reason),
        };
        Ok(send(socket, &answer).await?)
    }

    fn holder(&self) -> latchkey_protocol::uses::Holder {
        uses::holder(self.door.door, self.door.generation)
    }
}
