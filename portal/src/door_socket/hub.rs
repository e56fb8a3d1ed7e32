//! Which doors are connected to this process, and the way to each.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_protocol::doorlink::FromPortal;
use latchkey_protocol::ids::{DeviceId, DoorId, PropertyId};
use tokio::sync::{mpsc, watch};

use super::news::Told;
use super::{Goodbye, REPLACED};

/// Messages that may wait for a slow door.
const WAITING: usize = 256;

/// Conversations of one phone with one door: the present one, and one that it has just given up. A door has few places
/// for all phones together.
const MOST_OF_A_PHONE: usize = 2;

type Door = (PropertyId, DoorId);
type Relays = Arc<Mutex<BTreeMap<u64, Phone>>>;

/// What is to be done on a door's line.
pub(super) enum Order {
    Send(FromPortal),
    End(Goodbye),
}

/// All lines.
#[derive(Default)]
pub(crate) struct Hub {
    lines: Mutex<HashMap<Door, Line>>,
    /// What is new for all doors of a property that has had any here.
    news: Mutex<HashMap<PropertyId, watch::Sender<Told>>>,
    serial: AtomicU64,
}

struct Line {
    serial: u64,
    orders: mpsc::Sender<Order>,
    relays: Relays,
}

/// A phone in conversation with a door.
struct Phone {
    device: DeviceId,
    bytes: mpsc::Sender<Vec<u8>>,
}

/// A door's own end of its entry in the hub.
pub(super) struct Registered {
    pub(super) serial: u64,
    pub(super) orders: mpsc::Receiver<Order>,
    /// What is told from now on.
    pub(super) news: watch::Receiver<Told>,
    relays: Relays,
}

impl Registered {
    /// Bytes from the door for one of its conversations with phones. A phone that does not keep up is dropped.
    pub(super) fn relay_data(&self, channel: u64, bytes: Vec<u8>) {
        let mut relays = lock(&self.relays);
        if let Some(phone) = relays.get(&channel)
            && phone.bytes.try_send(bytes).is_err()
        {
            relays.remove(&channel);
        }
    }

    /// The door is done with it.
    pub(super) fn relay_close(&self, channel: u64) {
        lock(&self.relays).remove(&channel);
    }
}

impl Drop for Registered {
    /// With the line, all conversations over it end.
    fn drop(&mut self) {
        lock(&self.relays).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Enters a signed-in door. An older line of the same door is ended.
    pub(super) fn register(&self, property: PropertyId, door: DoorId) -> Registered {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let (orders, received) = mpsc::channel(WAITING);
        let relays = Relays::default();
        let line = Line {
            serial,
            orders,
            relays: Arc::clone(&relays),
        };
        if let Some(old) = lock(&self.lines).insert((property, door), line) {
            // When its queue is full, its end is near anyway: dropping the sender ends it.
            let _ = old.orders.try_send(Order::End(REPLACED));
        }
        let mut news = lock(&self.news);
        let news = news
            .entry(property)
            .or_insert_with(|| watch::channel(None).0);
        Registered {
            serial,
            orders: received,
            news: news.subscribe(),
            relays,
        }
    }

    /// Whether any door of the property may be connected.
    pub(super) fn has_lines(&self, property: PropertyId) -> bool {
        lock(&self.news).contains_key(&property)
    }

    /// Tells all lines of a property.
    pub(super) fn tell(&self, property: PropertyId, told: Told) {
        let mut news = lock(&self.news);
        let nobody_listens = news
            .get(&property)
            .is_some_and(|news| news.send(told).is_err());
        if nobody_listens {
            news.remove(&property);
        }
    }

    /// Takes a line out, when it is the door's present one here.
    pub(super) fn remove(&self, property: PropertyId, door: DoorId, own: &Registered) {
        let mut lines = lock(&self.lines);
        let present = lines
            .get(&(property, door))
            .is_some_and(|line| line.serial == own.serial);
        if present {
            lines.remove(&(property, door));
        }
    }

    /// How many doors are connected.
    pub(crate) fn len(&self) -> usize {
        lock(&self.lines).len()
    }

    /// Opens a conversation between a phone and a door; none when the door is not connected here. It takes the place of
    /// the phone's oldest one there, when that has too many.
    pub(crate) async fn relay(
        &self,
        property: PropertyId,
        door: DoorId,
        device: DeviceId,
    ) -> Option<RelayLine> {
        let channel = self.serial.fetch_add(1, Ordering::Relaxed);
        let (bytes, from_door) = mpsc::channel(WAITING);
        let (orders, relays) = {
            let lines = lock(&self.lines);
            let line = lines.get(&(property, door))?;
            (line.orders.clone(), Arc::clone(&line.relays))
        };
        {
            let mut relays = lock(&relays);
            let own = relays.iter().filter(|(_, phone)| phone.device == device);
            let own: Vec<u64> = own.map(|(channel, _)| *channel).collect();
            // Without its entry, a conversation ends by itself.
            for oldest in own.iter().rev().skip(MOST_OF_A_PHONE - 1) {
                relays.remove(oldest);
            }
            relays.insert(channel, Phone { device, bytes });
        }
        let line = RelayLine {
            channel,
            orders,
            relays,
            from_door,
        };
        line.order(FromPortal::RelayOpen { channel })
            .await
            .then_some(line)
    }
}

/// A phone's end of a conversation with a door. Dropping it tells the door that the phone is gone.
pub(crate) struct RelayLine {
    channel: u64,
    orders: mpsc::Sender<Order>,
    relays: Relays,
    /// Bytes from the door; ends when the door closes or is gone.
    pub(crate) from_door: mpsc::Receiver<Vec<u8>>,
}

impl RelayLine {
    /// Bytes for the door; false when its line is gone.
    pub(crate) async fn send(&self, bytes: Vec<u8>) -> bool {
        let channel = self.channel;
        self.order(FromPortal::RelayData {
            channel,
            bytes: bytes.into(),
        })
        .await
    }

    async fn order(&self, message: FromPortal) -> bool {
        self.orders.send(Order::Send(message)).await.is_ok()
    }
}

impl Drop for RelayLine {
    fn drop(&mut self) {
        lock(&self.relays).remove(&self.channel);
        let channel = self.channel;
        // With a full queue the door learns of it when its own next bytes meet nobody.
        let _ = self
            .orders
            .try_send(Order::Send(FromPortal::RelayClose { channel }));
    }
}
