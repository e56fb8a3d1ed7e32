//! `POST /v1/properties/{property}/doors/{door}/controllers`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::doors::{InstallController, InstalledController};
use latchkey_protocol::ids::{DoorId, PropertyId};

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::controller;

/// Certifies the controller whose code the installer has scanned.
#[utoipa::path(post, path = "/v1/properties/{property}/doors/{door}/controllers", tag = "doors",
    params(("property" = PropertyId, Path), ("door" = DoorId, Path), ("Idempotency-Key" = String, Header)),
    request_body = InstallController,
    responses((status = 201, body = InstalledController, description = "What the controller needs"), Problems))]
pub(super) async fn door_controllers(
    State(app): State<Shared>,
    Path((property, door)): Path<(PropertyId, DoorId)>,
    caller: Caller,
    write: Write<InstallController>,
) -> Result<Response, Fault> {
    let portal_url = app.origin.url("");
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::CREATED,
        move |tx, tools, member, install| {
            controller::install(tx, tools, member, door, &install, &portal_url)
        },
    )
    .await
}
