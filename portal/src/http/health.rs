//! `GET /healthz`, `/readyz`, and on a listener of its own `/metrics`: for whoever runs the portal.

use axum::extract::State;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::{Problems, Shared};
use crate::fault::Fault;
use crate::issue::epoch;
use crate::model::property;
use crate::store::Tx;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "portal", responses((status = 200, description = "It runs")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The portal can do its work: its store answers, its signer has every property's keys, and none was restored from a
/// backup without a new epoch.
#[utoipa::path(get, path = "/readyz", tag = "portal",
    responses((status = 200, description = "It can work"), Problems))]
pub(super) async fn readyz(State(app): State<Shared>) -> Result<&'static str, Fault> {
    let properties = app
        .store
        .read(|tx| property::all(tx).map_err(Fault::from))
        .await?;
    for property in properties {
        let tools = app.tools.clone();
        let current = move |tx: &mut dyn Tx| epoch::current(tx, &tools, property);
        app.store.write(property, current).await?;
    }
    Ok("ready\n")
}

/// Counters for Prometheus.
pub(super) async fn metrics(
    State(app): State<Shared>,
) -> Result<(StatusCode, [(http::HeaderName, &'static str); 1], String), Fault> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok((StatusCode::OK, [(CONTENT_TYPE, kind)], app.metrics.text()?))
}
