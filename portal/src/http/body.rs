//! Bodies: JSON of at most 256 KiB, read within ten seconds.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::HeaderMap;
use latchkey_protocol::api::problem::ProblemType;
use serde::de::DeserializeOwned;

use super::Shared;
use crate::auth::headers::says_json;
use crate::fault::Fault;

const MOST: usize = 256 * 1024;
const MOST_THROWN_AWAY: usize = 4 * 1024 * 1024;
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
    match latchkey_env::timeout(&*app.tools.clock, WITHIN, whole(body)).await {
        Ok(body) => body,
        Err(_) => Err(Fault::because(
            ProblemType::BadRequest,
            format!("the body did not come within {} seconds", WITHIN.as_secs()),
        )),
    }
}

/// Of a body that is too long the rest is read, up to a bound, and thrown away: a client that is still sending when its
/// connection ends does not see the answer.
async fn whole(body: axum::body::Body) -> Result<Bytes, Fault> {
    let mut pieces = body.into_data_stream();
    let (mut kept, mut length) = (BytesMut::new(), 0_usize);
    while let Some(piece) = pieces.next().await {
        let broke_off = |_| Fault::because(ProblemType::BadRequest, "the body broke off");
        let piece = piece.map_err(broke_off)?;
        length = length.saturating_add(piece.len());
        if length <= MOST {
            kept.extend_from_slice(&piece);
        } else if length > MOST_THROWN_AWAY {
            break;
        }
    }
    if length > MOST {
        return Err(Fault::because(
            ProblemType::TooLarge,
            format!("at most {MOST} bytes"),
        ));
    }
    Ok(kept.freeze())
}

/// Reads JSON. No body at all is `null`.
pub(super) fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Fault> {
    if bytes.is_empty() {
        return serde_json::from_slice(b"null")
            .map_err(|_| Fault::because(ProblemType::BadRequest, "a JSON body is missing"));
    }
    if !says_json(headers) {
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
