//! What the desks have in common: lists come from the wallet and work without a network; writes go through the outbox,
//! done at once where there is a network, else they wait.

use std::sync::Arc;

use ::http::Method;
use latchkey_protocol::api::sync::{Entity, EntityKind};
use latchkey_protocol::ids::PropertyId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::{Error, Invalid};
use crate::outbox::{self, Action, OutboxId, Write};
use crate::sign_in::json;
use crate::sync;
use crate::views::all;
use crate::wallet::PropertyRecord;

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted<T> {
    /// The portal has done it.
    Done(T),
    /// There is no network: it waits in the outbox, which will report what becomes of it.
    Waiting(OutboxId),
}

/// A property, as this phone's person works at it.
pub(crate) struct Desk {
    context: Arc<Context>,
    property: PropertyId,
}

impl Desk {
    /// The desk, and what this phone keeps of the property.
    pub(crate) fn at(
        context: Arc<Context>,
        property: PropertyId,
    ) -> Result<(Self, PropertyRecord), Error> {
        let record = context.shared.wallet.read(|tx| tx.property(property))?;
        let record = record.ok_or(Invalid::Property)?;
        Ok((Self { context, property }, record))
    }

    pub(crate) fn property(&self) -> PropertyId {
        self.property
    }

    pub(crate) fn list<T>(
        &self,
        kind: EntityKind,
        unwrap: impl Fn(Entity) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let wallet = &self.context.shared.wallet;
        Ok(wallet.read(|tx| all(tx, self.property, kind, &unwrap))?)
    }

    /// Writes below the property's path.
    pub(crate) async fn submit<T: DeserializeOwned>(
        &self,
        action: Action,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Submitted<T>, Error> {
        let write = Write {
            action,
            method,
            path: format!("/v1/properties/{}{path}", self.property),
            body: json(body)?,
        };
        let answer = match outbox::submit(&self.context, self.property, write).await? {
            Ok(answer) => answer,
            Err(waiting) => return Ok(Submitted::Waiting(waiting)),
        };
        self.catch_up().await;
        serde_json::from_value(answer)
            .map(Submitted::Done)
            .map_err(|error| Error::BadAnswer(error.to_string()))
    }

    /// So that the lists show at once what was done. If it fails now, the next sync brings it.
    async fn catch_up(&self) {
        let caught_up = async {
            let (_, portal) = self.context.property(self.property)?;
            sync::one_property(&self.context, &portal, self.property).await
        };
        if let Err(error) = caught_up.await {
            tracing::debug!(%error, "done, but the lists are not up to date");
        }
    }
}
