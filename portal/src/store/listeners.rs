//! Who waits for which wakes.
//!
//! A listener is woken for what it wants and for nothing else: with thousands of doors connected, most of what is
//! committed concerns none of them. Each keeps what it has not heard yet, every wake once, so that none can fall behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::Wake;

/// The telling end; clones are the same. With the last one, listening ends.
#[derive(Clone, Default)]
pub(super) struct Wakes(Arc<Registry>);

/// The listening end.
pub(crate) struct Listening {
    number: u64,
    /// None: a kind.
    wanted: Option<Vec<Wake>>,
    ear: Arc<Ear>,
    registry: Weak<Registry>,
}

#[derive(Default)]
struct Registry(Mutex<Listeners>);

#[derive(Default)]
struct Listeners {
    last: u64,
    /// Those who want certain wakes, by each of these.
    of: HashMap<Wake, BTreeMap<u64, Arc<Ear>>>,
    /// Those who want a kind of them, whosever.
    of_kind: BTreeMap<u64, (Kind, Arc<Ear>)>,
}

/// Whether a wake is of it.
type Kind = fn(Wake) -> bool;

#[derive(Default)]
struct Ear {
    heard: Mutex<Heard>,
    news: Notify,
}

#[derive(Default)]
struct Heard {
    wakes: BTreeSet<Wake>,
    /// There will be no more.
    closed: bool,
}

impl Wakes {
    /// Tells all who want this wake.
    pub(super) fn tell(&self, wake: Wake) {
        let listeners = lock(&self.0.0);
        if wake == Wake::Anything {
            listeners.all().for_each(|ear| ear.hear(wake));
            return;
        }
        let of = listeners
            .of
            .get(&wake)
            .into_iter()
            .flat_map(BTreeMap::values);
        of.for_each(|ear| ear.hear(wake));
        for (wants, ear) in listeners.of_kind.values() {
            if wants(wake) {
                ear.hear(wake);
            }
        }
    }

    /// Listens for these.
    pub(super) fn to(&self, wanted: &[Wake]) -> Listening {
        let ear = Arc::new(Ear::default());
        let mut listeners = lock(&self.0.0);
        let number = listeners.next();
        for wake in wanted {
            let of = listeners.of.entry(*wake).or_default();
            of.insert(number, Arc::clone(&ear));
        }
        drop(listeners);
        self.listening(number, Some(wanted.to_vec()), ear)
    }

    /// Listens for all of a kind.
    pub(super) fn to_kind(&self, wanted: Kind) -> Listening {
        let ear = Arc::new(Ear::default());
        let mut listeners = lock(&self.0.0);
        let number = listeners.next();
        listeners.of_kind.insert(number, (wanted, Arc::clone(&ear)));
        drop(listeners);
        self.listening(number, None, ear)
    }

    fn listening(&self, number: u64, wanted: Option<Vec<Wake>>, ear: Arc<Ear>) -> Listening {
        Listening {
            number,
            wanted,
            ear,
            registry: Arc::downgrade(&self.0),
        }
    }
}

impl Listening {
    /// The next wake that is wanted, or [`Wake::Anything`]: then whoever listens looks for themselves. None when the
    /// store is gone. May be cancelled without loss.
    pub(crate) async fn next(&mut self) -> Option<Wake> {
        loop {
            // Before the look, so that nothing falls between.
            let news = self.ear.news.notified();
            {
                let mut heard = lock(&self.ear.heard);
                match heard.wakes.pop_first() {
                    Some(wake) => return Some(wake),
                    None if heard.closed => return None,
                    None => {}
                }
            }
            news.await;
        }
    }

    /// One that came already.
    pub(crate) fn heard(&mut self) -> Option<Wake> {
        lock(&self.ear.heard).wakes.pop_first()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(registry) = self.registry.upgrade() else {
            return;
        };
        let mut listeners = lock(&registry.0);
        listeners.of_kind.remove(&self.number);
        for wake in self.wanted.iter().flatten() {
            if let Some(of) = listeners.of.get_mut(wake) {
                of.remove(&self.number);
                if of.is_empty() {
                    listeners.of.remove(wake);
                }
            }
        }
    }
}

impl Listeners {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Those who want several wakes come several times.
    fn all(&self) -> impl Iterator<Item = &Arc<Ear>> {
        let of = self.of.values().flat_map(BTreeMap::values);
        of.chain(self.of_kind.values().map(|(_, ear)| ear))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let listeners = lock(&self.0);
        for ear in listeners.all() {
            lock(&ear.heard).closed = true;
            ear.news.notify_one();
        }
    }
}

impl Ear {
    fn hear(&self, wake: Wake) {
        lock(&self.heard).wakes.insert(wake);
        // Kept for a listener that is about to wait.
        self.news.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use latchkey_protocol::ids::PropertyId;

    use super::*;

    const HERE: PropertyId = PropertyId([1; 16]);
    const THERE: PropertyId = PropertyId([2; 16]);

    fn all(listening: &mut Listening) -> Vec<Wake> {
        std::iter::from_fn(|| listening.heard()).collect()
    }

    #[test]
    fn a_listener_hears_what_it_wants_and_each_wake_once() {
        let wakes = Wakes::default();
        let mut listening = wakes.to(&[Wake::Changed(HERE), Wake::Outbox]);
        for wake in [
            Wake::Changed(THERE),
            Wake::Issued(HERE),
            Wake::Changed(HERE),
            Wake::Outbox,
            Wake::Changed(HERE),
        ] {
            wakes.tell(wake);
        }
        assert_eq!(all(&mut listening), [Wake::Changed(HERE), Wake::Outbox]);
        wakes.tell(Wake::Changed(HERE));
        assert_eq!(all(&mut listening), [Wake::Changed(HERE)]);
    }

    #[test]
    fn a_listener_to_a_kind_hears_it_of_every_property() {
        let wakes = Wakes::default();
        let mut listening = wakes.to_kind(|wake| matches!(wake, Wake::Issued(_)));
        for id in [HERE, THERE] {
            wakes.tell(Wake::Issued(id));
            wakes.tell(Wake::Changed(id));
        }
        let issued = [Wake::Issued(HERE), Wake::Issued(THERE)];
        assert_eq!(all(&mut listening), issued);
    }

    #[test]
    fn what_may_concern_anybody_is_heard_by_everybody() {
        let wakes = Wakes::default();
        let mut one = wakes.to(&[Wake::Outbox, Wake::Changed(HERE)]);
        let mut other = wakes.to_kind(|_| false);
        wakes.tell(Wake::Anything);
        assert_eq!(all(&mut one), [Wake::Anything]);
        assert_eq!(all(&mut other), [Wake::Anything]);
    }

    #[tokio::test]
    async fn who_waits_is_woken_and_what_came_is_heard_before_the_end() {
        let wakes = Wakes::default();
        let mut listening = wakes.to(&[Wake::Outbox]);
        let waiting = tokio::spawn(async move {
            let first = listening.next().await;
            (first, listening.next().await, listening.next().await)
        });
        tokio::task::yield_now().await;
        wakes.tell(Wake::Outbox);
        tokio::task::yield_now().await;
        wakes.tell(Wake::Anything);
        drop(wakes);
        let heard = (Some(Wake::Outbox), Some(Wake::Anything), None);
        assert_eq!(waiting.await.unwrap(), heard);
    }

    #[test]
    fn a_listener_that_is_gone_leaves_nothing() {
        let wakes = Wakes::default();
        drop(wakes.to(&[Wake::Outbox, Wake::Changed(HERE)]));
        drop(wakes.to_kind(|_| true));
        let listeners = lock(&wakes.0.0);
        assert!(listeners.of.is_empty() && listeners.of_kind.is_empty());
    }
}
