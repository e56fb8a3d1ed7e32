//! The guest's page: files that `cargo xtask web` builds into `portal/web/dist` and that stand in this binary.
//! The policy names script and style by hash, so that nothing else runs in the page.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

const PAGE: &str = include_str!("../../web/dist/guest.html");
const WORKER: &str = include_str!("../../web/dist/sw.js");
const ICON: &str = include_str!("../../web/dist/icon.svg");
const MANIFEST: &str = include_str!("../../web/dist/manifest.webmanifest");
const POLICY: &str = include_str!("../../web/dist/policy.txt");

/// `/g/` and the files beside it.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/g", get(|| async { Redirect::permanent("/g/") }))
        .route(
            "/g/",
            get(|| async { file("text/html; charset=utf-8", PAGE) }),
        )
        .route(
            "/g/sw.js",
            get(|| async { file("text/javascript; charset=utf-8", WORKER) }),
        )
        .route("/g/icon.svg", get(|| async { file("image/svg+xml", ICON) }))
        .route(
            "/g/manifest.webmanifest",
            get(|| async { file("application/manifest+json", MANIFEST) }),
        )
}

/// Never kept by intermediaries: a page with an older script must not outlive a release. The service worker keeps
/// what the page needs without a network.
fn file(media_type: &'static str, body: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body)
}
