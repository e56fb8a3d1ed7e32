//! What one thread reaches that writes an event's row and nothing else: all that wait in one durable commit.

use std::path::Path;
use std::sync::mpsc;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

/// As the portal's own, without what is only told of an event elsewhere.
const TABLE: &str = "
    CREATE TABLE event (
        property BLOB NOT NULL, id BLOB NOT NULL, ordinal BIGINT NOT NULL, door BLOB NOT NULL,
        generation BIGINT NOT NULL, sequence BIGINT NOT NULL, at_ms BIGINT NOT NULL,
        received_at BIGINT NOT NULL, clock_unsure BIGINT NOT NULL, means TEXT NOT NULL, denied TEXT,
        person BLOB, key_id BLOB, subject TEXT NOT NULL, PRIMARY KEY (property, id)
    );
    CREATE UNIQUE INDEX event_ordinal ON event (property, ordinal);";

const INSERT: &str = "
    INSERT INTO event VALUES (?1, ?2, ?3, ?4, 1, ?3, ?5, ?5, 0, 'stream', NULL, ?1, ?1, ?6)";

/// Most events of one commit: as many as the portal's operations.
const MOST: usize = 256;

type Job = ([u8; 16], oneshot::Sender<()>);

/// The way to the thread; it ends with this.
pub(super) struct Bare(mpsc::Sender<Job>);

impl Bare {
    pub(super) fn start(file: &Path) -> Self {
        let sql = Connection::open(file).expect("a file");
        sql.pragma_update(None, "journal_mode", "WAL").expect("WAL");
        sql.pragma_update(None, "synchronous", "FULL")
            .expect("FULL");
        sql.execute_batch(TABLE).expect("a table");
        let (put, jobs) = mpsc::channel();
        std::thread::spawn(move || write(&sql, &jobs));
        Self(put)
    }

    /// Returns once it is on disk.
    pub(super) async fn keep(&self, id: [u8; 16]) {
        let (kept, is_kept) = oneshot::channel();
        self.0.send((id, kept)).expect("the thread runs");
        is_kept.await.expect("kept");
    }
}

fn write(sql: &Connection, jobs: &mpsc::Receiver<Job>) {
    let mut ordinal = 0_i64;
    while let Ok(first) = jobs.recv() {
        let group: Vec<Job> = std::iter::once(first)
            .chain(jobs.try_iter().take(MOST - 1))
            .collect();
        sql.execute_batch("BEGIN IMMEDIATE").expect("begun");
        for (id, _) in &group {
            ordinal += 1;
            let mut insert = sql.prepare_cached(INSERT).expect("a statement");
            let subject = "{\"kind\":\"credential\",\"key_hash\":\"0123456789012345678901234567890123456789012\"}";
            let row = params![
                [7_u8; 16],
                id,
                ordinal,
                [7_u8; 12],
                1_800_000_000_000_i64,
                subject
            ];
            insert.execute(row).expect("inserted");
        }
        sql.execute_batch("COMMIT").expect("committed");
        for (_, kept) in group {
            let _ = kept.send(());
        }
    }
}
