//! `POST /v1/properties/{property}/keys/{key}/guest-keys`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::keys::{Key, KeyDraft};
use latchkey_protocol::ids::{KeyId, PropertyId};

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::guest_key;

/// Grants a guest key from a key that the caller holds. Whatever of it would open what that key does not is refused, and
/// named; what that key loses later, it loses in the same moment.
#[utoipa::path(post, path = "/v1/properties/{property}/keys/{key}/guest-keys", tag = "keys",
    params(("property" = PropertyId, Path), ("key" = KeyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = KeyDraft,
    responses((status = 201, body = Key, description = "The guest key"), Problems))]
pub(super) async fn guest_key_create(
    State(app): State<Shared>,
    Path((property, parent)): Path<(PropertyId, KeyId)>,
    caller: Caller,
    write: Write<KeyDraft>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::CREATED,
        move |tx, tools, member, draft| guest_key::grant(tx, tools, member, parent, &draft),
    )
    .await
}
