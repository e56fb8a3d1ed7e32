//! `POST /v1/properties/{property}/doors`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::doors::{Door, NewDoor};
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::door;

/// Adds a door.
#[utoipa::path(post, path = "/v1/properties/{property}/doors", tag = "doors",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = NewDoor,
    responses((status = 201, body = Door, description = "The door"), Problems))]
pub(super) async fn door_create(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<NewDoor>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::CREATED,
        |tx, tools, member, new| door::create(tx, tools, member, &new),
    )
    .await
}
