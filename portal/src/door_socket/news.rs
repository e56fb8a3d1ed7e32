//! What is new for all doors of a property, read and written out once for all of them.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use latchkey_protocol::doorlink::FromPortal;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::PropertyId;
use latchkey_protocol::statement::Addressee;

use crate::fault::Fault;
use crate::http::Shared;
use crate::issue::{revocations, statements};
use crate::model::property;
use crate::store::{Listening, Tx, Wake};

/// How far the signer has come with what is for all doors.
#[derive(Debug)]
pub(super) struct News {
    pub(super) epoch: u32,
    /// The last statement for all doors.
    pub(super) all: u64,
    pub(super) list: ListNumber,
    /// The message with the list.
    pub(super) revocation: Utf8Bytes,
}

/// None: each door's line has to look for itself.
pub(super) type Told = Option<Arc<News>>;

/// Wakes after which there may be news.
pub(crate) fn is_wanted(wake: Wake) -> bool {
    matches!(wake, Wake::Issued(_))
}

/// Tells the lines of doors until the portal goes down.
pub(crate) async fn run(app: Shared, mut wakes: Listening) {
    loop {
        let wake = tokio::select! {
            wake = wakes.next() => wake,
            () = app.closed() => return,
        };
        match wake {
            Some(Wake::Issued(id)) if app.doors.has_lines(id) => {
                let read = app.store.read(move |tx| read(tx, id)).await;
                let news = read.unwrap_or_else(|error| {
                    tracing::error!(property = %id, %error, "what is new for all doors could not be read");
                    None
                });
                app.doors.tell(id, news);
            }
            // After anything else that may have been missed, each line looks for itself.
            Some(_) => {}
            None => return,
        }
    }
}

fn read(tx: &mut dyn Tx, id: PropertyId) -> Result<Told, Fault> {
    let Some(list) = revocations::newest(tx, id)? else {
        return Ok(None);
    };
    let number = ListNumber {
        epoch: list.epoch,
        version: list.version,
    };
    let document = list.document;
    let message = serde_json::to_string(&FromPortal::Revocation { document });
    let message = message.map_err(|error| Fault::Internal(format!("a message: {error}")))?;
    let epoch = property::epoch(tx, id)?;
    Ok(Some(Arc::new(News {
        epoch,
        all: statements::last_number(tx, id, Addressee::All, epoch)?,
        list: number,
        revocation: message.into(),
    })))
}
