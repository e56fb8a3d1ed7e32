//! `GET /v1/properties/{property}/keys/{key}`

use axum::Json;
use axum::extract::{Path, State};
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::ids::{KeyId, PropertyId};

use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::{key, member};

/// One key. After a withdrawal, staff see here what it has reached.
#[utoipa::path(get, path = "/v1/properties/{property}/keys/{key}", tag = "keys",
    params(("property" = PropertyId, Path), ("key" = KeyId, Path)),
    responses((status = 200, body = Key, description = "The key"), Problems))]
pub(super) async fn key_show(
    State(app): State<Shared>,
    Path((property, id)): Path<(PropertyId, KeyId)>,
    Caller(caller): Caller,
) -> Result<Json<Key>, Fault> {
    let now = app.tools.now();
    app.store
        .read(move |tx| {
            let member = member::of(tx, &caller, property)?;
            Ok(Json(key::show(tx, &member, id, now)?))
        })
        .await
}
