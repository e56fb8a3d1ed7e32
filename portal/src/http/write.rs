//! Writes that may be repeated safely.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::PropertyId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::{parse, read};
use super::{Caller, Shared};
use crate::auth::headers::{NoKey, idempotency_key};
use crate::auth::secret;
use crate::fault::Fault;
use crate::model::idempotency;
use crate::model::member::{self, Member};
use crate::store::Tx;
use crate::tools::Tools;

/// A body with what makes its write repeatable.
pub(crate) struct Write<T> {
    pub(crate) body: T,
    key: String,
    request: secret::Hash,
}

impl<T: DeserializeOwned> FromRequest<Shared> for Write<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        let key = idempotency_key(&parts.headers).map_err(|no_key| match no_key {
            NoKey::Missing => Fault::new(ProblemType::IdempotencyMissing),
            NoKey::Unfit => Fault::because(
                ProblemType::BadRequest,
                "an Idempotency-Key has 8 to 255 characters",
            ),
        })?;
        let key = key.to_owned();
        let bytes = read(body, app).await?;
        let what = format!("{} {}\n", parts.method, parts.uri.path());
        Ok(Self {
            body: parse(&parts.headers, &bytes)?,
            key,
            request: secret::hash(&[what.as_bytes(), &bytes].concat()),
        })
    }
}

/// Runs a member's write once: who asks again with the same key and request gets the first answer.
pub(crate) async fn once<B, T, F>(
    app: &Shared,
    caller: Caller,
    property: PropertyId,
    write: Write<B>,
    status: StatusCode,
    operation: F,
) -> Result<Response, Fault>
where
    T: Serialize,
    B: Clone + Send + 'static,
    F: FnOnce(&mut dyn Tx, &Tools, &Member, B) -> Result<T, Fault> + Clone + Send + 'static,
{
    let tools = app.tools.clone();
    let (status, answer) = app
        .store
        .write(property, move |tx| {
            let member = member::of(tx, &caller.0, property)?;
            let asked = idempotency::Write {
                property,
                owner: member.account,
                key: write.key,
                request: write.request,
            };
            if let Some(answered) = idempotency::answered(tx, &asked)? {
                return Ok::<_, Fault>(answered);
            }
            let answer = operation(tx, &tools, &member, write.body)?;
            let answer = serde_json::to_vec(&answer)
                .map_err(|error| Fault::Internal(format!("an answer: {error}")))?;
            idempotency::keep(tx, &asked, status.as_u16(), &answer, tools.now())?;
            Ok((status.as_u16(), answer))
        })
        .await?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if status == StatusCode::NO_CONTENT {
        return Ok(status.into_response());
    }
    Ok((status, [(CONTENT_TYPE, "application/json")], answer).into_response())
}
