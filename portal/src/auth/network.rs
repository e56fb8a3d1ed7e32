//! Which network a request comes from, for limits: the connection's other end or, where that is a proxy that the operator
//! trusts, whom the proxy names.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Header in which each proxy adds whom it has heard, at the end.
pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// Reads what proxies say from its end, for as long as a trusted one says it: whatever stands before that, anybody may
/// have written.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let said: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .collect();
    let mut client = peer.to_canonical();
    for hop in said.into_iter().rev() {
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
        match address(hop.trim()) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// Some proxies write the port as well.
fn address(text: &str) -> Option<IpAddr> {
    text.parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
}

/// What limits count by: an IPv4 address, or the network of 64 bits that an IPv6 host chooses its addresses from.
#[must_use]
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_host_with_many_addresses_is_one_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn what_trusted_proxies_say_counts_from_its_end_and_nothing_before_it() {
        let (proxy, inner) = ("10.0.0.1", "10.0.0.2");
        let trusted = &["10.0.0.0/8"];
        assert_eq!(of(proxy, &["192.0.2.7"], trusted), "192.0.2.7");
        assert_eq!(
            of(proxy, &["198.51.100.1, 192.0.2.7"], trusted),
            "192.0.2.7"
        );
        let through_two = format!("192.0.2.7, {inner}");
        assert_eq!(of(proxy, &[&through_two], trusted), "192.0.2.7");
        assert_eq!(of(proxy, &["192.0.2.7", inner], trusted), "192.0.2.7");
        assert_eq!(of(proxy, &["[2001:db8::1]:443"], trusted), "2001:db8::1");
        assert_eq!(of("::ffff:10.0.0.1", &["192.0.2.7"], trusted), "192.0.2.7");
        for nothing in [&[][..], &[""], &["unknown"], &["192.0.2.7, unknown"]] {
            assert_eq!(of(proxy, nothing, trusted), proxy);
        }
        assert_eq!(of("192.0.2.9", &["192.0.2.7"], trusted), "192.0.2.9");
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_itself_it_counts_as_who_it_is(line in "[ -~]{0,80}") {
            prop_assert_eq!(of("192.0.2.9", &[&line], &["10.0.0.0/8"]), "192.0.2.9");
            let added = format!("{line}, 192.0.2.9");
            prop_assert_eq!(of("10.0.0.1", &[&added], &["10.0.0.0/8"]), "192.0.2.9");
        }
    }
}
