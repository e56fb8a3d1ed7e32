//! A rotating code: made on a phone, drawn, and taken by a gate.

use std::rc::Rc;

use latchkey_protocol::code::{Code, IssueTime};
use latchkey_protocol::ids::{PassId, PropertyId};
use qrcode::{EcLevel, QrCode};

use crate::key::Key;
use crate::measure::Timed;
use crate::primitives;
use crate::table::{Bench, Floor, Limit};

const PROPERTY: PropertyId = PropertyId([7; PropertyId::LEN]);
const PASS: PassId = PassId([9; PassId::LEN]);

pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("codes");
    let key = Rc::new(Key::new());
    let signed = to_be_signed().len();
    let signature = bench.operation("a signature", primitives::signature(signed));
    let check = bench.operation("a check", primitives::check(signed));
    let made = bench.operation("made", made(Rc::clone(&key)));
    let drawn = bench.operation("drawn", drawn(&key));
    let taken = bench.operation("taken", taken(key));
    let floor = Floor::default;
    bench
        .subject(made)
        .floor(floor().and(1, signature), Limit::Shown);
    bench
        .subject(taken)
        .floor(floor().and(1, check), Limit::Shown);
    bench.subject(drawn).peer(made, Limit::Shown);
    bench
}

fn made(key: Rc<Key>) -> Timed {
    Timed::new(move || text(&key))
}

fn drawn(key: &Key) -> Timed {
    let text = text(key);
    Timed::new(move || QrCode::with_error_correction_level(&text, EcLevel::L).expect("a symbol"))
}

fn taken(key: Rc<Key>) -> Timed {
    let public = key.public();
    Timed::prepared(
        move || text(&key),
        move |text| {
            let code = Code::parse(&text).expect("a code");
            code.verify(&public, PROPERTY).expect("verified");
        },
    )
}

fn text(key: &Key) -> String {
    let code = Code {
        pass: PASS,
        issued: issued(),
        signature: key.sign(&to_be_signed()),
        statement: None,
    };
    code.to_text()
}

fn to_be_signed() -> Vec<u8> {
    Code::to_be_signed(PROPERTY, PASS, issued())
}

fn issued() -> IssueTime {
    IssueTime::from_unix_ms(1_800_000_000_000)
}
