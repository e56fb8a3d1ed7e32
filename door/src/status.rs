//! What a controller knows, for people.

use std::fmt;
use std::path::Path;

use chrono::{DateTime, Utc};
use latchkey_protocol::commissioning::CommissioningCode;
use latchkey_protocol::doorstate::{BundleNumber, ListNumber, StatementNumbers};
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, PropertyId};

use crate::controller::read_installed;
use crate::door::{ClockReport, Door, DoorError, Installed, stored_clock};
use crate::keys::OwnKeys;
use crate::store::{
    Counter, EventLog, Store, applied_bundle, count_passes, counter, installed_package, iterations,
    revocation_number, statement_numbers, stored_keys,
};

/// What a controller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code that it shows.
    pub code: CommissioningCode,
    /// The door at which it stands; none before it is installed.
    pub place: Option<Place>,
    /// Its clock; of a controller that is looked at from outside, as it was last stored.
    pub clock: ClockReport,
    /// How far it has come in both series of statements.
    pub statements: StatementNumbers,
    /// The bundle that it has applied.
    pub bundle: BundleNumber,
    /// The revocation list that it obeys.
    pub list: ListNumber,
    /// The highest iteration that it has accepted.
    pub iteration: u64,
    /// How many passes it knows.
    pub passes: u64,
    /// Events that it remembers.
    pub events: u64,
    /// Events that the portal has not said it keeps.
    pub unreported: u64,
    /// When it was last signed in at the portal, by its own clock.
    pub last_contact: Option<DateTime<Utc>>,
}

/// Where a controller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The property.
    pub property: PropertyId,
    /// The door.
    pub door: DoorId,
    /// The door's number.
    pub number: DoorNumber,
    /// Which controller of that door it is.
    pub generation: Generation,
}

impl From<&Installed> for Place {
    fn from(installed: &Installed) -> Self {
        Self {
            property: installed.property,
            door: installed.door,
            number: installed.number,
            generation: installed.generation,
        }
    }
}

impl Status {
    /// Looks into a controller's folder, whether or not it runs.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn of_folder(folder: impl AsRef<Path>) -> Result<Self, DoorError> {
        let store = Store::look(folder.as_ref())?;
        let keys = OwnKeys::from_stored(&stored_keys(store.read())?)?;
        let installed = installed_package(store.read())?
            .map(|package| read_installed(&package, &keys))
            .transpose()?;
        let clock = stored_clock(&store)?;
        Self::of_store(&store, &keys, installed.as_ref(), clock)
    }

    pub(crate) fn of_door(door: &Door) -> Result<Self, DoorError> {
        let inner = door.lock();
        let clock = inner.reading(door.env()).into();
        Self::of_store(&inner.store, door.keys(), Some(door.installed()), clock)
    }

    fn of_store(
        store: &Store,
        keys: &OwnKeys,
        installed: Option<&Installed>,
        clock: ClockReport,
    ) -> Result<Self, DoorError> {
        let connection = store.read();
        let log = EventLog::of(connection)?;
        let contact = counter(connection, Counter::LastContactMs)?;
        Ok(Self {
            code: CommissioningCode::of(keys.reader(), keys.sealing()),
            place: installed.map(Place::from),
            clock,
            statements: statement_numbers(connection)?,
            bundle: applied_bundle(connection)?,
            list: revocation_number(connection)?,
            iteration: iterations(connection)?
                .iter()
                .map(|(_, highest)| highest)
                .max()
                .unwrap_or_default(),
            passes: count_passes(connection)?,
            events: log.remembered,
            unreported: log.unreported,
            last_contact: i64::try_from(contact)
                .ok()
                .filter(|ms| *ms > 0)
                .and_then(DateTime::from_timestamp_millis),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "code          {}", self.code)?;
        match &self.place {
            None => writeln!(f, "door          not installed")?,
            Some(place) => {
                writeln!(f, "property      {}", place.property)?;
                writeln!(
                    f,
                    "door          {} (number {})",
                    place.door, place.number.0
                )?;
                writeln!(f, "generation    {}", place.generation.0)?;
            }
        }
        write!(
            f,
            "clock         {}",
            self.clock.at.format("%Y-%m-%d %H:%M:%S UTC")
        )?;
        match (self.clock.unsure, self.clock.uncertainty_ms) {
            (false, Some(ms)) => writeln!(f, ", off by at most {:.1} s", f64::from(ms) / 1000.0)?,
            _ => writeln!(f, " or later: unsure until somebody brings the time")?,
        }
        let numbers = self.statements;
        writeln!(
            f,
            "statements    {} for all doors, {} for this one (epoch {})",
            numbers.all, numbers.own, numbers.epoch
        )?;
        writeln!(
            f,
            "bundle        {} (epoch {})",
            self.bundle.number, self.bundle.epoch
        )?;
        writeln!(
            f,
            "revocations   list {} (epoch {})",
            self.list.version, self.list.epoch
        )?;
        writeln!(f, "iteration     {}", self.iteration)?;
        writeln!(f, "passes        {} known", self.passes)?;
        writeln!(
            f,
            "events        {}, {} of them not reported yet",
            self.events, self.unreported
        )?;
        match self.last_contact {
            Some(at) => writeln!(f, "last contact  {}", at.format("%Y-%m-%d %H:%M:%S UTC")),
            None => writeln!(f, "last contact  none"),
        }
    }
}
