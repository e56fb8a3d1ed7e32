//! Which network a request comes from, by what proxies and others write in its headers.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use latchkey_fuzz::Script;
use latchkey_portal::auth::network::{FORWARDED_FOR, client, network};

/// The operator's own.
const TRUSTED: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0),
        8,
    )),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let peer = address(&mut script);
    let mut lines = Vec::new();
    while !script.is_over() && lines.len() < 4 {
        lines.extend(HeaderValue::from_bytes(script.piece()));
    }
    let found = client(peer, &headers(&lines), &TRUSTED);
    assert_eq!(found, found.to_canonical());
    within_its_network(found);

    let trusts = |address: IpAddr| TRUSTED.iter().any(|net| net.contains(&address));
    if !trusts(peer.to_canonical()) {
        assert_eq!(found, peer.to_canonical(), "it spoke for itself");
    }
    if !trusts(found) {
        // Whatever it had written before it came to the first trusted proxy.
        let before = HeaderValue::from_static("192.0.2.77, 10.0.0.3, nobody");
        lines.insert(0, before);
        assert_eq!(client(peer, &headers(&lines), &TRUSTED), found);
    }
});

fn headers(lines: &[HeaderValue]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(FORWARDED_FOR, line.clone());
    }
    headers
}

fn address(script: &mut Script<'_>) -> IpAddr {
    let kind = script.byte();
    let last: [u8; 4] = std::array::from_fn(|_| script.byte());
    match kind % 4 {
        0 => Ipv4Addr::new(10, 0, 0, 1).into(),
        1 => Ipv4Addr::from(last).into(),
        2 => Ipv4Addr::from(last).to_ipv6_mapped().into(),
        _ => Ipv6Addr::from([
            0xfd, kind, 0, 0, 0, 0, 0, 0, last[0], last[1], 0, 0, 0, 0, 0, 1,
        ])
        .into(),
    }
}

/// What limits count by says which addresses they are, and this is one.
fn within_its_network(address: IpAddr) {
    let text = network(address);
    match address {
        IpAddr::V4(address) => assert_eq!(text.parse(), Ok(address)),
        IpAddr::V6(address) => {
            let net: Ipv6Net = format!("{text}::/64").parse().expect("a network");
            assert!(net.contains(&address), "{text}");
        }
    }
}
