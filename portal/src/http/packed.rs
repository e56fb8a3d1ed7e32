//! JSON that goes packed (gzip, RFC 9110, section 8.4.1.3) to whoever says that it reads that.
//!
//! Only for answers in which no secret stands: who can put text of their own beside one, and sees how long the answer
//! is, guesses the secret bit by bit (BREACH). So never for tokens, sign-ins and links. A sync's page has none: grants
//! and passes are signed statements that open nothing without the device's private key, and a cursor counts for its
//! person alone.

use std::io::Write as _;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use http::request::Parts;
use serde::Serialize;

use super::Shared;
use crate::fault::Fault;

/// Below this many bytes, gzip's own frame is most of what it would save.
const WORTH_IT: usize = 200;

/// How this client takes an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    gzip: bool,
}

impl FromRequestParts<Shared> for Packing {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Fault> {
        Ok(Self {
            gzip: reads_gzip(&parts.headers),
        })
    }
}

impl Packing {
    /// The answer. Its length stands at its head, packed or not.
    pub(super) async fn json<T: Serialize>(self, answer: &T) -> Result<Response, Fault> {
        let unwritten =
            |error: &dyn std::fmt::Display| Fault::Internal(format!("an answer: {error}"));
        let plain = serde_json::to_vec(answer).map_err(|error| unwritten(&error))?;
        let mut response = if self.gzip && plain.len() >= WORTH_IT {
            // A page with bundles has megabytes: not while other requests wait.
            let packing = tokio::task::spawn_blocking(move || packed(&plain));
            let packed = packing.await.map_err(|error| unwritten(&error))?;
            let packed = packed.map_err(|error| unwritten(&error))?;
            let encoding = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
            (encoding, packed).into_response()
        } else {
            plain.into_response()
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        Ok(response)
    }
}

fn packed(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(plain)?;
    gzip.finish()
}

/// Whether gzip is named, and not with the weight zero. What `*` would allow, nobody has asked for.
fn reads_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let codings = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let mut named = codings.filter_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        name.trim().eq_ignore_ascii_case("gzip").then_some(weight)
    });
    named.any(|weight| {
        let weight = weight.trim().to_ascii_lowercase();
        let weight = weight
            .strip_prefix("q=")
            .and_then(|weight| weight.parse::<f32>().ok());
        weight.is_some_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_name_it() {
        for (line, reads) in [
            ("gzip", true),
            ("br, GZip;q=0.5", true),
            ("deflate,gzip ; q=1", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("gzip;level=9", false),
            ("*", false),
            ("identity, x-gzipped", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, line.parse().unwrap());
            assert_eq!(reads_gzip(&headers), reads, "{line}");
        }
        assert!(!reads_gzip(&HeaderMap::new()));
    }
}
