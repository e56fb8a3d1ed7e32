//! Following what changes while the app is open: a long poll a property.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use latchkey_env::{Backoff, sleep};
use latchkey_protocol::api::sync::EntityKind;
use latchkey_protocol::ids::PropertyId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::error::Error;
use crate::outbox;
use crate::portal::PortalClient;
use crate::sync;

/// How long the portal may hold back an answer; it takes at most 25 seconds.
const HOLD: Duration = Duration::from_secs(25);

/// How often the list of properties is asked for, beside what long polls bring.
const MEMBERSHIPS: Duration = Duration::from_secs(300);

/// Something that the app may want to draw anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneChange {
    /// Things of a property changed: of these kinds.
    Changed {
        /// The property.
        property: PropertyId,
        /// What kinds of things.
        kinds: Vec<EntityKind>,
    },
    /// The portal was reached, and everything is up to date.
    UpToDate {
        /// Which.
        portal_url: String,
    },
    /// The portal cannot be reached; it is tried again and again.
    Offline {
        /// Which.
        portal_url: String,
    },
    /// The portal has ended the sign-in.
    SignedOut {
        /// Which.
        portal_url: String,
    },
}

/// A subscription. It ends when it is dropped.
#[derive(Debug)]
pub struct Follow {
    changes: mpsc::Receiver<PhoneChange>,
    /// Dropping it aborts what runs in it.
    _tasks: JoinSet<()>,
}

impl Follow {
    /// The next change; none when there is no portal left to follow. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<PhoneChange> {
        self.changes.recv().await
    }
}

/// Follows all portals at which somebody is signed in now.
pub(crate) fn follow(context: &Arc<Context>) -> Result<Follow, Error> {
    // An app that does not read holds up its own news and nothing else.
    let (sender, changes) = mpsc::channel(64);
    let mut tasks = JoinSet::new();
    for portal in context.portals()? {
        tasks.spawn(follow_portal(context.clone(), portal, sender.clone()));
    }
    Ok(Follow {
        changes,
        _tasks: tasks,
    })
}

async fn follow_portal(
    context: Arc<Context>,
    portal: Arc<PortalClient>,
    sender: mpsc::Sender<PhoneChange>,
) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let portal_url = portal.address.as_str().to_owned();
    loop {
        let outcome = one_round(&context, &portal, &sender, &mut backoff).await;
        let change = match outcome {
            Ok(()) => continue,
            Err(Ended::NobodyListens) => return,
            Err(Ended::Failed(Error::NotSignedIn)) => {
                let _ = sender.send(PhoneChange::SignedOut { portal_url }).await;
                return;
            }
            Err(Ended::Failed(error)) => {
                tracing::debug!(%error, portal_url, "following was interrupted");
                PhoneChange::Offline {
                    portal_url: portal_url.clone(),
                }
            }
        };
        if sender.send(change).await.is_err() {
            return;
        }
        let wait = backoff.next_wait(&*context.shared.random);
        sleep(&*context.shared.clock, wait).await;
    }
}

enum Ended {
    NobodyListens,
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Brings everything up to date, then follows each property for a while.
async fn one_round(
    context: &Context,
    portal: &PortalClient,
    sender: &mpsc::Sender<PhoneChange>,
    backoff: &mut Backoff,
) -> Result<(), Ended> {
    sync::memberships(context, portal).await?;
    let properties = sync::properties_of(context, portal)?;
    for &property in &properties {
        let changes = sync::one_property(context, portal, property).await?;
        if changes > 0 {
            tell(sender, property, Vec::new()).await?;
        }
    }
    backoff.reset();
    let up_to_date = PhoneChange::UpToDate {
        portal_url: portal.address.as_str().to_owned(),
    };
    sender
        .send(up_to_date)
        .await
        .map_err(|_| Ended::NobodyListens)?;
    let mut following: FuturesUnordered<_> = properties
        .into_iter()
        .map(|property| follow_property(context, portal, sender, property))
        .collect();
    let round = sleep(&*context.shared.clock, MEMBERSHIPS);
    tokio::select! {
        ended = following.next(), if !following.is_empty() => ended.unwrap_or(Ok(())),
        ended = send_what_comes(context, portal) => ended,
        () = round => Ok(()),
    }
}

/// Door states that were carried away from doors meanwhile.
async fn send_what_comes(context: &Context, portal: &PortalClient) -> Result<(), Ended> {
    loop {
        // Listening before sending: what is put in meanwhile is not missed.
        let mut more = std::pin::pin!(context.something_waits.notified());
        more.as_mut().enable();
        outbox::send(context, portal).await?;
        more.await;
    }
}

async fn follow_property(
    context: &Context,
    portal: &PortalClient,
    sender: &mpsc::Sender<PhoneChange>,
    property: PropertyId,
) -> Result<(), Ended> {
    loop {
        let page = sync::next_page(context, portal, property, HOLD).await?;
        if page.changes > 0 {
            tell(sender, property, page.kinds).await?;
        }
    }
}

async fn tell(
    sender: &mpsc::Sender<PhoneChange>,
    property: PropertyId,
    kinds: Vec<EntityKind>,
) -> Result<(), Ended> {
    let change = PhoneChange::Changed { property, kinds };
    sender.send(change).await.map_err(|_| Ended::NobodyListens)
}
