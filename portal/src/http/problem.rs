//! From a [`Fault`] to a problem detail (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use latchkey_protocol::api::problem::{MEDIA_TYPE, Problem, ProblemType};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::RequestId;
use crate::fault::Fault;

/// An answer that [`finish`] makes a problem of.
#[derive(Debug, Clone)]
pub(super) struct Reported(Fault);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind().status());
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(Reported(self));
        response
    }
}

/// Gives every error its body: ours, and those that the framework answers by itself.
pub(super) fn finish(response: Response, id: &RequestId) -> Response {
    let fault = match response.extensions().get::<Reported>() {
        Some(Reported(fault)) => fault.clone(),
        None => match of_status(response.status()) {
            Some(kind) => Fault::new(kind),
            None => return response,
        },
    };
    if fault.kind() == ProblemType::Internal {
        tracing::error!(error = %fault, "a request failed");
    } else if let Fault::Signer(error) = &fault {
        tracing::error!(%error, "the signer refused");
    } else if fault.kind() == ProblemType::StoreUnavailable {
        tracing::error!(error = %fault, "the database cannot be used");
    }
    let (mut parts, _) = response.into_parts();
    let mut problem = Problem::new(fault.kind());
    problem.instance = Some(format!("urn:latchkey:request:{}", id.0));
    problem.detail = fault.detail();
    if let Fault::Refused {
        retry_after: Some(seconds),
        ..
    } = &fault
    {
        parts
            .headers
            .insert(RETRY_AFTER, HeaderValue::from(*seconds));
    }
    let challenge = match fault.kind() {
        ProblemType::NotSignedIn => Some(r#"DPoP algs="ES256", error="invalid_token""#),
        ProblemType::UseDpopNonce => Some(r#"DPoP algs="ES256", error="use_dpop_nonce""#),
        ProblemType::BadProof => Some(r#"DPoP algs="ES256", error="invalid_dpop_proof""#),
        _ => None,
    };
    if let Some(challenge) = challenge {
        parts
            .headers
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    Response::from_parts(parts, body.into())
}

/// What the framework means by a status that no handler of ours gave.
fn of_status(status: StatusCode) -> Option<ProblemType> {
    Some(match status {
        StatusCode::NOT_FOUND => ProblemType::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemType::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemType::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemType::UnsupportedMediaType,
        status if status.is_client_error() => ProblemType::BadRequest,
        status if status.is_server_error() => ProblemType::Internal,
        _ => return None,
    })
}

/// In the OpenAPI document: whatever is not a success is a problem.
pub(crate) struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let response = ResponseBuilder::new()
            .description("A problem of one of the types under /problems")
            .content(MEDIA_TYPE, content)
            .build();
        std::collections::BTreeMap::from([("default".to_owned(), response.into())])
    }
}
