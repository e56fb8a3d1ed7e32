//! Keys with a number of uses: what doors hold, ask for, report, and what staff write off. The arithmetic is
//! `latchkey_protocol::uses`; here it is kept, in the same commit as whatever rests on it.

mod rows;

use latchkey_protocol::api::doors::{Door, DoorReach};
use latchkey_protocol::api::keys::{KeyUses, UsesAtDoor, WriteOff};
use latchkey_protocol::ids::{BudgetId, DoorId, Generation, KeyId, PropertyId};
use latchkey_protocol::roles::Action;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::uses::{Answer, Holder, LeaseReport, Ledger};

use super::key::{self, Record as Key};
use super::member::Member;
use super::{audit, door, key_write, property};
use crate::fault::Fault;
use crate::issue::epoch;
use crate::store::{StoreError, Tx, Wake, params};
use crate::tools::Tools;

pub(crate) use rows::{budget_of, unconfirmed};

/// A key was issued or edited: its ledger begins, or follows.
pub(crate) fn key_written(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    id: KeyId,
) -> Result<(), Fault> {
    let Some(key) = key::load(tx, property, id)? else {
        return Ok(());
    };
    let Some(max_uses) = key.rules.max_uses() else {
        return Ok(());
    };
    let until = end_of(tx, property, &key)?;
    if rows::of_key(tx, property, id)?.is_none() {
        let epoch = property::epoch(tx, property)?;
        let ledger = Ledger::new(BudgetId(tools.random()), epoch, max_uses.get(), until);
        rows::keep(tx, property, id, None, &ledger)?;
    }
    let plan = Plan::of(tx, property, &key)?;
    change(tx, property, id, None, |ledger| {
        ledger.edit(max_uses.get(), until);
        plan.give_ahead(ledger);
    })?;
    Ok(())
}

/// A key was withdrawn: what is unspent of it comes back, and its doors may forget it in time.
pub(crate) fn key_withdrawn(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    id: KeyId,
) -> Result<(), Fault> {
    let now = tools.now().timestamp();
    change(tx, property, id, None, |ledger| {
        ledger.until = Some(now);
        ledger.settle();
    })?;
    Ok(())
}

/// A controller was put to a door: where it cannot ask, it is given some of each key ahead.
pub(crate) fn controller_installed(
    tx: &mut dyn Tx,
    property: PropertyId,
    door: DoorId,
) -> Result<(), Fault> {
    for id in rows::alive_at(tx, property, door)? {
        if let Some(key) = key::load(tx, property, id)? {
            let plan = Plan::of(tx, property, &key)?;
            change(tx, property, id, None, |ledger| plan.give_ahead(ledger))?;
        }
    }
    Ok(())
}

/// Keys that are over by their ranges: what is unspent of them comes back, and their doors may forget them in time.
pub(crate) fn settle_over(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
) -> Result<(), Fault> {
    if epoch::is_behind(tx, tools, property)? {
        return Ok(());
    }
    let now = tools.now();
    for id in rows::unsettled(tx, property, now.timestamp())? {
        change(tx, property, id, None, |ledger| ledger.settle())?;
    }
    Ok(())
}

/// A new epoch has begun after a restore: every controller is asked to sign for what it holds, and until all have, none of
/// these keys is leased.
pub(crate) fn restored(tx: &mut dyn Tx, property: PropertyId) -> Result<(), Fault> {
    for id in rows::all(tx, property)? {
        change(tx, property, id, None, |_| ())?;
    }
    Ok(())
}

/// Who asks for a use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) property: PropertyId,
    pub(crate) holder: Holder,
    /// The number of the connection on which it asks.
    pub(crate) line: u64,
}

/// A door's question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) budget: BudgetId,
    /// What has been spent there.
    pub(crate) spent: u32,
}

/// What a door's question came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An order lets it.
    Raised,
    /// Ask again when doors have given back what they hold.
    TakingBack,
    /// No.
    Denied(Reason),
    /// The door has another connection by now.
    Dropped,
}

/// A door with somebody in front of it wants one more.
pub(crate) fn ask(
    tx: &mut dyn Tx,
    tools: &Tools,
    asker: Asker,
    wanted: Wanted,
) -> Result<Asked, Fault> {
    let Asker {
        property, holder, ..
    } = asker;
    const NONE: Asked = Asked::Denied(Reason::NoUsesHeldHere);
    if door::line(tx, property, holder.door)? != asker.line {
        return Ok(Asked::Dropped);
    }
    if epoch::is_behind(tx, tools, property)? {
        // What the doors hold is forgotten here.
        return Ok(NONE);
    }
    let Some(id) = rows::key_of(tx, property, wanted.budget)? else {
        return Ok(NONE);
    };
    let Some(key) = key::load(tx, property, id)? else {
        return Ok(NONE);
    };
    let opens = key.all_doors || key::named_doors(tx, property, id)?.contains(&holder.door);
    let is_over = end_of(tx, property, &key)?.is_some_and(|end| end <= tools.now().timestamp());
    if !opens || is_over || key.withdrawn_at.is_some() {
        return Ok(NONE);
    }
    let reachable = connected(tx, property)?;
    let answer = change(tx, property, id, Some(holder), |ledger| {
        ledger.ask(holder, wanted.spent, |other| reachable.contains(&other))
    })?;
    Ok(match answer {
        Some(Answer::Raised(_)) => Asked::Raised,
        Some(Answer::TakingBack) => Asked::TakingBack,
        Some(Answer::UsedUp) => Asked::Denied(Reason::UsedUp),
        Some(Answer::NoneLeft) | None => NONE,
    })
}

/// What a door has signed for, whoever brings it and however late.
pub(crate) fn reported(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    holder: Holder,
    leases: &[LeaseReport],
) -> Result<(), Fault> {
    if leases.is_empty() {
        return Ok(());
    }
    let is_behind = epoch::is_behind(tx, tools, property)?;
    for report in leases {
        let Some(id) = rows::key_of(tx, property, report.budget)? else {
            continue;
        };
        let Some(key) = key::load(tx, property, id)? else {
            continue;
        };
        let plan = Plan::of(tx, property, &key)?;
        change(tx, property, id, None, |ledger| {
            ledger.report(holder, report);
            if !is_behind {
                plan.give_ahead(ledger);
            }
        })?;
    }
    Ok(())
}

/// Staff give up what a lost or wiped controller holds of a key.
pub(crate) fn write_off(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    id: KeyId,
    request: &WriteOff,
) -> Result<(), Fault> {
    member.must(Action::WriteOffUses)?;
    let property = member.property;
    epoch::current(tx, tools, property)?;
    let key = key_write::standing(tx, member, id)?;
    let persons = key::persons(tx, property, id)?.into_iter().collect();
    key_write::must_to_all(tx, member, Action::EditKey, key.kind, &persons)?;
    let stands = door::load(tx, property, request.door)?
        .is_some_and(|door| door.connected && door.generation == Some(request.generation));
    if stands {
        return Err(Fault::conflict(
            "this controller is in touch: what it has not spent can be taken back, and need not be written off",
        ));
    }
    let holder = Holder {
        door: request.door,
        generation: request.generation,
    };
    let lost = change(tx, property, id, None, |ledger| {
        let knows = ledger.leases.contains_key(&holder);
        knows.then(|| ledger.write_off(holder))
    })?;
    let Some(lost) = lost.flatten() else {
        return Err(Fault::not_found());
    };
    let subject = format!("{id} {} {} {lost}", request.door, request.generation.0);
    audit::write(
        tx,
        tools,
        property,
        Some(member.person),
        "uses.write-off",
        &subject,
    )?;
    Ok(())
}

/// A key's uses as its holders see them, or with all its doors, as staff do.
pub(crate) fn view(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: &Key,
    with_doors: bool,
) -> Result<Option<KeyUses>, StoreError> {
    let Some(max) = key.rules.max_uses() else {
        return Ok(None);
    };
    let Some(ledger) = rows::of_key(tx, property, key.id)? else {
        return Ok(None);
    };
    let doors = ledger.leases.iter().map(|(holder, lease)| UsesAtDoor {
        door: holder.door,
        generation: holder.generation,
        ceiling: lease.ceiling,
        spent: lease.spent,
        written_off: lease.written_off,
        awaited: lease.awaited,
    });
    Ok(Some(KeyUses {
        max: max.get(),
        raised: ledger.raised,
        spent: counted(ledger.spent()),
        left: counted(ledger.budget() - ledger.spent()),
        excess: counted(-ledger.left()),
        awaiting: ledger.is_awaiting(),
        doors: if with_doors {
            doors.collect()
        } else {
            Vec::new()
        },
    }))
}

fn counted(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// Changes a key's ledger in the present epoch, keeps it, and tells whoever has to know. None for a key that counts no
/// uses. `actor` sees to its own orders.
fn change<T>(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: KeyId,
    actor: Option<Holder>,
    work: impl FnOnce(&mut Ledger) -> T,
) -> Result<Option<T>, Fault> {
    tx.lock_property(property)?;
    let Some(before) = rows::of_key(tx, property, id)? else {
        return Ok(None);
    };
    let mut ledger = before.clone();
    let epoch = property::epoch(tx, property)?;
    if epoch > ledger.epoch {
        let controllers = controllers(tx, property)?;
        ledger.restore(epoch, controllers);
    }
    let done = work(&mut ledger);
    if ledger == before {
        return Ok(Some(done));
    }
    rows::keep(tx, property, id, Some(&before), &ledger)?;
    let has_order = |(holder, lease): (&Holder, &latchkey_protocol::uses::Lease)| {
        let known = before.leases.get(holder).map(|lease| lease.number);
        Some(*holder) != actor && known.unwrap_or_default() != lease.number
    };
    if ledger.leases.iter().any(has_order) || ledger.left() > before.left() {
        tx.wake(Wake::Uses(property));
    }
    tell(tx, property, id, &before, &ledger)?;
    Ok(Some(done))
}

/// People see totals, and staff what is held where.
fn tell(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: KeyId,
    before: &Ledger,
    ledger: &Ledger,
) -> Result<(), Fault> {
    let shown = |ledger: &Ledger| (ledger.spent(), ledger.budget(), ledger.is_used_up());
    if shown(before) != shown(ledger) {
        tx.execute(
            "UPDATE door_key SET used_up = ?3 WHERE property = ?1 AND id = ?2",
            params![property, id, ledger.is_used_up()],
        )?;
        let persons = key::persons(tx, property, id)?.into_iter().collect();
        key_write::tell(tx, property, id, &persons)?;
        tx.wake(Wake::Guests(property));
    } else {
        key_write::tell(tx, property, id, &Default::default())?;
    }
    Ok(())
}

/// Every controller that stands at a door, or did before a restore that has forgotten it.
fn controllers(tx: &mut dyn Tx, property: PropertyId) -> Result<Vec<Holder>, StoreError> {
    let doors = door::all(tx, property)?;
    let mut holders: Vec<Holder> = doors.iter().filter_map(holder_at).collect();
    holders.extend(rows::forgotten(tx, property)?);
    Ok(holders)
}

/// The controllers that are connected now.
fn connected(tx: &mut dyn Tx, property: PropertyId) -> Result<Vec<Holder>, StoreError> {
    let doors = door::all(tx, property)?;
    let connected = doors.iter().filter(|door| door.connected);
    Ok(connected.filter_map(holder_at).collect())
}

fn holder_at(door: &Door) -> Option<Holder> {
    Some(Holder {
        door: door.id,
        generation: door.generation?,
    })
}

/// When a key is over, by the property's clock.
fn end_of(tx: &mut dyn Tx, property: PropertyId, key: &Key) -> Result<Option<i64>, Fault> {
    if let Some(withdrawn) = key.withdrawn_at {
        return Ok(Some(withdrawn.timestamp()));
    }
    let Some(until) = key.rules.range().until() else {
        return Ok(None);
    };
    let record = property::load(tx, property)?;
    Ok(Some(record.offsets.end(until).timestamp()))
}

/// What doors that cannot ask are given ahead.
struct Plan {
    ahead: u32,
    /// Doors without a network, in the order of their numbers.
    offline: Vec<Holder>,
    /// One use stays for the doors that can ask, where there are any.
    reserve: u32,
}

impl Plan {
    fn of(tx: &mut dyn Tx, property: PropertyId, key: &Key) -> Result<Self, Fault> {
        let ahead = property::load(tx, property)?.uses_ahead;
        let mut plan = Self {
            ahead,
            offline: Vec::new(),
            reserve: 0,
        };
        if key.withdrawn_at.is_some() || ahead == 0 {
            return Ok(plan);
        }
        let named = key::named_doors(tx, property, key.id)?;
        for door in door::all(tx, property)? {
            if !key.all_doors && !named.contains(&door.id) {
                continue;
            }
            match door.reach {
                DoorReach::Offline => plan.offline.extend(holder_at(&door)),
                DoorReach::Online | DoorReach::Hub => plan.reserve = 1,
            }
        }
        Ok(plan)
    }

    fn give_ahead(&self, ledger: &mut Ledger) {
        for holder in &self.offline {
            ledger.give_ahead(*holder, self.ahead, self.reserve);
        }
    }
}

/// A controller at a door, as states name it.
pub(crate) const fn holder(door: DoorId, generation: Generation) -> Holder {
    Holder { door, generation }
}
