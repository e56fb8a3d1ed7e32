//! A rotating code: made on a phone, drawn, and taken by a gate.

use aliro::crypto::Signature;
use latchkey_bench::Key;
use latchkey_protocol::code::{Code, IssueTime};
use latchkey_protocol::ids::{PassId, PropertyId};
use qrcode::{EcLevel, QrCode};

const PROPERTY: PropertyId = PropertyId([7; PropertyId::LEN]);

fn main() {
    divan::main();
}

#[divan::bench]
fn made(bencher: divan::Bencher<'_, '_>) {
    let key = Key::new();
    bencher.bench(|| code(&key));
}

#[divan::bench]
fn drawn(bencher: divan::Bencher<'_, '_>) {
    let text = code(&Key::new());
    bencher.bench(|| QrCode::with_error_correction_level(&text, EcLevel::L).expect("a symbol"));
}

#[divan::bench]
fn taken(bencher: divan::Bencher<'_, '_>) {
    let key = Key::new();
    let public = key.public();
    let text = code(&key);
    bencher.bench(|| {
        let code = Code::parse(&text).expect("a code");
        code.verify(&public, PROPERTY).expect("verified");
    });
}

fn code(key: &Key) -> String {
    let pass = PassId([9; PassId::LEN]);
    let issued = IssueTime::from_unix_ms(1_800_000_000_000);
    let signature: Signature = key.sign(&Code::to_be_signed(PROPERTY, pass, issued));
    let code = Code {
        pass,
        issued,
        signature,
        statement: None,
    };
    code.to_text()
}
