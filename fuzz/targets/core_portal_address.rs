//! A portal's address, typed or read from a code.
#![no_main]

use latchkey_core::portal::address::PortalAddress;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(address) = PortalAddress::parse(text) else {
        return;
    };
    let written = address.as_str();
    assert_eq!(PortalAddress::parse(written), Ok(address.clone()));
    assert!(!written.ends_with('/'), "{written}");
    assert!(!written.contains(['?', '#', ' ']), "{written}");
    let (scheme, rest) = written.split_once("://").expect("a scheme");
    let host = rest.split('/').next().unwrap_or_default();
    assert!(!host.is_empty() && !host.contains('@'), "{written}");
    let socket = address.websocket("/v1/x");
    if scheme == "https" {
        assert!(socket.starts_with("wss://"), "{socket}");
    } else {
        assert_eq!(scheme, "http");
        let this_machine = host.starts_with("127.")
            || host.starts_with("[::1]")
            || host == "localhost"
            || host.contains("localhost:")
            || host.ends_with(".localhost");
        assert!(this_machine, "{written} is on the network, in the clear");
        assert!(socket.starts_with("ws://"), "{socket}");
    }
    assert!(socket.ends_with("/v1/x"));
});
