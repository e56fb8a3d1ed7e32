//! Lock sync by itself: bundles for doors without a network are made as soon as something for them was issued.

use std::collections::BTreeSet;

use latchkey_protocol::ids::PropertyId;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::fault::Fault;
use crate::http::Shared;
use crate::issue::{bundles, log_key, statements};
use crate::model::property;
use crate::store::Wake;

/// What a property needs that was made before there was lock sync.
pub(crate) async fn begin(app: &Shared, id: PropertyId) -> Result<(), Fault> {
    let tools = app.tools.clone();
    app.store
        .write(id, move |tx| {
            let record = property::load(tx, id)?;
            statements::name_kinds(tx, &record)?;
            log_key::publish_once(tx, &tools, id)
        })
        .await
}

/// Makes what is due, now and whenever something was issued.
pub(crate) async fn run(app: Shared, mut wakes: Receiver<Wake>) {
    let mut waiting = Waiting::All;
    loop {
        if let Err(error) = make_for(&app, std::mem::take(&mut waiting)).await {
            tracing::error!(%error, "bundles could not be looked for");
        }
        let wake = tokio::select! {
            wake = wakes.recv() => wake,
            () = app.closed() => return,
        };
        if !waiting.hear(wake) {
            return;
        }
        // One look for all that was issued meanwhile.
        while let Ok(wake) = wakes.try_recv() {
            waiting.hear(Ok(wake));
        }
    }
}

/// For which properties something was issued.
enum Waiting {
    Some(BTreeSet<PropertyId>),
    All,
}

impl Default for Waiting {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Waiting {
    /// Whether there is anything more to wait for.
    fn hear(&mut self, wake: Result<Wake, RecvError>) -> bool {
        match wake {
            Ok(Wake::Issued(id) | Wake::Uses(id)) => {
                if let Self::Some(properties) = self {
                    properties.insert(id);
                }
            }
            // What was missed may be anybody's.
            Ok(Wake::Anything) | Err(RecvError::Lagged(_)) => *self = Self::All,
            Ok(_) => {}
            Err(RecvError::Closed) => return false,
        }
        true
    }
}

async fn make_for(app: &Shared, waiting: Waiting) -> Result<(), Fault> {
    let properties: BTreeSet<PropertyId> = match waiting {
        Waiting::Some(properties) => properties,
        Waiting::All => {
            let all = app.store.read(|tx| Ok::<_, Fault>(property::all(tx)?));
            all.await?.into_iter().collect()
        }
    };
    for id in properties {
        if let Err(error) = make_at(app, id).await {
            tracing::error!(property = %id, %error, "a property's bundles failed");
        }
    }
    Ok(())
}

/// What fails for one door keeps no other from its bundle.
async fn make_at(app: &Shared, id: PropertyId) -> Result<(), Fault> {
    let tools = app.tools.clone();
    let due = app.store.read(move |tx| bundles::due(tx, &tools, id));
    for door in due.await? {
        let tools = app.tools.clone();
        let made = app
            .store
            .write(id, move |tx| bundles::make(tx, &tools, id, door));
        if let Err(error) = made.await {
            tracing::error!(property = %id, %door, %error, "a door's bundle could not be made");
        }
    }
    Ok(())
}
