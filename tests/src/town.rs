//! A small property that other languages' tests command, one line of JSON a request and one an
//! answer, in order: an online gate, a gate without a network, guests on demand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use latchkey_core::phone::Phone;
use latchkey_core::staff::StaffDesk;
use latchkey_env::Clock as _;
use latchkey_env::chrono::TimeDelta;
use latchkey_portal::Portal;
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft};
use latchkey_protocol::ids::KeyId;
use latchkey_protocol::rules::{AccessRules, LocalMoment, Range};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::house::{House, done, door, qr_key, until};

const FILE: &str = r#"
[property]
name = "Harbour View"
zone = "Europe/Lisbon"

[owner]
name = "Olga Owner"
email = "olga@example.com"

[[doors]]
name = "Main gate"
kind = "gate"
reach = "online"

[[doors]]
name = "North gate"
kind = "gate"
reach = "offline"
"#;

/// What can be asked for.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The property's time.
    Now {},
    /// Moves it on.
    Advance {
        /// By how much.
        milliseconds: u64,
    },
    /// Holds a text before a door's reader.
    Scan {
        /// The door's name.
        door: String,
        /// What is read.
        text: String,
    },
    /// Issues a QR key and makes its link.
    Invite {
        /// The key's name, as the guest sees it.
        name: String,
        /// The doors' names.
        doors: Vec<String>,
        /// When it begins to admit; at once when missing.
        #[serde(default)]
        begins_in_days: Option<i64>,
    },
    /// Withdraws a key.
    Withdraw {
        /// What `invite` answered.
        key: KeyId,
    },
    /// Cuts a door's line to the portal, or mends it.
    Network {
        /// The door's name.
        door: String,
        /// Mended.
        up: bool,
    },
    /// Lets a door's oscillator run fast or slow from now on.
    Drift {
        /// The door's name.
        door: String,
        /// Parts per million.
        ppm: i32,
    },
}

/// The property at work.
pub struct Town {
    house: House,
    // It runs for as long as this is held.
    _portal: Portal,
    olga: Arc<Phone>,
    desk: StaffDesk,
    gates: BTreeMap<&'static str, Gate>,
}

impl Town {
    /// Builds it and puts it to work.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start() -> Result<Self> {
        let house = House::build(FILE).await?;
        let portal = house.portal().await?;
        let olga = house
            .phone(portal.url(), "olga@example.com", TimeDelta::zero())
            .await?;
        let own = olga.properties()?;
        let desk = olga.staff(own.first().context("a property")?.id)?;
        let main = house.online(portal.addr(), &desk, "Main gate").await?;
        // From here on the portal is asked about each code, and the page hears of its use.
        until(&olga, |_| {
            door(&desk, "Main gate").is_ok_and(|door| door.connected)
        })
        .await?;
        let north = house.offline(&desk, "North gate").await?;
        Ok(Self {
            house,
            _portal: portal,
            olga,
            desk,
            gates: BTreeMap::from([("Main gate", main), ("North gate", north)]),
        })
    }

    /// Answers one line.
    pub async fn answer(&self, line: &str) -> Value {
        let answered = match serde_json::from_str(line) {
            Ok(request) => self.carry_out(request).await,
            Err(error) => Err(error.into()),
        };
        answered.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }))
    }

    async fn carry_out(&self, request: Request) -> Result<Value> {
        let clock = self.house.time.clock();
        match request {
            Request::Now {} => return Ok(json!({ "now": clock.now() })),
            Request::Advance { milliseconds } => clock.advance(Duration::from_millis(milliseconds)),
            Request::Scan { door, text } => {
                let answer = self.gate(&door)?.scan(&text).await?;
                let said = match (answer.opened, answer.reason) {
                    (true, _) => "opened",
                    (false, Some(reason)) => reason.name(),
                    (false, None) => "jammed",
                };
                return Ok(json!({ "answer": said }));
            }
            Request::Invite {
                name,
                doors,
                begins_in_days,
            } => return self.invite(name, &doors, begins_in_days).await,
            Request::Withdraw { key } => drop(done(self.desk.withdraw_key(key).await?)?),
            Request::Network { door, up } => self.gate(&door)?.to_portal.set_up(up),
            Request::Drift { door, ppm } => self.gate(&door)?.clock.set_drift_ppm(ppm),
        }
        Ok(json!({}))
    }

    async fn invite(&self, name: String, doors: &[String], days: Option<i64>) -> Result<Value> {
        let doors = doors.iter().map(|name| Ok(door(&self.desk, name)?.id));
        let begin = days.map(|days| self.house.time.clock().now() + TimeDelta::days(days));
        let begin = begin.map(|at| LocalMoment::parse_start(&at.date_naive().to_string()));
        let draft = KeyDraft {
            doors: KeyDoors::Some(doors.collect::<Result<_>>()?),
            rules: AccessRules::new(Range::new(begin.transpose()?, None)?, [], false, None)?,
            ..qr_key(&name)
        };
        let key = done(self.desk.issue_key(&draft).await?)?.id;
        let link = done(self.desk.share_key(key).await?)?.url;
        Ok(json!({ "link": link, "key": key }))
    }

    fn gate(&self, name: &str) -> Result<&Gate> {
        let gate = self.gates.get(name);
        gate.with_context(|| format!("no door is called {name}"))
    }

    /// Its owner's phone.
    #[must_use]
    pub fn owner(&self) -> &Phone {
        &self.olga
    }
}
