//! `POST /v1/links/bind`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::SET_COOKIE;
use latchkey_protocol::api::links::{BindLink, GuestPass};

use super::{Body, Problems, Shared, guest_pass};
use crate::fault::Fault;
use crate::model::link;
use crate::store::Tx;

/// Binds a link to this browser: makes its pass and sets the guest's cookie.
#[utoipa::path(post, path = "/v1/links/bind", tag = "guest", request_body = BindLink,
    responses((status = 200, body = GuestPass, description = "The pass"), Problems))]
pub(super) async fn link_bind(
    State(app): State<Shared>,
    Body(request): Body<BindLink>,
) -> Result<Response, Fault> {
    let (tools, token) = (app.tools.clone(), request.token.clone());
    let property = app.store.read(move |tx| link::property_of(tx, &token));
    let work = move |tx: &mut dyn Tx| link::bind(tx, &tools, &request);
    let (cookie, pass) = app.store.write(property.await?, work).await?;
    let cookie = guest_pass::cookie(&app, &cookie);
    Ok(([(SET_COOKIE, cookie)], Json(pass)).into_response())
}
