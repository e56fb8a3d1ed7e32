//! `POST /v1/token`

use axum::Json;
use axum::extract::State;
use latchkey_protocol::api::auth::{RefreshRequest, Tokens};
use latchkey_protocol::api::problem::ProblemType;

use super::{Body, Problems, Proven, Shared};
use crate::fault::Fault;
use crate::model::replay;
use crate::model::session::{self, Refreshed};
use crate::store::Scope;

/// The next pair of tokens.
#[utoipa::path(post, path = "/v1/token", tag = "session", request_body = RefreshRequest,
    responses((status = 200, body = Tokens, description = "The next pair"), Problems))]
pub(super) async fn token(
    State(app): State<Shared>,
    Proven(proof): Proven,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<Tokens>, Fault> {
    let tools = app.tools.clone();
    let refreshed = app
        .store
        .write(Scope::Portal, move |tx| {
            replay::use_up(tx, &proof)?;
            Ok::<_, Fault>(session::refresh(
                tx,
                &tools,
                &request.refresh_token,
                &proof.jkt,
            )?)
        })
        .await?;
    match refreshed {
        Refreshed::Tokens(tokens) => Ok(Json(tokens)),
        Refreshed::Unknown => Err(Fault::new(ProblemType::NotSignedIn)),
        Refreshed::OtherKey => Err(Fault::because(
            ProblemType::BadProof,
            "the proof is by another key than the device's",
        )),
        Refreshed::Reused => Err(Fault::new(ProblemType::TokenReused)),
    }
}
