//! SQLite: one thread that writes, a few that read. WAL, `synchronous = FULL`: a commit that was answered survives
//! a power cut.

use std::path::Path;
use std::sync::mpsc;

use latchkey_protocol::ids::PropertyId;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::group::Job;
use super::lanes::{Lanes, Takers};
use super::listeners::Wakes;
use super::threads::{ReadQueue, spawn};
use super::{Row, Scope, StoreError, Tx, Value, Wake, migrate};

const READERS: usize = 3;
const STATEMENTS_KEPT: usize = 256;
/// Most operations in one commit: beyond it, waiting for the slowest costs more than the shared sync saves.
const MOST_IN_A_GROUP: usize = 256;

/// All writes go into one lane: there is one writer.
pub(super) fn start(
    path: &Path,
    wakes: Wakes,
) -> Result<(Lanes<Scope>, mpsc::Sender<Job>), StoreError> {
    let mut writing = Connection::open(path)?;
    prepare(&writing)?;
    writing.pragma_update(None, "journal_mode", "WAL")?;
    writing.pragma_update(None, "synchronous", "FULL")?;
    begin_log_anew(&writing)?;
    migrate::run(&mut writing)?;

    let (writer, to_write) = Lanes::new();
    spawn("store-writer", move || {
        write_all(&writing, &to_write, &wakes)
    })?;

    let (reader, to_read) = ReadQueue::new();
    for _ in 0..READERS {
        let reading = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        prepare(&reading)?;
        let to_read = to_read.clone();
        spawn("store-reader", move || read_all(&reading, &to_read))?;
    }
    Ok((writer, reader))
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    // Another process (`property create`) may hold the file for a moment.
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Else many statements are parsed and planned anew whenever another value is bound to them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Where a sync failed before the portal ended, the log's file may read whole here and be torn on the disk: whatever
/// is committed behind such a place would be lost with it in a power cut. So all that reads is copied into the database
/// first. Within one run there is no such place: SQLite writes the log over from where the failed commit began.
fn begin_log_anew(connection: &Connection) -> Result<(), StoreError> {
    // Another process that reads meanwhile may keep the log from being cut, not from being copied.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Ends when the last [`super::Store`] is gone.
fn write_all(connection: &Connection, jobs: &Takers<Scope>, wakes: &Wakes) {
    while let Some(mut taken) = jobs.take(MOST_IN_A_GROUP) {
        commit_group(connection, std::mem::take(&mut taken.jobs), wakes);
    }
}

fn commit_group(connection: &Connection, group: Vec<Job>, wakes: &Wakes) {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        let error = StoreError::from(error);
        tracing::error!(%error, "no transaction could be begun");
        group.into_iter().for_each(|job| job.refuse(error.clone()));
        return;
    }
    let mut told = Vec::new();
    let mut ran = Vec::with_capacity(group.len());
    let mut failed = None;
    for mut job in group {
        match &failed {
            None => match within_savepoint(connection, &mut job, &mut told) {
                Ok(lost) => ran.push((job, lost)),
                Err(error) => {
                    job.refuse(error.clone());
                    failed = Some(error);
                }
            },
            Some(error) => job.refuse(error.clone()),
        }
    }
    let failed = failed.or_else(|| commit(connection).err());
    if let Some(error) = &failed {
        tracing::error!(%error, "a commit failed");
        // There may be no transaction any more: SQLite rolls back by itself after a failed write.
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
    for (job, lost) in ran {
        job.answer(failed.clone().or(lost));
    }
    if failed.is_none() {
        for wake in told {
            wakes.tell(wake);
        }
    }
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    connection
        .execute_batch("COMMIT")
        .map_err(|error| match error.into() {
            // All of it may stand in the log, and be found there when the portal starts again.
            StoreError::Unreachable(_) => StoreError::Uncertain,
            error => error,
        })
}

/// Runs one operation, and says why what it did is lost although it answers well. An error means that the whole group
/// is lost.
fn within_savepoint(
    connection: &Connection,
    job: &mut Job,
    told: &mut Vec<Wake>,
) -> Result<Option<StoreError>, StoreError> {
    connection.execute_batch("SAVEPOINT operation")?;
    let mut tx = SqliteTx::new(connection, Some(job.scope));
    let keep = job.run(&mut tx) && tx.broken.is_none();
    let SqliteTx { wakes, broken, .. } = tx;
    if let Some(error @ (StoreError::Full | StoreError::Unreachable(_))) = broken {
        // SQLite may have ended the transaction with all its savepoints.
        return Err(error);
    }
    if keep {
        connection.execute_batch("RELEASE operation")?;
        for wake in wakes {
            if !told.contains(&wake) {
                told.push(wake);
            }
        }
    } else {
        connection.execute_batch("ROLLBACK TO operation; RELEASE operation")?;
    }
    Ok(broken)
}

fn read_all(connection: &Connection, jobs: &ReadQueue) {
    while let Some(mut job) = jobs.next() {
        if let Err(error) = connection.execute_batch("BEGIN DEFERRED") {
            job.refuse(error.into());
            continue;
        }
        let mut tx = SqliteTx::new(connection, None);
        job.run(&mut tx);
        let broken = tx.broken;
        let failed = connection.execute_batch("COMMIT").err().map(Into::into);
        if failed.is_some() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        job.answer(failed.or(broken));
    }
}

struct SqliteTx<'a> {
    connection: &'a Connection,
    /// None for a reader.
    scope: Option<Scope>,
    wakes: Vec<Wake>,
    /// A statement failed: as on PostgreSQL, nothing can follow it.
    broken: Option<StoreError>,
}

impl<'a> SqliteTx<'a> {
    fn new(connection: &'a Connection, scope: Option<Scope>) -> Self {
        Self {
            connection,
            scope,
            wakes: Vec::new(),
            broken: None,
        }
    }

    fn noted<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        work(self.connection).inspect_err(|error| self.broken = Some(error.clone()))
    }
}

impl Tx for SqliteTx<'_> {
    fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, StoreError> {
        self.noted(|connection| {
            Value::must_be_storable(params)?;
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.execute(params_from_iter(params))? as u64)
        })
    }

    fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.noted(|connection| {
            Value::must_be_storable(params)?;
            let mut statement = connection.prepare_cached(sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query(params_from_iter(params))?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                let values = (0..columns)
                    .map(|index| {
                        row.get_ref(index)
                            .map_err(StoreError::from)
                            .and_then(value_of)
                    })
                    .collect::<Result<_, _>>()?;
                out.push(Row(values));
            }
            Ok(out)
        })
    }

    fn lock_property(&mut self, property: PropertyId) -> Result<(), StoreError> {
        let scope = self.scope;
        self.noted(|_| StoreError::must_be(scope, property))
    }

    fn lock(&mut self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn wake(&mut self, wake: Wake) {
        if !self.wakes.contains(&wake) {
            self.wakes.push(wake);
        }
    }
}

fn value_of(value: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Text(text) => Value::Text(
            String::from_utf8(text.to_vec()).map_err(|_| StoreError::Unreadable("text"))?,
        ),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Real(_) => return Err(StoreError::Unreadable("number")),
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{ErrorCode, ffi};
        match error.sqlite_error().map(|it| (it.code, it.extended_code)) {
            Some((_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)) => {
                Self::Duplicate
            }
            Some((ErrorCode::DiskFull, _)) => Self::Full,
            Some((ErrorCode::SystemIoFailure | ErrorCode::CannotOpen, _)) => {
                Self::Unreachable(error.to_string())
            }
            _ => Self::Database(error.to_string()),
        }
    }
}
