//! `DELETE /v1/properties/{property}/keys/{key}`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::ids::{KeyId, PropertyId};

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::key_write;

/// Withdraws a key: its grants, passes and links end, and the guest keys that were granted from it.
#[utoipa::path(delete, path = "/v1/properties/{property}/keys/{key}", tag = "keys",
    params(("property" = PropertyId, Path), ("key" = KeyId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = Key, description = "The key, withdrawn"), Problems))]
pub(super) async fn key_withdraw(
    State(app): State<Shared>,
    Path((property, id)): Path<(PropertyId, KeyId)>,
    caller: Caller,
    write: Write<()>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::OK,
        move |tx, tools, member, ()| key_write::withdraw(tx, tools, member, id),
    )
    .await
}
