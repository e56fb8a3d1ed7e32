//! Jobs of the store's threads: an operation, and the way back for its answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::{StoreError, Tx};

pub(super) type JobSender = mpsc::Sender<Job>;

/// Most operations in one commit: beyond it, waiting for the slowest costs more than the shared sync saves.
pub(super) const MOST_IN_A_GROUP: usize = 256;

/// An operation that waits for its turn.
pub(super) struct Job(Box<dyn Runs + Send>);

/// What an operation left: whether its savepoint is kept, and the answer, held back until the commit is durable.
pub(super) struct Ran {
    pub(super) keep: bool,
    reply: Box<dyn FnOnce(Option<StoreError>) + Send>,
}

impl Ran {
    /// Sends the answer, or in its place that the commit failed.
    pub(super) fn answer(self, failed: Option<StoreError>) {
        (self.reply)(failed);
    }
}

impl Job {
    pub(super) fn new<T, E, F>(operation: F, answer: oneshot::Sender<Result<T, E>>) -> Self
    where
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Self(Box::new(Operation { operation, answer }))
    }

    pub(super) fn run(self, tx: &mut dyn Tx) -> Ran {
        self.0.run(tx)
    }

    /// Answers without running.
    pub(super) fn refuse(self, error: StoreError) {
        self.0.refuse(error);
    }
}

trait Runs {
    fn run(self: Box<Self>, tx: &mut dyn Tx) -> Ran;
    fn refuse(self: Box<Self>, error: StoreError);
}

struct Operation<F, T, E> {
    operation: F,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Runs for Operation<F, T, E>
where
    F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn run(self: Box<Self>, tx: &mut dyn Tx) -> Ran {
        let Self { operation, answer } = *self;
        let outcome = catch_unwind(AssertUnwindSafe(|| operation(tx))).unwrap_or_else(|panic| {
            tracing::error!(message = text_of(&*panic), "an operation panicked");
            Err(StoreError::Panicked.into())
        });
        Ran {
            keep: outcome.is_ok(),
            reply: Box::new(move |failed| {
                // Whoever asked may be gone: then nobody needs the answer.
                let _ = answer.send(match failed {
                    Some(error) if outcome.is_ok() => Err(error.into()),
                    _ => outcome,
                });
            }),
        }
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error.into()));
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
