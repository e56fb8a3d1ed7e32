//! Lock sync: what a phone carries to and from a door, once its holder was answered or instead of opening.
//!
//! Every phone carries lists and statements. One whose person may carry lock sync brings the door's bundle
//! too, page by page where the last visit broke off, takes the door's log along, sealed to the portal, and
//! brings the receipt for what it took. Whoever is online there lends the door its time.

use std::time::Duration;

use aliro::device::Event;
use latchkey_env::timeout;
use latchkey_protocol::api::doors::{AskTime, DoorTime};
use latchkey_protocol::api::sync::{BundleEntity, LogReceiptEntity};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorstate::{BundleNumber, ListNumber, StatementNumbers};
use latchkey_protocol::ids::Generation;
use latchkey_protocol::private::{BundlePage, LogParcel, Needs, Page, PrivateMessage, Wants};

use super::conversation::{Conversation, private, refused};
use super::plan::Plan;
use crate::error::Error;
use crate::portal::{Call, PortalClient};
use crate::sign_in::json;

/// How long a door may take to say what it needs. An older one never does.
const NEEDS: Duration = Duration::from_secs(1);

/// How long the portal may take for the time. The door's question is good for ten seconds.
const TIME: Duration = Duration::from_secs(2);

/// Most parts of a log that one visit takes along.
const MOST_PARCELS: usize = 64;

/// What this phone may bring to the door, beside lists and statements.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// The bundle that the door has not shown yet.
    pub(super) bundle: Option<BundleEntity>,
    /// The receipt for its log.
    pub(super) receipt: Option<LogReceiptEntity>,
    /// Whether this phone takes its log along.
    pub(super) takes_log: bool,
    /// Up to which entry of which controller's log this phone has something that waits to be sent.
    pub(super) waiting: Vec<(Generation, u64)>,
}

/// What a visit brought back. It grows as the visit goes on, and what is there counts however it ends.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// The door's newest signed state.
    pub(super) state: Option<Vec<u8>>,
    /// Parts of its log, in their order.
    pub(super) log: Vec<LogParcel>,
    /// Which controller it was.
    pub(super) generation: Option<Generation>,
}

impl Load {
    /// The bundle, if the door has a use for it, and the pages that it lacks.
    fn bundle_for(&self, needs: &Needs) -> Option<(&BundleEntity, Option<Vec<u16>>)> {
        let bundle = self.bundle.as_ref()?;
        let number = number_of(bundle);
        if bundle.generation != needs.generation || number <= needs.bundle_after {
            return None;
        }
        match &needs.assembling {
            Some(there) if there.number > number => None,
            // It was whole, and the door could not obey it.
            Some(there) if there.number == number && there.missing.is_empty() => None,
            Some(there) if there.number == number => Some((bundle, Some(there.missing.clone()))),
            _ => Some((bundle, None)),
        }
    }

    fn receipt_for(&self, needs: &Needs) -> Option<&LogReceiptEntity> {
        let receipt = self.receipt.as_ref();
        receipt.filter(|receipt| {
            receipt.generation == needs.generation && receipt.up_to > needs.log.kept
        })
    }

    /// After which entry the log is to be taken along; none when there is nothing new.
    fn log_after(&self, needs: &Needs) -> Option<u64> {
        if !self.takes_log {
            return None;
        }
        let waiting = self
            .waiting
            .iter()
            .filter(|(generation, _)| *generation == needs.generation)
            .map(|(_, up_to)| *up_to)
            .max();
        let receipt = self.receipt_for(needs).map(|receipt| receipt.up_to);
        let after = waiting.max(receipt).unwrap_or_default();
        (needs.log.last > after.max(needs.log.kept)).then_some(after)
    }
}

impl Conversation<'_> {
    /// Brings what the door lacks, and takes along what it gives.
    pub(super) async fn carry(
        mut self,
        wants: Option<&Wants>,
        portal: &PortalClient,
        within: Duration,
        brought: &mut Brought,
    ) {
        let clock = self.shared.clock.clone();
        let carried = timeout(&*clock, within, self.carry_all(wants, portal, brought)).await;
        if !matches!(carried, Ok(Ok(()))) {
            tracing::debug!(door = %self.plan.at.door, "not all was carried; another visit will");
        }
    }

    async fn carry_all(
        &mut self,
        wants: Option<&Wants>,
        portal: &PortalClient,
        brought: &mut Brought,
    ) -> Result<(), Error> {
        self.say(&PrivateMessage::Carry).await?;
        let clock = self.shared.clock.clone();
        match timeout(&*clock, NEEDS, self.until_needs()).await {
            Ok(needs) => self.lock_sync(&needs?, portal, brought).await?,
            Err(_) => {
                for message in wants.into_iter().flat_map(|wants| self.plan.carried(wants)) {
                    self.say(&message).await?;
                }
            }
        }
        self.say(&PrivateMessage::Done).await?;
        self.until_done(brought).await
    }

    async fn lock_sync(
        &mut self,
        needs: &Needs,
        portal: &PortalClient,
        brought: &mut Brought,
    ) -> Result<(), Error> {
        brought.generation = Some(needs.generation);
        let time = time_for(self.plan, portal, self.shared, needs.time);
        let (time, carried) = tokio::join!(time, self.carry_in(needs));
        carried?;
        if let Some(answer) = time {
            self.say(&PrivateMessage::Time(answer)).await?;
        }
        match self.plan.load.log_after(needs) {
            Some(after) => self.take_log(after, brought).await,
            None => Ok(()),
        }
    }

    /// The list first: what is withdrawn comes before what is new.
    async fn carry_in(&mut self, needs: &Needs) -> Result<(), Error> {
        let plan = self.plan;
        for page in plan.list_after(needs.list_after) {
            self.say(&PrivateMessage::RevocationPage(page)).await?;
        }
        if let Some(receipt) = plan.load.receipt_for(needs) {
            let receipt = receipt.receipt.0.clone();
            self.say(&PrivateMessage::LogReceipt(receipt)).await?;
        }
        let mut after = needs.statements_after;
        if let Some((bundle, missing)) = plan.load.bundle_for(needs) {
            let header = bundle.header.0.clone();
            self.say(&PrivateMessage::BundleHeader(header)).await?;
            let pages = BundlePage::cut(number_of(bundle), &bundle.body.0, missing.as_deref());
            for page in pages {
                self.say(&PrivateMessage::BundlePage(page)).await?;
            }
            after = beyond(after, bundle);
        }
        for message in plan.statements_after(after) {
            self.say(&message).await?;
        }
        Ok(())
    }

    async fn take_log(&mut self, mut after: u64, brought: &mut Brought) -> Result<(), Error> {
        for _ in 0..MOST_PARCELS {
            self.say(&PrivateMessage::TakeLog { after }).await?;
            match self.until_log().await? {
                Some(parcel) if parcel.up_to > after => {
                    after = parcel.up_to;
                    brought.log.push(parcel);
                }
                _ => break,
            }
        }
        Ok(())
    }

    async fn until_needs(&mut self) -> Result<Needs, Error> {
        loop {
            if let PrivateMessage::Needs(needs) = self.next_private().await? {
                return Ok(*needs);
            }
        }
    }

    async fn until_log(&mut self) -> Result<Option<LogParcel>, Error> {
        loop {
            if let PrivateMessage::Log(parcel) = self.next_private().await? {
                return Ok(parcel);
            }
        }
    }

    async fn until_done(&mut self, brought: &mut Brought) -> Result<(), Error> {
        loop {
            match self.next_event().await? {
                Event::ThirdParty(bytes) => match private(&bytes) {
                    Some(PrivateMessage::State(bytes)) => brought.state = Some(bytes),
                    Some(PrivateMessage::Done) => return Ok(()),
                    _ => {}
                },
                Event::Failed(failure) => return Err(refused(failure)),
                Event::Closed => return Ok(()),
                _ => {}
            }
        }
    }

    async fn next_private(&mut self) -> Result<PrivateMessage, Error> {
        loop {
            match self.next_event().await? {
                Event::ThirdParty(bytes) => {
                    if let Some(message) = private(&bytes) {
                        return Ok(message);
                    }
                }
                Event::Failed(failure) => return Err(refused(failure)),
                Event::Closed => {
                    return Err(super::hello::broken(
                        std::io::ErrorKind::ConnectionAborted.into(),
                    ));
                }
                _ => {}
            }
        }
    }

    async fn say(&mut self, message: &PrivateMessage) -> Result<(), Error> {
        let events = self.session.send_third_party(&message.encode());
        self.follow_up(events)?;
        self.flush().await
    }
}

impl Plan {
    /// What this phone has of lists and statements that the door lacks.
    fn carried(&self, wants: &Wants) -> Vec<PrivateMessage> {
        let list = self.list_after(wants.list_after);
        let mut messages: Vec<_> = list
            .into_iter()
            .map(PrivateMessage::RevocationPage)
            .collect();
        messages.extend(self.statements_after(wants.statements_after));
        messages
    }

    fn list_after(&self, after: ListNumber) -> Vec<Page> {
        let Some(list) = &self.revocation else {
            return Vec::new();
        };
        let number = ListNumber {
            epoch: list.epoch,
            version: list.version,
        };
        if number > after {
            Page::cut(number, &list.document.0)
        } else {
            Vec::new()
        }
    }

    fn statements_after(&self, after: StatementNumbers) -> Vec<PrivateMessage> {
        let after = (after.epoch, after.all);
        let statements = self
            .statements
            .iter()
            .filter(|statement| (statement.epoch, statement.number) > after)
            .map(|statement| statement.statement.0.clone());
        PrivateMessage::statements(statements)
    }
}

/// Asks the portal in the door's name; none when it does not answer in time.
async fn time_for(
    plan: &Plan,
    portal: &PortalClient,
    shared: &crate::portal::Shared,
    nonce: Option<[u8; 16]>,
) -> Option<Vec<u8>> {
    let asked = AskTime {
        nonce: Base64(nonce?.to_vec()),
    };
    let path = format!(
        "/v1/properties/{}/doors/{}/time",
        plan.at.property, plan.at.door
    );
    let call = Call::write(
        ::http::Method::POST,
        path,
        Some(json(&asked).ok()?),
        portal.idempotency_key(),
    );
    match timeout(&*shared.clock, TIME, portal.call::<DoorTime>(&call)).await {
        Ok(Ok(told)) => Some(told.answer.0),
        _ => None,
    }
}

/// How far the door's statements reach once it has this bundle.
fn beyond(after: StatementNumbers, bundle: &BundleEntity) -> StatementNumbers {
    match bundle.epoch.cmp(&after.epoch) {
        std::cmp::Ordering::Less => after,
        std::cmp::Ordering::Equal => StatementNumbers {
            all: after.all.max(bundle.all),
            ..after
        },
        std::cmp::Ordering::Greater => StatementNumbers {
            epoch: bundle.epoch,
            all: bundle.all,
            own: 0,
        },
    }
}

fn number_of(bundle: &BundleEntity) -> BundleNumber {
    BundleNumber {
        epoch: bundle.epoch,
        number: bundle.number,
    }
}
