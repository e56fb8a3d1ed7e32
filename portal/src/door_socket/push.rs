//! What a door has not yet heard: statements of both series and the revocation list, from its signed state on.

use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorlink::FromPortal;
use latchkey_protocol::doorstate::{DoorState, ListNumber, StatementNumbers};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::statement::Addressee;

use crate::fault::Fault;
use crate::issue::{revocations, statements};
use crate::model::property;
use crate::store::Tx;

/// Statements of one message.
const BATCH: u32 = 100;

/// How far a door has come, and how far it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// By its last signed state.
    shown: StatementNumbers,
    sent: StatementNumbers,
    list: ListNumber,
}

impl Progress {
    pub(super) fn of(state: &DoorState) -> Self {
        Self {
            shown: state.statements,
            sent: state.statements,
            list: state.list,
        }
    }

    /// Whether the statements for all doors were sent up to this one.
    pub(super) fn has_statements(&self, epoch: u32, all: u64) -> bool {
        self.sent.epoch == epoch && self.sent.all >= all
    }

    /// Whether this list is newer than the last that was shown or sent; it counts as sent from now on.
    pub(super) fn takes_list(&mut self, list: ListNumber) -> bool {
        let is_newer = list > self.list;
        self.list = self.list.max(list);
        is_newer
    }

    /// Takes a newer state. What was sent and does not show twice in a row is sent again.
    pub(super) fn take(&mut self, state: &DoorState) {
        if state.statements == self.shown || state.statements.epoch != self.sent.epoch {
            self.sent = state.statements;
        } else {
            self.sent.all = self.sent.all.max(state.statements.all);
            self.sent.own = self.sent.own.max(state.statements.own);
        }
        self.shown = state.statements;
        self.list = state.list;
    }
}

/// The next messages for a door, and the progress once they are sent. None left: nothing is missing.
pub(super) fn missing(
    tx: &mut dyn Tx,
    id: PropertyId,
    door: DoorId,
    mut progress: Progress,
) -> Result<(Vec<FromPortal>, Progress), Fault> {
    let mut messages = Vec::new();
    // First of all: what is withdrawn.
    if let Some(list) = revocations::newest(tx, id)? {
        let number = ListNumber {
            epoch: list.epoch,
            version: list.version,
        };
        if progress.takes_list(number) {
            messages.push(FromPortal::Revocation {
                document: list.document,
            });
        }
    }
    let epoch = property::epoch(tx, id)?;
    if progress.sent.epoch != epoch {
        progress.sent = StatementNumbers {
            epoch,
            all: 0,
            own: 0,
        };
    }
    let mut statements = Vec::new();
    let all = statements::after(tx, id, Addressee::All, epoch, progress.sent.all, BATCH)?;
    for (number, statement) in all {
        progress.sent.all = number;
        statements.push(Base64(statement));
    }
    let own = statements::after(
        tx,
        id,
        Addressee::Door(door),
        epoch,
        progress.sent.own,
        BATCH,
    )?;
    for (number, statement) in own {
        progress.sent.own = number;
        statements.push(Base64(statement));
    }
    if !statements.is_empty() {
        messages.push(FromPortal::Statements { statements });
    }
    Ok((messages, progress))
}
