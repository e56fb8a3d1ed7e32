//! `GET /v1/guest/pass`

use axum::Json;
use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use latchkey_protocol::api::links::GuestPass;
use latchkey_protocol::api::problem::ProblemType;

use super::{Problems, Shared};
use crate::auth::headers::{GUEST_COOKIE, guest_token};
use crate::fault::Fault;
use crate::model::guest::{self, Shown};
use crate::store::Tx;

/// The guest's cookie as it is set: for scripts out of reach, for this site alone.
pub(super) fn cookie(app: &Shared, token: &str) -> String {
    let secure = if app.origin.is_https() {
        "; Secure"
    } else {
        ""
    };
    let (path, max_age) = (
        app.origin.path("/v1/guest"),
        guest::COOKIE_LIFE.num_seconds(),
    );
    format!(
        "{GUEST_COOKIE}={token}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"
    )
}

/// The token in a guest's cookie.
pub(super) struct GuestToken(pub(super) String);

impl FromRequestParts<Shared> for GuestToken {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Fault> {
        guest_token(&parts.headers)
            .map(|token| Self(token.to_owned()))
            .ok_or(Fault::new(ProblemType::NotSignedIn))
    }
}

/// All that a guest's page needs to work, offline too. Renews the pass's statement when it is due.
#[utoipa::path(get, path = "/v1/guest/pass", tag = "guest",
    responses((status = 200, body = GuestPass, description = "The pass"), Problems))]
pub(super) async fn guest_pass(
    State(app): State<Shared>,
    token: GuestToken,
) -> Result<Json<GuestPass>, Fault> {
    let (tools, cookie) = (app.tools.clone(), token.0);
    let look = {
        let (tools, cookie) = (tools.clone(), cookie.clone());
        move |tx: &mut dyn Tx| guest::look(tx, &tools, &cookie)
    };
    let renew = match app.store.read(look).await? {
        Shown::Pass(pass) => return Ok(Json(*pass)),
        Shown::Due(property) => app
            .store
            .write(property, move |tx| guest::show(tx, &tools, &cookie)),
    };
    renew.await.map(Json)
}
