//! An unlock, both sides in one process, beside what it cannot do without and beside TLS; and what it
//! costs a door to remember many phones.

mod grant;
mod tls;
mod unlock;

use std::rc::Rc;

use self::unlock::Place;
use crate::measure::Timed;
use crate::primitives;
use crate::table::{Bench, Floor, Limit, Operation, Table, shown};

/// How much may come on top of what nobody can do without: parsing, framing, keeping state.
const LIMIT: Limit = Limit::AtMost(1.2);

/// Bytes that both sides sign.
const SIGNED: usize = 126;
/// Bytes of the cryptogram.
const CRYPTOGRAM: usize = 48;
/// Bytes of the device's answer to AUTH1: its key, its signature, what it offers.
const PROOF: usize = 137;
/// Bytes of *access completed* and of the request to open.
const MESSAGE: usize = 4;
/// Bytes of the salt of a phase's keys, beside what the phone announces, without a credential.
const SALT: usize = 131;
/// Bytes of a coordinate.
const COORDINATE: usize = 32;

/// Phones that a door remembers at most, here.
const CROWD: u32 = 1_000;

pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("aliro");
    let direct = Rc::new(Place::of_direct_keys());
    let granted = Rc::new(Place::with_certificate_and_grant());
    let parts = Parts::new(&mut bench, &direct, &granted);
    let tls = bench.operation("TLS 1.3, mutual, raw keys", tls::handshake());

    let fast = bench.operation("fast", opening(&Rc::new(Place::remembering(1))));
    let standard = bench.operation("standard", opening(&direct));
    let with_grant = bench.operation("standard, certificate and grant", opening(&granted));
    for (subject, floor) in [
        (fast, parts.fast()),
        (standard, parts.standard()),
        (with_grant, parts.with_grant()),
    ] {
        bench
            .subject(subject)
            .floor(floor, LIMIT)
            .peer(tls, Limit::Shown);
    }
    for phones in [10, 100] {
        let last = remembering(&mut bench, phones);
        beside_standard(&mut bench, last, parts.search(phones), standard);
    }
    let crowd = remembering(&mut bench, CROWD);
    beside_standard(&mut bench, crowd, parts.search(CROWD), standard);
    bench.note(move |table| growth(table, fast, crowd, standard));
    bench
}

/// The fast phase at a door that remembers many, and finds this phone last.
fn remembering(bench: &mut Bench, phones: u32) -> Operation {
    let name = format!("fast, last of {phones} phones");
    bench.operation(name, opening(&Rc::new(Place::remembering(phones))))
}

fn beside_standard(bench: &mut Bench, last: Operation, floor: Floor, standard: Operation) {
    bench
        .subject(last)
        .floor(floor, Limit::Shown)
        .peer(standard, Limit::Shown);
}

/// What a door's memory costs, from one phone to a crowd.
fn growth(table: &Table, fast: Operation, crowd: Operation, standard: Operation) -> String {
    let fast = table.takes(fast);
    let more = (table.takes(crowd) - fast) / f64::from(CROWD - 1);
    let bound = 1.0 + (table.takes(standard) - fast) / more;
    format!(
        "a remembered phone more: {}; the last of {bound:.0} takes as long as the standard phase",
        shown(more)
    )
}

fn opening(place: &Rc<Place>) -> Timed {
    let place = Rc::clone(place);
    Timed::new(move || place.unlock())
}

/// What an unlock cannot do without.
struct Parts {
    key_pair: Operation,
    agreement: Operation,
    signature: Operation,
    check: Operation,
    check_certificate: Operation,
    check_grant: Operation,
    /// Five keys of the fast phase; of the standard phase.
    fast_keys: Operation,
    standard_keys: Operation,
    /// The two keys of a channel.
    channel_keys: Operation,
    seal_cryptogram: Operation,
    open_cryptogram: Operation,
    seal_proof: Operation,
    open_proof: Operation,
    seal_message: Operation,
    open_message: Operation,
    /// What a remembered phone that is not the one costs.
    cryptogram_key: Operation,
    miss: Operation,
}

impl Parts {
    fn new(bench: &mut Bench, direct: &Place, granted: &Place) -> Self {
        use primitives as ring;
        let salt = SALT + direct.announced();
        Self {
            key_pair: bench.operation("key pair", ring::key_pair()),
            agreement: bench.operation("agreement", ring::agreement()),
            signature: bench.operation("signature", ring::signature(SIGNED)),
            check: bench.operation("check", ring::check(SIGNED)),
            check_certificate: bench.operation(
                "check of the certificate",
                ring::check(granted.signed_certificate()),
            ),
            check_grant: bench.operation("check of the grant", ring::check(granted.signed_grant())),
            fast_keys: bench.operation("HKDF (fast phase)", ring::hkdf(salt + COORDINATE, [160])),
            standard_keys: bench.operation("HKDF (standard phase)", ring::hkdf(salt, [160])),
            channel_keys: bench.operation("HKDF (channel)", ring::hkdf(4, [32, 32])),
            seal_cryptogram: bench.operation("seal cryptogram", ring::seal(CRYPTOGRAM)),
            open_cryptogram: bench.operation("open cryptogram", ring::open(CRYPTOGRAM)),
            seal_proof: bench.operation("seal proof", ring::seal(PROOF)),
            open_proof: bench.operation("open proof", ring::open(PROOF)),
            seal_message: bench.operation("seal message", ring::seal(MESSAGE)),
            open_message: bench.operation("open message", ring::open(MESSAGE)),
            cryptogram_key: bench
                .operation("HKDF (cryptogram)", ring::hkdf(salt + COORDINATE, [32])),
            miss: bench.operation("open in vain", ring::open_in_vain(CRYPTOGRAM)),
        }
    }

    /// Without an agreement: of a fresh point only the x coordinate enters the keys.
    fn fast(&self) -> Floor {
        Floor::default()
            .and(2, self.key_pair)
            .and(2, self.fast_keys)
            .and(2, self.channel_keys)
            .and(1, self.seal_cryptogram)
            .and(1, self.open_cryptogram)
            .and(1, self.seal_message)
            .and(1, self.open_message)
    }

    fn standard(&self) -> Floor {
        Floor::default()
            .and(2, self.key_pair)
            .and(2, self.agreement)
            .and(2, self.signature)
            .and(2, self.check)
            .and(2, self.standard_keys)
            .and(2, self.channel_keys)
            .and(1, self.seal_proof)
            .and(1, self.open_proof)
            .and(2, self.seal_message)
            .and(2, self.open_message)
    }

    fn with_grant(&self) -> Floor {
        self.standard()
            .and(1, self.check_certificate)
            .and(1, self.check_grant)
    }

    /// The fast phase with a search among so many phones, which finds the last.
    fn search(&self, phones: u32) -> Floor {
        self.fast()
            .and(phones - 1, self.cryptogram_key)
            .and(phones - 1, self.miss)
    }
}
