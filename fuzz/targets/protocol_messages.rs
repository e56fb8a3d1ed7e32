//! What phone and door say to each other beside Aliro, the text of a rotating code and that of a
//! controller: read, each has one form.
#![no_main]

use latchkey_protocol::code::Code;
use latchkey_protocol::commissioning::CommissioningCode;
use latchkey_protocol::hello::{ClientHello, Parsed, ServerHello};
use latchkey_protocol::private::PrivateMessage;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = PrivateMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes);
    }
    if let Ok(Parsed::Whole(hello, used)) = ClientHello::parse(bytes) {
        assert_eq!(hello.to_bytes(), bytes[..used]);
    }
    if let Ok(Parsed::Whole(hello, used)) = ServerHello::parse(bytes) {
        assert_eq!(hello.to_bytes(), bytes[..used]);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(code) = Code::parse(text) {
        assert_eq!(
            code.to_text(),
            text.trim_matches(|c: char| c.is_ascii_whitespace())
        );
    }
    if let Ok(code) = text.parse::<CommissioningCode>() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
});
