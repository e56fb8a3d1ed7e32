//! `POST /v1/properties/{property}/credentials`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::auth::{RegisterCredential, RegisteredCredential};
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::credential;

/// Registers a key that this device holds.
#[utoipa::path(post, path = "/v1/properties/{property}/credentials", tag = "property",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = RegisterCredential,
    responses((status = 201, body = RegisteredCredential, description = "Registered"), Problems))]
pub(super) async fn credential_register(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<RegisterCredential>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::CREATED,
        |tx, tools, member, request| credential::register(tx, tools, member, &request),
    )
    .await
}
