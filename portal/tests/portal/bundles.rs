//! Bundles for doors without a network, which phones carry.

use std::path::Path;
use std::time::Duration;

use latchkey_protocol::api::sync::{BundleEntity, Entity, EntityKind, SyncPage};
use latchkey_protocol::bundle::{Content, Header, SignedHeader};
use latchkey_protocol::doorstate::BundleNumber;
use latchkey_protocol::ids::{Generation, PassId, PropertyId};
use latchkey_protocol::revocation::RevocationList;
use latchkey_protocol::statement::Body;
use latchkey_protocol::uses::Held;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Device;
use crate::door::{Door, find};
use crate::guests::{Browser, share};
use crate::world::{INSTALLER, RESIDENT, STAFF, World};

/// A guest who has bound a link for the flat; the pass.
async fn guest(world: &World, staff: &Device) -> (latchkey_protocol::api::keys::Key, PassId) {
    let flat = find(world, staff, "Flat 7").await.id;
    let (key, link) = share(world, staff, &[flat], json!({})).await;
    let mut browser = Browser::open(world, &link);
    let bound: latchkey_protocol::api::links::GuestPass = browser.bind().await.ok();
    (key, bound.pass)
}

/// Syncs until there is a bundle of at least this number on its way to the door.
async fn bundle(world: &World, phone: &Device, door: &Door, at_least: u64) -> BundleEntity {
    loop {
        let page = phone.sync(world, None).await;
        let found = bundles(&page).find(|bundle| bundle.door == door.id);
        match found {
            Some(bundle) if bundle.number >= at_least => return bundle,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// The same, while one round after the other passes.
async fn bundle_of_a_round(
    world: &World,
    phone: &mut Device,
    door: &Door,
    at_least: u64,
) -> BundleEntity {
    loop {
        world.clock.advance(Duration::from_secs(301));
        let answer = phone.refresh_with(&phone.refresh).await;
        phone.take(&answer);
        for _ in 0..20 {
            let page = phone.sync(world, None).await;
            let found = bundles(&page).find(|bundle| bundle.door == door.id);
            if let Some(bundle) = found.filter(|bundle| bundle.number >= at_least) {
                return bundle;
            }
        }
    }
}

fn bundles(page: &SyncPage) -> impl Iterator<Item = BundleEntity> {
    page.changes
        .iter()
        .filter_map(|change| match &change.value {
            Some(Entity::Bundle(bundle)) => Some(bundle.clone()),
            _ => None,
        })
}

fn header(door: &Door, bundle: &BundleEntity) -> Header {
    let header = SignedHeader::from_bytes(&bundle.header.0).unwrap();
    header
        .verify(&door.commissioned.issuer, door.state.property)
        .unwrap()
}

/// What the door reads in it.
fn opened(door: &Door, bundle: &BundleEntity) -> Content {
    let header = header(door, bundle);
    assert_eq!((header.door, header.generation), (door.id, door.generation));
    assert_eq!(header.number.number, bundle.number);
    header
        .open(&door.controller.sealing, bundle.body.0.clone())
        .unwrap()
}

fn passes(door: &Door, content: &Content) -> Vec<PassId> {
    let (issuer, property) = (&door.commissioned.issuer, door.state.property);
    let passes = content.passes.iter();
    let ids = passes.map(|(_, signed)| signed.verify(issuer, property).unwrap().id);
    ids.collect()
}

/// What its statements say.
fn bodies(door: &Door, content: &Content) -> Vec<Body> {
    let (issuer, property) = (&door.commissioned.issuer, door.state.property);
    let statements = content.statements.iter();
    let bodies = statements.map(|signed| signed.verify(issuer, property).unwrap().body);
    bodies.collect()
}

/// A phone was there: the door shows that it has applied this bundle.
async fn show(world: &World, phone: &Device, door: &mut Door, bundle: &BundleEntity) {
    door.state.bundle = header(door, bundle).number;
    door.state.statements.all = bundle.all;
    let state = json!({ "state": door.signed_state() });
    let taken = phone.post(&world.path("/door-states"), state).await;
    assert_eq!(taken.status, 204, "{}", taken.text());
}

#[tokio::test]
async fn a_bundle_goes_to_those_who_carry_until_the_door_has_shown_it() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let mut flat = Door::install(&world, "Flat 7").await;
    let _online = Door::install(&world, "North gate").await;
    assert_eq!(bundles(&staff.sync(&world, None).await).count(), 0);

    let (key, pass) = guest(&world, &staff).await;
    let first = bundle(&world, &staff, &flat, 1).await;
    let content = opened(&flat, &first);
    assert_eq!(passes(&flat, &content), [pass]);
    let kinds = bodies(&flat, &content);
    assert!(
        matches!(
            &kinds[..],
            [Body::Settings(_), Body::DoorSettings(_), Body::LogKey(_)]
        ),
        "{kinds:?}"
    );
    let installer = world.device(INSTALLER).await;
    let for_installer = bundle(&world, &installer, &flat, 1).await;
    assert_eq!(for_installer, first);
    let rita = world.device(RESIDENT).await;
    assert_eq!(bundles(&rita.sync(&world, None).await).count(), 0);

    // Once its door has signed for it, nobody need carry it any more.
    let before = staff.sync(&world, None).await.cursor;
    show(&world, &staff, &mut flat, &first).await;
    let after = staff.sync(&world, Some(&before)).await;
    let gone = after
        .changes
        .iter()
        .find(|change| change.kind == EntityKind::Bundle);
    assert_eq!(gone.unwrap().value, None);
    assert_eq!(bundles(&staff.sync(&world, None).await).count(), 0);

    // A withdrawal is due there by the next one, with the list that says so.
    let path = world.path(&format!("/keys/{}", key.id));
    staff.call(Method::DELETE, &path, None).await;
    let second = bundle(&world, &staff, &flat, 2).await;
    let content = opened(&flat, &second);
    assert_eq!(passes(&flat, &content), []);
    let list = RevocationList::verify(&content.revocations.unwrap(), &flat.commissioned.issuer);
    assert!(list.unwrap().content().revokes_pass(pass));
}

/// What changes elsewhere needs no bundle here, until it would be too many statements to carry.
#[tokio::test]
async fn a_bundle_is_made_for_what_changes_at_its_door_or_when_it_is_far_behind() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    let gate = find(&world, &staff, "South gate").await.id;
    let elsewhere = async || {
        let (_, link) = share(&world, &staff, &[gate], json!({})).await;
        Browser::open(&world, &link).bind().await.ok::<Value>();
    };
    elsewhere().await;
    let (_, pass) = guest(&world, &staff).await;
    let first = bundle(&world, &staff, &flat, 1).await;
    assert_eq!(first.number, 1, "none was made for what happened elsewhere");
    assert_eq!(passes(&flat, &opened(&flat, &first)), [pass]);
    for _ in 0..64 {
        elsewhere().await;
    }
    let second = bundle(&world, &staff, &flat, 2).await;
    assert_eq!(second.all, first.all + 64);
    assert_eq!(passes(&flat, &opened(&flat, &second)), [pass]);
}

#[tokio::test]
async fn a_replaced_controllers_bundle_goes_and_the_numbers_go_on() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let first = Door::install(&world, "Flat 7").await;
    guest(&world, &staff).await;
    let old = bundle(&world, &staff, &first, 1).await;
    let mut second = Door::install(&world, "Flat 7").await;
    assert_eq!(second.generation, Generation(2));
    assert_eq!(bundles(&staff.sync(&world, None).await).count(), 0);
    guest(&world, &staff).await;
    let new = bundle(&world, &staff, &second, 2).await;
    assert_eq!(new.generation, second.generation);
    assert_eq!(passes(&second, &opened(&second, &new)).len(), 2);
    let header = header(&first, &old);
    assert!(header.open(&second.controller.sealing, old.body.0).is_err());

    // The word of the one before counts no longer.
    second.state.bundle = BundleNumber {
        epoch: 1,
        number: 9,
    };
    second.state.generation = first.generation;
    let state = json!({ "state": second.signed_state() });
    let refused = staff.post(&world.path("/door-states"), state).await;
    assert_eq!(refused.problem(), "invalid-value");
}

/// A portal of before there was lock sync: its statements are named, and doors are told of a key for
/// their logs.
#[tokio::test]
async fn a_property_of_before_gets_what_it_lacks_at_the_start() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE statement SET kind = NULL; DELETE FROM bundle;".to_owned()
    });
    let world = world.restart().await;
    let mut staff = staff;
    staff.move_to(world.portal.url());
    let content = opened(&flat, &bundle(&world, &staff, &flat, 1).await);
    assert_eq!(content.statements.len(), 3);
    // There was a key already: it is told once.
    let numbers = flat.commissioned.numbers;
    assert_eq!(bundle(&world, &staff, &flat, 1).await.all, numbers.all);
}

/// What the signer remembers of the property, changed.
fn alter_signer(data: &Path, property: PropertyId, change: impl FnOnce(&mut Value)) {
    let signer = data.join("signer").join(property.to_string());
    let path = signer.join("state.json");
    let mut state = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut state);
    std::fs::write(&path, serde_json::to_vec(&state).unwrap()).unwrap();
}

/// The numbers of the epoch before say nothing in this one: no bundle holds a statement that it does not stand for.
#[tokio::test]
async fn passes_that_were_told_in_an_earlier_epoch_are_in_no_bundle_of_the_next() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    guest(&world, &staff).await;
    bundle(&world, &staff, &flat, 1).await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE property SET epoch = 2".to_owned()
    });
    let property = world.property;
    let restored = |state: &mut Value| {
        state["epoch"] = 2.into();
        state["confirmed"] = json!({});
    };
    let world = world
        .restart_after(|data| alter_signer(data, property, restored))
        .await;
    let mut staff = staff;
    staff.move_to(world.portal.url());
    let told = loop {
        let told = bundle(&world, &staff, &flat, 1).await;
        if told.epoch == 2 {
            break told;
        }
    };
    let content = opened(&flat, &told);
    assert!(
        content.passes.iter().all(|(number, _)| *number <= told.all),
        "{} and {:?}",
        told.all,
        content.passes
    );
    // Nor is one that has only its number in common with a statement of this epoch.
    let mut new = Vec::new();
    for _ in 0..4 {
        new.push(guest(&world, &staff).await.1);
    }
    let later = loop {
        let later = bundle(&world, &staff, &flat, told.number + 1).await;
        if passes(&flat, &opened(&flat, &later)).len() >= new.len() {
            break later;
        }
    };
    assert_eq!(passes(&flat, &opened(&flat, &later)), new);
}

/// A backup of before it was kept what statements say: none is left out in the new epoch.
#[tokio::test]
async fn a_bundle_leaves_out_no_settings_after_a_restore_of_before_bundles() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    guest(&world, &staff).await;
    bundle(&world, &staff, &flat, 1).await;
    world.database.alter(world.folder.path(), |_| {
        "DELETE FROM statement WHERE kind = 'log-key'; UPDATE statement SET kind = NULL;
         DELETE FROM bundle;"
            .to_owned()
    });
    let property = world.property;
    let ahead = |state: &mut Value| state["confirmed"] = json!({ "all": 100 });
    let world = world
        .restart_after(|data| alter_signer(data, property, ahead))
        .await;
    world.begin_epoch().await;
    let world = world.restart().await;
    let mut staff = staff;
    staff.move_to(world.portal.url());
    // Where the instances hear of each other, the portal that ran on may have made one before: without the log key.
    let content = loop {
        let content = opened(&flat, &bundle(&world, &staff, &flat, 1).await);
        let bodies = bodies(&flat, &content);
        if bodies.iter().any(|body| matches!(body, Body::LogKey(_))) {
            break content;
        }
    };
    assert_eq!(
        content.statements.len(),
        3,
        "the settings and its door's too"
    );
}

/// No bundle is made of statements of which it is not known what they say; in the next round it is.
#[tokio::test]
async fn a_bundle_waits_until_its_statements_are_named() {
    let world = World::start().await;
    let mut staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE statement SET kind = NULL;".to_owned()
    });
    guest(&world, &staff).await;
    let told = bundle_of_a_round(&world, &mut staff, &flat, 1).await;
    let content = opened(&flat, &told);
    assert_eq!(content.statements.len(), 3);
}

/// Nothing else need be issued for it: a bundle that could not be made is tried again in each round.
#[tokio::test]
async fn a_bundle_that_could_not_be_made_comes_later_by_itself() {
    let world = World::start().await;
    let mut staff = world.device(STAFF).await;
    world.database.alter(world.folder.path(), |_| {
        "UPDATE door SET reach = 'offline';".to_owned()
    });
    let north = Door::install(&world, "North gate").await;
    let flat = Door::install(&world, "Flat 7").await;
    let (_, link) = share(&world, &staff, &[north.id], json!({})).await;
    Browser::open(&world, &link).bind().await.ok::<Value>();
    let first = bundle(&world, &staff, &north, 1).await;
    let pass = opened(&north, &first).passes.remove(0).1.to_bytes();
    // Not readable for a while: its door's bundle cannot be made.
    world.database.alter(world.folder.path(), |bytes| {
        format!("UPDATE pass SET statement = {};", bytes(&pass[..9]))
    });
    let (_, link) = share(&world, &staff, &[north.id, flat.id], json!({})).await;
    Browser::open(&world, &link).bind().await.ok::<Value>();
    // The doors are looked at in the order of their numbers.
    bundle(&world, &staff, &flat, 1).await;
    world.database.alter(world.folder.path(), |bytes| {
        let (spoilt, pass) = (bytes(&pass[..9]), bytes(&pass));
        format!("UPDATE pass SET statement = {pass} WHERE statement = {spoilt};")
    });
    let second = bundle_of_a_round(&world, &mut staff, &north, 2).await;
    assert_eq!(passes(&north, &opened(&north, &second)).len(), 2);
}

#[tokio::test]
async fn uses_go_ahead_by_bundle_and_what_is_spent_comes_back_in_the_doors_state() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let id = find(&world, &staff, "Flat 7").await.id;
    let (_key, _link) = share(&world, &staff, &[id], json!({ "max_uses": 3 })).await;
    // Installed behind the key.
    let mut flat = Door::install(&world, "Flat 7").await;
    let first = bundle(&world, &staff, &flat, 1).await;
    let [order] = opened(&flat, &first).ceilings[..] else {
        panic!("one ceiling")
    };
    assert_eq!((order.ceiling, order.spent), (1, 0));

    let mut held = Held::default();
    assert!(held.obey(&order));
    held.spend().unwrap();
    flat.state.leases = vec![held.report(order.budget)];
    show(&world, &staff, &mut flat, &first).await;
    let second = bundle(&world, &staff, &flat, 2).await;
    let [order] = opened(&flat, &second).ceilings[..] else {
        panic!("one ceiling")
    };
    assert_eq!((order.ceiling, order.spent), (2, 1), "one ahead again");
}
