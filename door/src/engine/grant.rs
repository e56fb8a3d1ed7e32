//! A grant: what the issuer lets a phone's holder do.

use aliro::crypto::PublicKey;
use aliro::document::{
    Iterations, Now, RawDocument, Refusal, TrustedIssuers, VerifiedAccess, Verifier, VerifyContext,
};
use latchkey_protocol::grant::{
    HeldKey, asked_elements, held_keys, knows_reader_rule, understands, verify_grant,
};
use latchkey_protocol::ids::ElementId;
use latchkey_protocol::rules::{Reason, Reasons};

use super::{Counted, World};
use crate::door::instant;

/// A verified grant and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrantFacts<'a> {
    /// The credential that was proved.
    pub(crate) credential: &'a PublicKey,
    /// What its document says.
    pub(crate) access: &'a VerifiedAccess,
}

/// The answer, and the element that it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Yes or no.
    pub(crate) counted: Counted,
    /// What opened, or came nearest.
    pub(crate) element: Option<ElementId>,
}

impl Granted {
    /// A no that rests on no element.
    pub(crate) fn denied(reason: Reason) -> Self {
        Self {
            counted: Counted::denied(reason),
            element: None,
        }
    }
}

/// Whether an Access Document is the issuer's word about this credential, now, at this door.
///
/// # Errors
/// The first check that fails.
pub(crate) fn verify(
    document: &RawDocument,
    credential: &PublicKey,
    trusted: &TrustedIssuers,
    iterations: &Iterations,
    world: &World<'_>,
) -> Result<VerifiedAccess, Refusal> {
    let at = instant(&world.reading);
    let clock = (!world.reading.unsure).then(|| Now {
        utc: at.timestamp(),
        local: world.calendar.offsets.local(at).and_utc().timestamp(),
    });
    let asked = asked_elements(world.number);
    let verified = verify_grant(
        &Verifier::new(trusted),
        document,
        &VerifyContext {
            credential,
            asked: &asked,
            clock,
            iterations,
            known_reader_rules: &knows_reader_rule,
            understands: &understands,
        },
    )?;
    // An unsure clock reads a lower bound: what ended before it is over all the same.
    let until = verified.validity.valid_until.epoch();
    if u64::try_from(until).is_ok_and(|until| world.reading.unix_seconds() > until) {
        return Err(Refusal::Expired);
    }
    Ok(verified)
}

/// What the holder of a document that is not believed is told.
pub(crate) fn reason_of(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::NotAsked | Refusal::NoElements => Reason::WrongDoor,
        Refusal::Expired | Refusal::IterationTooOld => Reason::GrantTooOld,
        Refusal::NotYetValid => Reason::TooEarly,
        Refusal::TimeRequired => Reason::ClockUnsure,
        Refusal::Revoked => Reason::Revoked,
        _ => Reason::Unknown,
    }
}

/// Whether any of the keys for this door opens it now; else the no that comes nearest to a yes.
pub(crate) fn decide_grant(facts: &GrantFacts<'_>, world: &World<'_>) -> Granted {
    let whole = Reasons::NONE.with_if(
        world.revoked.revokes_credential(facts.credential),
        Reason::Revoked,
    );
    let held = held_keys(&facts.access.elements, world.number, world.calendar.offsets);
    held.keys
        .iter()
        .map(|key| decide_key(key, whole, world))
        .reduce(better)
        .unwrap_or(Granted::denied(if held.unreadable.is_empty() {
            Reason::WrongDoor
        } else {
            Reason::Unknown
        }))
}

fn decide_key(key: &HeldKey, whole: Reasons, world: &World<'_>) -> Granted {
    let against = match world.revoked.revokes_element(key.id) {
        Some(reason) => whole.with(reason),
        None => whole,
    };
    Granted {
        counted: world.decide(&key.rules, key.budget, against),
        element: Some(key.id),
    }
}

fn better(one: Granted, other: Granted) -> Granted {
    let counted = one.counted.or(other.counted);
    let element =
        if (counted.decision, counted.spends) == (one.counted.decision, one.counted.spends) {
            one.element
        } else {
            other.element
        };
    Granted { counted, element }
}
