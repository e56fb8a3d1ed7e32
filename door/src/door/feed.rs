//! What the issuer tells this door, whoever carries it: statements in their two series, revocation
//! lists whole or in pages.

use std::sync::Arc;

use latchkey_protocol::clock::DoorClock;
use latchkey_protocol::commissioning::Package;
use latchkey_protocol::doorstate::{ListNumber, StatementNumbers};
use latchkey_protocol::ids::PassId;
use latchkey_protocol::pass::SignedPass;
use latchkey_protocol::private::Page;
use latchkey_protocol::revocation::{RevocationList, RevocationView, Taken};
use latchkey_protocol::statement::{Body, Statement, Step};
use rusqlite::Transaction;

use super::bundle::Assembly;
use super::inner::{Knowledge, verify_list, verify_statement};
use super::{Door, DoorError, Inner, Installed};
use crate::env::Env;
use crate::store::{
    Setting, forget_document, forget_incoming, forget_passes, forget_phone, keep_pass,
    keep_revocations, keep_setting, keep_statement_numbers, remembered_phones,
};

impl Door {
    /// Obeys statements, each only as the next of its series. What is missing shows in the state.
    pub(crate) async fn take_statements(
        self: &Arc<Self>,
        statements: Vec<Vec<u8>>,
    ) -> Result<(), DoorError> {
        self.run(move |door| {
            let mut inner = door.lock();
            let mut tell = false;
            for statement in &statements {
                tell |= take_statement(&mut inner, &door.installed, statement)?;
            }
            drop(inner);
            if tell {
                door.state_changed();
            }
            Ok(())
        })
        .await
    }

    /// Obeys a revocation list, unless it is an older one.
    pub(crate) async fn take_revocation(
        self: &Arc<Self>,
        document: Vec<u8>,
    ) -> Result<(), DoorError> {
        self.run(move |door| {
            let mut inner = door.lock();
            let changed = door.obey_list(&mut inner, &document)?;
            drop(inner);
            if changed {
                door.state_changed();
            }
            Ok(())
        })
        .await
    }

    /// The lists that it obeys beside the newest: of before a restore of the portal, which has to hear of them.
    pub(crate) fn lists_beside(&self) -> Vec<(ListNumber, Vec<u8>)> {
        let inner = self.lock();
        let beside = inner.knowledge.revoked.lists().iter().skip(1);
        beside
            .map(|list| (list.number(), list.document().to_vec()))
            .collect()
    }

    /// Takes a page of a list that a phone brings; the last one that was missing makes it whole.
    pub(crate) async fn take_page(self: &Arc<Self>, page: Page) -> Result<(), DoorError> {
        self.run(move |door| {
            let mut inner = door.lock();
            // The carrier's word is good enough for leaving out what is known.
            if !inner.knowledge.revoked.lacks(page.list) {
                return Ok(());
            }
            let Some(document) = inner.pages.take(page) else {
                return Ok(());
            };
            let changed = door.obey_list(&mut inner, &document)?;
            drop(inner);
            if changed {
                door.state_changed();
            }
            Ok(())
        })
        .await
    }

    fn obey_list(&self, inner: &mut Inner, document: &[u8]) -> Result<bool, DoorError> {
        let changed = take_list(inner, &self.installed, &self.env, document)?;
        if changed {
            self.phones_changed(inner)?;
        }
        Ok(changed)
    }
}

/// Whether the door's state is to be told: it has obeyed, or asks for what is missing before it.
fn take_statement(
    inner: &mut Inner,
    installed: &Installed,
    bytes: &[u8],
) -> Result<bool, DoorError> {
    let Some(statement) = verify_statement(bytes, installed) else {
        tracing::warn!(
            "a statement that the issuer did not sign, or that this version cannot obey"
        );
        return Ok(false);
    };
    let (numbers, begins) = match inner.knowledge.numbers.step(installed.door, &statement) {
        Step::Apply(numbers) => (numbers, false),
        Step::BeginEpoch(numbers) => (numbers, true),
        Step::Missing { epoch, from } => {
            tracing::info!(epoch, from, "statements are missing");
            // Once: who does not have them would only send the same again.
            return Ok(inner.asked_for.replace((epoch, from)) != Some((epoch, from)));
        }
        Step::Known | Step::Stale | Step::NotForUs => return Ok(false),
    };
    // What has come of a bundle of the epoch before is not completed in this one.
    let passed = |assembly: &Assembly| assembly.header.number.epoch < numbers.epoch;
    let drops = begins && inner.incoming.as_ref().is_some_and(passed);
    inner.store.write(|tx| {
        if begins {
            forget_passes(tx)?;
        }
        if drops {
            forget_incoming(tx)?;
        }
        keep_body(tx, installed, &statement, bytes)?;
        keep_statement_numbers(tx, numbers)?;
        Ok::<_, DoorError>(())
    })?;
    if drops {
        inner.incoming = None;
    }
    inner.knowledge.numbers = numbers;
    inner.knowledge.obey(statement.body);
    inner.asked_for = None;
    Ok(true)
}

/// Keeps what a package brings, which was checked as a whole.
pub(crate) fn keep_first(
    tx: &Transaction<'_>,
    installed: &Installed,
    package: &Package,
    numbers: StatementNumbers,
    list: Option<&RevocationList>,
) -> Result<(), DoorError> {
    for bytes in &package.statements {
        if let Some(statement) = verify_statement(&bytes.0, installed) {
            keep_body(tx, installed, &statement, &bytes.0)?;
        }
    }
    keep_statement_numbers(tx, numbers)?;
    keep_revocations(tx, list)?;
    Ok(())
}

pub(super) fn keep_body(
    tx: &Transaction<'_>,
    installed: &Installed,
    statement: &Statement,
    bytes: &[u8],
) -> Result<(), DoorError> {
    match &statement.body {
        Body::Settings(_) => keep_setting(tx, Setting::Property, bytes)?,
        Body::DoorSettings(_) => keep_setting(tx, Setting::Door, bytes)?,
        Body::LogKey(_) => keep_setting(tx, Setting::LogKey, bytes)?,
        Body::Pass(signed) => match verify_pass(signed, installed) {
            Some((id, until)) => keep_pass(tx, id, &signed.to_bytes(), until, statement.number)?,
            // The issuer signed the statement around it: its number counts, and nothing opens.
            None => tracing::warn!("a statement holds a pass that does not verify"),
        },
    }
    Ok(())
}

pub(super) fn verify_pass(signed: &SignedPass, installed: &Installed) -> Option<(PassId, u32)> {
    let pass = installed.verify_pass(signed)?;
    Some((pass.id, pass.until))
}

/// Whether it is obeyed from now on and was not before.
fn take_list(
    inner: &mut Inner,
    installed: &Installed,
    env: &Env,
    document: &[u8],
) -> Result<bool, DoorError> {
    let Some(list) = verify_list(document, installed) else {
        tracing::warn!("a revocation list that the issuer did not sign");
        return Ok(false);
    };
    raise_bound(&mut inner.clock, env, list.signed());
    let Some(revoked) = with_list(&inner.knowledge.revoked, &list) else {
        return Ok(false);
    };
    let clock = inner.clock_to_save(env);
    inner.store.write(|tx| {
        keep_list(tx, &revoked, &list)?;
        crate::store::save_clock(tx, &clock)?;
        Ok::<_, DoorError>(())
    })?;
    inner.knowledge.revoked = revoked;
    tracing::info!(number = ?list.number(), "a newer revocation list");
    Ok(true)
}

/// What is withdrawn once this list is obeyed; none when it says nothing new.
pub(super) fn with_list(revoked: &RevocationView, list: &RevocationList) -> Option<RevocationView> {
    let mut revoked = revoked.clone();
    match revoked.take(list.clone()) {
        Taken::Newest | Taken::Beside => Some(revoked),
        Taken::Known => None,
        Taken::Full => {
            tracing::error!("more revocation lists than a property can have");
            None
        }
    }
}

/// Stores what is withdrawn since this list came.
pub(super) fn keep_list(
    tx: &Transaction<'_>,
    revoked: &RevocationView,
    list: &RevocationList,
) -> Result<(), DoorError> {
    keep_revocations(tx, revoked.lists())?;
    for credential in &list.content().credentials {
        forget_document(tx, credential)?;
    }
    // Whoever came by a key that is withdrawn or changed has to sign again.
    for phone in remembered_phones(tx)? {
        if revoked.revokes_element(phone.element).is_some() {
            forget_phone(tx, &phone.credential)?;
        }
    }
    Ok(())
}

/// The time is not before what was signed by the issuer and verified here.
pub(crate) fn raise_bound(clock: &mut DoorClock, env: &Env, signed: i64) {
    let signed_ms = u64::try_from(signed)
        .unwrap_or_default()
        .saturating_mul(1000);
    clock.raise_bound(signed_ms, env.clock.monotonic());
}

impl Knowledge {
    pub(super) fn obey(&mut self, body: Body) {
        match body {
            Body::Settings(settings) => self.settings = Some(settings),
            Body::DoorSettings(settings) => self.door_settings = settings,
            Body::LogKey(key) => self.log_key = Some(key),
            // Passes are looked up in the store.
            Body::Pass(_) => {}
        }
    }
}
