//! `POST /v1/properties/{property}/keys/{key}/write-offs`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::keys::{Key, WriteOff};
use latchkey_protocol::ids::{KeyId, PropertyId};

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::{key, uses};

/// Gives up what a lost or wiped controller still holds of a key: its budget is raised by as much.
#[utoipa::path(post, path = "/v1/properties/{property}/keys/{key}/write-offs", tag = "keys",
    params(("property" = PropertyId, Path), ("key" = KeyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = WriteOff,
    responses((status = 200, body = Key, description = "The key as it is now"), Problems))]
pub(super) async fn key_write_off(
    State(app): State<Shared>,
    Path((property, id)): Path<(PropertyId, KeyId)>,
    caller: Caller,
    write: Write<WriteOff>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::OK,
        move |tx, tools, member, request| {
            uses::write_off(tx, tools, member, id, &request)?;
            key::show(tx, member, id, tools.now())
        },
    )
    .await
}
