//! What phones get for their keys: documents that a door believes, and their end.

use std::collections::BTreeSet;

use aliro::document::RawDocument;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::sync::{Entity, EntityKind, GrantEntity, PassEntity, SyncPage};
use latchkey_protocol::grant::{ElementName, Place};
use latchkey_protocol::pass::{DoorSet, SignedPass};
use latchkey_protocol::proof::KeyKind;
use latchkey_protocol::revocation::RevocationList;
use reqwest::Method;
use serde_json::json;

use crate::client::{Device, Key as Software, grant_id};
use crate::door::find;
use crate::keys::{home, person};
use crate::world::{RESIDENT, STAFF, World};

pub(crate) fn grants(page: &SyncPage) -> Vec<GrantEntity> {
    let values = page
        .changes
        .iter()
        .filter_map(|change| change.value.clone());
    values
        .filter_map(|value| match value {
            Entity::Grant(grant) => Some(grant),
            _ => None,
        })
        .collect()
}

pub(crate) fn passes(page: &SyncPage) -> Vec<PassEntity> {
    let values = page
        .changes
        .iter()
        .filter_map(|change| change.value.clone());
    values
        .filter_map(|value| match value {
            Entity::Pass(pass) => Some(pass),
            _ => None,
        })
        .collect()
}

pub(crate) fn list(world: &World, page: &SyncPage, issuer: &[u8]) -> RevocationList {
    let _ = world;
    let document = page.changes.iter().find_map(|change| match &change.value {
        Some(Entity::Revocation(list)) => Some(list.document.clone()),
        _ => None,
    });
    let issuer = aliro::crypto::PublicKey::from_uncompressed(issuer).unwrap();
    RevocationList::verify(&document.expect("a list").0, &issuer).unwrap()
}

pub(crate) async fn issuer(world: &World, device: &Device) -> Vec<u8> {
    let property: latchkey_protocol::api::property::Property =
        device.get(&world.path("")).await.ok();
    property.issuer_key.0
}

fn places(grant: &GrantEntity) -> BTreeSet<Place> {
    let document = RawDocument::decode(&grant.document.0).unwrap();
    document
        .identifiers()
        .map(|name| name.parse::<ElementName>().unwrap().place)
        .collect()
}

#[tokio::test]
async fn a_phone_that_proves_its_key_gets_a_grant_for_its_doors() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let key = Software::new();
    let registered = rita.register(&world, KeyKind::AccessCredential, &key).await;
    let page = rita.sync(&world, None).await;
    let [grant] = &grants(&page)[..] else {
        panic!("{:?}", page.changes)
    };
    assert_eq!((grant.credential, grant.index), (registered.credential, 0));
    assert_eq!(grant.doors.len(), 2);
    assert_eq!(places(grant).len(), 2);
    assert_eq!((grant.valid_until - page.server_time).num_days(), 7);
    // Her other phone has its own, and does not see this one.
    let other = world.device(RESIDENT).await;
    assert!(grants(&other.sync(&world, None).await).is_empty());
}

#[tokio::test]
async fn a_key_that_is_not_held_is_not_registered() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let path = world.path("/credentials");
    let (hers, other) = (Software::new(), Software::new());
    let mut somebody_elses = rita
        .registration(&world, KeyKind::AccessCredential, &hers)
        .await;
    somebody_elses["public_key"] = json!(latchkey_protocol::bytes::Base64(other.public().to_vec()));
    assert_eq!(
        rita.post(&path, somebody_elses).await.problem(),
        "bad-proof"
    );
    let mut another_use = rita
        .registration(&world, KeyKind::AccessCredential, &hers)
        .await;
    another_use["use"] = "code".into();
    assert_eq!(rita.post(&path, another_use).await.problem(), "bad-proof");
    let theirs = rita
        .registration(&world, KeyKind::AccessCredential, &hers)
        .await;
    assert_eq!(
        stefan.post(&path, theirs).await.problem(),
        "bad-proof",
        "another device's nonce"
    );
    let right = rita
        .registration(&world, KeyKind::AccessCredential, &hers)
        .await;
    assert!(rita.post(&path, right.clone()).await.status.is_success());
    assert_eq!(
        rita.post(&path, right).await.problem(),
        "bad-proof",
        "the nonce was used"
    );
    let again = stefan
        .registration(&world, KeyKind::AccessCredential, &hers)
        .await;
    assert_eq!(
        stefan.post(&path, again).await.problem(),
        "conflict",
        "a key belongs to one person"
    );
}

#[tokio::test]
async fn an_edit_that_adds_revokes_nothing_and_one_that_takes_away_supersedes() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let issuer = issuer(&world, &rita).await;
    let registered = rita
        .register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let first = rita.sync(&world, None).await;
    let before = grants(&first).remove(0);

    let key = home(&world, &stefan).await;
    let path = world.path(&format!("/keys/{}", key.id));
    let rita_id = person(&world, &stefan, "Rita Resident").await.id;
    let mut doors = Vec::new();
    for name in ["North gate", "South gate", "Flat 7"] {
        doors.push(find(&world, &stefan, name).await.id);
    }
    let draft = |doors: &[_]| json!({ "name": "Home", "kind": "mobile", "persons": [rita_id], "doors": { "some": doors } });
    stefan
        .call(Method::PUT, &path, Some(draft(&doors)))
        .await
        .ok::<Key>();
    let wider = rita.sync(&world, Some(&first.cursor)).await;
    let grant = grants(&wider).remove(0);
    assert_eq!(grant.doors.len(), 3);
    assert!(
        !wider
            .changes
            .iter()
            .any(|change| change.kind == EntityKind::Revocation)
    );
    let signed = |grant: &GrantEntity| RawDocument::decode(&grant.document.0).unwrap().signed();
    assert!(
        signed(&grant) > signed(&before),
        "strictly later, within the same second too"
    );

    stefan
        .call(Method::PUT, &path, Some(draft(&doors[..1])))
        .await
        .ok::<Key>();
    let narrower = rita.sync(&world, Some(&wider.cursor)).await;
    assert_eq!(grants(&narrower).remove(0).doors, doors[..1]);
    let list = list(&world, &narrower, &issuer);
    assert_eq!(list.content().superseded.len(), 2);
    assert!(list.content().elements.is_empty());

    stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    let gone = rita.sync(&world, Some(&narrower.cursor)).await;
    let id = grant_id(registered.credential, 0);
    assert!(
        gone.changes
            .iter()
            .any(|change| change.id == id && change.value.is_none())
    );
    let list = self::list(&world, &gone, &issuer);
    assert_eq!(
        (
            list.content().superseded.len(),
            list.content().elements.len()
        ),
        (2, 1)
    );
}

#[tokio::test]
async fn a_code_key_gets_a_pass_for_each_key_and_loses_it_with_the_key() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let issuer = issuer(&world, &rita).await;
    let code_key = Software::new();
    let registered = rita.register(&world, KeyKind::CodeKey, &code_key).await;
    let page = rita.sync(&world, None).await;
    let [pass] = &passes(&page)[..] else {
        panic!("{:?}", page.changes)
    };
    assert_eq!(registered.passes, [pass.pass]);
    let point = aliro::crypto::PublicKey::from_uncompressed(&issuer).unwrap();
    let signed = SignedPass::from_bytes(&pass.statement.0).unwrap();
    let stated = signed.verify(&point, world.property).unwrap();
    assert_eq!(stated.code_key, code_key.point());
    assert!(matches!(&stated.doors, DoorSet::Numbers(doors) if doors.len() == 2));
    let key = home(&world, &stefan).await;
    stefan
        .call(
            Method::DELETE,
            &world.path(&format!("/keys/{}", key.id)),
            None,
        )
        .await
        .ok::<Key>();
    let gone = rita.sync(&world, Some(&page.cursor)).await;
    assert!(
        list(&world, &gone, &issuer)
            .content()
            .revokes_pass(pass.pass)
    );
    let id = pass.pass.to_string();
    assert!(
        gone.changes
            .iter()
            .any(|change| change.id == id && change.value.is_none())
    );
}

#[tokio::test]
async fn a_phone_that_signs_out_loses_its_grants() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let other = world.device(RESIDENT).await;
    let issuer = issuer(&world, &rita).await;
    rita.register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let before = other.sync(&world, None).await;
    assert_eq!(
        rita.call(Method::DELETE, "/v1/session", None).await.status,
        204
    );
    let after = other.sync(&world, Some(&before.cursor)).await;
    assert_eq!(list(&world, &after, &issuer).content().elements.len(), 2);
}

#[tokio::test]
async fn many_doors_stand_in_documents_of_sixteen() {
    let world = World::start().await;
    let olga = world.device(crate::world::OWNER).await;
    let stefan = world.device(STAFF).await;
    stefan
        .register(&world, KeyKind::AccessCredential, &Software::new())
        .await;
    let mut doors = Vec::new();
    for n in 0..20 {
        let new = json!({ "name": format!("Door {n}"), "kind": "unit", "reach": "online" });
        let door: latchkey_protocol::api::doors::Door =
            olga.post(&world.path("/doors"), new).await.ok();
        doors.push(door.id);
    }
    let stefan_id = person(&world, &olga, "Stefan Staff").await.id;
    let draft = json!({
        "name": "Rounds", "kind": "mobile", "persons": [stefan_id], "doors": { "some": doors },
    });
    let key: Key = olga.post(&world.path("/keys"), draft).await.ok();
    let page = stefan.sync(&world, None).await;
    let counts: Vec<_> = grants(&page)
        .iter()
        .map(|grant| grant.doors.len())
        .collect();
    assert_eq!(counts, [16, 4]);
    assert!(grants(&page).iter().all(|grant| grant.keys == [key.id]));
    let all = json!({
        "name": "Rounds", "kind": "mobile", "persons": [stefan_id], "doors": "all",
    });
    olga.call(
        Method::PUT,
        &world.path(&format!("/keys/{}", key.id)),
        Some(all),
    )
    .await
    .ok::<Key>();
    let page = stefan.sync(&world, Some(&page.cursor)).await;
    let [grant] = &grants(&page)[..] else {
        panic!("one document is enough for all doors")
    };
    assert_eq!(places(grant), BTreeSet::from([Place::AllDoors]));
}

/// What a document still opens at a door, given the list: the ends of the keys in it.
fn ends(
    document: &RawDocument,
    holder: &aliro::crypto::PublicKey,
    property: &latchkey_protocol::api::property::Property,
    door: latchkey_protocol::ids::DoorNumber,
    list: &RevocationList,
) -> BTreeSet<String> {
    use aliro::document::{Iterations, TrustedIssuers, Verifier, VerifyContext};
    use latchkey_protocol::grant::{asked_elements, held_keys, knows_reader_rule, understands};
    let mut trusted = TrustedIssuers::new();
    let issuer = aliro::crypto::PublicKey::from_uncompressed(&property.issuer_key.0);
    trusted.add_issuer(issuer.unwrap());
    let context = VerifyContext {
        credential: holder,
        asked: &asked_elements(door),
        clock: None,
        iterations: &Iterations::new(),
        known_reader_rules: &knows_reader_rule,
        understands: &understands,
    };
    let verified = Verifier::new(&trusted).access(document, &context);
    let held = held_keys(&verified.unwrap().elements, door, &property.offsets);
    assert!(held.unreadable.is_empty(), "{:?}", held.unreadable);
    let standing = held
        .keys
        .into_iter()
        .filter(|key| list.content().revokes_element(key.id).is_none());
    standing
        .filter_map(|key| key.rules.range().until().map(|until| until.to_string()))
        .collect()
}

#[tokio::test]
async fn no_document_of_before_opens_for_a_withdrawn_key_that_shared_an_element() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let stefan = world.device(STAFF).await;
    let south = find(&world, &stefan, "South gate").await;
    let rita_id = person(&world, &stefan, "Rita Resident").await.id;
    let property: latchkey_protocol::api::property::Property = rita.get(&world.path("")).await.ok();
    let phone = Software::new();
    rita.register(&world, KeyKind::AccessCredential, &phone)
        .await;
    let mut documents = Vec::new();
    let mut keys = Vec::new();
    for n in 1..=7 {
        let draft = json!({
            "name": format!("Key {n}"), "kind": "mobile", "persons": [rita_id],
            "doors": { "some": [south.id] }, "rules": { "range": { "until": format!("2027-01-{n:02}T12:00") } },
        });
        let key: Key = stefan.post(&world.path("/keys"), draft).await.ok();
        keys.push(key);
        documents.extend(grants(&rita.sync(&world, None).await));
    }
    while let Some(key) = keys.pop() {
        let path = world.path(&format!("/keys/{}", key.id));
        stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
        let page = rita.sync(&world, None).await;
        documents.extend(grants(&page));
        let list = list(&world, &page, &property.issuer_key.0);
        let standing: BTreeSet<_> = keys
            .iter()
            .filter_map(|key| key.rules.range().until().map(|until| until.to_string()))
            .collect();
        let open = |grant: &GrantEntity| {
            let document = RawDocument::decode(&grant.document.0).unwrap();
            ends(&document, &phone.point(), &property, south.number, &list)
        };
        let here = |grant: &&GrantEntity| grant.doors.contains(&south.id);
        for document in documents.iter().filter(here) {
            assert!(open(document).is_subset(&standing), "{}", key.name);
        }
        let newest: BTreeSet<_> = grants(&page).iter().filter(here).flat_map(open).collect();
        assert_eq!(
            newest, standing,
            "what stands opens with the newest document"
        );
    }
}
