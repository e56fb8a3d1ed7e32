//! Mail and stream addresses, as people write them: one line, one address, one spelling.
#![no_main]

use latchkey_portal::contact::{mail, stream};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some(address) = mail(text) {
        assert_eq!(mail(&address).as_deref(), Some(&address[..]));
        assert!(address.len() <= 254 && address.contains('@'));
        assert!(
            !address.contains([' ', '\r', '\n', ',', '<']),
            "a letter has one receiver"
        );
    }
    if let Some(address) = stream(text) {
        assert_eq!(stream(&address).as_deref(), Some(&address[..]));
        let (host, port) = address.rsplit_once(':').expect("host:port");
        assert!(!host.is_empty() && port.parse::<u16>().is_ok());
        assert!(!address.contains([' ', '\r', '\n', '/', '@']));
    }
});
