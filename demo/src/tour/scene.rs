//! Who plays, and the gestures that chapters are made of.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, Utc};
use latchkey_core::error::Error;
use latchkey_core::unlock::{CarrierKind, UnlockOptions};
use latchkey_core::views::DoorRef;
use latchkey_protocol::ids::{DoorId, KeyId};
use latchkey_protocol::rules::Reason;
use tokio::sync::broadcast;

use super::{Ending, Narrator};
use crate::estate::{Desk, Estate, Handset, Report, reason_in_words};

/// Nothing on one machine takes longer than this.
const LIMIT: Duration = Duration::from_secs(10);

/// The tour's cast and its stage.
pub(crate) struct Scene<'a> {
    pub(crate) estate: Arc<Estate>,
    pub(crate) narrator: &'a mut Narrator,
    /// Manages, and sees what happens at doors.
    pub(crate) daniel: Arc<Handset>,
    /// Issues and withdraws.
    pub(crate) ines: Arc<Handset>,
    /// Lives in B-04; has no key yet.
    pub(crate) akua: Arc<Handset>,
    /// Lives in A-01.
    pub(crate) tomas: Arc<Handset>,
    /// Brings parcels.
    pub(crate) parcels: Arc<Handset>,
}

impl<'a> Scene<'a> {
    /// Signs the cast in.
    pub(crate) async fn set(estate: Arc<Estate>, narrator: &'a mut Narrator) -> Result<Self> {
        narrator.chapter("People sign in with a code from their mail");
        let mut cast = Vec::new();
        for name in [
            "Daniel Osei",
            "Ines Valdez",
            "Akua Boateng",
            "Tomas Lindgren",
            "Parcelway Deliveries",
        ] {
            let begun = estate.clock.monotonic();
            let handset = estate.phone_of(name).await?;
            let keys = handset.phone.keys()?.len();
            let what = format!(
                "signed in; the phone holds {keys} key{}",
                if keys == 1 { "" } else { "s" }
            );
            narrator.step(
                Ending::Done,
                &handset.label,
                &what,
                Some(since(&estate, begun)),
            );
            cast.push(handset);
        }
        let [daniel, ines, akua, tomas, parcels] = <[_; 5]>::try_from(cast)
            .ok()
            .context("the cast is not complete")?;
        Ok(Self {
            estate,
            narrator,
            daniel,
            ines,
            akua,
            tomas,
            parcels,
        })
    }

    /// The staff's desk.
    pub(crate) fn desk(&self) -> Result<Desk> {
        Desk::of(&self.ines)
    }

    /// A door by its name, for a phone.
    pub(crate) fn door(&self, name: &str) -> Result<DoorRef> {
        Ok(DoorRef {
            property: self.estate.property,
            door: self.estate.door(name)?,
        })
    }

    /// Somebody holds a phone to a door, which must open.
    pub(crate) async fn opens(
        &mut self,
        who: &Handset,
        door: &str,
        options: UnlockOptions,
    ) -> Result<()> {
        let at = self.door(door)?;
        self.estate.announce(at.door, &who.name);
        let begun = self.estate.clock.monotonic();
        let opened = who
            .open(at, options)
            .await
            .with_context(|| format!("{} should get in at {door}", who.name))?;
        let way = match opened.carrier {
            CarrierKind::Relay => " over the network",
            _ => "",
        };
        let took = since(&self.estate, begun);
        self.narrator.step(
            Ending::Opened,
            &who.label,
            &format!("opened {door}{way}"),
            Some(took),
        );
        Ok(())
    }

    /// Somebody holds a phone to a door, which must refuse for this reason. When that changes, if it does.
    pub(crate) async fn refused(
        &mut self,
        who: &Handset,
        door: &str,
        why: Reason,
    ) -> Result<Option<DateTime<Utc>>> {
        let at = self.door(door)?;
        self.estate.announce(at.door, &who.name);
        let begun = self.estate.clock.monotonic();
        match who.open(at, Handset::only(CarrierKind::Stream)).await {
            Err(Error::Denied { reason, next }) if reason == why => {
                let took = since(&self.estate, begun);
                let what = format!("refused at {door}: {}", reason_in_words(reason));
                self.narrator
                    .step(Ending::Refused, &who.label, &what, Some(took));
                Ok(next)
            }
            Err(Error::Denied { reason, .. }) => {
                bail!(
                    "{} at {door} should be refused with {why}, not {reason}",
                    who.name
                )
            }
            Err(error) => Err(error).with_context(|| format!("{} at {door}", who.name)),
            Ok(_) => bail!("{} should not get in at {door}", who.name),
        }
    }

    /// Somebody shows a code to a reader; what the door says must be this: open, or a reason.
    pub(crate) async fn shows(
        &mut self,
        who: &str,
        code: &str,
        door: &str,
        expected: Option<Reason>,
    ) -> Result<()> {
        let at = self.estate.door(door)?;
        let mut reports = self.estate.reports();
        let begun = self.estate.clock.monotonic();
        self.estate.show_code(at, code).await?;
        let answer = self.answer_of(&mut reports, at).await?;
        let took = since(&self.estate, begun);
        ensure!(
            answer == expected,
            "the code of {who} at {door}: expected {}, got {}",
            said(expected),
            said(answer)
        );
        match answer {
            None => self
                .narrator
                .step(Ending::Opened, who, &format!("opened {door}"), Some(took)),
            Some(reason) => {
                let what = format!("refused at {door}: {}", reason_in_words(reason));
                self.narrator.step(Ending::Refused, who, &what, Some(took));
            }
        }
        Ok(())
    }

    async fn answer_of(
        &self,
        reports: &mut broadcast::Receiver<Report>,
        door: DoorId,
    ) -> Result<Option<Reason>> {
        let answer = async {
            loop {
                match reports.recv().await? {
                    Report::Opened(happening) if happening.door == door => return anyhow::Ok(None),
                    Report::Denied(happening) if happening.door == door => {
                        return Ok(happening.reason);
                    }
                    _ => {}
                }
            }
        };
        latchkey_env::timeout(&self.estate.clock, LIMIT, answer)
            .await
            .context("the door said nothing")?
    }

    /// Waits until something has come about.
    pub(crate) async fn until(
        &self,
        what: &str,
        mut done: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let limit = self.estate.clock.monotonic() + LIMIT;
        while !done().await? {
            ensure!(
                self.estate.clock.monotonic() < limit,
                "{what}: not within {} seconds",
                LIMIT.as_secs()
            );
            latchkey_env::sleep(&self.estate.clock, Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until the door has signed that a withdrawn key is dead there, which may take a second.
    pub(crate) async fn until_dead(
        &mut self,
        key: KeyId,
        door: &str,
        withdrawn: Duration,
    ) -> Result<()> {
        let (desk, ines) = (self.desk()?, self.ines.clone());
        let at = self.estate.door(door)?;
        self.until("the door signs that the key is dead", async || {
            ines.phone.sync().await?;
            let keys = desk.desk().keys()?;
            let doors = keys
                .into_iter()
                .find(|found| found.id == key)
                .and_then(|key| key.withdrawal);
            Ok(doors.is_some_and(|w| w.doors.iter().any(|d| d.door == at && d.dead_at.is_some())))
        })
        .await?;
        let took = since(&self.estate, withdrawn);
        ensure!(
            took < Duration::from_secs(1),
            "the withdrawal took {took:?} to reach {door}"
        );
        self.narrator.step(
            Ending::Done,
            door,
            "signed that it refuses that key from now on",
            Some(took),
        );
        Ok(())
    }

    /// Tells that a part was made to fail, or mended.
    pub(crate) async fn fail(&mut self, part: &str, failing: bool, what: &str) -> Result<()> {
        let begun = self.estate.clock.monotonic();
        self.estate.set_failing(part, failing).await?;
        let took = since(&self.estate, begun);
        self.narrator
            .step(Ending::Done, "Somebody", what, Some(took));
        Ok(())
    }
}

/// How long ago that was.
pub(crate) fn since(estate: &Estate, begun: Duration) -> Duration {
    estate.clock.monotonic().saturating_sub(begun)
}

fn said(answer: Option<Reason>) -> String {
    answer.map_or_else(|| "it opens".to_owned(), |reason| reason.to_string())
}
