//! Headers that say who asks, and which write it is.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use latchkey_protocol::api::IDEMPOTENCY_KEY;

/// The cookie that holds a guest's token.
pub const GUEST_COOKIE: &str = "latchkey-guest";

/// Longest access token that is looked for.
const LONGEST_TOKEN: usize = 256;

/// The access token: of exactly one `Authorization: DPoP …`.
#[must_use]
pub fn access_token(headers: &HeaderMap) -> Option<&str> {
    only(headers, AUTHORIZATION.as_str())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("DPoP") && token.len() <= LONGEST_TOKEN
        })
        .map(|(_, token)| token)
}

/// The proof of possession: of exactly one `DPoP` header. What is no text reads as nothing.
#[must_use]
pub fn proof(headers: &HeaderMap) -> Option<&str> {
    only(headers, "dpop")
}

/// The token in a guest's cookie; of several the first.
#[must_use]
pub fn guest_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == GUEST_COOKIE)
        .map(|(_, token)| token)
}

/// Why a write has no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// There is none.
    Missing,
    /// It has not 8 to 255 characters.
    Unfit,
}

/// The idempotency key of a write.
///
/// # Errors
/// [`NoKey`].
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str, NoKey> {
    headers
        .get(IDEMPOTENCY_KEY)
        .ok_or(NoKey::Missing)?
        .to_str()
        .ok()
        .filter(|key| (8..=255).contains(&key.len()))
        .ok_or(NoKey::Unfit)
}

/// Whether the body is said to be JSON.
#[must_use]
pub fn says_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next();
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.to_str().unwrap_or_default()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn of(lines: &[(&str, &[u8])]) -> HeaderMap {
        let line = |(name, value): &(&str, &[u8])| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_bytes(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_token_comes_once_and_behind_its_scheme() {
        let token = |lines: &[(&str, &[u8])]| access_token(&of(lines)).map(str::to_owned);
        assert_eq!(
            token(&[("authorization", b"dpop abc")]).as_deref(),
            Some("abc")
        );
        for refused in [
            &[][..],
            &[
                ("authorization", b"DPoP a".as_slice()),
                ("authorization", b"DPoP a"),
            ],
            &[("authorization", b"Bearer abc")],
            &[("authorization", b"DPoP")],
            &[("authorization", b"DPoP \xff")],
            &[(
                "authorization",
                &[b"DPoP ".as_slice(), &[b'a'; 257]].concat(),
            )],
        ] {
            assert_eq!(token(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn a_guests_token_is_found_among_other_cookies() {
        let headers = of(&[
            ("cookie", b"a=b; Latchkey-Guest=no"),
            ("cookie", b"x; latchkey-guest=T0; latchkey-guest=T1"),
        ]);
        assert_eq!(guest_token(&headers), Some("T0"));
        assert_eq!(guest_token(&of(&[("cookie", b"latchkey-guest")])), None);
    }

    #[test]
    fn a_write_has_a_key_of_fitting_length() {
        let key = |value: &[u8]| idempotency_key(&of(&[(IDEMPOTENCY_KEY, value)])).map(str::len);
        assert_eq!(idempotency_key(&of(&[])), Err(NoKey::Missing));
        assert_eq!(key(b"1234567"), Err(NoKey::Unfit));
        assert_eq!(key(b"12345678"), Ok(8));
        assert_eq!(key(&[b'a'; 255]), Ok(255));
        assert_eq!(key(&[b'a'; 256]), Err(NoKey::Unfit));
        assert_eq!(key(b"1234567\xff"), Err(NoKey::Unfit));
    }

    proptest! {
        #[test]
        fn whatever_a_header_holds_is_read_or_is_nothing(
            value in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            for name in ["authorization", "dpop", "cookie", "idempotency-key", "content-type"] {
                let mut headers = HeaderMap::new();
                headers.insert(name, value.clone());
                prop_assert!(access_token(&headers).is_none_or(|token| token.len() <= LONGEST_TOKEN));
                let _ = (proof(&headers), guest_token(&headers), says_json(&headers));
                prop_assert!(idempotency_key(&headers).is_ok_and(|key| key.len() >= 8)
                    || idempotency_key(&headers).is_err());
            }
        }
    }
}
