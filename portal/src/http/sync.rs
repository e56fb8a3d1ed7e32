//! `GET /v1/properties/{property}/sync`

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use latchkey_protocol::api::sync::SyncPage;
use latchkey_protocol::ids::PropertyId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::packed::Packing;
use super::{Caller, Network, Problems, Shared};
use crate::fault::Fault;
use crate::model::{member, sync};
use crate::store::Wake;

const LONGEST_WAIT: u64 = 25;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// From the last answer; none to begin.
    cursor: Option<String>,
    /// Seconds to hold the answer back until something has changed, at most 25.
    #[serde(default)]
    wait: u64,
}

/// What changed for this person since the cursor.
#[utoipa::path(get, path = "/v1/properties/{property}/sync", tag = "property",
    params(("property" = PropertyId, Path), Asked),
    responses((status = 200, body = SyncPage,
        description = "What changed; gzip for clients that say in Accept-Encoding that they read it"), Problems))]
pub(super) async fn sync(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    Query(asked): Query<Asked>,
    network: Network,
    packing: Packing,
    Caller(caller): Caller,
) -> Result<Response, Fault> {
    let wait = Duration::from_secs(asked.wait.min(LONGEST_WAIT));
    let until = app.tools.clock.monotonic() + wait;
    let _place = match asked.wait {
        0 => None,
        _ => Some(app.waiting.take(Some(network.0))?),
    };
    // Before the first look, so that nothing falls between.
    let mut wakes = app.store.wakes(&[Wake::Changed(property)]);
    loop {
        let page = {
            let (app, caller, cursor) = (app.clone(), caller.clone(), asked.cursor.clone());
            app.clone()
                .store
                .read(move |tx| {
                    let member = member::of(tx, &caller, property)?;
                    sync::page(tx, &app.tools, &app.cursors, &member, cursor.as_deref())
                })
                .await?
        };
        if !page.changes.is_empty() || page.more || asked.cursor.is_none() {
            return packing.json(&page).await;
        }
        let left = until.saturating_sub(app.tools.clock.monotonic());
        let news = latchkey_env::timeout(&*app.tools.clock, left, async {
            tokio::select! {
                news = wakes.next() => news.is_some(),
                () = app.closed() => false,
            }
        });
        if news.await != Ok(true) {
            return packing.json(&page).await;
        }
    }
}
