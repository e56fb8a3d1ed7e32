//! What doors report, kept together: all that has come by the time its turn comes is one operation of the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_protocol::ids::PropertyId;
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::http::Shared;
use crate::model::event::{self, Report};
use crate::store::{StoreError, Tx};

/// Reports whose turn has not come, by their properties. A line has one at a time.
#[derive(Default)]
pub(crate) struct Reports(Mutex<HashMap<PropertyId, Vec<Waiting>>>);

/// A report, and the way back to its line.
struct Waiting {
    report: Report,
    kept: oneshot::Sender<Result<(), Fault>>,
}

impl Reports {
    /// Says whether it is the first to wait: then somebody has to see to them.
    fn put(&self, property: PropertyId, waiting: Waiting) -> bool {
        let mut reports = lock(&self.0);
        let reports = reports.entry(property).or_default();
        reports.push(waiting);
        reports.len() == 1
    }

    fn take(&self, property: PropertyId) -> Vec<Waiting> {
        lock(&self.0).remove(&property).unwrap_or_default()
    }
}

/// Returns once it is on disk.
pub(super) async fn keep(app: &Shared, property: PropertyId, report: Report) -> Result<(), Fault> {
    let (kept, is_kept) = oneshot::channel();
    if app.reports.put(property, Waiting { report, kept }) {
        // For all who come until then: it has to end although this line may.
        tokio::spawn(keep_waiting(app.clone(), property));
    }
    is_kept
        .await
        .unwrap_or_else(|_| Err(StoreError::Closed.into()))
}

async fn keep_waiting(app: Shared, property: PropertyId) {
    // Taken by the first run; another keeps the same.
    let taken = Arc::new(Mutex::new(None));
    let keep = {
        let (app, taken) = (app.clone(), Arc::clone(&taken));
        move |tx: &mut dyn Tx| {
            let mut taken = lock(&taken);
            let together = taken.get_or_insert_with(|| app.reports.take(property));
            let reports = together.iter().map(|waiting| &waiting.report);
            event::keep_reports(tx, &app.tools, property, reports)
        }
    };
    let kept = app.store.write(property, keep).await;
    let never_ran = || app.reports.take(property);
    let together = lock(&taken).take().unwrap_or_else(never_ran);
    let is_one = together.len() == 1;
    for waiting in together {
        if kept.is_err() && !is_one {
            // Whichever of them is refused, it must not take the others with it.
            tokio::spawn(keep_alone(app.clone(), property, waiting));
        } else {
            // The line may be gone.
            let _ = waiting.kept.send(kept.clone());
        }
    }
}

async fn keep_alone(app: Shared, property: PropertyId, waiting: Waiting) {
    let Waiting { report, kept } = waiting;
    let (tools, report) = (app.tools.clone(), Arc::new(report));
    let keep =
        move |tx: &mut dyn Tx| event::keep_reports(tx, &tools, property, std::iter::once(&*report));
    let _ = kept.send(app.store.write(property, keep).await);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
