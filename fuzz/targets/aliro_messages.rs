//! Messages of the BLE and stream carriers, and what notifications say.
#![no_main]

use aliro::message::{Message, MessageBuffer, attributes};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::parse(bytes) {
        assert_eq!(message.encode().as_deref(), Ok(bytes));
        let _ = attributes(message.payload);
    }
    // However the bytes are cut, the same messages come out.
    let mut whole = MessageBuffer::new(1024);
    whole.push(bytes);
    let mut cut = MessageBuffer::new(1024);
    let mut pieces = bytes.chunks(3);
    loop {
        let next = whole.next_message();
        let mut same = cut.next_message();
        while matches!(same, Ok(None))
            && let Some(piece) = pieces.next()
        {
            cut.push(piece);
            same = cut.next_message();
        }
        assert_eq!(next, same);
        if !matches!(next, Ok(Some(_))) {
            break;
        }
    }
});
