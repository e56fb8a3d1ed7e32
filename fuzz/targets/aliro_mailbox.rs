//! What readers do to a device's mailbox, request after request: all of one or nothing, never
//! beyond its ends, and nothing before the atomic session is over.
#![no_main]

use std::sync::Mutex;

use aliro::crypto::PublicKey;
use aliro::mailbox::{Content, Mailboxes, NotStored, Operation, Request, Session, Stage};

/// The generator of P-256, as some credential.
const KEY: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
];

const SIZE: usize = 300;

struct One(Mutex<Content>);

impl Mailboxes for One {
    fn load(&self, _: &PublicKey) -> Option<Content> {
        Some(self.0.lock().expect("one thread").clone())
    }

    fn store(&self, _: &PublicKey, bytes: &[u8]) -> Result<(), NotStored> {
        self.0.lock().expect("one thread").bytes = bytes.to_vec();
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((rights, mut script)) = bytes.split_first() else {
        return;
    };
    let key = PublicKey::from_uncompressed(&KEY).expect("the generator");
    let mailbox = One(Mutex::new(Content {
        bytes: vec![0; SIZE],
        readable: rights & 1 == 0,
        writable: rights & 2 == 0,
    }));
    let mut stage = Stage::default();
    while let Some((length, rest)) = script.split_first() {
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        script = rest;
        let Ok(request) = Request::parse(piece) else {
            continue;
        };
        assert_eq!(Request::parse(&request.encode()).as_ref(), Ok(&request));
        let before = mailbox.load(&key).expect("it is there").bytes;
        let done = stage.carry_out(&request, &mailbox, &key);
        let after = mailbox.load(&key).expect("it is there").bytes;
        assert_eq!(after.len(), SIZE);
        let writes = request.operations.iter();
        let writes = writes.filter(|operation| !matches!(operation, Operation::Read { .. }));
        match done {
            Ok(read) => {
                assert_eq!(read.len(), request.reads());
                assert!(rights & 1 == 0 || read.is_empty(), "read without the right");
                let writes = writes.count();
                assert!(rights & 2 == 0 || writes == 0, "written without the right");
                assert!(request.session == Session::Ends || after == before);
            }
            Err(_) => assert_eq!(after, before, "a refusal changes nothing"),
        }
    }
});
