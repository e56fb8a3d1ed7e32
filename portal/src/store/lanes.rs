//! Operations that wait, in lanes: those of one lane are taken together, by one thread at a time and in the order in
//! which they came; lanes run beside each other.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::group::Job;

/// The waiting end. When the last clone is gone, threads finish what waits and end.
pub(super) struct Lanes<K: Copy + Eq + Hash>(Arc<Waiting<K>>);

impl<K: Copy + Eq + Hash> Lanes<K> {
    pub(super) fn new() -> (Self, Takers<K>) {
        let waiting = Arc::new(Waiting {
            state: Mutex::new(State {
                lanes: HashMap::new(),
                ready: VecDeque::new(),
                closed: false,
            }),
            news: Condvar::new(),
        });
        (Self(Arc::clone(&waiting)), Takers(waiting))
    }

    /// Puts a job at the end of its lane.
    pub(super) fn put(&self, lane: K, job: Job) {
        let mut state = self.0.lock();
        match state.lanes.get_mut(&lane) {
            Some(jobs) => jobs.push_back(job),
            None => {
                state.lanes.insert(lane, VecDeque::from([job]));
                state.ready.push_back(lane);
                self.0.news.notify_one();
            }
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Lanes<K> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.news.notify_all();
    }
}

/// The threads' end.
pub(super) struct Takers<K: Copy + Eq + Hash>(Arc<Waiting<K>>);

impl<K: Copy + Eq + Hash> Clone for Takers<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Copy + Eq + Hash> Takers<K> {
    /// Waits for jobs and takes all of one lane, at most `most`; none once there will be no more. The lane is the
    /// taker's alone until what it got is dropped.
    pub(super) fn take(&self, most: usize) -> Option<Taken<'_, K>> {
        let mut state = self.0.lock();
        loop {
            if let Some(lane) = state.ready.pop_front() {
                let waiting = state.lanes.entry(lane).or_default();
                let jobs = waiting.drain(..waiting.len().min(most)).collect();
                return Some(Taken {
                    waiting: &self.0,
                    lane,
                    jobs,
                });
            }
            if state.closed {
                return None;
            }
            state = self
                .0
                .news
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Jobs of one lane.
pub(super) struct Taken<'a, K: Copy + Eq + Hash> {
    waiting: &'a Waiting<K>,
    pub(super) lane: K,
    pub(super) jobs: Vec<Job>,
}

impl<K: Copy + Eq + Hash> Drop for Taken<'_, K> {
    fn drop(&mut self) {
        let mut state = self.waiting.lock();
        let is_empty = state.lanes.get(&self.lane).is_none_or(VecDeque::is_empty);
        if is_empty {
            state.lanes.remove(&self.lane);
        } else {
            state.ready.push_back(self.lane);
            self.waiting.news.notify_one();
        }
    }
}

struct Waiting<K> {
    state: Mutex<State<K>>,
    news: Condvar,
}

struct State<K> {
    /// A lane is here while jobs wait in it or somebody works on some.
    lanes: HashMap<K, VecDeque<Job>>,
    /// Lanes with jobs that nobody works on.
    ready: VecDeque<K>,
    closed: bool,
}

impl<K> Waiting<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
