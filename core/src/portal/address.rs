//! A portal's address.

use url::{Host, Url};

use crate::error::Invalid;

/// A portal's address, as the wallet keeps it: `https`, or `http` on this very machine, without a slash at
/// the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortalAddress(String);

impl PortalAddress {
    /// Reads what a person typed or a code held; a missing scheme means `https`.
    ///
    /// # Errors
    /// [`Invalid::PortalAddress`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::PortalAddress(text.to_owned());
        let trimmed = text.trim();
        let url = if trimmed.contains("://") {
            Url::parse(trimmed)
        } else {
            Url::parse(&format!("https://{trimmed}"))
        }
        .map_err(|_| refused())?;
        let bare = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let safe = match url.scheme() {
            "https" => true,
            "http" => is_this_machine(&url),
            _ => false,
        };
        if !(bare && safe && url.has_host()) {
            return Err(refused());
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same over WebSocket, with a path below.
    #[must_use]
    pub fn websocket(&self, path: &str) -> String {
        // `http` becomes `ws`, `https` becomes `wss`.
        format!("ws{}{path}", self.0.trim_start_matches("http"))
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secure_origins_are_taken_and_the_rest_is_refused() {
        for (text, read) in [
            ("https://portal.example/", "https://portal.example"),
            ("portal.example", "https://portal.example"),
            (
                " https://portal.example/keys/ ",
                "https://portal.example/keys",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(
                PortalAddress::parse(text).map(|a| a.0),
                Ok(read.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            "http://portal.example",
            "ftp://portal.example",
            "https://a:b@portal.example",
            "https://portal.example/?q=1",
            "http://127.0.0.1.example",
        ] {
            assert!(PortalAddress::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_as_itself_and_is_safe(text in ".{0,40}|https?://[a-z0-9./:@?#%]{0,30}") {
            if let Ok(address) = PortalAddress::parse(&text) {
                prop_assert_eq!(PortalAddress::parse(address.as_str()), Ok(address.clone()));
                prop_assert!(!address.as_str().ends_with('/') && !address.as_str().contains(['?', '#']));
                // A path may have one, which is nobody's name.
                prop_assert!(!address.as_str().split('/').nth(2).unwrap_or_default().contains('@'));
            }
        }
    }

    #[test]
    fn a_websocket_keeps_the_security() {
        let at = |text| PortalAddress::parse(text).map(|a| a.websocket("/v1/x"));
        assert_eq!(
            at("https://p.example"),
            Ok("wss://p.example/v1/x".to_owned())
        );
        assert_eq!(
            at("http://localhost:1"),
            Ok("ws://localhost:1/v1/x".to_owned())
        );
    }
}
