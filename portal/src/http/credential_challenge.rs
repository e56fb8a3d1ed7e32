//! `POST /v1/properties/{property}/credentials/challenge`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::auth::CredentialChallenge;
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::challenge;

/// A nonce to sign with the key that is to be registered.
#[utoipa::path(post, path = "/v1/properties/{property}/credentials/challenge", tag = "property",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = CredentialChallenge, description = "The nonce"), Problems))]
pub(super) async fn credential_challenge(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<()>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::OK,
        |tx, tools, member, ()| {
            let (nonce, expires_at) = challenge::make(
                tx,
                tools,
                member.property,
                &member.device.0,
                challenge::OF_A_DEVICE,
            )?;
            Ok(CredentialChallenge {
                nonce: nonce[..].into(),
                expires_at,
            })
        },
    )
    .await
}
