//! The first bytes of a stream, from either side.
#![no_main]

use latchkey_protocol::hello::{ClientHello, Parsed, ServerHello};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match ClientHello::parse(bytes) {
        Ok(Parsed::Whole(hello, used)) => assert_eq!(hello.to_bytes(), bytes[..used]),
        Ok(Parsed::Needs(more)) => assert!(more > bytes.len()),
        Err(_) => {}
    }
    match ServerHello::parse(bytes) {
        Ok(Parsed::Whole(hello, used)) => assert_eq!(hello.to_bytes(), bytes[..used]),
        Ok(Parsed::Needs(more)) => assert!(more > bytes.len()),
        Err(_) => {}
    }
});
