//! Several portals on one database: each beats, and the lines of one whose beat stands still are taken for gone. Beats
//! are counted, not timed: the instances' clocks need not agree.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use latchkey_env::ticks;

use crate::fault::Fault;
use crate::http::Shared;
use crate::model::{door, line, property};
use crate::store::{Instance, Scope};

/// How often an instance beats.
const BEAT: Duration = Duration::from_secs(10);
/// Another is gone once its beat has stood still for so many of one's own.
const STILL: u32 = 3;

/// What was seen of another instance.
struct Seen {
    beat: i64,
    still: u32,
}

/// Enters this instance. Where no other can be, lines that an earlier one left are ended.
pub(crate) async fn enter(app: &Shared) -> Result<(), Fault> {
    let own = app.store.instance();
    let beat = app.store.write(Scope::Portal, move |tx| {
        Ok::<_, Fault>(line::beat(tx, own)?)
    });
    beat.await?;
    if app.store.is_shared() {
        return Ok(());
    }
    for (instance, _) in all(app).await? {
        if instance != own {
            bury(app, instance).await?;
        }
    }
    let properties = app.store.read(|tx| Ok::<_, Fault>(property::all(tx)?));
    for id in properties.await? {
        let end = app.store.write(id, move |tx| {
            Ok::<_, Fault>(door::all_disconnected(tx, id)?)
        });
        end.await?;
    }
    Ok(())
}

/// Beats until the portal goes down, and then leaves.
pub(crate) async fn run(app: Shared) {
    let mut seen = HashMap::new();
    let mut beat = ticks(Arc::clone(&app.tools.clock), BEAT);
    loop {
        tokio::select! {
            () = beat.tick() => {}
            () = app.closed() => break,
        }
        if let Err(error) = round(&app, &mut seen).await {
            tracing::error!(%error, "this instance missed a beat");
        }
    }
    if let Err(error) = bury(&app, app.store.instance()).await {
        tracing::error!(%error, "the lines of this instance could not be ended");
    }
}

async fn round(app: &Shared, seen: &mut HashMap<Instance, Seen>) -> Result<(), Fault> {
    let own = app.store.instance();
    let beat = app.store.write(Scope::Portal, move |tx| {
        Ok::<_, Fault>(line::beat(tx, own)?)
    });
    if !beat.await? {
        tracing::warn!("this instance was taken for gone");
        app.store.wake_all();
    }
    if !app.store.is_shared() {
        return Ok(());
    }
    let others = all(app).await?;
    seen.retain(|instance, _| others.iter().any(|(other, _)| other == instance));
    for (other, beat) in others {
        if other == own {
            continue;
        }
        let last = seen.entry(other).or_insert(Seen { beat, still: 0 });
        if last.beat != beat {
            *last = Seen { beat, still: 0 };
            continue;
        }
        last.still += 1;
        if last.still > STILL {
            tracing::warn!(instance = %other, "another instance is gone");
            app.remote.gone(other);
            bury(app, other).await?;
        }
    }
    Ok(())
}

async fn all(app: &Shared) -> Result<Vec<(Instance, i64)>, Fault> {
    let all = app.store.read(|tx| Ok::<_, Fault>(line::instances(tx)?));
    all.await
}

/// Ends the lines of an instance that is gone, and then takes it from the list.
async fn bury(app: &Shared, instance: Instance) -> Result<(), Fault> {
    let properties = app
        .store
        .read(move |tx| Ok::<_, Fault>(line::properties_of(tx, instance)?));
    for property in properties.await? {
        let end = app.store.write(property, move |tx| {
            Ok::<_, Fault>(line::all_ended(tx, property, instance)?)
        });
        end.await?;
    }
    let forget = app.store.write(Scope::Portal, move |tx| {
        Ok::<_, Fault>(line::forget(tx, instance)?)
    });
    forget.await
}
