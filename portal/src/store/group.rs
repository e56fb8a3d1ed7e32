//! Jobs of the store's threads: an operation, and the way back for its answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::{Scope, StoreError, Tx};

/// An operation that waits for its turn. It can run more than once: what it left in the database the time before is
/// then rolled back.
pub(super) struct Job {
    /// What it works on; readers go without.
    pub(super) scope: Scope,
    operation: Box<dyn Runs + Send>,
}

impl Job {
    pub(super) fn new<T, E, F>(
        scope: Scope,
        operation: F,
        answer: oneshot::Sender<Result<T, E>>,
    ) -> Self
    where
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Self {
            scope,
            operation: Box::new(Operation {
                operation,
                outcome: None,
                answer,
            }),
        }
    }

    /// Runs it, and says whether what it did is to be kept. Its answer is held back until [`Job::answer`].
    pub(super) fn run(&mut self, tx: &mut dyn Tx) -> bool {
        self.operation.run(tx)
    }

    /// Sends its answer; in place of a good one, that what it did is lost.
    pub(super) fn answer(self, lost: Option<StoreError>) {
        self.operation.answer(lost);
    }

    /// Answers with this, whether it has run or not.
    pub(super) fn refuse(self, error: StoreError) {
        self.operation.refuse(error);
    }
}

trait Runs {
    fn run(&mut self, tx: &mut dyn Tx) -> bool;
    fn answer(self: Box<Self>, lost: Option<StoreError>);
    fn refuse(self: Box<Self>, error: StoreError);
}

struct Operation<F, T, E> {
    operation: F,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Runs for Operation<F, T, E>
where
    F: FnOnce(&mut dyn Tx) -> Result<T, E> + Clone + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
        let operation = self.operation.clone();
        let outcome = catch_unwind(AssertUnwindSafe(|| operation(tx))).unwrap_or_else(|panic| {
            tracing::error!(message = text_of(&*panic), "an operation panicked");
            Err(StoreError::Panicked.into())
        });
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn answer(self: Box<Self>, lost: Option<StoreError>) {
        // Whoever asked may be gone: then nobody needs the answer.
        let _ = self.answer.send(match (self.outcome, lost) {
            (Some(Ok(_)) | None, Some(error)) => Err(error.into()),
            (Some(outcome), _) => outcome,
            (None, None) => Err(StoreError::Closed.into()),
        });
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
