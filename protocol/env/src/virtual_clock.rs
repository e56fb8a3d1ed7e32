//! The clock that tests move by hand.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Clock, Sleep};

/// A clock that stands still until it is told to move. Clones are the same clock.
///
/// Both scales move only by [`advance`](VirtualClock::advance), the wall clock also by
/// [`jump_wall`](VirtualClock::jump_wall). A test that advances before the code under test has
/// begun to wait has moved nothing for it: wait for
/// [`sleepers_at_least`](VirtualClock::sleepers_at_least) first.
#[derive(Clone)]
pub struct VirtualClock {
    state: Arc<Mutex<State>>,
}

struct State {
    wall: DateTime<Utc>,
    monotonic: Duration,
    next_id: u64,
    /// By moment of waking, then in the order in which they began to wait.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    /// Who wants to know that a sleeper was added.
    watchers: Vec<Waker>,
}

impl VirtualClock {
    /// A clock whose wall stands at `start` and whose monotonic scale stands at zero.
    #[must_use]
    pub fn new(start: DateTime<Utc>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                wall: start,
                monotonic: Duration::ZERO,
                next_id: 0,
                sleepers: BTreeMap::new(),
                watchers: Vec::new(),
            })),
        }
    }

    /// A clock that starts at an RFC 3339 instant such as `2026-11-24T09:00:00Z`.
    ///
    /// # Panics
    ///
    /// When `start` is not one.
    #[must_use]
    pub fn at(start: &str) -> Self {
        Self::new(start.parse().expect("an RFC 3339 instant"))
    }

    /// Moves both scales forward and wakes, in order of their moments, all whose moment has come.
    /// The woken run after this call and see the new time.
    pub fn advance(&self, by: Duration) {
        let due = self.with(|state| {
            state.monotonic += by;
            state.wall += TimeDelta::from_std(by).expect("less than 292 million years");
            let later = state
                .sleepers
                .split_off(&(state.monotonic + Duration::from_nanos(1), 0));
            std::mem::replace(&mut state.sleepers, later)
        });
        due.into_values().for_each(Waker::wake);
    }

    /// Moves to the moment at which the next sleeper wakes, and returns how far that was; `None`,
    /// and nothing moved, when nobody sleeps.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let by = self.with(|state| {
            let ((at, _), _) = state.sleepers.first_key_value()?;
            Some(at.saturating_sub(state.monotonic))
        })?;
        self.advance(by);
        Some(by)
    }

    /// Shifts the wall clock alone, as somebody who sets a device's clock does.
    pub fn jump_wall(&self, by: TimeDelta) {
        self.with(|state| state.wall += by);
    }

    /// How many waits are running on this clock.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.with(|state| state.sleepers.len())
    }

    /// Waits until at least `count` waits are running on this clock.
    pub async fn sleepers_at_least(&self, count: usize) {
        poll_fn(|cx| {
            self.with(|state| {
                if state.sleepers.len() >= count {
                    return Poll::Ready(());
                }
                state.watchers.push(cx.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        self.with(|state| state.wall)
    }

    fn monotonic(&self) -> Duration {
        self.with(|state| state.monotonic)
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        let clock = self.clone();
        let id = self.with(|state| {
            state.next_id += 1;
            state.next_id
        });
        Box::pin(Wait { clock, at, id })
    }
}

impl std::fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.with(|state| {
            f.debug_struct("VirtualClock")
                .field("wall", &state.wall)
                .field("monotonic", &state.monotonic)
                .field("sleepers", &state.sleepers.len())
                .finish()
        })
    }
}

struct Wait {
    clock: VirtualClock,
    at: Duration,
    id: u64,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let watchers = self.clock.with(|state| {
            if state.monotonic >= self.at {
                return None;
            }
            state
                .sleepers
                .insert((self.at, self.id), cx.waker().clone());
            Some(std::mem::take(&mut state.watchers))
        });
        match watchers {
            None => Poll::Ready(()),
            Some(watchers) => {
                watchers.into_iter().for_each(Waker::wake);
                Poll::Pending
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let key = (self.at, self.id);
        // The waker is dropped outside the lock: it may own a task that owns another wait.
        drop(self.clock.with(|state| state.sleepers.remove(&key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SharedClock, sleep, ticks, timeout};

    fn clock() -> VirtualClock {
        VirtualClock::at("2026-11-24T09:00:00Z")
    }

    #[test]
    fn time_stands_still_until_it_is_moved_and_the_wall_can_jump_alone() {
        let clock = clock();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now() - start, TimeDelta::seconds(90));
        clock.jump_wall(TimeDelta::minutes(-5));
        assert_eq!(clock.now() - start, TimeDelta::seconds(-210));
        assert_eq!(clock.monotonic(), Duration::from_secs(90));
    }

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_moments() {
        let clock = clock();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for seconds in [3, 1, 2] {
            let (clock, order) = (clock.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                sleep(&clock, Duration::from_secs(seconds)).await;
                order.lock().unwrap().push(seconds);
            }));
        }
        clock.sleepers_at_least(3).await;
        clock.advance(Duration::from_secs(10));
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_sleeper_wakes_at_its_moment_and_not_before() {
        let clock = clock();
        let waiting = tokio::spawn(clock.sleep_until(Duration::from_secs(10)));
        clock.sleepers_at_least(1).await;
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(clock.sleepers(), 1);
        assert_eq!(clock.advance_to_next(), Some(Duration::from_millis(1)));
        waiting.await.unwrap();
        assert_eq!(clock.advance_to_next(), None);
    }

    #[tokio::test]
    async fn a_dropped_wait_leaves_nothing_behind() {
        let clock = clock();
        let waiting = tokio::spawn(clock.sleep_until(Duration::from_secs(10)));
        clock.sleepers_at_least(1).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(clock.sleepers(), 0);
    }

    #[tokio::test]
    async fn a_timeout_fires_in_virtual_time() {
        let clock = clock();
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move {
                timeout(
                    &clock,
                    Duration::from_secs(30),
                    std::future::pending::<()>(),
                )
                .await
            }
        });
        clock.sleepers_at_least(1).await;
        clock.advance(Duration::from_secs(30));
        assert!(waiting.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn ticks_that_nobody_waited_for_are_skipped() {
        let clock = clock();
        let shared: SharedClock = Arc::new(clock.clone());
        let mut ticks = ticks(shared, Duration::from_secs(10));
        clock.advance(Duration::from_secs(35));
        ticks.tick().await;
        let next = tokio::spawn(async move { ticks.tick().await });
        clock.sleepers_at_least(1).await;
        clock.advance(Duration::from_millis(4_999));
        assert_eq!(clock.sleepers(), 1);
        clock.advance(Duration::from_millis(1));
        next.await.unwrap();
    }
}
