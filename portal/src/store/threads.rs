//! The store's own threads.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use super::StoreError;
use super::group::Job;

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| StoreError::Database(error.to_string()))
}

/// What several readers take from, one at a time.
#[derive(Clone)]
pub(super) struct ReadQueue(Arc<Mutex<mpsc::Receiver<Job>>>);

impl ReadQueue {
    pub(super) fn new() -> (mpsc::Sender<Job>, Self) {
        let (reader, to_read) = mpsc::channel();
        (reader, Self(Arc::new(Mutex::new(to_read))))
    }

    /// The next one; none once there will be no more.
    pub(super) fn next(&self) -> Option<Job> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.recv().ok()
    }
}
