//! A grant that is renewed: what the phone's sync takes for it, beside its own bytes.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use latchkey_env::VirtualClock;
use latchkey_protocol::api::sync::{Entity, SyncPage};

use crate::scene::{HEAD, RESIDENT, RITA, Scene};
use crate::table::{Bench, Limit};

/// Past half of a grant's life.
const LATER: Duration = Duration::from_secs(4 * 24 * 3600);

/// How many times its own bytes.
const LIMIT: f64 = 1.2;

/// A resident's: the house, the way to it, the car, the rest.
const KEYS: &str = r#"
[[doors]]
name = "Apartment 12"
kind = "unit"
reach = "online"

[[doors]]
name = "Main gate"
kind = "gate"
reach = "online"

[[doors]]
name = "Garage"
kind = "garage"
reach = "online"

[[doors]]
name = "Gym"
kind = "common_area"
reach = "online"

[[keys]]
name = "Home"
kind = "mobile"
persons = ["Rita Resident"]
doors = ["Apartment 12"]

[[keys]]
name = "Main gate"
kind = "mobile"
persons = ["Rita Resident"]
doors = ["Main gate"]

[[keys]]
name = "Parking 12"
kind = "mobile"
persons = ["Rita Resident"]
doors = ["Garage"]

[[keys]]
name = "Gym"
kind = "mobile"
persons = ["Rita Resident"]
doors = ["Gym"]
windows = [{ days = ["mon", "wed", "fri"], from = "06:00", to = "22:00" }]
"#;

pub(super) fn add(bench: &mut Bench) {
    let clock = VirtualClock::at("2026-11-24T09:00:00Z");
    let (scene, bodies) = Scene::metered(&format!("{HEAD}{RITA}{KEYS}"), Arc::new(clock.clone()));
    let rita = scene.phone(RESIDENT);
    bodies.take();
    clock.advance(LATER);
    let mut change = None;
    while change.is_none() {
        let synced = scene.runtime.block_on(rita.sync());
        synced.expect("synced");
        change = bodies.take().iter().find_map(|body| change_of_grant(body));
    }
    let (change, document) = change.expect("it came");
    let own = bench.bytes("its own bytes", document);
    let renewed = bench.bytes("a grant of 4 keys renewed, its body", change);
    bench.subject(renewed).peer(own, Limit::AtMost(LIMIT));
}

/// A body that brings a grant: how many bytes it has as it travels, and how many the grant itself has.
fn change_of_grant(body: &[u8]) -> Option<(u64, u64)> {
    let mut unpacked = Vec::new();
    let json = match GzDecoder::new(body).read_to_end(&mut unpacked) {
        Ok(_) => &unpacked,
        Err(_) => body,
    };
    let page: SyncPage = serde_json::from_slice(json).ok()?;
    let grant = page.changes.iter().find_map(|change| match &change.value {
        Some(Entity::Grant(grant)) => Some(grant),
        _ => None,
    })?;
    assert_eq!(page.changes.len(), 1, "all of it is about the grant");
    Some((body.len() as u64, grant.document.0.len() as u64))
}
