//! Lock sync by itself: bundles for doors without a network are made as soon as something for them was issued.

use std::collections::BTreeSet;
use std::sync::Arc;

use latchkey_env::ticks;
use latchkey_protocol::ids::PropertyId;

use crate::fault::Fault;
use crate::http::Shared;
use crate::issue::{bundles, log_key, statements};
use crate::model::property;
use crate::running::ROUNDS;
use crate::store::{Listening, Wake};

/// What a property needs that was made before there was lock sync.
pub(crate) async fn begin(app: &Shared, id: PropertyId) -> Result<(), Fault> {
    // By itself: it stays even if the signer refuses what follows.
    app.store
        .write(id, move |tx| {
            let record = property::load(tx, id)?;
            statements::name_kinds(tx, &record)
        })
        .await?;
    let tools = app.tools.clone();
    app.store
        .write(id, move |tx| log_key::publish_once(tx, &tools, id))
        .await
}

/// Wakes after which something may be due.
pub(crate) fn is_wanted(wake: Wake) -> bool {
    matches!(wake, Wake::Issued(_) | Wake::IssuedTo(..) | Wake::Uses(_))
}

/// Makes what is due, now and whenever something was issued; what failed is tried again in each round.
pub(crate) async fn run(app: Shared, mut wakes: Listening) {
    let mut beat = ticks(Arc::clone(&app.tools.clock), ROUNDS);
    let mut waiting = Waiting::All;
    let mut failed = Waiting::default();
    loop {
        failed.join(make_for(&app, std::mem::take(&mut waiting)).await);
        let wake = tokio::select! {
            wake = wakes.next() => wake,
            () = beat.tick() => {
                waiting = begin_again(&app, std::mem::take(&mut failed)).await;
                continue;
            }
            () = app.closed() => return,
        };
        let Some(wake) = wake else { return };
        waiting.hear(wake);
        // One look for all that was issued meanwhile.
        while let Some(wake) = wakes.heard() {
            waiting.hear(wake);
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
    fn hear(&mut self, wake: Wake) {
        match wake {
            Wake::Issued(id) | Wake::IssuedTo(id, _) | Wake::Uses(id) => {
                self.join(Self::Some([id].into()))
            }
            // What was missed may be anybody's.
            _ => *self = Self::All,
        }
    }

    fn join(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::All, _) => {}
            (Self::Some(properties), Self::Some(more)) => properties.extend(more),
            (Self::Some(_), Self::All) => *self = Self::All,
        }
    }

    async fn properties(&self, app: &Shared) -> Result<BTreeSet<PropertyId>, Fault> {
        match self {
            Self::Some(properties) => Ok(properties.clone()),
            Self::All => {
                let all = app.store.read(|tx| Ok::<_, Fault>(property::all(tx)?));
                Ok(all.await?.into_iter().collect())
            }
        }
    }
}

/// What failed may rest on what was to be done at the start.
async fn begin_again(app: &Shared, failed: Waiting) -> Waiting {
    match failed.properties(app).await {
        Ok(properties) => {
            for id in properties {
                if let Err(error) = begin(app, id).await {
                    tracing::error!(property = %id, %error, "a property's doors were told of no log key");
                }
            }
        }
        Err(error) => tracing::error!(%error, "bundles could not be looked for"),
    }
    failed
}

/// The properties where not all that is due was made.
async fn make_for(app: &Shared, waiting: Waiting) -> Waiting {
    let properties = match waiting.properties(app).await {
        Ok(properties) => properties,
        Err(error) => {
            tracing::error!(%error, "bundles could not be looked for");
            return waiting;
        }
    };
    let mut failed = BTreeSet::new();
    for id in properties {
        match make_at(app, id).await {
            Ok(true) => {}
            Ok(false) => {
                failed.insert(id);
            }
            Err(error) => {
                tracing::error!(property = %id, %error, "a property's bundles failed");
                failed.insert(id);
            }
        }
    }
    Waiting::Some(failed)
}

/// Whether all that is due was made. What fails for one door keeps no other from its bundle.
async fn make_at(app: &Shared, id: PropertyId) -> Result<bool, Fault> {
    let tools = app.tools.clone();
    let due = app.store.read(move |tx| bundles::due(tx, &tools, id));
    let mut all = true;
    for door in due.await? {
        let tools = app.tools.clone();
        let made = app
            .store
            .write(id, move |tx| bundles::make(tx, &tools, id, door));
        if let Err(error) = made.await {
            tracing::error!(property = %id, %door, %error, "a door's bundle could not be made");
            all = false;
        }
    }
    Ok(all)
}
