//! A rotating code.

use latchkey_protocol::code::{Code, IssueTime, acceptance};
use latchkey_protocol::pass::Pass;
use latchkey_protocol::rules::{Reason, Reasons};

use super::{Counted, World};

/// What is known of the pass that a code names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeFacts<'a> {
    /// The pass as statements told of it.
    pub(crate) stated: Option<&'a Pass>,
    /// The pass as the code itself brings it, its issuer's signature verified.
    pub(crate) brought: Option<&'a Pass>,
    /// The newest code of this pass that was accepted here.
    pub(crate) last: Option<IssueTime>,
}

/// Whether a code opens now. The same answer whatever order the reasons were found in; but what a
/// code says counts only once its signature does.
pub(crate) fn decide_code(code: &Code, facts: &CodeFacts<'_>, world: &World<'_>) -> Counted {
    // What a statement says no longer, the door does not know.
    let stated = facts
        .stated
        .filter(|pass| !world.reading.ended(pass.until.into()));
    [(stated, None), (facts.brought, Some(Reason::GrantTooOld))]
        .into_iter()
        .filter_map(|(pass, over)| Some(decide_by(code, pass?, over, facts.last, world)))
        .reduce(Counted::or)
        .unwrap_or(Counted::denied(Reason::NotYetAtThisDoor))
}

/// Whether the code's signature is the pass holder's.
pub(crate) fn is_signed(code: &Code, pass: &Pass, world: &World<'_>) -> bool {
    pass.id == code.pass && code.verify(&pass.code_key, world.property).is_ok()
}

fn decide_by(
    code: &Code,
    pass: &Pass,
    over: Option<Reason>,
    last: Option<IssueTime>,
    world: &World<'_>,
) -> Counted {
    if !is_signed(code, pass, world) {
        return Counted::denied(Reason::WrongCode);
    }
    let mut against: Reasons = acceptance(code.issued, last, Some(&world.reading))
        .err()
        .into_iter()
        .collect();
    if let Some(over) = over {
        against = against.with_if(world.reading.ended(pass.until.into()), over);
    }
    against = against
        .with_if(!pass.doors.contains(world.number), Reason::WrongDoor)
        .with_if(world.revoked.revokes_pass(pass.id), Reason::Revoked);
    world.decide(&pass.rules, pass.budget, against)
}
