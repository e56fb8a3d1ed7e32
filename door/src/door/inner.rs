//! What a door knows: its store, and a mirror in memory of what each decision needs.

use std::collections::{BTreeMap, BTreeSet};

use aliro::crypto::PublicKey;
use aliro::document::{Iterations, TrustedIssuers};
use latchkey_protocol::clock::DoorClock;
use latchkey_protocol::doorstate::{BundleNumber, ListNumber, StatementNumbers};
use latchkey_protocol::ids::{AttemptId, BudgetId};
use latchkey_protocol::private::PageAssembler;
use latchkey_protocol::revocation::{RevocationList, RevocationView};
use latchkey_protocol::rules::{Calendar, Holidays, Offsets, OffsetsError, Span};
use latchkey_protocol::statement::{Body, DoorSettings, PropertySettings, SignedStatement};
use latchkey_protocol::uses::Held;

use super::bundle::Assembly;
use super::strangers::Strangers;
use super::{Door, Installed};
use crate::engine::{UsesOfTurn, World};
use crate::store::{
    Setting, Store, StoreError, all_leases, applied_bundle, iterations, revocation_documents,
    setting, statement_numbers,
};

/// Behind the door's lock.
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) clock: DoorClock,
    pub(crate) knowledge: Knowledge,
    /// The bundle that phones are bringing.
    pub(crate) incoming: Option<Assembly>,
    /// Pages of a revocation list that phones have brought so far.
    pub(crate) pages: PageAssembler,
    /// Of whom the log takes a measured number.
    pub(crate) strangers: Strangers,
    /// Attempts for which the lock has moved, and the store does not know it.
    pub(crate) moved: BTreeSet<AttemptId>,
    /// The first missing statement (epoch and number) that the state has asked for.
    pub(crate) asked_for: Option<(u32, u64)>,
}

/// The mirror. Written after the commit that it mirrors.
#[derive(Debug, Clone)]
pub(crate) struct Knowledge {
    /// The property's calendar; none before the first statement of it.
    pub(crate) settings: Option<PropertySettings>,
    /// How this door behaves.
    pub(crate) door_settings: DoorSettings,
    /// To which key the log is sealed; none before the first statement of it.
    pub(crate) log_key: Option<PublicKey>,
    /// How far both series have come.
    pub(crate) numbers: StatementNumbers,
    /// The bundle that was applied last.
    pub(crate) bundle: BundleNumber,
    /// What is withdrawn.
    pub(crate) revoked: RevocationView,
    /// The highest iteration of each issuer.
    pub(crate) iterations: Iterations,
    /// What is held of keys with a number of uses.
    pub(crate) held: BTreeMap<BudgetId, Held>,
    /// Who is believed.
    pub(crate) trusted: TrustedIssuers,
    /// Stands in where there is no calendar yet: keys that need the time are then refused.
    no_zone: Offsets,
}

impl Inner {
    /// Reads back what the store holds.
    pub(crate) fn load(
        store: Store,
        clock: DoorClock,
        installed: &Installed,
    ) -> Result<Self, StoreError> {
        let knowledge = Knowledge::load(&store, installed)?;
        let incoming = Assembly::load(&store, installed)?;
        Ok(Self {
            store,
            clock,
            knowledge,
            incoming,
            pages: PageAssembler::new(),
            strangers: Strangers::default(),
            moved: BTreeSet::new(),
            asked_for: None,
        })
    }

    /// What a decision at this moment rests on.
    pub(crate) fn world(&self, door: &Door, turn: UsesOfTurn) -> World<'_> {
        World {
            property: door.installed.property,
            number: door.installed.number,
            reading: self.reading(&door.env),
            calendar: self.knowledge.calendar(),
            has_calendar: self.knowledge.settings.is_some(),
            revoked: &self.knowledge.revoked,
            held: &self.knowledge.held,
            turn,
        }
    }

    /// How long the relay closes its circuit.
    pub(crate) fn relay_pulse(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.knowledge.door_settings.relay_pulse_ms.into())
    }
}

impl Knowledge {
    fn load(store: &Store, installed: &Installed) -> Result<Self, StoreError> {
        let connection = store.read();
        let mut trusted = TrustedIssuers::new();
        for issuer in &installed.issuers {
            trusted.add_issuer(*issuer);
        }
        let mut knowledge = Self {
            settings: None,
            door_settings: DoorSettings::default(),
            log_key: None,
            numbers: statement_numbers(connection)?,
            bundle: applied_bundle(connection)?,
            revoked: RevocationView::new(),
            iterations: iterations(connection)?,
            held: all_leases(connection)?,
            trusted,
            no_zone: no_zone().map_err(|_| StoreError::Damaged("no zone"))?,
        };
        for which in Setting::ALL {
            if let Some(statement) = setting(connection, which)? {
                knowledge.read_setting(&statement, installed)?;
            }
        }
        for document in revocation_documents(connection)? {
            let list = verify_list(&document, installed)
                .ok_or(StoreError::Damaged("a revocation list"))?;
            knowledge.revoked.take(list);
        }
        Ok(knowledge)
    }

    fn read_setting(&mut self, statement: &[u8], installed: &Installed) -> Result<(), StoreError> {
        let damaged = StoreError::Damaged("a setting");
        let Some(statement) = verify_statement(statement, installed) else {
            return Err(damaged);
        };
        match statement.body {
            Body::Settings(settings) => self.settings = Some(settings),
            Body::DoorSettings(settings) => self.door_settings = settings,
            Body::LogKey(key) => self.log_key = Some(key),
            Body::Pass(_) => return Err(damaged),
        }
        Ok(())
    }

    /// The property's calendar.
    pub(crate) fn calendar(&self) -> Calendar<'_> {
        self.settings.as_ref().map_or(
            Calendar {
                offsets: &self.no_zone,
                holidays: Holidays::NONE,
            },
            |settings| Calendar {
                offsets: &settings.offsets,
                holidays: &settings.holidays,
            },
        )
    }

    /// The number of the newest revocation list.
    pub(crate) fn list(&self) -> ListNumber {
        self.revoked.number()
    }

    /// The highest iteration of any issuer.
    pub(crate) fn iteration(&self) -> u64 {
        self.iterations
            .iter()
            .map(|(_, highest)| highest)
            .max()
            .unwrap_or_default()
    }
}

/// A statement that one of this property's issuers signed.
pub(super) fn verify_statement(
    bytes: &[u8],
    installed: &Installed,
) -> Option<latchkey_protocol::statement::Statement> {
    let signed = SignedStatement::from_bytes(bytes).ok()?;
    installed
        .issuers
        .iter()
        .find_map(|issuer| signed.verify(issuer, installed.property).ok())
}

/// A list that one of this property's issuers signed.
pub(super) fn verify_list(bytes: &[u8], installed: &Installed) -> Option<RevocationList> {
    installed
        .issuers
        .iter()
        .find_map(|issuer| RevocationList::verify(bytes, issuer).ok())
}

fn no_zone() -> Result<Offsets, OffsetsError> {
    let span = Span {
        from: chrono::DateTime::UNIX_EPOCH,
        until: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1),
    };
    Offsets::new("Etc/UTC", "none", span, 0, [])
}
