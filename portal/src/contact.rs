//! Where somebody or something is reached, as people write it.

const LONGEST_MAIL: usize = 254;
const LONGEST_STREAM: usize = 255;

/// A mail address as it is compared: no white space around it, lower case.
#[must_use]
pub fn mail(text: &str) -> Option<String> {
    let address = text.trim().to_lowercase();
    let fits = address.len() <= LONGEST_MAIL
        && address
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !address
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c));
    fits.then_some(address)
}

/// `host:port` that somebody could connect to.
#[must_use]
pub fn stream(text: &str) -> Option<String> {
    let address = text.trim();
    let fits = address.len() <= LONGEST_STREAM
        && address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
        && !address
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "/@?#".contains(c));
    fits.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_in_one_spelling_and_the_rest_is_refused() {
        assert_eq!(
            mail(" Olga@Harbour.Example\n").as_deref(),
            Some("olga@harbour.example")
        );
        for refused in [
            "",
            "olga",
            "@harbour",
            "olga@",
            "a@b, c@d",
            "Olga <o@h>",
            "o@h\r\nx",
        ] {
            assert_eq!(mail(refused), None, "{refused}");
        }
        assert_eq!(mail(&format!("a@{}", "b".repeat(253))), None);
        assert_eq!(
            stream(" gate.local:7000 ").as_deref(),
            Some("gate.local:7000")
        );
        assert_eq!(stream("[fe80::1]:7000").as_deref(), Some("[fe80::1]:7000"));
        for refused in [
            "",
            "gate",
            ":7000",
            "gate:0",
            "gate:70000",
            "http://gate:80",
            "a b:1",
        ] {
            assert_eq!(stream(refused), None, "{refused}");
        }
    }
}
