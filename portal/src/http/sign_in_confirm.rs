//! `POST /v1/sign-in/{sign_in}`

use axum::Json;
use axum::extract::{Path, State};
use latchkey_protocol::api::auth::{SignInConfirm, Tokens};
use latchkey_protocol::api::problem::ProblemType;

use super::{Body, Network, Problems, Proven, Shared};
use crate::fault::Fault;
use crate::model::person::normal_name;
use crate::model::sign_in::{self, Checked};
use crate::model::{person, replay, session};
use crate::store::Scope;

/// Tries the code and registers the device whose key made the proof.
#[utoipa::path(post, path = "/v1/sign-in/{sign_in}", tag = "session", request_body = SignInConfirm,
    params(("sign_in" = String, Path, description = "From the first step")),
    responses((status = 200, body = Tokens, description = "Signed in"), Problems))]
pub(super) async fn sign_in_confirm(
    State(app): State<Shared>,
    network: Network,
    Path(id): Path<String>,
    Proven(proof): Proven,
    Body(request): Body<SignInConfirm>,
) -> Result<Json<Tokens>, Fault> {
    let tools = app.tools.clone();
    let device_name = normal_name("device_name", &request.device_name)?;
    let tokens = app
        .store
        .write(Scope::Portal, move |tx| {
            replay::use_up(tx, &proof)?;
            // A wrong try is kept, so it is no error in here.
            let checked = sign_in::check(tx, &id, &request.code, &proof.jkt, tools.now())?;
            let Checked::Verified(email) = checked else {
                return Ok(None);
            };
            if person::properties_of(tx, &email)?.is_empty() {
                return Ok(None);
            }
            sign_in::remember_network(tx, &email, &network.name(), tools.now())?;
            let tokens = session::register(tx, &tools, &email, &proof.jkt, &device_name)?;
            Ok::<_, Fault>(Some(tokens))
        })
        .await?;
    tokens.map(Json).ok_or(Fault::new(ProblemType::WrongCode))
}
