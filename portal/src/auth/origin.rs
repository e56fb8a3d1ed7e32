//! Which addresses are this portal: what a proof's `htu` may name.

use url::{Host, Url};

/// The portal's address as its users know it.
#[derive(Debug, Clone)]
pub struct Origin(Url);

impl Origin {
    /// With this address.
    #[must_use]
    pub fn new(public_url: Url) -> Self {
        Self(public_url)
    }

    /// `path` (from the root) at this portal.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// `path` as browsers see it: below whatever the public URL has.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.0.path().trim_end_matches('/'))
    }

    /// Whether browsers keep cookies of it for secure connections only.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether `htu` is `path` at this portal. Query and fragment do not count (RFC 9449, section 4.3), `ws` is `http`.
    /// A portal whose own address is this machine's takes each of this machine's names and ports: nobody else is there.
    #[must_use]
    pub fn is(&self, htu: &str, path: &str) -> bool {
        let Ok(url) = Url::parse(htu) else {
            return false;
        };
        let prefix = self.0.path().trim_end_matches('/');
        if url.path() != format!("{prefix}{path}") {
            return false;
        }
        if secure(&url) != secure(&self.0) || secure(&url).is_none() {
            return false;
        }
        if loopback(&self.0) {
            return loopback(&url);
        }
        url.host() == self.0.host() && url.port_or_known_default() == self.0.port_or_known_default()
    }
}

fn secure(url: &Url) -> Option<bool> {
    match url.scheme() {
        "http" | "ws" => Some(false),
        "https" | "wss" => Some(true),
        _ => None,
    }
}

fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_names_this_portal_and_this_path() {
        let origin = Origin::new(Url::parse("https://keys.example/portal/").unwrap());
        assert_eq!(origin.path("/v1/guest"), "/portal/v1/guest");
        assert!(origin.is("https://keys.example/portal/v1/me", "/v1/me"));
        assert!(origin.is("https://keys.example:443/portal/v1/me?x=1#y", "/v1/me"));
        assert!(origin.is("wss://keys.example/portal/v1/me", "/v1/me"));
        for other in [
            "http://keys.example/portal/v1/me",
            "https://keys.example/v1/me",
            "https://keys.example/portal/v1/token",
            "https://other.example/portal/v1/me",
            "https://keys.example:8443/portal/v1/me",
            "ftp://keys.example/portal/v1/me",
            "",
        ] {
            assert!(!origin.is(other, "/v1/me"), "{other}");
        }
    }

    #[test]
    fn a_portal_on_this_machine_goes_by_all_of_its_names() {
        let origin = Origin::new(Url::parse("http://127.0.0.1:8080").unwrap());
        assert!(origin.is("http://localhost:8080/v1/me", "/v1/me"));
        assert!(origin.is("ws://[::1]:9000/v1/me", "/v1/me"));
        assert!(!origin.is("http://evil.example:8080/v1/me", "/v1/me"));
        assert_eq!(origin.url("/g/"), "http://127.0.0.1:8080/g/");
    }
}
