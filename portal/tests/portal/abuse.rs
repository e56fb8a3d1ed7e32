//! What people try with what they have, or have taken: tokens, proofs, keys, roles, writes, cursors.

use latchkey_protocol::api::Page;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::people::Person;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::proof::KeyKind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Device, Key as Software};
use crate::door::find;
use crate::grants::grants;
use crate::world::{MANAGER, RESIDENT, STAFF, World};

/// The names of all people, as a manager sees them.
async fn names(world: &World, manager: &Device) -> Vec<String> {
    let people: Page<Person> = manager.get(&world.path("/people")).await.ok();
    people.items.into_iter().map(|one| one.name).collect()
}

#[tokio::test]
async fn a_cloned_phone_that_refreshes_first_ends_with_the_owner_at_the_next_refresh() {
    let world = World::start().await;
    let mut owner = world.device(RESIDENT).await;
    let taken = owner.refresh.clone();
    // The thief has the key too: only then are the proofs right.
    let thiefs: Value = owner.refresh_with(&taken).await.ok();
    let thiefs = thiefs["refresh_token"].as_str().unwrap().to_owned();
    // The owner's token still serves: for all the portal knows, an answer was lost.
    let answer = owner.refresh_with(&taken).await;
    owner.take(&answer);
    owner.me().await;
    // Whoever of the two comes first, the other one's next refresh says that there are two.
    assert!(owner.refresh_with(&thiefs).await.status.is_success());
    let refused = owner.refresh_with(&owner.refresh).await;
    assert_eq!(refused.problem(), "token-reused");
    assert_eq!(owner.get("/v1/me").await.problem(), "not-signed-in");
    assert_eq!(
        owner.refresh_with(&thiefs).await.problem(),
        "not-signed-in",
        "and the thief is out as well"
    );
}

#[tokio::test]
async fn a_cloned_phone_that_refreshes_after_the_owner_ends_both() {
    let world = World::start().await;
    let mut owner = world.device(RESIDENT).await;
    let taken = owner.refresh.clone();
    for _ in 0..2 {
        let answer = owner.refresh_with(&owner.refresh).await;
        owner.take(&answer);
    }
    assert_eq!(owner.refresh_with(&taken).await.problem(), "token-reused");
    assert_eq!(owner.get("/v1/me").await.problem(), "not-signed-in");
}

#[tokio::test]
async fn a_token_of_long_ago_signs_nobody_out_in_the_hands_of_another_key() {
    let world = World::start().await;
    let mut owner = world.device(RESIDENT).await;
    let taken = owner.refresh.clone();
    for _ in 0..2 {
        let answer = owner.refresh_with(&owner.refresh).await;
        owner.take(&answer);
    }
    let thief = Device::new(world.portal.url());
    for token in [&taken, &owner.refresh] {
        assert_eq!(thief.refresh_with(token).await.problem(), "bad-proof");
    }
    owner.me().await;
    let answer = owner.refresh_with(&owner.refresh).await;
    owner.take(&answer);
}

#[tokio::test]
async fn a_proof_that_was_made_for_another_write_or_seen_before_writes_nothing() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let (people, keys) = (world.path("/people"), world.path("/keys"));
    let before = names(&world, &mara).await;
    let body = |name: &str| Some(json!({ "name": name, "role": "vendor" }));
    let headers = |proof_for: (&Method, &str), key: &str| {
        let mut headers = mara.proof_headers(proof_for.0, proof_for.1, Some(&mara.access));
        headers.insert("idempotency-key", key.parse().unwrap());
        headers
    };
    for (what, proof_for) in [
        ("another method", (&Method::GET, people.as_str())),
        ("another address", (&Method::POST, keys.as_str())),
    ] {
        let headers = headers(proof_for, "one-of-a-thief");
        let refused = mara.send(Method::POST, &people, body("Mallory"), headers);
        assert_eq!(refused.await.problem(), "bad-proof", "{what}");
    }
    let right = headers((&Method::POST, &people), "one-of-the-owner");
    let made = mara.send(Method::POST, &people, body("Vera Vendor"), right.clone());
    made.await.ok::<Person>();
    let mut again = right;
    again.insert("idempotency-key", "one-of-a-thief".parse().unwrap());
    let refused = mara.send(Method::POST, &people, body("Mallory"), again);
    assert_eq!(refused.await.problem(), "bad-proof", "seen before");
    let mut after = names(&world, &mara).await;
    assert_eq!(after.pop().as_deref(), Some("Vera Vendor"));
    assert_eq!(after, before);
}

#[tokio::test]
async fn somebody_elses_public_key_brings_no_grant_and_takes_none_away() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let path = world.path("/credentials");
    let (hers, his) = (Software::new(), Software::new());
    // All that a thief may have of her: her public key, and her registration as it was sent.
    let sent = rita
        .registration(&world, KeyKind::AccessCredential, &hers)
        .await;
    assert_eq!(
        stefan.post(&path, sent.clone()).await.problem(),
        "bad-proof",
        "her registration in his session"
    );
    let mut without = stefan
        .registration(&world, KeyKind::AccessCredential, &his)
        .await;
    without["public_key"] = json!(Base64(hers.public().to_vec()));
    assert_eq!(stefan.post(&path, without).await.problem(), "bad-proof");
    let mut with = stefan
        .registration(&world, KeyKind::AccessCredential, &his)
        .await;
    with["public_key"] = json!(Base64(hers.public().to_vec()));
    with["signature"] = sent["signature"].clone();
    assert_eq!(stefan.post(&path, with).await.problem(), "bad-proof");
    // Her own registration was not used up by any of it.
    assert_eq!(rita.post(&path, sent).await.status, 201);
    let granted = grants(&rita.sync(&world, None).await);
    assert_eq!(granted.len(), 1);
    // Even with the key itself in hand: it belongs to one person.
    let with_the_key = stefan
        .registration(&world, KeyKind::AccessCredential, &hers)
        .await;
    assert_eq!(stefan.post(&path, with_the_key).await.problem(), "conflict");
    assert!(grants(&stefan.sync(&world, None).await).is_empty());
    assert_eq!(grants(&rita.sync(&world, None).await), granted);
}

#[tokio::test]
async fn staff_make_nobody_above_themselves_and_take_nobodys_address() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let stefan = world.device(STAFF).await;
    let path = world.path("/people");
    let before = names(&world, &mara).await;
    for role in ["owner", "manager"] {
        let new = json!({ "name": "Friend", "role": role, "email": "friend@else.example" });
        assert_eq!(
            stefan.post(&path, new).await.problem(),
            "not-allowed",
            "{role}"
        );
    }
    for address in [MANAGER, " Mara@Harbour.EXAMPLE "] {
        let new = json!({ "name": "Friend", "role": "resident", "email": address });
        assert_eq!(
            stefan.post(&path, new).await.problem(),
            "conflict",
            "{address:?}"
        );
    }
    assert_eq!(names(&world, &mara).await, before);
    assert_eq!(mara.me().await.memberships[0].person_name, "Mara Manager");
}

#[tokio::test]
async fn an_idempotency_key_that_somebody_else_used_shows_and_opens_nothing() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let path = world.path("/keys");
    let north = find(&world, &mara, "North gate").await.id;
    let draft = json!({ "name": "Visit", "kind": "qr", "doors": { "some": [north] } });
    let write = async |device: &Device, path: &str, body: &Value| {
        let body = Some(body.clone());
        device
            .call_with_key(Method::POST, path, body, Some("a-key-that-leaked"))
            .await
    };
    let key: Key = write(&mara, &path, &draft).await.ok();
    let rita = world.device(RESIDENT).await;
    assert_eq!(
        write(&rita, &path, &draft).await.problem(),
        "not-allowed",
        "the same write by another account"
    );
    let mut wider = draft.clone();
    wider["doors"] = json!("all");
    let person = json!({ "name": "Mallory", "role": "vendor" });
    for (what, path, body) in [
        ("another body", path.clone(), &wider),
        ("another address", world.path("/people"), &person),
    ] {
        let refused = write(&mara, &path, body).await;
        assert_eq!(refused.problem(), "idempotency-reused", "{what}");
    }
    let now: Key = mara.get(&format!("{path}/{}", key.id)).await.ok();
    assert_eq!(now, key);
    let keys: Page<Key> = mara.get(&path).await.ok();
    assert_eq!(keys.items.len(), 2, "the one of the file and this");
    assert!(!names(&world, &mara).await.contains(&"Mallory".to_owned()));
}

#[tokio::test]
async fn a_cursor_that_was_not_given_out_reads_nothing() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let last = Base64(i64::MAX.to_be_bytes().to_vec()).to_text();
    let negative = Base64(i64::MIN.to_be_bytes().to_vec()).to_text();
    let long = "A".repeat(8192);
    for list in ["/people", "/doors", "/keys", "/events"] {
        for cursor in ["", "AAAA", "%00%ff", "-1", "'%20OR%201=1", &negative, &long] {
            let path = world.path(&format!("{list}?cursor={cursor}"));
            let refused = mara.get(&path).await;
            assert_eq!(refused.problem(), "bad-request", "{list} {cursor:.20}");
        }
        let path = world.path(&format!("{list}?cursor={last}"));
        let beyond: Page<Value> = mara.get(&path).await.ok();
        assert!(beyond.items.is_empty() && beyond.next.is_none(), "{list}");
    }
    for cursor in ["AAAA", "%00%ff", &last, &long] {
        let path = world.path(&format!("/sync?cursor={cursor}"));
        assert_eq!(mara.get(&path).await.problem(), "cursor-stale");
    }
}

#[tokio::test]
async fn a_cursor_of_another_epoch_begins_anew() {
    let world = World::start().await;
    let mara = world.device(MANAGER).await;
    let cursor = mara.sync(&world, None).await.cursor;
    let path = world.path(&format!("/sync?cursor={cursor}"));
    assert!(mara.get(&path).await.status.is_success());
    world.database.alter(world.folder.path(), |_| {
        "UPDATE property SET epoch = epoch + 1".to_owned()
    });
    assert_eq!(mara.get(&path).await.problem(), "cursor-stale");
}
