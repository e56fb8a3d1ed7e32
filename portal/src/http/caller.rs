//! Who calls: a session by its access token and proof of possession (RFC 9449, section 7).

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use latchkey_protocol::api::problem::ProblemType;

use super::Shared;
use crate::auth::dpop::{self, Proof, Refused, Request};
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
        let token = access_token(parts)?.to_owned();
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

fn access_token(parts: &Parts) -> Result<&str, Fault> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Fault::new(ProblemType::NotSignedIn));
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("DPoP") && token.len() <= 256)
        .map(|(_, token)| token)
        .ok_or(Fault::new(ProblemType::NotSignedIn))
}

fn proof(parts: &Parts, app: &Shared, token: Option<&str>) -> Result<Proof, Fault> {
    let mut values = parts.headers.get_all("dpop").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        let missing = "send exactly one DPoP header with the request";
        return Err(Fault::because(ProblemType::BadProof, missing));
    };
    let request = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        access_token: token,
    };
    let proof = value.to_str().unwrap_or_default();
    dpop::verify(proof, &request, &app.origin, &app.nonces, app.tools.now()).map_err(|refused| {
        match refused {
            Refused::Nonce => Fault::new(ProblemType::UseDpopNonce),
            Refused::Bad(why) => Fault::because(ProblemType::BadProof, why),
        }
    })
}
