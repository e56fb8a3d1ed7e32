//! Operations of one property, or of the portal, in one durable commit.
//!
//! Each runs within a savepoint: after an error inside, PostgreSQL takes no statement up to it, and a commit without it
//! would answer well and keep nothing.

use std::collections::VecDeque;

use super::session::{Line, PgTx, Session, Trouble};
use crate::store::group::Job;
use crate::store::lanes::Takers;
use crate::store::wake::{CHANNEL, notifications};
use crate::store::{Scope, StoreError, Wake};

/// Savepoints that wrote are subtransactions, of which a session shows 64 to others cheaply.
const MOST_IN_A_GROUP: usize = 60;
/// How often a group gives way to others before its operations are refused.
const MOST_CONFLICTS: u32 = 8;

/// Ends when the last [`crate::store::Store`] is gone.
pub(super) fn write_all(mut line: Line, jobs: &Takers<Scope>) {
    while let Some(mut taken) = jobs.take(MOST_IN_A_GROUP) {
        let group = std::mem::take(&mut taken.jobs);
        write(&mut line, taken.lane, group);
    }
}

/// Runs a group until each operation has its answer.
fn write(line: &mut Line, scope: Scope, group: Vec<Job>) {
    let mut groups = VecDeque::from([group]);
    let (mut conflicts, mut lost) = (0, false);
    while let Some(mut group) = groups.pop_front() {
        let instance = line.shared.instance;
        let session = match line.session() {
            Ok(session) => session,
            Err(error) => {
                group.into_iter().for_each(|job| job.refuse(error.clone()));
                continue;
            }
        };
        let committed = commit(session, scope, &mut group, |told| {
            notifications(CHANNEL, instance, told)
        });
        match committed {
            Ok(Committed { outcomes, told }) => {
                lost = false;
                for (job, lost) in group.into_iter().zip(outcomes) {
                    job.answer(lost);
                }
                for wake in told {
                    line.shared.wakes.tell(wake);
                }
            }
            Err(Failed::Conflict(error)) => {
                conflicts += 1;
                if conflicts > MOST_CONFLICTS {
                    tracing::error!(%error, "operations gave way to others too often");
                    group.into_iter().for_each(|job| job.refuse(error.clone()));
                } else if group.len() == 1 {
                    groups.push_front(group);
                } else {
                    // One by one, each holds little at a time.
                    groups.extend(group.into_iter().map(|job| vec![job]));
                }
            }
            // Nothing of it was committed: it runs again, once.
            Err(Failed::Lost(error)) => {
                tracing::warn!(%error, "the connection to the database broke");
                line.lose();
                if lost {
                    group.into_iter().for_each(|job| job.refuse(error.clone()));
                } else {
                    lost = true;
                    groups.push_front(group);
                }
            }
            Err(Failed::Refused(error)) => {
                tracing::error!(%error, "a commit failed; nothing of it is kept");
                group
                    .into_iter()
                    .for_each(|job| job.answer(Some(error.clone())));
            }
            Err(Failed::Unknown(error)) => {
                tracing::error!(%error, "the connection broke in the middle of a commit");
                line.lose();
                for job in group {
                    job.answer(Some(StoreError::Uncertain));
                }
            }
        }
    }
}

struct Committed {
    /// For each operation, why what it did is lost although it answers well.
    outcomes: Vec<Option<StoreError>>,
    told: Vec<Wake>,
}

/// Why a group was not committed.
enum Failed {
    /// It got in another's way.
    Conflict(StoreError),
    /// The connection is gone, and was before the commit.
    Lost(StoreError),
    /// The database refuses it.
    Refused(StoreError),
    /// Nobody can say whether it was kept.
    Unknown(StoreError),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Conflict(error) => Self::Conflict(error),
            Trouble::Lost(error) => Self::Lost(error),
            Trouble::Statement(error) => Self::Refused(error),
        }
    }
}

fn commit(
    session: &mut Session,
    scope: Scope,
    group: &mut [Job],
    notify: impl FnOnce(&[Wake]) -> String,
) -> Result<Committed, Failed> {
    let outcome = run(session, scope, group).and_then(|(committed, end)| {
        let end = format!("{end}{}COMMIT", notify(&committed.told));
        session.batch(&end).map_err(|trouble| match trouble {
            // The words of the commit may have been the last that the server heard.
            Trouble::Lost(error) => Failed::Unknown(error),
            trouble => trouble.into(),
        })?;
        Ok(committed)
    });
    if let Err(Failed::Conflict(_) | Failed::Refused(_)) = &outcome {
        // Where this fails, the next statement will say so.
        let _ = session.batch("ROLLBACK");
    }
    outcome
}

/// Runs all up to the commit; what is to be sent before it is the second part of the answer.
fn run(
    session: &mut Session,
    scope: Scope,
    group: &mut [Job],
) -> Result<(Committed, &'static str), Failed> {
    session.batch(&begin(scope))?;
    let (mut outcomes, mut told) = (Vec::with_capacity(group.len()), Vec::new());
    let mut end_of_last = "";
    for job in group {
        if let Some(before_next) = next(end_of_last) {
            session.batch(before_next)?;
        }
        let mut tx = PgTx::new(session, Some(job.scope));
        let keep = job.run(&mut tx);
        let PgTx {
            wakes,
            broken,
            over,
            ..
        } = tx;
        if let Some(trouble) = over {
            return Err(trouble.into());
        }
        if keep && broken.is_none() {
            end_of_last = KEEP;
            told.extend(wakes);
        } else {
            end_of_last = UNDO;
        }
        outcomes.push(broken);
    }
    told.sort_unstable();
    told.dedup();
    let end = if end_of_last == UNDO { UNDO } else { "" };
    Ok((Committed { outcomes, told }, end))
}

const KEEP: &str = "RELEASE SAVEPOINT operation; SAVEPOINT operation; ";
const UNDO: &str = "ROLLBACK TO SAVEPOINT operation; ";

/// What must be said between an operation that ended so and the next one.
fn next(end_of_last: &'static str) -> Option<&'static str> {
    (!end_of_last.is_empty()).then_some(end_of_last)
}

/// A transaction in which each statement sees what was committed before it, so that whoever holds the property's row
/// sees all that was done to it.
fn begin(scope: Scope) -> String {
    let lock = match scope {
        Scope::Portal => String::new(),
        // An id is hexadecimal digits: nothing to escape.
        Scope::Property(id) => {
            format!("SELECT 1 FROM property WHERE id = '\\x{id}' FOR UPDATE; ")
        }
    };
    format!("BEGIN ISOLATION LEVEL READ COMMITTED; {lock}SAVEPOINT operation")
}
