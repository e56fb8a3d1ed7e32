//! The other direction: what a verified grant says, and which document serves a door.

use aliro::document::{
    AccessData, Now, RawDocument, Refusal, VerifiedAccess, Verifier, VerifyContext,
};

use super::element::{Shared, Times, decode};
use super::name::{ElementName, Place};
use super::rights::Rights;
use crate::ids::{BudgetId, DoorNumber, ElementId};
use crate::rules::{AccessRules, Offsets};
use crate::vendor::{
    ACCESS_EXTENSION, COUNTED_EXTENSION_VERSION, EXTENSION_VERSION, HOLIDAY_RULE, VENDOR_ID,
};

/// A key that a grant holds for a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// The element that it stands in: what a revocation list names, and what the event log says.
    pub id: ElementId,
    /// When it opens.
    pub rules: AccessRules,
    /// What counts its uses, where the rules have a number of them.
    pub budget: Option<BudgetId>,
    /// What it allows beside.
    pub rights: Rights,
}

/// All that a grant holds for a door.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldKeys {
    /// The keys; any of them may open.
    pub keys: Vec<HeldKey>,
    /// Elements for this door that this side cannot read: it may have to be updated.
    pub unreadable: Vec<String>,
}

/// Reads the verified elements of a grant as keys for one door. Elements for other doors are left
/// out, whatever the phone sent.
#[must_use]
pub fn held_keys(
    elements: &[(String, AccessData)],
    door: DoorNumber,
    offsets: &Offsets,
) -> HeldKeys {
    let mut held = HeldKeys::default();
    let mut portions: Vec<Portion> = Vec::new();
    for (identifier, data) in elements {
        let Ok(name) = identifier.parse::<ElementName>() else {
            continue;
        };
        if name.place != Place::AllDoors && name.place != Place::Door(door) {
            continue;
        }
        match decode(data, offsets) {
            // An extension in an element that other readers ask for, too, is not how we issue.
            Ok((_, _, shared)) if shared.is_extended() != name.extended => {
                held.unreadable.push(identifier.clone());
            }
            Ok((id, mut keys, shared)) if keys.len() == 1 => {
                let times = keys.swap_remove(0);
                Portion::add(&mut portions, name, id, times, shared);
            }
            Ok((id, keys, shared)) => {
                let joined = keys.into_iter().map(|times| Portion {
                    name,
                    id,
                    times,
                    shared,
                    is_joined: true,
                });
                portions.extend(joined);
            }
            Err(_) => held.unreadable.push(identifier.clone()),
        }
    }
    for portion in portions {
        match portion.rules() {
            Some(rules) => held.keys.push(HeldKey {
                id: portion.id,
                rules,
                budget: portion.shared.budget,
                rights: portion.shared.rights,
            }),
            None => held.unreadable.push(portion.name.to_string()),
        }
    }
    held
}

/// Verifies a grant as Aliro does, but reads one whose keys all begin later, too: so the decision
/// about them can say *too early*, and when it is time.
///
/// # Errors
/// The first [`Refusal`] in the order of the checks.
pub fn verify_grant(
    verifier: &Verifier<'_>,
    document: &RawDocument,
    context: &VerifyContext<'_>,
) -> Result<VerifiedAccess, Refusal> {
    let verified = verifier.access(document, context);
    // A grant holds from an hour before its signing, unless its earliest key begins after that.
    if verified != Err(Refusal::NotYetValid) || document.valid_from() <= document.signed() {
        return verified;
    }
    let begin = document.valid_from().epoch();
    let clock = Some(Now {
        utc: begin,
        local: begin,
    });
    verifier.access(document, &VerifyContext { clock, ..*context })
}

/// Whether an access extension is understood here (for Aliro's verifier).
#[must_use]
pub fn understands(vendor: u64, id: u64, version: u64) -> bool {
    let versions = EXTENSION_VERSION..=COUNTED_EXTENSION_VERSION;
    (vendor, id) == (VENDOR_ID, ACCESS_EXTENSION) && versions.contains(&version)
}

/// Whether a reader rule is known here (for Aliro's verifier): the one that closes on holidays, which
/// the decision then heeds.
#[must_use]
pub fn knows_reader_rule(rule: u16) -> bool {
    rule == HOLIDAY_RULE
}

/// Of a credential's documents, the one that serves a door: the one that names it, else the first,
/// since elements for all doors stand in every one.
#[must_use]
pub fn document_for(documents: &[RawDocument], door: DoorNumber) -> Option<&RawDocument> {
    let names = |document: &&RawDocument| {
        let mut names = document.identifiers().filter_map(|name| name.parse().ok());
        names.any(|name: ElementName| name.place == Place::Door(door))
    };
    documents.iter().find(names).or(documents.first())
}

/// A key, as far as one or more elements have told of it.
struct Portion {
    name: ElementName,
    id: ElementId,
    times: Times,
    shared: Shared,
    is_joined: bool,
}

impl Portion {
    /// A key with many windows comes in several elements of one id; those are one key again.
    fn add(
        portions: &mut Vec<Self>,
        name: ElementName,
        id: ElementId,
        times: Times,
        shared: Shared,
    ) {
        let known = portions.iter_mut().find(|known| {
            !known.is_joined
                && known.id == id
                && (known.name.place, known.name.extended) == (name.place, name.extended)
                && known.shared == shared
                && known.times.range == times.range
                && !known.times.windows.is_empty()
                && !times.windows.is_empty()
        });
        match known {
            Some(known) => known.times.windows.extend(times.windows),
            None => portions.push(Self {
                name,
                id,
                times,
                shared,
                is_joined: false,
            }),
        }
    }

    fn rules(&self) -> Option<AccessRules> {
        AccessRules::new(
            self.times.range,
            self.times.windows.iter().copied(),
            self.shared.closed_on_holidays,
            self.shared.max_uses,
        )
        .ok()
    }
}
