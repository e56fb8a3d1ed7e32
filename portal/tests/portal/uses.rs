//! Keys with a number of uses: what doors are given, what comes back, and what staff see of it.

use std::collections::BTreeMap;
use std::time::Duration;

use latchkey_protocol::api::keys::{Key, KeyUses};
use latchkey_protocol::doorlink::{FromDoor, FromPortal};
use latchkey_protocol::ids::BudgetId;
use latchkey_protocol::rules::{Reason, Status};
use latchkey_protocol::uses::{Held, LeaseNumber, LeaseReport};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Device;
use crate::door::{Door, Line};
use crate::keys::person;
use crate::world::{INSTALLER, MANAGER, RESIDENT, STAFF, World};

/// A door that keeps its leases as doors do, on its line.
struct At {
    door: Door,
    line: Line,
    held: BTreeMap<BudgetId, Held>,
    requests: u64,
}

impl At {
    async fn online(world: &World, name: &str) -> Self {
        let door = Door::install(world, name).await;
        let line = door.connect(world).await;
        let mut at = Self {
            door,
            line,
            held: BTreeMap::new(),
            requests: 0,
        };
        at.tell().await;
        at
    }

    /// Signs for all that it holds.
    async fn tell(&mut self) {
        let state = self.signed();
        self.line.say(&FromDoor::State { state }).await;
    }

    fn signed(&mut self) -> latchkey_protocol::bytes::Base64 {
        self.door.state.leases = reports(&self.held);
        self.door.signed_state()
    }

    /// Hears the portal until it answers, obeying on the way; its orders are signed for when `signs`.
    async fn hear(&mut self, signs: bool) -> Option<Option<Reason>> {
        match self.door.obey(&mut self.line).await {
            FromPortal::Ceilings { ceilings } => {
                for ceiling in &ceilings {
                    self.held.entry(ceiling.budget).or_default().obey(ceiling);
                }
                if signs {
                    self.tell().await;
                }
                None
            }
            FromPortal::UseAnswer { request, denied } => {
                assert_eq!(request, self.requests);
                Some(denied)
            }
            _ => None,
        }
    }

    async fn ask(&mut self, budget: BudgetId) {
        self.requests += 1;
        let spent = self.held.get(&budget).map_or(0, |held| held.spent);
        self.line
            .say(&FromDoor::UseWanted {
                request: self.requests,
                budget,
                spent,
            })
            .await;
    }

    async fn answer(&mut self) -> Result<(), Reason> {
        loop {
            if let Some(denied) = self.hear(true).await {
                return denied.map_or(Ok(()), Err);
            }
        }
    }

    /// Somebody comes with the key.
    async fn open(&mut self, budget: BudgetId) -> Result<(), Reason> {
        if self.held.get(&budget).is_none_or(|held| held.left() == 0) {
            self.ask(budget).await;
            self.answer().await?;
        }
        self.held.get_mut(&budget).unwrap().spend().unwrap();
        self.tell().await;
        Ok(())
    }
}

fn reports(held: &BTreeMap<BudgetId, Held>) -> Vec<LeaseReport> {
    held.iter()
        .map(|(budget, held)| held.report(*budget))
        .collect()
}

async fn draft(world: &World, staff: &Device, uses: u32, doors: Value) -> Value {
    json!({
        "name": "Counted",
        "kind": "mobile",
        "persons": [person(world, staff, "Rita Resident").await.id],
        "doors": doors,
        "rules": { "max_uses": uses },
    })
}

async fn issue(world: &World, staff: &Device, uses: u32, doors: Value) -> Key {
    let draft = draft(world, staff, uses, doors).await;
    staff.post(&world.path("/keys"), draft).await.ok()
}

async fn edit(staff: &Device, path: &str, draft: Value) {
    let edited = staff.call(Method::PUT, path, Some(draft)).await;
    edited.ok::<Key>();
}

async fn shown(world: &World, device: &Device, key: &Key) -> (Status, KeyUses) {
    let key: Key = device
        .get(&world.path(&format!("/keys/{}", key.id)))
        .await
        .ok();
    (key.status, key.uses.unwrap())
}

/// The portal says so once it has taken what a door has signed.
async fn until(world: &World, device: &Device, key: &Key, says: impl Fn(&KeyUses) -> bool) {
    while !says(&shown(world, device, key).await.1) {
        tokio::task::yield_now().await;
    }
}

/// A key for all doors, one use of which lies at the flat without a network.
async fn with_flat(uses: u32) -> (World, Device, Key, BudgetId, Door) {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let key = issue(&world, &stefan, uses, json!("all")).await;
    // It was commissioned behind the key: an edit gives it some ahead.
    let door = Door::install(&world, "Flat 7").await;
    let path = world.path(&format!("/keys/{}", key.id));
    let same = draft(&world, &stefan, uses, json!("all")).await;
    edit(&stefan, &path, same).await;
    let mut at = At {
        line: door.connect(&world).await,
        door,
        held: BTreeMap::new(),
        requests: 0,
    };
    at.tell().await;
    while at.held.is_empty() {
        at.hear(false).await;
    }
    let budget = *at.held.keys().next().unwrap();
    (world, stefan, key, budget, at.door)
}

#[tokio::test]
async fn a_key_of_two_uses_opens_twice_over_two_doors_is_used_up_and_opens_again_after_an_edit() {
    let (world, stefan, key, budget, flat) = Box::pin(with_flat(3)).await;
    // The flat's use is out of the count: written off, and its own again.
    let path = world.path(&format!("/keys/{}", key.id));
    let (mut north, mut south) = (
        At::online(&world, "North gate").await,
        At::online(&world, "South gate").await,
    );
    assert_eq!(north.open(budget).await, Ok(()));
    assert_eq!(south.open(budget).await, Ok(()));
    until(&world, &stefan, &key, |uses| uses.spent == 2).await;
    assert_eq!(north.open(budget).await, Err(Reason::NoUsesHeldHere));

    let body = json!({ "door": flat.id, "generation": 1 });
    let raised: Key = stefan
        .post(&format!("{path}/write-offs"), body.clone())
        .await
        .ok();
    assert_eq!(raised.uses.unwrap().raised, 1);
    let again: Key = stefan.post(&format!("{path}/write-offs"), body).await.ok();
    assert_eq!(again.uses.unwrap().raised, 1, "not twice");
    assert_eq!(north.open(budget).await, Ok(()));
    until(&world, &stefan, &key, |uses| uses.spent == 3).await;
    assert_eq!(north.open(budget).await, Err(Reason::UsedUp));
    let rita = world.device(RESIDENT).await;
    for device in [&stefan, &rita] {
        let (status, uses) = shown(&world, device, &key).await;
        assert_eq!((status, uses.spent), (Status::UsedUp, 3));
    }
    assert!(shown(&world, &rita, &key).await.1.doors.is_empty());

    let more = draft(&world, &stefan, 4, json!("all")).await;
    edit(&stefan, &path, more).await;
    assert_eq!(shown(&world, &rita, &key).await.0, Status::Active);
    assert_eq!(south.open(budget).await, Ok(()));
}

#[tokio::test]
async fn before_it_says_used_up_the_portal_takes_back_what_online_doors_have_not_spent() {
    let (world, stefan, key, budget, _flat) = Box::pin(with_flat(2)).await;
    let mut north = At::online(&world, "North gate").await;
    let mut south = At::online(&world, "South gate").await;
    // Raised too late: whoever stood there has gone.
    north.ask(budget).await;
    assert_eq!(north.answer().await, Ok(()));
    south.ask(budget).await;
    let (answer, ()) = tokio::join!(south.answer(), async {
        while north.held[&budget].left() > 0 {
            north.hear(true).await;
        }
    });
    assert_eq!(answer, Ok(()), "it has come back and gone over");
    let (_, uses) = shown(&world, &stefan, &key).await;
    assert_eq!((uses.spent, uses.left, uses.excess), (0, 2, 0));
}

#[tokio::test]
async fn a_door_that_gives_nothing_back_keeps_nobody_waiting() {
    let (world, _stefan, _key, budget, _flat) = Box::pin(with_flat(2)).await;
    let mut north = At::online(&world, "North gate").await;
    let mut south = At::online(&world, "South gate").await;
    north.ask(budget).await;
    assert_eq!(north.answer().await, Ok(()));
    south.ask(budget).await;
    let (answer, ()) = tokio::join!(south.answer(), async {
        // It hears that it is to give back, and says nothing.
        while north.held[&budget].left() > 0 {
            north.hear(false).await;
        }
        world.clock.advance(Duration::from_millis(1200));
    });
    assert_eq!(answer, Err(Reason::NoUsesHeldHere));
}

#[tokio::test]
async fn what_a_phone_brings_counts_once_however_often_and_late_it_comes() {
    let (world, stefan, key, budget, mut flat) = Box::pin(with_flat(5)).await;
    let rita = world.device(RESIDENT).await;
    let (_, uses) = shown(&world, &stefan, &key).await;
    let lent = uses.doors.iter().find(|at| at.door == flat.id).unwrap();
    assert_eq!((lent.ceiling, lent.spent), (1, 0), "one ahead");
    let mut state = |spent| {
        flat.state.leases = vec![LeaseReport {
            budget,
            number: LeaseNumber { epoch: 1, count: 1 },
            ceiling: 1,
            spent,
        }];
        flat.signed_state()
    };
    let (before, after) = (state(0), state(1));
    let path = world.path("/door-states");
    for carried in [&after, &before, &after] {
        let body = json!({ "state": carried });
        assert_eq!(rita.post(&path, body).await.status, 204);
        let (_, uses) = shown(&world, &stefan, &key).await;
        assert_eq!((uses.spent, uses.left), (1, 4));
    }
    let (_, uses) = shown(&world, &stefan, &key).await;
    let lent = uses.doors.iter().find(|at| at.door == flat.id).unwrap();
    assert_eq!(lent.ceiling, 2, "and one ahead again");
}

#[tokio::test]
async fn a_number_lowered_below_what_doors_hold_shows_the_excess_and_gives_nothing_more() {
    let (world, stefan, key, budget, _flat) = Box::pin(with_flat(3)).await;
    let mut north = At::online(&world, "North gate").await;
    assert_eq!(north.open(budget).await, Ok(()));
    assert_eq!(north.open(budget).await, Ok(()));
    until(&world, &stefan, &key, |uses| uses.spent == 2).await;
    let fewer = draft(&world, &stefan, 1, json!("all")).await;
    let path = world.path(&format!("/keys/{}", key.id));
    edit(&stefan, &path, fewer).await;
    let (_, uses) = shown(&world, &stefan, &key).await;
    assert_eq!((uses.left, uses.excess), (0, 2));
    assert_eq!(north.open(budget).await, Err(Reason::NoUsesHeldHere));
}

#[tokio::test]
async fn only_those_who_may_write_off_do() {
    let (world, stefan, key, _budget, flat) = Box::pin(with_flat(3)).await;
    let path = world.path(&format!("/keys/{}/write-offs", key.id));
    let body = json!({ "door": flat.id, "generation": 1 });
    for other in [RESIDENT, INSTALLER] {
        let answer = world.device(other).await.post(&path, body.clone()).await;
        assert_eq!(answer.problem(), "not-allowed", "{other}");
    }
    let nothing = json!({ "door": flat.id, "generation": 7 });
    assert_eq!(stefan.post(&path, nothing).await.problem(), "not-found");
    let mara = world.device(MANAGER).await;
    mara.post(&path, body).await.ok::<Key>();
}

#[tokio::test]
async fn what_a_controller_in_touch_holds_is_not_written_off() {
    let (world, stefan, key, budget, _flat) = Box::pin(with_flat(3)).await;
    let mut north = At::online(&world, "North gate").await;
    assert_eq!(north.open(budget).await, Ok(()));
    until(&world, &stefan, &key, |uses| uses.spent == 1).await;
    let (_, before) = shown(&world, &stefan, &key).await;
    let path = world.path(&format!("/keys/{}/write-offs", key.id));
    let body = json!({ "door": north.door.id, "generation": 1 });
    assert_eq!(stefan.post(&path, body).await.problem(), "conflict");
    assert_eq!(shown(&world, &stefan, &key).await.1, before);
}

#[tokio::test]
async fn a_withdrawn_key_gives_nothing_and_what_was_out_is_ordered_back() {
    let (world, stefan, key, budget, _flat) = Box::pin(with_flat(3)).await;
    let mut north = At::online(&world, "North gate").await;
    north.ask(budget).await;
    assert_eq!(north.answer().await, Ok(()));
    let path = world.path(&format!("/keys/{}", key.id));
    stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    while north.held[&budget].left() > 0 {
        north.hear(true).await;
    }
    assert!(north.held[&budget].until.is_some(), "it may be forgotten");
    assert_eq!(north.open(budget).await, Err(Reason::NoUsesHeldHere));
}
