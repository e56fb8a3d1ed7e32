//! What an app shows: properties, keys and doors as they stand at this moment, with everything decided.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::doors::{Door, DoorKind, DoorReach};
use latchkey_protocol::api::keys::{Key, KeyDoors, KeyKind};
use latchkey_protocol::api::property::Property;
use latchkey_protocol::api::sync::{Entity, EntityKind, GrantEntity, PassEntity};
use latchkey_protocol::ids::{DoorId, KeyId, PersonId, PropertyId};
use latchkey_protocol::roles::Role;
use latchkey_protocol::rules::{
    AccessRules, Calendar, Clock, Decision, Facts, Reason, Reasons, Status, Uses, decide, status,
};

use crate::context::Context;
use crate::error::Error;
use crate::wallet::{PropertyRecord, Tx, WalletError};

/// A door of a property. Doors are named by both, since a portal could make up another one's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DoorRef {
    /// The property.
    pub property: PropertyId,
    /// The door.
    pub door: DoorId,
}

/// A key of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef {
    /// The property.
    pub property: PropertyId,
    /// The key.
    pub key: KeyId,
}

/// A property that this person belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyView {
    /// The id.
    pub id: PropertyId,
    /// Its name.
    pub name: String,
    /// The portal that speaks for it.
    pub portal_url: String,
    /// This person's record there.
    pub person: PersonId,
    /// This person's name there.
    pub person_name: String,
    /// This person's role there.
    pub role: Role,
    /// Its IANA time zone; none before the first sync.
    pub zone: Option<String>,
    /// What its clock is ahead of UTC now, in seconds; none before the first sync.
    pub utc_offset: Option<i32>,
}

/// A key that this person holds.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyView {
    /// Names it.
    pub at: KeyRef,
    /// The property's name.
    pub property_name: String,
    /// The key's name.
    pub name: String,
    /// How it is presented.
    pub kind: KeyKind,
    /// Where it stands by the property's clock.
    pub status: Status,
    /// Its rules, for display.
    pub rules: AccessRules,
    /// Of a key with a number of uses: how many are left over all doors, by what the portal had heard at the last sync.
    pub uses_left: Option<u32>,
    /// The doors that it opens, and whether it does so now.
    pub doors: Vec<DoorUse>,
    /// Whether this phone can show rotating codes for it.
    pub shows_codes: bool,
}

/// A key at a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorUse {
    /// The door.
    pub at: DoorRef,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: String,
    /// Whether the key opens it now, until when, or why not and when next. The door has the last word.
    pub usable: Decision,
}

/// A door that this person may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorView {
    /// Names it.
    pub at: DoorRef,
    /// The property's name.
    pub property_name: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: DoorKind,
    /// How it is reached.
    pub reach: DoorReach,
    /// Where it stands.
    pub place: String,
    /// Whether its controller was connected to the portal, at the last sync.
    pub connected: bool,
    /// When the portal last had news of it.
    pub last_contact: Option<DateTime<Utc>>,
    /// Whether one of this person's keys opens it now; none when there is no such key.
    pub usable: Option<Decision>,
}

/// The properties, in the order in which they came.
pub(crate) fn properties(context: &Context) -> Result<Vec<PropertyView>, Error> {
    context.shared.wallet.read(|tx| {
        tx.properties()?
            .into_iter()
            .map(|record| {
                let portal = tx.portal(record.portal)?.ok_or(Error::NotSignedIn)?;
                let settings = settings(tx, record.membership.property)?;
                let now = context.portal_in(tx, record.portal)?.clock.now();
                Ok(PropertyView {
                    id: record.membership.property,
                    name: record.membership.property_name,
                    portal_url: portal.url,
                    person: record.membership.person,
                    person_name: record.membership.person_name,
                    role: record.membership.role,
                    zone: settings.as_ref().map(|s| s.offsets.zone().to_owned()),
                    utc_offset: settings.as_ref().map(|s| s.offsets.offset_at(now)),
                })
            })
            .collect()
    })
}

/// The keys that this person holds, property by property.
pub(crate) fn keys(context: &Context) -> Result<Vec<KeyView>, Error> {
    let mut views = Vec::new();
    for held in all_holdings(context)? {
        for key in held.own_keys() {
            let doors = held.doors.iter().filter(|door| opens(key, door.id));
            views.push(KeyView {
                at: KeyRef {
                    property: held.property(),
                    key: key.id,
                },
                property_name: held.record.membership.property_name.clone(),
                name: key.name.clone(),
                kind: key.kind,
                status: held.status(key),
                rules: key.rules.clone(),
                uses_left: key.uses.as_ref().map(|uses| uses.left),
                doors: doors
                    .map(|door| DoorUse {
                        at: held.door_ref(door),
                        name: door.name.clone(),
                        place: door.place.clone(),
                        usable: held.usable(key, door),
                    })
                    .collect(),
                shows_codes: held.passes.iter().any(|pass| pass.key == key.id),
            });
        }
    }
    Ok(views)
}

/// The doors that this person may see.
pub(crate) fn doors(context: &Context) -> Result<Vec<DoorView>, Error> {
    let mut views = Vec::new();
    for held in all_holdings(context)? {
        for door in &held.doors {
            views.push(DoorView {
                at: held.door_ref(door),
                property_name: held.record.membership.property_name.clone(),
                name: door.name.clone(),
                kind: door.kind,
                reach: door.reach,
                place: door.place.clone(),
                connected: door.connected,
                last_contact: door.last_contact,
                usable: held.best(door),
            });
        }
    }
    Ok(views)
}

/// All that this phone holds of one property, at one moment.
pub(crate) struct Holdings {
    pub(crate) record: PropertyRecord,
    pub(crate) settings: Property,
    pub(crate) keys: Vec<Key>,
    pub(crate) doors: Vec<Door>,
    pub(crate) grants: Vec<GrantEntity>,
    pub(crate) passes: Vec<PassEntity>,
    /// By the portal's clock.
    pub(crate) now: DateTime<Utc>,
}

impl Holdings {
    /// What is held of a property; none before its first sync.
    pub(crate) fn of(
        context: &Context,
        tx: &Tx<'_>,
        record: PropertyRecord,
    ) -> Result<Option<Self>, Error> {
        let property = record.membership.property;
        let Some(settings) = settings(tx, property)? else {
            return Ok(None);
        };
        let now = context.portal_in(tx, record.portal)?.clock.now();
        Ok(Some(Self {
            keys: all(tx, property, EntityKind::Key, |entity| match entity {
                Entity::Key(key) => Some(*key),
                _ => None,
            })?,
            doors: all(tx, property, EntityKind::Door, |entity| match entity {
                Entity::Door(door) => Some(*door),
                _ => None,
            })?,
            grants: all(tx, property, EntityKind::Grant, |entity| match entity {
                Entity::Grant(grant) => Some(grant),
                _ => None,
            })?,
            passes: all(tx, property, EntityKind::Pass, |entity| match entity {
                Entity::Pass(pass) => Some(pass),
                _ => None,
            })?,
            record,
            settings,
            now,
        }))
    }

    pub(crate) fn property(&self) -> PropertyId {
        self.record.membership.property
    }

    fn door_ref(&self, door: &Door) -> DoorRef {
        DoorRef {
            property: self.property(),
            door: door.id,
        }
    }

    /// The keys that this person holds: staff see other people's, too.
    pub(crate) fn own_keys(&self) -> impl Iterator<Item = &Key> {
        let me = self.record.membership.person;
        self.keys
            .iter()
            .filter(move |key| key.kind == KeyKind::Mobile && key.persons.contains(&me))
    }

    pub(crate) fn status(&self, key: &Key) -> Status {
        status(
            &key.rules,
            &self.calendar(),
            self.now,
            against(key),
            spent(key),
        )
    }

    /// What the best of this person's keys says at a door; none when no key is for it.
    pub(crate) fn best(&self, door: &Door) -> Option<Decision> {
        self.own_keys()
            .filter(|key| opens(key, door.id))
            .map(|key| self.usable(key, door))
            .reduce(Decision::or)
    }

    /// Whether one of this person's keys is for a door and stands, with a grant for it on this phone.
    pub(crate) fn has_grant(&self, door: &Door) -> bool {
        self.own_keys()
            .filter(|key| opens(key, door.id) && against(key).first().is_none())
            .any(|key| self.lacks(key, door).first() != Some(Reason::NotYetAtThisDoor))
    }

    /// Whether a key opens a door now, as far as this phone knows.
    pub(crate) fn usable(&self, key: &Key, door: &Door) -> Decision {
        let facts = Facts {
            clock: Clock::Sure(self.now),
            against: against(key).with_if(!opens(key, door.id), Reason::WrongDoor),
            uses: Uses {
                spent: spent(key),
                held_here: None,
            },
        };
        let by_rules = decide(&key.rules, &self.calendar(), &facts);
        // What the phone lacks is told only of a key that would open: *expired* says more than that
        // nobody renews its grant.
        match self.lacks(key, door).first() {
            Some(reason) if by_rules.is_allowed() => Decision::Denied { reason, next: None },
            _ => by_rules,
        }
    }

    fn lacks(&self, key: &Key, door: &Door) -> Reasons {
        let grants = || {
            let named = self.grants.iter().filter(|g| g.keys.contains(&key.id));
            named.filter(|g| g.doors.contains(&door.id) || key.doors == KeyDoors::All)
        };
        let unreachable = door.stream_address.is_none() && !door.connected;
        Reasons::NONE
            .with_if(grants().next().is_none(), Reason::NotYetAtThisDoor)
            .with_if(
                grants().next().is_some() && grants().all(|g| g.valid_until <= self.now),
                Reason::GrantTooOld,
            )
            .with_if(
                unreachable || door.generation.is_none(),
                Reason::DoorOffline,
            )
    }

    fn calendar(&self) -> Calendar<'_> {
        Calendar {
            offsets: &self.settings.offsets,
            holidays: &self.settings.holidays,
        }
    }
}

/// Whether a key is for a door.
pub(crate) fn opens(key: &Key, door: DoorId) -> bool {
    match &key.doors {
        KeyDoors::All => true,
        KeyDoors::Some(doors) => doors.contains(&door),
    }
}

fn against(key: &Key) -> Reasons {
    let withdrawn = key.status == Status::Revoked || key.withdrawal.is_some();
    Reasons::NONE
        .with_if(withdrawn, Reason::Revoked)
        .with_if(key.status == Status::Suspended, Reason::Suspended)
}

/// Uses are counted at the portal, which says when none are left.
fn spent(key: &Key) -> u32 {
    match (key.status, key.rules.max_uses()) {
        (Status::UsedUp, Some(max)) => max.get(),
        _ => 0,
    }
}

fn all_holdings(context: &Context) -> Result<Vec<Holdings>, Error> {
    context.shared.wallet.read(|tx| {
        let mut holdings = Vec::new();
        for record in tx.properties()? {
            holdings.extend(Holdings::of(context, tx, record)?);
        }
        Ok(holdings)
    })
}

fn settings(tx: &Tx<'_>, property: PropertyId) -> Result<Option<Property>, WalletError> {
    let settings = all(tx, property, EntityKind::Property, |entity| match entity {
        Entity::Property(settings) => Some(*settings),
        _ => None,
    })?;
    Ok(settings.into_iter().next())
}

/// All things of a kind.
pub(crate) fn all<T>(
    tx: &Tx<'_>,
    property: PropertyId,
    kind: EntityKind,
    unwrap: impl Fn(Entity) -> Option<T>,
) -> Result<Vec<T>, WalletError> {
    let entities = tx.entities(property, kind)?;
    Ok(entities.into_iter().filter_map(unwrap).collect())
}
