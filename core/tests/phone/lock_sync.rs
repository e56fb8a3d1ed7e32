//! What phones carry to and from doors without a network.

use std::sync::Arc;
use std::time::Duration;

use latchkey_core::outbox::Action;
use latchkey_core::phone::Phone;
use latchkey_protocol::api::sync::{
    BundleEntity, Entity, EntityKind, LogReceiptEntity, StatementEntity,
};
use latchkey_protocol::bundle::PAGE;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorstate::BundleNumber;
use latchkey_protocol::ids::Generation;
use latchkey_protocol::private::{Assembling, BundlePage, LogReach};
use latchkey_protocol::roles::Role;

use crate::door::{Script, TestDoor, wants_all};
use crate::unlock::{on_the_spot, phone_at, unlock};
use crate::world::{GATE, POOL, PROPERTY, World, at, change, membership};

/// Five pages, each of its own.
fn body() -> Vec<u8> {
    (0..5 * PAGE).map(|at| (at / PAGE) as u8).collect()
}

fn bundle() -> BundleEntity {
    BundleEntity {
        door: GATE,
        generation: Generation(1),
        epoch: 1,
        number: 7,
        all: 9,
        header: Base64(b"signed header".to_vec()),
        body: Base64(body()),
        made_at: "2026-11-24T08:00:00Z".parse().unwrap(),
    }
}

fn receipt(up_to: u64) -> LogReceiptEntity {
    LogReceiptEntity {
        door: GATE,
        generation: Generation(1),
        up_to,
        receipt: Base64(format!("kept up to {up_to}").into_bytes()),
    }
}

/// The portal has these for the phone, and statements 9 and 10.
async fn with(world: &World, phone: &Phone, entities: Vec<Entity>) {
    {
        let statements = [9u64, 10].map(|number| {
            let statement = Base64(vec![number as u8; 100]);
            let entity = Entity::Statement(StatementEntity {
                epoch: 1,
                number,
                statement,
            });
            change(EntityKind::Statement, &number, entity)
        });
        let mut changes = statements.to_vec();
        changes.extend(entities.into_iter().map(|entity| match &entity {
            Entity::Bundle(_) => change(EntityKind::Bundle, &GATE, entity),
            _ => change(EntityKind::LogReceipt, &GATE, entity),
        }));
        let mut state = world.wire.state();
        let mut page = state.pages[&(PROPERTY, "c2".to_owned())].clone();
        page.changes = changes;
        page.cursor = "c3".to_owned();
        state
            .pages
            .insert((PROPERTY, "c2".to_owned()), page.clone());
        page.changes.clear();
        state.pages.insert((PROPERTY, "c3".to_owned()), page);
    }
    phone.sync().await.unwrap();
}

/// A phone of somebody with this role, before a door that does as its script says.
async fn scene(role: Role, script: Script) -> (World, TestDoor, Arc<Phone>) {
    let mut world = World::new().await;
    world.wire.state().memberships = vec![membership(role)];
    let door = TestDoor::start(&world, script).await;
    let phone = phone_at(&mut world, &door.address).await;
    (world, door, phone)
}

fn gate() -> Script {
    Script {
        wants: wants_all(),
        ..Script::opening(GATE, 1)
    }
}

#[tokio::test]
async fn who_may_carry_brings_the_bundle_and_no_statement_that_it_stands_for() {
    let (world, door, phone) = scene(Role::Staff, gate()).await;
    with(&world, &phone, vec![Entity::Bundle(bundle())]).await;
    let pending = phone.staff(PROPERTY).unwrap().awaiting_lock_sync().unwrap();
    assert_eq!((pending.len(), pending[0].door), (1, GATE));
    unlock(&phone, GATE).await.0.unwrap();
    let seen = door.seen.lock().unwrap();
    assert_eq!(seen.headers, [b"signed header".to_vec()]);
    let number = BundleNumber {
        epoch: 1,
        number: 7,
    };
    let all: Vec<_> = BundlePage::cut(number, &body(), None).collect();
    assert_eq!(seen.pages, all);
    assert_eq!(seen.statements, [vec![10; 100]]);
    assert_eq!(seen.parted, 1);
}

#[tokio::test]
async fn a_broken_off_bundle_goes_on_with_the_pages_that_are_missing() {
    let number = BundleNumber {
        epoch: 1,
        number: 7,
    };
    let assembling = |number, missing| Script {
        assembling: Some(Assembling { number, missing }),
        ..gate()
    };
    let later = BundleNumber {
        epoch: 1,
        number: 8,
    };
    let earlier = BundleNumber {
        epoch: 1,
        number: 6,
    };
    let at_seven = Script {
        bundle_after: number,
        ..gate()
    };
    let replaced = Script {
        generation: Generation(2),
        ..gate()
    };
    for (script, pages) in [
        (assembling(number, vec![1, 4]), vec![1, 4]),
        // It was whole, and the door could not obey it.
        (assembling(number, vec![]), vec![]),
        // Somebody brings it a newer one.
        (assembling(later, vec![3]), vec![]),
        (assembling(earlier, vec![3]), vec![0, 1, 2, 3, 4]),
        (at_seven, vec![]),
        (replaced, vec![]),
    ] {
        let (world, door, phone) = scene(Role::Staff, script).await;
        with(&world, &phone, vec![Entity::Bundle(bundle())]).await;
        unlock(&phone, GATE).await.0.unwrap();
        let seen = door.seen.lock().unwrap();
        let brought: Vec<_> = seen.pages.iter().map(|page| page.index).collect();
        assert_eq!(brought, pages);
        // What no bundle stands for comes by itself.
        let statements = if pages.is_empty() { 2 } else { 1 };
        assert_eq!(seen.statements.len(), statements);
    }
}

#[tokio::test]
async fn residents_carry_lists_and_statements_and_no_more() {
    let script = Script {
        log: LogReach { kept: 0, last: 30 },
        ..gate()
    };
    let (world, door, phone) = scene(Role::Resident, script).await;
    let entities = vec![Entity::Bundle(bundle()), Entity::LogReceipt(receipt(10))];
    with(&world, &phone, entities).await;
    unlock(&phone, GATE).await.0.unwrap();
    let seen = door.seen.lock().unwrap();
    assert_eq!((seen.headers.len(), seen.receipts.len()), (0, 0));
    assert!(seen.log_after.is_empty());
    assert_eq!(seen.statements.len(), 2);
}

/// What a phone took along it does not take again while it waits; once the portal has a receipt, the door
/// gets that.
#[tokio::test]
async fn a_log_is_taken_along_from_where_this_phone_and_the_receipts_have_come() {
    let script = Script {
        log: LogReach { kept: 0, last: 25 },
        ..gate()
    };
    let (world, door, phone) = scene(Role::Staff, script).await;
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(door.seen.lock().unwrap().log_after, [0, 10, 20, 25]);
    let waiting = phone.outbox().unwrap();
    let parts = waiting.iter().filter_map(|entry| match entry.action {
        Action::CarryLog {
            door,
            generation,
            up_to,
        } => Some((door, generation, up_to)),
        _ => None,
    });
    let first = Generation(1);
    assert_eq!(
        parts.collect::<Vec<_>>(),
        [(GATE, first, 10), (GATE, first, 20), (GATE, first, 25)]
    );
    unlock(&phone, GATE).await.0.unwrap();
    assert_eq!(door.seen.lock().unwrap().log_after.len(), 4, "nothing new");

    phone.sync().await.unwrap();
    assert_eq!(phone.outbox().unwrap(), []);
    {
        let state = world.wire.state();
        let sent = state
            .done
            .iter()
            .filter(|(_, path, _)| path.ends_with("/door-logs"));
        let sent: Vec<_> = sent.map(|(_, _, body)| body["parcel"].clone()).collect();
        let sealed = |up_to| Base64(format!("entries up to {up_to}").into_bytes()).to_text();
        assert_eq!(sent, [sealed(10), sealed(20), sealed(25)]);
    }
    with(&world, &phone, vec![Entity::LogReceipt(receipt(20))]).await;
    unlock(&phone, GATE).await.0.unwrap();
    let seen = door.seen.lock().unwrap();
    assert_eq!(seen.receipts, [b"kept up to 20".to_vec()]);
    assert_eq!(seen.log_after[4..], [20, 25]);
}

#[tokio::test]
async fn an_older_door_is_brought_what_it_understands() {
    let script = Script {
        knows_lock_sync: false,
        ..gate()
    };
    let (world, door, phone) = scene(Role::Staff, script).await;
    with(&world, &phone, vec![Entity::Bundle(bundle())]).await;
    let visit = tokio::spawn({
        let phone = phone.clone();
        async move { unlock(&phone, GATE).await.0.map(drop) }
    });
    door.until(|seen| seen.carries == 1).await;
    // It waits a second for what the door needs.
    while !visit.is_finished() {
        world.clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    visit.await.unwrap().unwrap();
    let seen = door.seen.lock().unwrap();
    assert_eq!((seen.headers.len(), seen.statements.len()), (0, 2));
    assert_eq!(seen.parted, 1);
}

/// Staff carry to any door; opening it takes a key.
#[tokio::test]
async fn carrying_needs_no_key_for_the_door_and_opens_nothing() {
    let mut world = World::new().await;
    world.wire.state().memberships = vec![membership(Role::Staff)];
    let script = Script {
        log: LogReach { kept: 0, last: 3 },
        ..Script::opening(POOL, 2)
    };
    let door = TestDoor::start(&world, script).await;
    world.doors[1].stream_address = Some(door.address.clone());
    let phone = world.signed_in().await;
    phone
        .carry_lock_sync(at(POOL), &on_the_spot(), &|_| {})
        .await
        .unwrap();
    {
        let seen = door.seen.lock().unwrap();
        assert_eq!((seen.commits.len(), seen.carries, seen.parted), (0, 1, 1));
        assert_eq!(seen.log_after, [0, 3]);
    }
    let actions: Vec<_> = phone
        .outbox()
        .unwrap()
        .into_iter()
        .map(|entry| entry.action)
        .collect();
    let log = Action::CarryLog {
        door: POOL,
        generation: Generation(1),
        up_to: 3,
    };
    assert_eq!(actions, [log, Action::CarryDoorState(POOL)]);
}
