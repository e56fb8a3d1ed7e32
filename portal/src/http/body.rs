//! Bodies: JSON of at most 256 KiB, read within ten seconds.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use latchkey_protocol::api::problem::ProblemType;
use serde::de::DeserializeOwned;

use super::Shared;
use crate::fault::Fault;

const MOST: usize = 256 * 1024;
const WITHIN: Duration = Duration::from_secs(10);

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, app).await?;
        parse(&parts.headers, &bytes).map(Self)
    }
}

/// All of a body.
pub(super) async fn read(body: axum::body::Body, app: &Shared) -> Result<Bytes, Fault> {
    let reading = axum::body::to_bytes(body, MOST);
    match latchkey_env::timeout(&*app.tools.clock, WITHIN, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => Err(Fault::because(
            ProblemType::TooLarge,
            format!("at most {MOST} bytes"),
        )),
        Ok(Err(_)) => Err(Fault::because(
            ProblemType::BadRequest,
            "the body broke off",
        )),
        Err(_) => Err(Fault::because(
            ProblemType::BadRequest,
            format!("the body did not come within {} seconds", WITHIN.as_secs()),
        )),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}

/// Reads JSON. No body at all is `null`.
pub(super) fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Fault> {
    if bytes.is_empty() {
        return serde_json::from_slice(b"null")
            .map_err(|_| Fault::because(ProblemType::BadRequest, "a JSON body is missing"));
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Fault::new(ProblemType::UnsupportedMediaType));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let kind = match error.classify() {
            serde_json::error::Category::Data => ProblemType::InvalidValue,
            _ => ProblemType::BadRequest,
        };
        Fault::because(kind, error.to_string())
    })
}
