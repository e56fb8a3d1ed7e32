//! Phones that come again: what goes over the wire then, and when a door asks for a signature all the same.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use aliro::command::ins::{AUTH0, AUTH1, ENVELOPE, GET_RESPONSE, LOAD_CERT};
use aliro::message::MessageBuffer;
use latchkey_core::error::Error;
use latchkey_core::phone::Phone;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::api::keys::KeyDraft;
use latchkey_protocol::hello::{Parsed, ServerHello};
use latchkey_protocol::rules::{AccessRules, Reason};
use latchkey_tests::gate::Gate;
use latchkey_tests::house::{done, door, mobile_key, unlock, until};
use latchkey_tests::scene::{Scene, is_ready};
use latchkey_tests::wire::Wire;

/// A visit that was known again, one that signed, and one that showed its grant, too: what the door asked
/// for, in its order.
const FAST: &[u8] = &[AUTH0];
const SIGNED: &[u8] = &[AUTH0, LOAD_CERT, AUTH1];
const SHOWN: &[u8] = &[AUTH0, LOAD_CERT, AUTH1, ENVELOPE];

/// The instructions of the commands that a door sent over the newest connection; pieces of a long command or
/// answer are one.
fn commands(wire: &Wire) -> Vec<u8> {
    let back = wire.carried().back;
    let Ok(Parsed::Whole(_, hello)) = ServerHello::parse(&back) else {
        panic!("the door has said hello");
    };
    let mut buffer = MessageBuffer::new(65_535);
    buffer.push(&back[hello..]);
    let mut instructions = Vec::new();
    while let Some(message) = buffer.next_message().unwrap() {
        // Type 0, then an APDU behind the header.
        if message[0] == 0 && message[5] != GET_RESPONSE {
            instructions.push(message[5]);
        }
    }
    instructions.dedup();
    instructions
}

async fn visit(phone: &Phone, name: &str, wire: &Wire) -> (Option<Reason>, Vec<u8>) {
    let reason = match unlock(phone, name, CarrierKind::Stream).await {
        Ok(()) => None,
        Err(Error::Denied { reason, .. }) => Some(reason),
        Err(other) => panic!("{other:?}"),
    };
    (reason, commands(wire))
}

fn opened(commands: &[u8]) -> (Option<Reason>, Vec<u8>) {
    (None, commands.to_vec())
}

/// The newest number of the door's memory: one more for each phone that signed and opened.
fn met(gate: &Gate) -> i64 {
    let store = rusqlite::Connection::open(gate.folder.join(latchkey_door::FILE)).unwrap();
    let newest = "SELECT coalesce(max(sequence), 0) FROM persistent_keys";
    store.query_row(newest, [], |row| row.get(0)).unwrap()
}

const RITA: &str = "rita@example.com";

fn change(database: &Path, sql: &str) {
    let database = rusqlite::Connection::open(database).unwrap();
    database.execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_visit_asks_for_no_certificate_no_signature_and_no_grant() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    for (name, door) in [("Gate", &gate), ("Cellar", &cellar)] {
        let wire = &door.on_the_spot;
        assert_eq!(visit(&rita, name, wire).await, opened(SHOWN), "{name}");
        for _ in 0..2 {
            assert_eq!(visit(&rita, name, wire).await, opened(FAST), "{name}");
        }
        assert_eq!((door.openings(), met(door)), (3, 1));
    }
    // Met on the spot, known through the portal.
    unlock(&rita, "Gate", CarrierKind::Relay).await.unwrap();
    assert_eq!((gate.openings(), met(&gate)), (4, 1));

    // The power was away.
    let (wire, folder) = (cellar.on_the_spot.clone(), cellar.folder.clone());
    cellar.shutdown().await;
    let cellar = scene.house.again(folder).await.unwrap();
    wire.lead_to(cellar.on_the_spot.addr());
    let again = visit(&rita, "Cellar", &cellar.on_the_spot).await;
    assert_eq!(again, opened(FAST));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_key_is_shown_again_and_a_withdrawn_one_signs_in_vain() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, key) = scene.resident(TimeDelta::zero()).await.unwrap();
    for (name, door) in [("Gate", &gate), ("Cellar", &cellar)] {
        let wire = &door.on_the_spot;
        assert_eq!(visit(&rita, name, wire).await, opened(SHOWN));
        assert_eq!(visit(&rita, name, wire).await, opened(FAST));
    }

    // Documents are told apart by the second in which they were signed.
    scene.house.time.clock().advance(Duration::from_secs(60));
    let windows = r#"{"windows": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "from": "00:00", "to": "24:00"}]}"#;
    let draft = KeyDraft {
        rules: serde_json::from_str::<AccessRules>(windows).unwrap(),
        ..mobile_key(&key.name, key.persons.clone())
    };
    done(scene.desk.edit_key(key.id, &draft).await.unwrap()).unwrap();
    until(&rita, |phone| {
        let keys = phone.keys().unwrap();
        is_ready(phone) && keys[0].rules == draft.rules
    })
    .await
    .unwrap();
    // The cellar has not heard of the edit, but of the newer grant.
    for (name, door) in [("Gate", &gate), ("Cellar", &cellar)] {
        let wire = &door.on_the_spot;
        assert_eq!(visit(&rita, name, wire).await, opened(SHOWN), "{name}");
        assert_eq!(visit(&rita, name, wire).await, opened(FAST), "{name}");
        assert_eq!(met(door), 2);
    }

    done(scene.desk.withdraw_key(key.id).await.unwrap()).unwrap();
    let refused = loop {
        let visit = visit(&rita, "Gate", &gate.on_the_spot).await;
        if visit.0.is_some() {
            break visit;
        }
        assert_eq!(visit, opened(FAST), "until the gate hears of it");
    };
    assert_eq!(refused, (Some(Reason::Revoked), SIGNED.to_vec()));
    assert_eq!(met(&gate), 0, "forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_controller_is_met_anew_with_or_without_a_sync() {
    let scene = Scene::set().await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    let first = cellar.on_the_spot.clone();
    assert_eq!(visit(&rita, "Cellar", &first).await, opened(SHOWN));
    assert_eq!(visit(&rita, "Cellar", &first).await, opened(FAST));

    let folder = cellar.folder.clone();
    cellar.shutdown().await;
    std::fs::rename(&folder, folder.with_extension("old")).unwrap();
    let second = scene.offline("Cellar").await.unwrap();
    let generation = door(&scene.desk, "Cellar").unwrap().generation;
    assert_eq!(generation.unwrap().0, 2);
    let wire = second.on_the_spot.clone();
    first.lead_to(wire.addr());
    assert_eq!(visit(&rita, "Cellar", &wire).await, opened(SHOWN));
    assert_eq!(visit(&rita, "Cellar", &wire).await, opened(FAST));
    rita.sync().await.unwrap();
    assert_eq!(visit(&rita, "Cellar", &wire).await, opened(FAST));

    // The one that was taken out, put up again.
    second.shutdown().await;
    let old = scene.house.again(folder.with_extension("old")).await;
    wire.lead_to(old.unwrap().on_the_spot.addr());
    let outcome = unlock(&rita, "Cellar", CarrierKind::Stream).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_side_forgets_a_signature_does() {
    let scene = Scene::set().await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    let (wire, folder) = (cellar.on_the_spot.clone(), cellar.folder.clone());
    // Her wallet as it is before it remembers anything: a wallet does not let itself be changed in part.
    drop(rita);
    let file = scene.house.wallet_folder(RITA).join("wallet.db");
    assert!(!file.with_extension("db-wal").exists(), "it is closed");
    let before = scene.house.path().join("before");
    std::fs::create_dir(&before).unwrap();
    std::fs::copy(file, before.join("wallet.db")).unwrap();
    let rita = scene.house.wallet(RITA, TimeDelta::zero()).unwrap();
    assert_eq!(visit(&rita, "Cellar", &wire).await, opened(SHOWN));
    let rita = scene.house.phone_with(&before, RITA, TimeDelta::zero());
    let rita = rita.unwrap();
    assert_eq!(visit(&rita, "Cellar", &wire).await, opened(SIGNED));
    assert_eq!(visit(&rita, "Cellar", &wire).await, opened(FAST));
    cellar.shutdown().await;
    // With the document, and without.
    for (lost, asked) in [("persistent_keys", SIGNED), ("documents", SHOWN)] {
        let store = folder.join(latchkey_door::FILE);
        change(
            &store,
            &format!("PRAGMA foreign_keys = ON; DELETE FROM {lost}"),
        );
        let cellar = scene.house.again(folder.clone()).await.unwrap();
        let near = cellar.on_the_spot.clone();
        wire.lead_to(near.addr());
        assert_eq!(visit(&rita, "Cellar", &near).await, opened(asked), "{lost}");
        assert_eq!(visit(&rita, "Cellar", &near).await, opened(FAST), "{lost}");
        cellar.shutdown().await;
    }
}

/// What two visits of one phone have in common, in strings of eight bytes, another phone's has, too: the
/// door's name and the protocol's constants.
#[tokio::test(flavor = "multi_thread")]
async fn two_visits_have_nothing_in_common_that_names_the_phone() {
    let scene = Scene::set().await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    let herself = scene.olga.properties().unwrap()[0].person;
    scene.issue("Master", herself).await.unwrap();
    until(&scene.olga, is_ready).await.unwrap();
    let wire = &cellar.on_the_spot;
    let mut seen = Vec::new();
    for phone in [&rita, &rita, &rita, &scene.olga, &scene.olga] {
        let (reason, commands) = visit(phone, "Cellar", wire).await;
        assert_eq!(reason, None);
        seen.push((commands, wire.carried()));
    }
    let [_, once, twice, _, olga] = <[_; 5]>::try_from(seen).unwrap();
    for (commands, _) in [&once, &twice, &olga] {
        assert_eq!(commands, FAST);
    }
    for [once, twice, olga] in [
        [&once.1.out, &twice.1.out, &olga.1.out],
        [&once.1.back, &twice.1.back, &olga.1.back],
    ] {
        let (again, others) = (strings(twice), strings(olga));
        let mut constant = vec![false; once.len()];
        for (at, string) in once.windows(STRING).enumerate() {
            if others.contains(string) {
                constant[at..at + STRING].fill(true);
            }
        }
        let common = once.windows(STRING).enumerate();
        let common = common.filter(|(_, string)| again.contains(string));
        let mut found = 0;
        for (at, string) in common {
            found += 1;
            // Random bytes beside a constant may be alike by chance: one in 256 times one is.
            let own = constant[at..at + STRING]
                .iter()
                .filter(|constant| !**constant);
            assert!(own.count() <= 3, "{string:02x?}");
        }
        assert!(found > 0, "the door's name is said each time");
    }
}

/// What counts as a string.
const STRING: usize = 8;

fn strings(bytes: &[u8]) -> HashSet<&[u8]> {
    bytes.windows(STRING).collect()
}
