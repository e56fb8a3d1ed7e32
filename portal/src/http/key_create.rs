//! `POST /v1/properties/{property}/keys`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::keys::{Key, KeyDraft};
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::key_write;

/// Issues a key.
#[utoipa::path(post, path = "/v1/properties/{property}/keys", tag = "keys",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = KeyDraft,
    responses((status = 201, body = Key, description = "The key"), Problems))]
pub(super) async fn key_create(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<KeyDraft>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::CREATED,
        |tx, tools, member, draft| key_write::issue(tx, tools, member, &draft),
    )
    .await
}
