//! `POST /v1/properties/{property}/doors/{door}/time`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::doors::{AskTime, DoorTime};
use latchkey_protocol::ids::{DoorId, PropertyId};

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::controller;

/// A phone that stands at a door asks for the time in its name: an answer over the door's nonce.
#[utoipa::path(post, path = "/v1/properties/{property}/doors/{door}/time", tag = "doors",
    params(("property" = PropertyId, Path), ("door" = DoorId, Path), ("Idempotency-Key" = String, Header)),
    request_body = AskTime,
    responses((status = 200, body = DoorTime, description = "The signed time"), Problems))]
pub(super) async fn door_time(
    State(app): State<Shared>,
    Path((property, door)): Path<(PropertyId, DoorId)>,
    caller: Caller,
    write: Write<AskTime>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::OK,
        move |tx, tools, member, asked| controller::time_for(tx, tools, member, door, &asked.nonce),
    )
    .await
}
