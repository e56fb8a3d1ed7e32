//! Operations that read, each on a snapshot of its own.

use super::session::{Line, PgTx, Trouble};
use crate::store::StoreError;
use crate::store::group::Job;
use crate::store::threads::ReadQueue;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Ends when the last [`crate::store::Store`] is gone.
pub(super) fn read_all(mut line: Line, jobs: &ReadQueue) {
    while let Some(mut job) = jobs.next() {
        let mut outcome = read(&mut line, &mut job);
        if let Err(Trouble::Lost(_)) = outcome {
            // Reading twice does no harm, and a connection that nobody used for long may have gone.
            line.lose();
            outcome = read(&mut line, &mut job);
        }
        match outcome {
            Ok(broken) => {
                job.answer(broken);
                if line
                    .session()
                    .is_ok_and(|session| session.batch("ROLLBACK").is_err())
                {
                    line.lose();
                }
            }
            Err(Trouble::Lost(error) | Trouble::Conflict(error) | Trouble::Statement(error)) => {
                line.lose();
                job.refuse(error);
            }
        }
    }
}

/// Runs it, and says why what it answers does not count.
fn read(line: &mut Line, job: &mut Job) -> Result<Option<StoreError>, Trouble> {
    let session = line.session().map_err(Trouble::Statement)?;
    session.batch(BEGIN)?;
    let mut tx = PgTx::new(session, None);
    job.run(&mut tx);
    match tx.over {
        Some(trouble) => Err(trouble),
        None => Ok(tx.broken),
    }
}
