//! All that the phone brings to one door, read from the wallet at one moment.

use aliro::crypto::PublicKey;
use aliro::device::{
    Credential, DeviceConfig, Disclosure, GroupBinding, ReaderAuthenticated, Trust,
};
use aliro::document::{DeviceRequest, DeviceResponse, RawDocument};
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::keys::{BleVersions, PersistentKey};
use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::api::sync::{
    Entity, EntityKind, GrantEntity, RevocationEntity, StatementEntity,
};
use latchkey_protocol::grant::{asked_elements, document_for};
use latchkey_protocol::ids::{AttemptId, DoorNumber, door_of};
use latchkey_protocol::private::MAX_REPLACED;
use latchkey_protocol::revocation::RevocationList;
use latchkey_protocol::roles::{Action, Role, Target, may};
use latchkey_protocol::rules::{Decision, Reason};

use super::lock_sync::Load;
use super::met::{ChosenDoor, recalled};
use crate::context::Context;
use crate::error::{Error, Invalid};
use crate::outbox;
use crate::views::{DoorRef, Holdings, all};
use crate::wallet::Tx;

/// A gesture is good for 30 seconds; twice that is surely over at any door.
const OVER: TimeDelta = TimeDelta::seconds(60);

/// What is needed for one door.
pub(super) struct Plan {
    pub(super) at: DoorRef,
    pub(super) door: Door,
    /// What this phone's own keys say beforehand; the door decides.
    pub(super) expected: Decision,
    /// The access credential's label in the keystore.
    pub(super) label: String,
    /// Gestures at this door without an answer: the next one takes their place.
    pub(super) unanswered: Vec<AttemptId>,
    credential: PublicKey,
    reader_ca: PublicKey,
    /// The one document that serves this door.
    document: Option<RawDocument>,
    /// By what the door knows this phone again, where the person need not be there to sign.
    met: Option<(ReaderIdentifier, PersistentKey)>,
    /// Whether the door may be remembered.
    pub(super) remembers: bool,
    pub(super) revocation: Option<RevocationEntity>,
    /// In the order of their numbers.
    pub(super) statements: Vec<StatementEntity>,
    /// What it carries beside them.
    pub(super) load: Load,
}

/// What somebody goes to a door for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To open it.
    Open,
    /// To carry lock sync, whether or not one of the person's keys is for it.
    Carry,
}

impl Plan {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Denied`] when no key on this phone is for this door, [`Error::Invalid`] when the door is
    /// not known here.
    pub(super) fn read(context: &Context, at: DoorRef, purpose: Purpose) -> Result<Self, Error> {
        let remembers = !context.shared.keys.needs_presence();
        context.shared.wallet.read(|tx| {
            let record = tx.property(at.property)?.ok_or(Invalid::Property)?;
            let held = Holdings::of(context, tx, record)?.ok_or(Invalid::Door)?;
            let door = held.doors.iter().find(|door| door.id == at.door);
            let door = door.ok_or(Invalid::Door)?.clone();
            let denied = |reason| Error::Denied { reason, next: None };
            let expected = match (held.best(&door), purpose) {
                (Some(expected), _) => expected,
                (None, Purpose::Open) => return Err(denied(Reason::WrongDoor)),
                (None, Purpose::Carry) => Decision::Denied {
                    reason: Reason::WrongDoor,
                    next: None,
                },
            };
            let load = load(tx, at, held.record.membership.role)?;
            let credential = tx
                .credential(at.property, CredentialUse::Access)?
                .ok_or(denied(Reason::NotYetAtThisDoor))?;
            let mut unanswered = Vec::new();
            for attempt in tx.unanswered_attempts(at.property)? {
                if held.now - attempt.made_at < OVER && attempt.door == at.door {
                    unanswered.push(attempt.attempt);
                }
            }
            unanswered.truncate(MAX_REPLACED);
            let mut statements = all(
                tx,
                at.property,
                EntityKind::Statement,
                |entity| match entity {
                    Entity::Statement(statement) => Some(statement),
                    _ => None,
                },
            )?;
            statements.sort_by_key(|statement| (statement.epoch, statement.number));
            let revocations = all(
                tx,
                at.property,
                EntityKind::Revocation,
                |entity| match entity {
                    Entity::Revocation(list) => Some(list),
                    _ => None,
                },
            )?;
            let revocation = revocations
                .into_iter()
                .max_by_key(|list| (list.epoch, list.version));
            let own = point(&credential.public_key.0)?;
            if withdrawn(revocation.as_ref(), &held, &own)? {
                return Err(denied(Reason::Revoked));
            }
            let met = match remembers {
                true => recalled(tx, at.property, &door, &own, held.now)?,
                false => None,
            };
            Ok(Self {
                at,
                met,
                remembers,
                document: serving(&held.grants, door.number)?,
                expected,
                label: credential.label,
                unanswered,
                credential: own,
                reader_ca: point(&held.settings.reader_ca_key.0)?,
                revocation,
                statements,
                load,
                door,
            })
        })
    }

    /// This phone as an Aliro user device, for this door alone.
    pub(super) fn device(&self, interface: u8, versions: BleVersions) -> DeviceConfig {
        let credential = Credential {
            public_key: self.credential,
            groups: vec![GroupBinding {
                group: self.at.property.0,
                trust: Trust::IssuerCa(self.reader_ca),
            }],
        };
        DeviceConfig {
            interface: Interface(interface),
            ble_versions: versions,
            ..DeviceConfig::new(vec![credential])
        }
    }

    /// What a conversation with this door recalls and learns of it.
    pub(super) fn memory(&self) -> ChosenDoor {
        ChosenDoor::new(self.credential, self.met.clone(), self.disclosure())
    }

    pub(super) fn credential(&self) -> &PublicKey {
        &self.credential
    }

    /// Whether a reader that proved itself is the door that was chosen. Any door of the property has a
    /// good certificate: only the name in it says which one this is. A later generation than the synced
    /// one is the door's new controller; an earlier one is withdrawn.
    pub(super) fn is_meant(&self, reader: &ReaderAuthenticated, now: DateTime<Utc>) -> bool {
        let sub = reader.identifier.sub;
        let (door, generation) = door_of(&sub);
        let named = reader
            .certificate_subject()
            .is_some_and(|subject| subject == hex::encode(sub));
        let valid = reader
            .certificate
            .as_ref()
            .is_some_and(|certificate| certificate.is_valid_at(now.timestamp()));
        named
            && valid
            && reader.identifier.group == self.at.property.0
            && door == self.at.door
            && self
                .door
                .generation
                .is_none_or(|synced| generation >= synced)
    }

    /// What the door that was chosen may know of the documents.
    pub(super) fn disclosure(&self) -> Disclosure {
        let signed = self.document.as_ref().map(|d| d.signed().to_bytes());
        Disclosure::documents(signed, None)
    }

    /// The answer to the door's request: of this door's document, what it asks for.
    pub(super) fn documents(&self, request: &[u8]) -> Vec<u8> {
        let Ok(request) = DeviceRequest::decode(request) else {
            return DeviceResponse::of_status(DeviceResponse::STATUS_CBOR_VALIDATION_ERROR)
                .encode();
        };
        // Whatever it asks for: a stolen lock does not learn of other doors.
        let own = asked_elements(self.door.number);
        let asked: Vec<_> = request
            .access
            .iter()
            .filter(|name| own.contains(name))
            .collect();
        let selected = self
            .document
            .as_ref()
            .and_then(|document| document.select(&asked));
        DeviceResponse {
            documents: selected.into_iter().collect(),
            status: DeviceResponse::STATUS_OK,
        }
        .encode()
    }
}

/// What this person's phone carries to and from a door.
fn load(tx: &Tx<'_>, at: DoorRef, role: Role) -> Result<Load, Error> {
    if !may(role, Action::CarryLockSync, Target::Property) {
        return Ok(Load::default());
    }
    let id = at.door.to_string();
    let bundle = tx.entity(at.property, EntityKind::Bundle, &id)?;
    let receipt = tx.entity(at.property, EntityKind::LogReceipt, &id)?;
    Ok(Load {
        bundle: bundle.and_then(|entity| match entity {
            Entity::Bundle(bundle) => Some(bundle),
            _ => None,
        }),
        receipt: receipt.and_then(|entity| match entity {
            Entity::LogReceipt(receipt) => Some(receipt),
            _ => None,
        }),
        takes_log: true,
        waiting: outbox::logs_waiting(tx, at)?,
    })
}

/// Of this phone's documents the one that serves the door.
fn serving(grants: &[GrantEntity], door: DoorNumber) -> Result<Option<RawDocument>, Error> {
    let mut grants: Vec<_> = grants.iter().collect();
    grants.sort_by_key(|grant| grant.index);
    let documents = grants
        .into_iter()
        .map(|grant| RawDocument::decode(&grant.document.0))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::BadAnswer(error.to_string()))?;
    Ok(document_for(&documents, door).cloned())
}

/// A phone that finds itself on the list does not try.
pub(super) fn withdrawn(
    list: Option<&RevocationEntity>,
    held: &Holdings,
    own: &PublicKey,
) -> Result<bool, Error> {
    let Some(list) = list else {
        return Ok(false);
    };
    let issuer = point(&held.settings.issuer_key.0)?;
    match RevocationList::verify(&list.document.0, &issuer) {
        Ok(list) => Ok(list.content().revokes_credential(own)),
        Err(error) => {
            // Carried all the same: a door looks for itself.
            tracing::warn!(%error, "the revocation list does not verify");
            Ok(false)
        }
    }
}

pub(super) fn point(bytes: &[u8]) -> Result<PublicKey, Error> {
    PublicKey::from_uncompressed(bytes).map_err(|error| Error::BadAnswer(error.to_string()))
}
