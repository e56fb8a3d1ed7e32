//! Who calls: a session by its access token and proof of possession (RFC 9449, section 7).

use axum::extract::FromRequestParts;
use http::request::Parts;
use latchkey_protocol::api::problem::ProblemType;

use super::Shared;
use crate::auth::dpop::{self, Proof, Refused, Request};
use crate::auth::headers;
use crate::fault::Fault;
use crate::model::replay;
use crate::model::session::{self, Session};
use crate::store::Scope;

/// A signed-in caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Session);

impl FromRequestParts<Shared> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Fault> {
        let token = headers::access_token(&parts.headers);
        let token = token
            .ok_or(Fault::new(ProblemType::NotSignedIn))?
            .to_owned();
        let proof = proof(parts, app, Some(&token))?;
        let now = app.tools.now();
        app.store
            .write(Scope::Portal, move |tx| {
                let session = session::of_token(tx, &token, now)?
                    .ok_or(Fault::new(ProblemType::NotSignedIn))?;
                if session.jkt != proof.jkt {
                    let other = "the proof is by another key than the token's";
                    return Err(Fault::because(ProblemType::BadProof, other));
                }
                replay::use_up(tx, &proof)?;
                Ok(Self(session))
            })
            .await
    }
}

/// A proof of possession without a token; the operation uses it up.
#[derive(Debug, Clone)]
pub(crate) struct Proven(pub(crate) Proof);

impl FromRequestParts<Shared> for Proven {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Fault> {
        proof(parts, app, None).map(Self)
    }
}

fn proof(parts: &Parts, app: &Shared, token: Option<&str>) -> Result<Proof, Fault> {
    let missing = "send exactly one DPoP header with the request";
    let proof = headers::proof(&parts.headers)
        .ok_or_else(|| Fault::because(ProblemType::BadProof, missing))?;
    let request = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        access_token: token,
    };
    dpop::verify(proof, &request, &app.origin, &app.nonces, app.tools.now()).map_err(|refused| {
        match refused {
            Refused::Nonce => Fault::new(ProblemType::UseDpopNonce),
            Refused::Bad(why) => Fault::because(ProblemType::BadProof, why),
        }
    })
}
