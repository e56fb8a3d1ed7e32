//! What happens around every request: its id, its log line, the headers of every answer, problems for errors.

use std::panic::AssertUnwindSafe;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::StatusCode;
use http::header::{CACHE_CONTROL, DATE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use tracing::Instrument as _;

use super::{Shared, problem};
use crate::fault::Fault;
use crate::listen::Peer;

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Marks an answer that ends when it likes; its connection rests once it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct GoesOn;

/// Names a request in the log and in its problem.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Wraps every route and what matches none.
pub(super) async fn around(
    State(app): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let progress = request
        .extensions()
        .get::<ConnectInfo<Peer>>()
        .map(|peer| peer.0.progress.clone());
    if let Some(progress) = &progress {
        progress.head_is_here();
    }
    let id = RequestId(hex::encode(app.tools.random::<8>()));
    request.extensions_mut().insert(id.clone());
    // The pattern, not the address: ids stay out of metrics, and whatever a client puts there out of the log.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "unmatched".to_owned());
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = %id.0, %method, %route);
    let started = app.tools.clock.monotonic();
    async {
        let response = next.run(request).await;
        let mut response = problem::finish(response, &id);
        let took = app.tools.clock.monotonic().saturating_sub(started);
        app.metrics
            .request(&method, &route, response.status(), took);
        tracing::info!(
            status = response.status().as_u16(),
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        let now = app.tools.clock.now();
        let headers = response.headers_mut();
        // Phones correct their clocks by it (RFC 9110, section 6.6.1).
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        insert(headers, DATE, &date);
        insert(headers, DPOP_NONCE, &app.nonces.make(now));
        insert(headers, REQUEST_ID, &id.0);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers
            .entry(CACHE_CONTROL)
            .or_insert_with(|| HeaderValue::from_static("no-store"));
        // Who was switched to another protocol sends no more heads, and a stream says itself when it has ended.
        if let Some(progress) = progress
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
            && response.extensions().get::<GoesOn>().is_none()
        {
            progress.answered();
        }
        response
    }
    .instrument(span)
    .await
}

fn insert(headers: &mut http::HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A panic answers one request and ends nothing else.
pub(super) async fn one_problem_for_a_panic(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Fault::Internal("a handler panicked".to_owned()).into_response())
}
