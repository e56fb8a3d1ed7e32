//! The headers of a request that say who asks: lines `name: value`, as they come.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use latchkey_portal::auth::headers::{
    GUEST_COOKIE, access_token, guest_token, idempotency_key, proof, says_json,
};
use latchkey_protocol::api::IDEMPOTENCY_KEY;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(16) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if let Some(token) = access_token(&headers) {
        assert!(token.len() <= 256);
        let value = only(&headers, "authorization");
        let (scheme, rest) = value.split_at(5);
        assert!(scheme.eq_ignore_ascii_case("dpop ") && rest == token);
        let mut twice = headers.clone();
        twice.append("authorization", HeaderValue::from_static("DPoP other"));
        assert_eq!(access_token(&twice), None, "which of the two?");
    }
    if let Some(proof) = proof(&headers).filter(|proof| !proof.is_empty()) {
        assert_eq!(only(&headers, "dpop"), proof);
    }
    if let Some(token) = guest_token(&headers) {
        assert!(!token.contains(';'));
        let cookie = format!("{GUEST_COOKIE}={token}");
        let mut cookies = headers.get_all("cookie").iter();
        assert!(cookies.any(|value| value.to_str().is_ok_and(|value| value.contains(&cookie))));
    }
    if let Ok(key) = idempotency_key(&headers) {
        assert!((8..=255).contains(&key.len()));
        assert_eq!(headers[IDEMPOTENCY_KEY], key);
    }
    if says_json(&headers) {
        let kind = headers["content-type"].to_str().expect("text");
        let kind = kind.trim().to_ascii_lowercase();
        assert!(kind.starts_with("application/json"), "{kind}");
    }
});

fn only<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    let value = values.next().expect("a header that was read");
    assert!(values.next().is_none(), "it is there once");
    value.to_str().expect("text")
}
