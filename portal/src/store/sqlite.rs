//! SQLite: one thread that writes, a few that read. WAL, `synchronous = FULL`: a commit that was answered survives
//! a power cut.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use latchkey_protocol::ids::PropertyId;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tokio::sync::broadcast;

use super::group::{Job, JobSender, MOST_IN_A_GROUP, Ran};
use super::{Row, StoreError, Tx, Value, Wake, migrate};

const READERS: usize = 3;
const STATEMENTS_KEPT: usize = 256;

pub(super) fn start(
    path: &Path,
    wakes: broadcast::Sender<Wake>,
) -> Result<(JobSender, JobSender), StoreError> {
    let mut writing = Connection::open(path)?;
    prepare(&writing)?;
    writing.pragma_update(None, "journal_mode", "WAL")?;
    writing.pragma_update(None, "synchronous", "FULL")?;
    migrate::run(&mut writing)?;

    let (writer, to_write) = mpsc::channel();
    spawn("store-writer", move || {
        write_all(&writing, &to_write, &wakes)
    })?;

    let (reader, to_read) = mpsc::channel();
    let to_read = Arc::new(Mutex::new(to_read));
    for _ in 0..READERS {
        let reading = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        prepare(&reading)?;
        let to_read = Arc::clone(&to_read);
        spawn("store-reader", move || read_all(&reading, &to_read))?;
    }
    Ok((writer, reader))
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    // Another process (`property create`) may hold the file for a moment.
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| StoreError::Database(error.to_string()))
}

/// Ends when the last [`super::Store`] is gone.
fn write_all(connection: &Connection, jobs: &mpsc::Receiver<Job>, wakes: &broadcast::Sender<Wake>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(MOST_IN_A_GROUP - 1));
        commit_group(connection, group, wakes);
    }
}

fn commit_group(connection: &Connection, group: Vec<Job>, wakes: &broadcast::Sender<Wake>) {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        let error = StoreError::from(error);
        tracing::error!(%error, "no transaction could be begun");
        group.into_iter().for_each(|job| job.refuse(error.clone()));
        return;
    }
    let mut tx = SqliteTx {
        connection,
        wakes: Vec::new(),
    };
    let mut ran = Vec::with_capacity(group.len());
    let mut failed = None;
    for job in group {
        match &failed {
            None => match within_savepoint(&mut tx, job) {
                Ok(done) => ran.push(done),
                Err((done, error)) => {
                    ran.extend(done);
                    failed = Some(error);
                }
            },
            Some(error) => job.refuse(error.clone()),
        }
    }
    let failed = failed.or_else(|| connection.execute_batch("COMMIT").err().map(Into::into));
    if let Some(error) = &failed {
        tracing::error!(%error, "a commit failed; nothing of it is kept");
        // There may be no transaction any more: SQLite rolls back by itself after a failed write.
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
    let wake = std::mem::take(&mut tx.wakes);
    ran.into_iter().for_each(|done| done.answer(failed.clone()));
    if failed.is_none() {
        for wake in wake {
            // Nobody may be listening yet.
            let _ = wakes.send(wake);
        }
    }
}

/// The outcome of one operation; the error means that the whole group is lost.
fn within_savepoint(tx: &mut SqliteTx<'_>, job: Job) -> Result<Ran, (Option<Ran>, StoreError)> {
    if let Err(error) = tx.connection.execute_batch("SAVEPOINT operation") {
        let error = StoreError::from(error);
        job.refuse(error.clone());
        return Err((None, error));
    }
    let told = tx.wakes.len();
    let done = job.run(tx);
    let end = if done.keep {
        "RELEASE operation"
    } else {
        tx.wakes.truncate(told);
        "ROLLBACK TO operation; RELEASE operation"
    };
    match tx.connection.execute_batch(end) {
        Ok(()) => Ok(done),
        Err(error) => Err((Some(done), error.into())),
    }
}

fn read_all(connection: &Connection, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        if let Err(error) = connection.execute_batch("BEGIN DEFERRED") {
            job.refuse(error.into());
            continue;
        }
        let mut tx = SqliteTx {
            connection,
            wakes: Vec::new(),
        };
        let done = job.run(&mut tx);
        let failed = connection.execute_batch("COMMIT").err().map(Into::into);
        if failed.is_some() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        done.answer(failed);
    }
}

struct SqliteTx<'a> {
    connection: &'a Connection,
    wakes: Vec<Wake>,
}

impl Tx for SqliteTx<'_> {
    fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(params))? as u64)
    }

    fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
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
    }

    fn lock_property(&mut self, _: PropertyId) -> Result<(), StoreError> {
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
        use rusqlite::ffi;
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                Self::Duplicate
            }
            _ => Self::Database(error.to_string()),
        }
    }
}
