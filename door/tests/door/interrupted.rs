//! A phone that is gone in the middle of a bundle, at any byte: another visit goes on or begins again, and
//! the door never obeys a part of it.

use latchkey_door::{FILE, RunConfig};
use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::bundle::{Content, PAGE};
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::statement::Body;
use rusqlite::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::bundles::with;
use crate::guest::Guest;
use crate::phone::{Phone, Sealed};
use crate::property::{Door, Property};

/// How often it is broken off; `LATCHKEY_CUTS` says otherwise.
const CUTS: u64 = 20;

#[tokio::test]
async fn broken_off_at_any_byte_it_goes_on_or_begins_again_and_is_never_obeyed_in_part() {
    let seed = from_env("LATCHKEY_SEED")
        .unwrap_or_else(|| u64::from_be_bytes(random_array(&SystemRandom)));
    println!("LATCHKEY_SEED={seed}");
    let mut random = Random(seed);
    let mut property = Property::new();
    let guests: Vec<_> = (0..70).map(|_| Guest::new(&property, "{}")).collect();
    let mut door = Door::new(&property).await;
    for guest in &guests {
        property.state(Body::Pass(guest.signed.clone()));
    }
    let first = bundle(&mut property, &door, &guests, 1);
    let whole = visit(&property, &door, first, None).await;

    let (mut broken, mut resumed) = (0, 0);
    for number in 2..from_env("LATCHKEY_CUTS").unwrap_or(CUTS) + 2 {
        let next = bundle(&mut property, &door, &guests, number);
        let before = obeyed(&door);
        let cut = random.below(whole);
        visit(&property, &door, next.clone(), Some(cut)).await;
        let between = obeyed(&door);
        if number % 3 == 0 {
            door = door.restart(true, RunConfig::default()).await;
            assert_eq!(obeyed(&door), between, "the power was gone as well");
        }
        if door.running.status().await.unwrap().bundle.number != number {
            assert_eq!(between, before, "cut at {cut} of {whole}");
            broken += 1;
            let sent = visit(&property, &door, next, None).await;
            resumed += u64::from(sent + PAGE < whole);
        }
        let status = door.running.status().await.unwrap();
        assert_eq!(
            (status.bundle.number, status.passes, status.list.version),
            (number, 69, number),
            "cut at {cut} of {whole}"
        );
        assert_ne!(obeyed(&door), before);
    }
    println!("{broken} broken off, {resumed} of them went on where they were");
    assert!(broken > 0 && resumed > 0);
}

/// Each withdraws one guest more, and says nothing of another one.
fn bundle(property: &mut Property, door: &Door, guests: &[Guest], number: u64) -> Sealed {
    let list = property.revoke(Revocations::default());
    let left_out = usize::try_from(number).unwrap() % guests.len();
    let numbered = (2u64..).zip(guests).enumerate();
    let passes = numbered.filter(|(at, _)| *at != left_out);
    let content = Content {
        passes: passes
            .map(|(_, (number, guest))| (number, guest.signed.clone()))
            .collect(),
        revocations: Some(list),
        ..Content::default()
    };
    property.bundle(door, number, content)
}

/// A phone comes with a bundle, and is gone once it has sent so many bytes. How many it sent.
async fn visit(property: &Property, door: &Door, bundle: Sealed, cut: Option<usize>) -> usize {
    let phone = Phone::resident(property, "{}").carries(with(bundle));
    let (near, phones_end) = tokio::io::duplex(64 * 1024);
    let (doors_end, far) = tokio::io::duplex(64 * 1024);
    let carrier = carry(phones_end, doors_end, cut.unwrap_or(usize::MAX));
    let (_, (), sent) = tokio::join!(phone.speak(door.id, near), door.running.serve(far), carrier);
    sent
}

/// Carries bytes both ways until the phone has sent so many, and then neither.
async fn carry(phone: DuplexStream, door: DuplexStream, most: usize) -> usize {
    let (mut from_phone, mut to_phone) = tokio::io::split(phone);
    let (mut from_door, mut to_door) = tokio::io::split(door);
    let mut sent = 0;
    let up = async {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from_phone.read(&mut piece).await {
            let count = count.min(most - sent);
            if to_door.write_all(&piece[..count]).await.is_err() {
                return;
            }
            sent += count;
            if sent == most {
                return;
            }
        }
        let _ = to_door.shutdown().await;
        std::future::pending().await
    };
    let down = async {
        let _ = tokio::io::copy(&mut from_door, &mut to_phone).await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    sent
}

/// All that the door decides by, as its store has it.
fn obeyed(door: &Door) -> Vec<String> {
    let store = Connection::open(door.folder.path().join(FILE)).unwrap();
    let rows = |columns: &str, table: &str| {
        let sql = format!("SELECT {columns} FROM {table}");
        let mut select = store.prepare(&sql).unwrap();
        let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|row| format!("{table}: {}", row.unwrap()))
            .collect::<Vec<_>>()
    };
    [
        ("epoch || '.' || all_doors || '.' || own", "series"),
        ("name || quote(statement)", "settings"),
        ("quote(pass) || quote(statement) || number", "passes"),
        ("epoch || '.' || version || quote(document)", "revocations"),
        ("epoch || '.' || number", "bundle"),
    ]
    .into_iter()
    .flat_map(|(columns, table)| rows(columns, table))
    .collect()
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// SplitMix64, so that a seed says which bytes they were.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % most as u64).unwrap()
    }
}
