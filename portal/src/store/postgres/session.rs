//! One connection: statements kept, what an error means for what runs, and coming back after a loss.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use latchkey_env::{Backoff, Clock as _};
use latchkey_protocol::ids::PropertyId;
use postgres::error::{Severity, SqlState};
use postgres::types::ToSql;
use postgres::{Client, Statement};

use super::Shared;
use super::values::{dollars, row};
use crate::store::database::Postgres;
use crate::store::{Row, Scope, StoreError, Tx, Value, Wake};

/// What an instance that was stopped in the middle must not hold up: its transaction is ended by the server. And no
/// statement of ours is as long as that.
const LIMITS: &str = "SET lock_timeout = '10s'; SET statement_timeout = '30s'; \
                      SET idle_in_transaction_session_timeout = '15s'";

/// Opens a connection.
pub(super) fn connect(server: &Postgres) -> Result<Client, StoreError> {
    let config = postgres::Config::from(tokio_postgres::Config::clone(&server.config));
    config
        .connect(server.tls.clone())
        .map_err(|error| StoreError::Unreachable(words(&error)))
}

/// An error where nothing is to be saved.
pub(super) fn plain(error: postgres::Error) -> StoreError {
    match Trouble::of(&error, false) {
        Trouble::Statement(error) | Trouble::Conflict(error) | Trouble::Lost(error) => error,
    }
}

/// What an error means.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The statement is refused; up to its savepoint the transaction stands.
    Statement(StoreError),
    /// The transaction got into another's way and is undone: it may run again.
    Conflict(StoreError),
    /// The connection is gone, and whatever was not committed with it.
    Lost(StoreError),
}

impl Trouble {
    pub(super) fn of(error: &postgres::Error, is_closed: bool) -> Self {
        let words = words(error);
        let Some(server) = error.as_db_error() else {
            let by_network = error
                .source()
                .is_some_and(|source| source.downcast_ref::<std::io::Error>().is_some());
            return if is_closed || error.is_closed() || by_network {
                Self::Lost(StoreError::Unreachable(words))
            } else {
                Self::Statement(StoreError::Database(words))
            };
        };
        if server.parsed_severity() != Some(Severity::Error) {
            return Self::Lost(StoreError::Unreachable(words));
        }
        match server.code() {
            &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE => {
                Self::Conflict(StoreError::Unreachable(words))
            }
            &SqlState::UNIQUE_VIOLATION => Self::Statement(StoreError::Duplicate),
            &SqlState::DISK_FULL => Self::Statement(StoreError::Full),
            &SqlState::LOCK_NOT_AVAILABLE => Self::Statement(StoreError::Unreachable(words)),
            _ => Self::Statement(StoreError::Database(words)),
        }
    }
}

/// What happened, without the server's details: they quote what is stored.
fn words(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(server) => format!("{} ({})", server.message(), server.code().code()),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// A connection in use.
pub(super) struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    fn open(server: &Postgres) -> Result<Self, StoreError> {
        let mut client = connect(server)?;
        let durable = "SELECT set_config('synchronous_commit', 'on', false)
                       WHERE current_setting('synchronous_commit') = 'off'
                         AND current_setting('fsync') = 'on'";
        client
            .batch_execute(&format!("{LIMITS}; {durable}"))
            .map_err(plain)?;
        Ok(Self {
            client,
            statements: HashMap::new(),
        })
    }

    /// Statements of our own, without parameters.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Trouble> {
        let outcome = self.client.batch_execute(sql);
        outcome.map_err(|error| Trouble::of(&error, self.client.is_closed()))
    }

    fn statement(&mut self, sql: &'static str) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&dollars(sql))?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, Trouble> {
        let outcome = self
            .statement(sql)
            .and_then(|statement| self.client.execute(&statement, &as_dyn(params)));
        outcome.map_err(|error| Trouble::of(&error, self.client.is_closed()))
    }

    fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, Trouble> {
        let outcome = self
            .statement(sql)
            .and_then(|statement| self.client.query(&statement, &as_dyn(params)));
        let rows = outcome.map_err(|error| Trouble::of(&error, self.client.is_closed()))?;
        let rows: Result<_, postgres::Error> = rows.iter().map(row).collect();
        rows.map_err(|error| Trouble::Statement(StoreError::Database(words(&error))))
    }
}

fn as_dyn(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

/// A thread's connection, opened when it is needed and again after a loss. While the server is away, it is tried less
/// and less often, and what is asked meanwhile is refused at once.
pub(super) struct Line {
    pub(super) shared: Shared,
    session: Option<Session>,
    backoff: Backoff,
    not_before: Option<(Duration, StoreError)>,
}

impl Line {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared,
            session: None,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(5)),
            not_before: None,
        }
    }

    pub(super) fn session(&mut self) -> Result<&mut Session, StoreError> {
        if self.session.is_none() {
            self.session = Some(self.open()?);
        }
        self.session.as_mut().ok_or(StoreError::Closed)
    }

    fn open(&mut self) -> Result<Session, StoreError> {
        let now = self.shared.clock.monotonic();
        if let Some((not_before, error)) = &self.not_before
            && now < *not_before
        {
            return Err(error.clone());
        }
        match Session::open(&self.shared.server) {
            Ok(session) => {
                self.backoff.reset();
                self.not_before = None;
                Ok(session)
            }
            Err(error) => {
                let wait = self.backoff.next_wait(&*self.shared.random);
                tracing::error!(%error, ?wait, "the database cannot be reached");
                self.not_before = Some((now + wait, error.clone()));
                Err(error)
            }
        }
    }

    /// The connection is of no use any more.
    pub(super) fn lose(&mut self) {
        self.session = None;
    }
}

/// An operation's hold on a connection within a transaction.
pub(super) struct PgTx<'a> {
    session: &'a mut Session,
    scope: Option<Scope>,
    pub(super) wakes: Vec<Wake>,
    /// A statement failed: the transaction takes no other up to its savepoint.
    pub(super) broken: Option<StoreError>,
    /// It is over with the whole transaction.
    pub(super) over: Option<Trouble>,
}

impl<'a> PgTx<'a> {
    /// None for a reader.
    pub(super) fn new(session: &'a mut Session, scope: Option<Scope>) -> Self {
        Self {
            session,
            scope,
            wakes: Vec::new(),
            broken: None,
            over: None,
        }
    }

    fn noted<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        work(self.session).map_err(|trouble| {
            let error = match &trouble {
                Trouble::Statement(error) | Trouble::Conflict(error) | Trouble::Lost(error) => {
                    error.clone()
                }
            };
            if !matches!(trouble, Trouble::Statement(_)) {
                self.over = Some(trouble);
            }
            self.broken = Some(error.clone());
            error
        })
    }
}

fn storable(params: &[Value]) -> Result<(), Trouble> {
    Value::must_be_storable(params).map_err(Trouble::Statement)
}

impl Tx for PgTx<'_> {
    fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, StoreError> {
        self.noted(|session| {
            storable(params)?;
            session.execute(sql, params)
        })
    }

    fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.noted(|session| {
            storable(params)?;
            session.query(sql, params)
        })
    }

    /// Its row was locked when the transaction began.
    fn lock_property(&mut self, property: PropertyId) -> Result<(), StoreError> {
        let scope = self.scope;
        self.noted(|_| StoreError::must_be(scope, property).map_err(Trouble::Statement))
    }

    fn lock(&mut self, name: &str) -> Result<(), StoreError> {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended(?1, 0)) IS NULL";
        let name = [Value::from(name)];
        self.noted(|session| session.query(sql, &name).map(drop))
    }

    fn wake(&mut self, wake: Wake) {
        if !self.wakes.contains(&wake) {
            self.wakes.push(wake);
        }
    }
}
