//! `POST /v1/sign-in`

use axum::Json;
use axum::extract::State;
use latchkey_protocol::api::auth::{SignInRequest, SignInStarted};

use super::{Body, Network, Problems, Shared};
use crate::fault::Fault;
use crate::model::sign_in;
use crate::store::{Scope, Tx};

/// Asks for a code by e-mail. The answer is the same whether the address is known or not.
#[utoipa::path(post, path = "/v1/sign-in", tag = "session", request_body = SignInRequest,
    responses((status = 200, body = SignInStarted, description = "A code is on its way"), Problems))]
pub(super) async fn sign_in(
    State(app): State<Shared>,
    network: Network,
    Body(request): Body<SignInRequest>,
) -> Result<Json<SignInStarted>, Fault> {
    let tools = app.tools.clone();
    let work = move |tx: &mut dyn Tx| sign_in::start(tx, &tools, &request.email, &network.name());
    Ok(Json(app.store.write(Scope::Portal, work).await?))
}
