//! `POST /v1/commissioning`, `GET /v1/commissioning/{code}`: what a controller that belongs to nobody asks.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use latchkey_protocol::api::doors::{ControllerOffer, InstalledController};

use super::{Body, Network, Problems, Shared};
use crate::fault::Fault;
use crate::model::offer;
use crate::store::{Scope, Tx};

/// Lays an offer before the portal, where it waits an hour for an installer.
#[utoipa::path(post, path = "/v1/commissioning", tag = "doors", request_body = ControllerOffer,
    responses((status = 202, description = "Waiting for an installer"), Problems))]
pub(super) async fn offer(
    State(app): State<Shared>,
    network: Network,
    Body(request): Body<ControllerOffer>,
) -> Result<StatusCode, Fault> {
    let tools = app.tools.clone();
    let work = move |tx: &mut dyn Tx| offer::lay(tx, &tools, &request.offer.0, &network.name());
    app.store.write(Scope::Portal, work).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What the controller needs, once an installer has installed it; nothing there until then.
#[utoipa::path(get, path = "/v1/commissioning/{code}", tag = "doors",
    params(("code" = String, Path, description = "The code that the controller shows")),
    responses((status = 200, body = InstalledController, description = "Installed"), Problems))]
pub(super) async fn collect(
    State(app): State<Shared>,
    Path(code): Path<String>,
) -> Result<Json<InstalledController>, Fault> {
    let now = app.tools.now();
    app.store
        .read(move |tx| offer::answer(tx, &code, now).map(Json))
        .await
}
