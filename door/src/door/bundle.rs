//! Bundles that phones bring: put together page by page, durably, over however many visits, and then
//! obeyed whole in one commit, or not at all.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use latchkey_protocol::bundle::{Content, Header, OpenError, SignedHeader};
use latchkey_protocol::doorstate::StatementNumbers;
use latchkey_protocol::ids::PassId;
use latchkey_protocol::private::BundlePage;
use latchkey_protocol::revocation::{RevocationList, RevocationView};
use latchkey_protocol::statement::{Addressee, Body, Statement};
use latchkey_protocol::uses::Ceiling;

use super::feed::{keep_body, keep_list, verify_pass, with_list};
use super::inner::{Knowledge, verify_list, verify_statement};
use super::{Door, DoorError, Inner, Installed, raise_bound};
use crate::keys::OwnKeys;
use crate::store::{
    Setting, Store, StoreError, forget_incoming, forget_passes, forget_passes_up_to, incoming,
    incoming_body, incoming_pages, keep_applied_bundle, keep_incoming, keep_lease, keep_page,
    keep_pass, keep_statement_numbers, refuse_incoming, save_clock, setting,
};

/// A bundle whose pages come one by one. The mirror of what the store holds of it.
#[derive(Debug, Clone)]
pub(crate) struct Assembly {
    /// Verified, and for this controller.
    pub(super) header: Header,
    /// Pages that are not here yet; none of one that was refused.
    pub(super) missing: BTreeSet<u16>,
    /// As it was signed, to know it again.
    signed: Vec<u8>,
}

/// Why a whole bundle is not obeyed. Its issuer has signed it: this door has to be updated, or the
/// portal is broken.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("a statement in it that does not belong there")]
    Statement,
    #[error("a pass in it that does not verify")]
    Pass,
    #[error("its revocation list does not verify")]
    List,
}

impl Assembly {
    /// What the store holds of a bundle that is being brought.
    pub(super) fn load(store: &Store, installed: &Installed) -> Result<Option<Self>, StoreError> {
        // One that was refused may be brought again after a restart: this may be a newer program.
        let Some(incoming) = incoming(store.read())?.filter(|incoming| !incoming.refused) else {
            return Ok(None);
        };
        let header = verify_header(&incoming.header, installed)
            .ok_or(StoreError::Damaged("a bundle's header"))?;
        let mut assembly = Self::new(header, incoming.header);
        for page in incoming_pages(store.read())? {
            assembly.missing.remove(&page);
        }
        Ok(Some(assembly))
    }

    fn new(header: Header, signed: Vec<u8>) -> Self {
        let pages = u16::try_from(header.pages.len()).unwrap_or(u16::MAX);
        Self {
            header,
            missing: (0..pages).collect(),
            signed,
        }
    }
}

impl Door {
    /// Takes a bundle's header: its pages may come, unless it is an older one than this door has.
    pub(crate) async fn take_bundle_header(
        self: &Arc<Self>,
        signed: Vec<u8>,
    ) -> Result<(), DoorError> {
        self.run(move |door| {
            let Some(header) = verify_header(&signed, &door.installed) else {
                tracing::warn!("a bundle that the issuer did not sign for this controller");
                return Ok(());
            };
            let mut inner = door.lock();
            if !is_wanted(&inner, &header, &signed) {
                return Ok(());
            }
            inner
                .store
                .write(|tx| Ok::<_, DoorError>(keep_incoming(tx, &signed)?))?;
            inner.incoming = Some(Assembly::new(header, signed));
            Ok(())
        })
        .await
    }

    /// Takes a page of the bundle whose header is here; the last one that was missing makes it whole.
    pub(crate) async fn take_bundle_page(
        self: &Arc<Self>,
        page: BundlePage,
    ) -> Result<(), DoorError> {
        self.run(move |door| {
            let mut inner = door.lock();
            let Some(assembly) = &inner.incoming else {
                return Ok(());
            };
            let fits = assembly.header.number == page.number
                && assembly.missing.contains(&page.index)
                && assembly.header.check_page(page.index, &page.bytes).is_ok();
            if !fits {
                return Ok(());
            }
            inner
                .store
                .write(|tx| Ok::<_, DoorError>(keep_page(tx, page.index, &page.bytes)?))?;
            let whole = inner.incoming.as_mut().is_some_and(|assembly| {
                assembly.missing.remove(&page.index);
                assembly.missing.is_empty()
            });
            if whole {
                door.obey_incoming(&mut inner)?;
            }
            Ok(())
        })
        .await
    }

    /// The power may have gone between the last page and the commit that obeys it.
    pub(crate) fn go_on_with_bundle(&self) -> Result<(), DoorError> {
        let mut inner = self.lock();
        let whole = |assembly: &Assembly| assembly.missing.is_empty();
        if inner.incoming.as_ref().is_some_and(whole) {
            self.obey_incoming(&mut inner)?;
        }
        Ok(())
    }

    fn obey_incoming(&self, inner: &mut Inner) -> Result<(), DoorError> {
        let Some(Assembly { header, .. }) = inner.incoming.clone() else {
            return Ok(());
        };
        // What has come by itself since its header may have made it an old one.
        if is_over(&inner.knowledge, &header) {
            tracing::info!(number = ?header.number, "an older bundle");
            inner
                .store
                .write(|tx| Ok::<_, DoorError>(forget_incoming(tx)?))?;
            inner.incoming = None;
            return Ok(());
        }
        let body = incoming_body(inner.store.read())?;
        match Fit::check(&header, body, &self.keys, &self.installed) {
            Ok(fit) => {
                self.obey(inner, &header, fit)?;
                self.state_changed();
            }
            Err(unfit) => {
                tracing::error!(number = ?header.number, %unfit, "a bundle that cannot be obeyed");
                inner
                    .store
                    .write(|tx| Ok::<_, DoorError>(refuse_incoming(tx)?))?;
            }
        }
        Ok(())
    }

    fn obey(&self, inner: &mut Inner, header: &Header, fit: Fit) -> Result<(), DoorError> {
        let before = inner.knowledge.numbers;
        let begins = header.number.epoch > before.epoch;
        let numbers = stands_for(before, header);
        let statements = fit.replacing(inner, header, begins, &self.installed)?;
        let revoked = fit.lists(&inner.knowledge.revoked);
        let held = inner.obeying(&fit.ceilings);
        if let Some(list) = &fit.list {
            raise_bound(&mut inner.clock, &self.env, list.signed());
        }
        let clock = inner.clock_to_save(&self.env);
        inner.store.write(|tx| {
            if begins {
                forget_passes(tx)?;
            } else {
                forget_passes_up_to(tx, header.all)?;
            }
            for pass in &fit.passes {
                keep_pass(tx, pass.id, &pass.signed, pass.until, pass.number)?;
            }
            for (statement, bytes) in &statements {
                keep_body(tx, &self.installed, statement, bytes)?;
            }
            if let Some((revoked, list)) = &revoked {
                keep_list(tx, revoked, list)?;
            }
            for (budget, held) in &held {
                keep_lease(tx, *budget, held)?;
            }
            save_clock(tx, &clock)?;
            keep_statement_numbers(tx, numbers)?;
            keep_applied_bundle(tx, header.number)?;
            forget_incoming(tx)?;
            Ok::<_, DoorError>(())
        })?;
        inner.incoming = None;
        inner.asked_for = None;
        mirror(&mut inner.knowledge, header, numbers);
        inner.knowledge.held.extend(held);
        for (statement, _) in statements {
            inner.knowledge.obey(statement.body);
        }
        if let Some((revoked, _)) = revoked {
            inner.knowledge.revoked = revoked;
            self.phones_changed(inner)?;
        }
        tracing::info!(number = ?header.number, passes = fit.passes.len(), "a bundle");
        Ok(())
    }
}

fn mirror(knowledge: &mut Knowledge, header: &Header, numbers: StatementNumbers) {
    knowledge.numbers = numbers;
    knowledge.bundle = header.number;
}

/// A bundle of which everything was checked.
struct Fit {
    statements: Vec<(Statement, Vec<u8>)>,
    passes: Vec<StatedPass>,
    list: Option<RevocationList>,
    ceilings: Vec<Ceiling>,
}

struct StatedPass {
    id: PassId,
    signed: Vec<u8>,
    until: u32,
    number: u64,
}

impl Fit {
    fn check(
        header: &Header,
        body: Vec<u8>,
        keys: &OwnKeys,
        installed: &Installed,
    ) -> Result<Self, Unfit> {
        let Content {
            statements,
            passes,
            revocations,
            ceilings,
        } = header.open(keys.opener(), body)?;
        let statements = statements.iter().map(|signed| {
            let bytes = signed.to_bytes();
            let statement = verify_statement(&bytes, installed)
                .filter(|statement| belongs(statement, header))
                .ok_or(Unfit::Statement)?;
            Ok((statement, bytes))
        });
        let passes = passes.iter().map(|(number, signed)| {
            let (id, until) = verify_pass(signed, installed).ok_or(Unfit::Pass)?;
            let stated = StatedPass {
                id,
                signed: signed.to_bytes(),
                until,
                number: *number,
            };
            (*number <= header.all).then_some(stated).ok_or(Unfit::Pass)
        });
        let list = revocations
            .map(|document| verify_list(&document, installed).ok_or(Unfit::List))
            .transpose()?;
        Ok(Self {
            statements: statements.collect::<Result<_, Unfit>>()?,
            passes: passes.collect::<Result<_, Unfit>>()?,
            list,
            ceilings,
        })
    }

    /// Those of its statements that replace what is there: a later statement, which has come by itself,
    /// stays.
    fn replacing(
        &self,
        inner: &Inner,
        header: &Header,
        begins: bool,
        installed: &Installed,
    ) -> Result<Vec<(Statement, Vec<u8>)>, DoorError> {
        let mut replacing = Vec::new();
        for (statement, bytes) in &self.statements {
            let there = match kind(&statement.body) {
                Some(which) => setting(inner.store.read(), which)?,
                None => None,
            };
            let there = there.and_then(|bytes| verify_statement(&bytes, installed));
            if begins || there.is_none_or(|there| belongs(&there, header)) {
                replacing.push((statement.clone(), bytes.clone()));
            }
        }
        Ok(replacing)
    }

    fn lists<'a>(
        &'a self,
        revoked: &RevocationView,
    ) -> Option<(RevocationView, &'a RevocationList)> {
        let list = self.list.as_ref()?;
        Some((with_list(revoked, list)?, list))
    }
}

/// Whether a bundle stands for this statement, and says what is in it as a statement.
fn belongs(statement: &Statement, header: &Header) -> bool {
    let up_to = match statement.addressee {
        Addressee::All => header.all,
        Addressee::Door(door) if door == header.door => header.own,
        Addressee::Door(_) => return false,
    };
    let stood_for = (statement.epoch, statement.number) <= (header.number.epoch, up_to);
    stood_for && kind(&statement.body).is_some()
}

fn kind(body: &Body) -> Option<Setting> {
    match body {
        Body::Settings(_) => Some(Setting::Property),
        Body::DoorSettings(_) => Some(Setting::Door),
        Body::LogKey(_) => Some(Setting::LogKey),
        Body::Pass(_) => None,
    }
}

/// How far both series have come once the bundle is obeyed.
fn stands_for(before: StatementNumbers, header: &Header) -> StatementNumbers {
    let bundle = header.stands_for();
    match bundle.epoch.cmp(&before.epoch) {
        Ordering::Greater => bundle,
        Ordering::Equal => StatementNumbers {
            epoch: before.epoch,
            all: before.all.max(bundle.all),
            own: before.own.max(bundle.own),
        },
        // Its numbers say nothing in this epoch.
        Ordering::Less => before,
    }
}

fn verify_header(signed: &[u8], installed: &Installed) -> Option<Header> {
    let signed = SignedHeader::from_bytes(signed).ok()?;
    let header = installed
        .issuers
        .iter()
        .find_map(|issuer| signed.verify(issuer, installed.property).ok())?;
    let ours = (installed.door, installed.generation);
    ((header.door, header.generation) == ours).then_some(header)
}

/// An older bundle revives nothing: not one before the last that was obeyed, nor one of an epoch that has
/// passed. Of two that are brought, the newer one is put together.
fn is_wanted(inner: &Inner, header: &Header, signed: &[u8]) -> bool {
    if is_over(&inner.knowledge, header) {
        tracing::info!(number = ?header.number, "an older bundle");
        return false;
    }
    match &inner.incoming {
        None => true,
        Some(there) => header.number >= there.header.number && signed != there.signed,
    }
}

/// Whether a bundle is none above the last that was obeyed, or of an epoch that has passed.
fn is_over(knowledge: &Knowledge, header: &Header) -> bool {
    header.number <= knowledge.bundle || header.number.epoch < knowledge.numbers.epoch
}
