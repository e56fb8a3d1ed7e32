//! `POST /v1/properties/{property}/keys/{key}/link`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::keys::SharedLink;
use latchkey_protocol::ids::{KeyId, PropertyId};

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::link;

/// A new link for a QR key. The one before, its passes and its codes end.
#[utoipa::path(post, path = "/v1/properties/{property}/keys/{key}/link", tag = "keys",
    params(("property" = PropertyId, Path), ("key" = KeyId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, body = SharedLink, description = "The link, shown once"), Problems))]
pub(super) async fn key_link(
    State(app): State<Shared>,
    Path((property, key)): Path<(PropertyId, KeyId)>,
    caller: Caller,
    write: Write<()>,
) -> Result<Response, Fault> {
    let page = app.origin.url("/g/");
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::CREATED,
        move |tx, tools, member, ()| {
            let token = link::share(tx, tools, member, key)?;
            Ok(SharedLink {
                url: format!("{page}#{token}"),
            })
        },
    )
    .await
}
