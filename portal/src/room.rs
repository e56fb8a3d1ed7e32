//! How many connections there are and how many of them wait for something to happen, of each network and in all: so
//! that neither memory nor open files run out, and no network keeps the others from theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_protocol::api::problem::ProblemType;

use crate::auth::network::network;
use crate::fault::Fault;

/// When to come back, in seconds.
pub(crate) const RETRY_AFTER: u32 = 10;

/// How much room there is. A network is an IPv4 address or 64 bits of IPv6; this machine itself counts in all only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of a network. Trusted proxies have none of it: they bring many networks' requests.
    pub connections_per_network: usize,
    /// What is held open until something happens, in all: long polls, pages that listen, phones in conversation with a
    /// door, doors that have not signed in yet.
    pub waiting: usize,
    /// The same of a network.
    pub waiting_per_network: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32_768,
            connections_per_network: 1_024,
            waiting: 16_384,
            waiting_per_network: 512,
        }
    }
}

/// Places of one kind.
pub(crate) struct Room {
    most: usize,
    most_of_a_network: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    networks: HashMap<String, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The network has all of its.
    Network,
    /// Others have all.
    All,
}

impl Full {
    pub(crate) const fn kind(self) -> ProblemType {
        match self {
            Self::Network => ProblemType::TooManyRequests,
            Self::All => ProblemType::Full,
        }
    }

    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Network => {
                "your network holds as many connections here as it may: close some, or come back later"
            }
            Self::All => "the portal holds as many connections as it can: come back later",
        }
    }
}

impl From<Full> for Fault {
    fn from(full: Full) -> Self {
        Self::Refused {
            kind: full.kind(),
            detail: Some(full.detail().to_owned()),
            retry_after: Some(RETRY_AFTER),
        }
    }
}

impl Room {
    pub(crate) fn new(most: usize, most_of_a_network: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_a_network,
            taken: Mutex::default(),
        })
    }

    /// A place for somebody of this address's network; for nobody's, when there is none to count it by.
    pub(crate) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Place, Full> {
        let client = client.map(|address| address.to_canonical());
        let network = client.filter(|address| !address.is_loopback()).map(network);
        let mut taken = self.lock();
        if taken.all >= self.most {
            return Err(Full::All);
        }
        if let Some(network) = &network {
            let own = taken.networks.entry(network.clone()).or_default();
            if *own >= self.most_of_a_network {
                return Err(Full::Network);
            }
            *own += 1;
        }
        taken.all += 1;
        Ok(Place {
            room: Arc::clone(self),
            network,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place, until it is dropped.
pub(crate) struct Place {
    room: Arc<Room>,
    network: Option<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(network) = self.network.take()
            && let Some(own) = taken.networks.get_mut(&network)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.networks.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_network_has_its_share_and_all_have_the_whole() {
        let room = Room::new(4, 2);
        let one = room.take(of("2001:db8::1")).unwrap();
        let other = room.take(of("2001:db8::2")).unwrap();
        assert_eq!(room.take(of("2001:db8::3")).err(), Some(Full::Network));
        drop(other);
        let again = room.take(of("2001:db8::3")).unwrap();
        let neighbours = [of("192.0.2.1"), None].map(|who| room.take(who).unwrap());
        assert_eq!(room.take(of("192.0.2.2")).err(), Some(Full::All));
        drop((one, again, neighbours));
        assert!(room.lock().networks.is_empty(), "who is gone is forgotten");
        assert_eq!(room.lock().all, 0);
    }

    #[test]
    fn this_machine_and_trusted_proxies_count_in_all_only() {
        let room = Room::new(3, 1);
        let held =
            [of("127.0.0.1"), of("::ffff:127.0.0.1"), None].map(|who| room.take(who).unwrap());
        assert_eq!(room.take(of("::1")).err(), Some(Full::All));
        drop(held);
    }
}
