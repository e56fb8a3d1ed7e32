//! Rotating codes: what is drawn reads back in an independent decoder and verifies.

use std::time::Duration;

use latchkey_core::error::{Error, Invalid};
use latchkey_core::views::KeyRef;
use latchkey_env::Clock as _;
use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::clock::ClockReading;
use latchkey_protocol::code::{Code, acceptance};
use latchkey_protocol::ids::KeyId;

use crate::world::{GATE, PASS, POOL, PROPERTY, World, at, the_key};

/// The symbol's text, by rqrr, from the drawing alone.
fn read(svg: &str) -> String {
    let size = svg
        .split("width=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let size: usize = size.parse().unwrap();
    let mut dark = vec![false; size * size];
    let path = svg
        .split(" d=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    for rect in path.split('M').skip(1) {
        let numbers: Vec<usize> = rect
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().unwrap())
            .collect();
        let [left, top, width, height, ..] = numbers[..] else {
            panic!("{rect}");
        };
        for y in top..top + height {
            dark[y * size + left..][..width].fill(true);
        }
    }
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(size, size, |x, y| {
        if dark[y * size + x] { 0 } else { 255 }
    });
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

#[tokio::test]
async fn a_code_reads_back_and_verifies_long_where_the_door_may_not_know_the_pass() {
    let mut world = World::new().await;
    world.known_at = vec![GATE];
    let phone = world.signed_in().await;
    let code_key = world.registered(CredentialUse::Code);

    let long = phone.current_code(the_key(), None).await.unwrap();
    assert!(long.long);
    assert!(long.text.len() < 400, "{}", long.text.len());
    assert_eq!(read(&long.svg), long.text);
    let code = Code::parse(&long.text).unwrap();
    assert_eq!(code.pass, PASS);
    code.verify(&code_key, PROPERTY).unwrap();
    let statement = code.statement.unwrap();
    let pass = statement.verify(&world.issuer.public(), PROPERTY).unwrap();
    assert_eq!(pass.code_key, code_key);

    let short = phone.current_code(the_key(), Some(at(GATE))).await.unwrap();
    assert!(!short.long);
    assert!(short.text.len() < 140, "{}", short.text.len());
    assert_eq!(read(&short.svg), short.text);
    Code::parse(&short.text)
        .unwrap()
        .verify(&code_key, PROPERTY)
        .unwrap();
    assert!(
        phone
            .current_code(the_key(), Some(at(POOL)))
            .await
            .unwrap()
            .long
    );
}

#[tokio::test]
async fn a_new_code_comes_every_fifteen_seconds_and_at_once_after_a_use() {
    let mut world = World::new().await;
    let phone = world.signed_in().await;
    let show = async || phone.current_code(the_key(), None).await.unwrap();
    let first = show().await;
    assert_eq!(show().await, first);
    world.clock.advance(Duration::from_secs(14));
    assert_eq!(show().await, first);
    world.clock.advance(Duration::from_secs(1));
    let second = show().await;
    assert_eq!(second.issued_at, first.next_at);
    assert_ne!(second.text, first.text);

    world.last_used = Some(second.issued_at.timestamp_millis().cast_unsigned() / 10);
    world.serve_again();
    phone.sync().await.unwrap();
    let third = show().await;
    assert!(third.issued_at > second.issued_at);
    assert_eq!(show().await, third);
}

#[tokio::test]
async fn a_phone_four_minutes_wrong_shows_good_codes_after_one_contact() {
    let world = World::new().await;
    world.phone_clock.set_offset(chrono::TimeDelta::minutes(-4));
    let phone = world.signed_in().await;
    drop(phone);
    // The correction outlives the process.
    let phone = world.phone();
    let view = phone.current_code(the_key(), None).await.unwrap();
    let issued = Code::parse(&view.text).unwrap().issued;
    let door = ClockReading {
        unix_ms: world.clock.now().timestamp_millis().cast_unsigned(),
        uncertainty_ms: 0,
        unsure: false,
    };
    assert_eq!(acceptance(issued, None, Some(&door)), Ok(()));
}

#[tokio::test]
async fn a_key_that_is_not_held_has_no_code() {
    let world = World::new().await;
    let phone = world.signed_in().await;
    let other = KeyRef {
        property: PROPERTY,
        key: KeyId([1; 16]),
    };
    let outcome = phone.current_code(other, None).await;
    assert!(
        matches!(outcome, Err(Error::Invalid(Invalid::Key))),
        "{outcome:?}"
    );
}
