//! `PUT /v1/properties/{property}/keys/{key}`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::keys::{Key, KeyDraft};
use latchkey_protocol::ids::{KeyId, PropertyId};

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::key_write;

/// Writes a key anew. Guest keys that were granted from it are cut to it, or end.
#[utoipa::path(put, path = "/v1/properties/{property}/keys/{key}", tag = "keys",
    params(("property" = PropertyId, Path), ("key" = KeyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = KeyDraft,
    responses((status = 200, body = Key, description = "The key as it is now"), Problems))]
pub(super) async fn key_edit(
    State(app): State<Shared>,
    Path((property, id)): Path<(PropertyId, KeyId)>,
    caller: Caller,
    write: Write<KeyDraft>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::OK,
        move |tx, tools, member, draft| key_write::edit(tx, tools, member, id, &draft),
    )
    .await
}
