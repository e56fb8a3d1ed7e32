//! Seeded histories of one key over six doors: the real ledger, real doors with their SQLite files, and a network that
//! loses, repeats and delays. Whatever happens, the key opens no more often than it may, nothing is counted twice, and
//! once all doors have been in touch every use can be spent.
//!
//! A sample runs with the other tests. `LATCHKEY_HISTORIES` sets another number, `LATCHKEY_SEED` the first seed, which
//! is always printed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use latchkey_env::{SystemClock, sleep};
use latchkey_protocol::doorstate::SignedDoorState;
use latchkey_protocol::ids::{BudgetId, EventId, Generation, PassId};
use latchkey_protocol::pass::{DoorSet, Pass};
use latchkey_protocol::rules::{AccessRules, Range};
use latchkey_protocol::uses::{Answer, Ceiling, Holder, LeaseReport, Ledger};
use tokio::sync::mpsc;

use crate::door::{Telling, UseWanted};
use crate::guest::Guest;
use crate::link::{Asked, Question};
use crate::property::{Door, Key, Property};
use crate::{RunConfig, ScanAnswer};

const USES: u32 = 30;
/// The last two have no network: they are given some ahead, and phones carry for them.
const GATES: u16 = 6;
const OFFLINE: usize = 2;
const AHEAD: u32 = 3;
const STEPS: usize = 90;

/// Doors serve so many histories, each with a key of its own, before new ones are made.
const HISTORIES_A_PROPERTY: u64 = 50;
/// Histories wait for answers that never come most of the time: so many go on at once.
const AT_ONCE: u64 = 8;
/// How often a long run says how far it is.
const TOLD_EACH: u64 = 500;

#[test]
fn no_history_of_failures_spends_a_use_too_many_counts_one_twice_or_strands_one() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect(name))
    };
    let count = number("LATCHKEY_HISTORIES", 6);
    let first = number("LATCHKEY_SEED", u64::from(std::process::id()));
    println!("{count} histories from seed {first} (LATCHKEY_HISTORIES, LATCHKEY_SEED)");
    let run = Run {
        first,
        count,
        begun: AtomicU64::new(0),
        ended: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        for _ in 0..count.min(AT_ONCE) {
            scope.spawn(|| run.work());
        }
    });
    assert_eq!(run.ended.into_inner(), count);
    println!("{count} histories, none went wrong");
}

/// Histories of which several threads each take the next one.
struct Run {
    first: u64,
    count: u64,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Run {
    fn work(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut site = Site::new().await;
            let mut own = 0;
            while let Some(seed) = self.next() {
                if own == HISTORIES_A_PROPERTY {
                    (site, own) = (Site::new().await, 0);
                }
                own += 1;
                let _whole_run = FailsAll(self);
                History::new(&mut site, seed).run().await;
                let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
                if ended.is_multiple_of(TOLD_EACH) {
                    println!("{ended} of {} went well", self.count);
                }
            }
        });
    }

    fn next(&self) -> Option<u64> {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed);
        (begun < self.count).then(|| self.first + begun)
    }
}

/// A history that goes wrong is the last: the others need not go on for an hour before it is told.
struct FailsAll<'a>(&'a Run);

impl Drop for FailsAll<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.begun.store(self.0.count, Ordering::Relaxed);
        }
    }
}

/// SplitMix64: all that happens follows from the seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.throw() % count.max(1) as u64).expect("small")
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.throw() % 100 < percent
    }
}

/// The property's doors.
struct Site {
    property: Property,
    gates: Vec<Gate>,
}

/// One door, and what is on its way to it and from it.
struct Gate {
    /// None only while it restarts.
    door: Option<Door>,
    asks: mpsc::Receiver<Asked>,
    holder: Holder,
    has_network: bool,
    to_door: Vec<Ceiling>,
    to_portal: Vec<LeaseReport>,
    /// The last change of a lease that it has told of.
    told: u64,
    /// Releases of the lock that earlier histories saw.
    released: usize,
}

impl Site {
    async fn new() -> Self {
        let property = Property::new();
        let mut gates = Vec::new();
        for number in 1..=GATES {
            let door = Door::with(&property, number, RunConfig::default()).await;
            let asks = door.running.door_inside().line().up();
            let is_online = usize::from(number) <= usize::from(GATES) - OFFLINE;
            gates.push(Gate {
                holder: Holder {
                    door: door.id,
                    generation: Generation(1),
                },
                asks,
                door: Some(door),
                has_network: is_online,
                to_door: Vec::new(),
                to_portal: Vec::new(),
                told: 0,
                released: 0,
            });
        }
        Self { property, gates }
    }
}

impl Gate {
    fn door(&self) -> &Door {
        self.door.as_ref().expect("it runs")
    }

    /// The power goes and comes back.
    async fn restart(&mut self) {
        if let Some(door) = self.door.take() {
            let door = door.restart(true, RunConfig::default()).await;
            self.asks = door.running.door_inside().line().up();
            self.door = Some(door);
            // It tells of everything at its next connection.
            self.told = 0;
        }
    }

    /// What the door signs for this key, with its next words.
    async fn sign(&mut self, budget: BudgetId) {
        let inside = self.door().running.door_inside().clone();
        loop {
            let told = inside
                .signed_state(Telling::After(self.told))
                .await
                .expect("a state");
            let state = SignedDoorState::from_bytes(&told.state).expect("a state");
            let state = state.verify(&self.door().reader_key).expect("its own");
            let own = state.leases.iter().filter(|lease| lease.budget == budget);
            self.to_portal.extend(own);
            self.told = told.up_to.unwrap_or(self.told);
            if !told.is_full {
                return;
            }
        }
    }

    async fn obey(&self, ceilings: Vec<Ceiling>) {
        let inside = self.door().running.door_inside().clone();
        inside.take_ceilings(ceilings).await.expect("stored");
    }

    fn releases(&self) -> Vec<EventId> {
        self.door().strike.events()[self.released..].to_vec()
    }
}

/// One key's life.
struct History<'a> {
    site: &'a mut Site,
    dice: Dice,
    seed: u64,
    ledger: Ledger,
    guest: Guest,
    /// A code that was shown and may not have moved the lock yet.
    unanswered: Option<(usize, String)>,
}

impl<'a> History<'a> {
    fn new(site: &'a mut Site, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let budget = BudgetId(dice.throw().to_be_bytes());
        let rules = AccessRules::new(Range::ALWAYS, [], false, std::num::NonZeroU32::new(USES));
        let key = Key::new();
        let until = (site.property.now() + TimeDelta::days(30)).timestamp();
        let pass = Pass {
            id: PassId(dice.throw().to_be_bytes()),
            code_key: key.public(),
            doors: DoorSet::All,
            rules: rules.expect("rules"),
            budget: Some(budget),
            until: until.try_into().expect("this century"),
        };
        for gate in &mut site.gates {
            gate.released = gate.door().strike.count();
        }
        Self {
            guest: Guest::of(&site.property, key, pass),
            ledger: Ledger::new(budget, 1, USES, None),
            site,
            dice,
            seed,
            unanswered: None,
        }
    }

    async fn run(mut self) {
        self.give_ahead();
        for _ in 0..STEPS {
            let at = self.dice.below(self.site.gates.len());
            match self.dice.below(100) {
                0..45 => drop(self.somebody_comes(at).await),
                45..60 => self.order(at),
                60..72 => self.deliver_to_door(at).await,
                72..80 => self.site.gates[at].sign(self.ledger.id).await,
                80..93 => self.deliver_to_portal(at),
                93..96 => self.give_ahead(),
                _ => self.site.gates[at].restart().await,
            }
            self.check();
        }
        self.all_get_in_touch().await;
        self.check();
        self.spend_the_rest().await;
        let spent = self.site.gates.iter().map(Gate::releases).map(|r| r.len());
        assert_eq!(
            spent.sum::<usize>() as u32 + self.lost_to_a_jam(),
            USES,
            "a use is stranded; {}",
            self.story()
        );
    }

    fn story(&self) -> String {
        format!("seed {}: {:#?}", self.seed, self.ledger)
    }

    /// What holds at every moment.
    fn check(&self) {
        let releases: Vec<_> = self.site.gates.iter().flat_map(Gate::releases).collect();
        assert!(releases.len() <= USES as usize, "{}", self.story());
        let events: BTreeSet<_> = releases.iter().collect();
        assert_eq!(events.len(), releases.len(), "twice; {}", self.story());
        let spent = u32::try_from(self.ledger.spent()).expect("not negative");
        assert!(spent <= self.spent_at_doors(), "{}", self.story());
        assert!(self.ledger.left() >= 0, "{}", self.story());
    }

    fn spent_at_doors(&self) -> u32 {
        let gates = self.site.gates.iter();
        gates
            .map(|gate| {
                let inside = gate.door().running.door_inside().lock();
                let held = inside.knowledge.held.get(&self.ledger.id);
                held.map_or(0, |held| held.spent)
            })
            .sum()
    }

    /// Uses that are spent without an opening: the lock jammed, and nobody came again in time.
    fn lost_to_a_jam(&self) -> u32 {
        let releases: usize = self
            .site
            .gates
            .iter()
            .map(|gate| gate.releases().len())
            .sum();
        self.spent_at_doors() - u32::try_from(releases).expect("few")
    }

    fn give_ahead(&mut self) {
        for gate in &self.site.gates {
            if !gate.has_network {
                self.ledger.give_ahead(gate.holder, AHEAD, 1);
            }
        }
    }

    /// The portal sends what the door has not signed for, as far as it has a way to it.
    fn order(&mut self, at: usize) {
        let gate = &mut self.site.gates[at];
        gate.to_door.extend(self.ledger.unconfirmed(gate.holder));
    }

    /// One of the orders on their way arrives: any of them, and maybe not for the last time.
    async fn deliver_to_door(&mut self, at: usize) {
        let (index, stays) = (
            self.dice.below(self.site.gates[at].to_door.len()),
            self.dice.percent(25),
        );
        let gate = &mut self.site.gates[at];
        if gate.to_door.is_empty() {
            return;
        }
        let order = if stays {
            gate.to_door[index]
        } else {
            gate.to_door.swap_remove(index)
        };
        gate.obey(vec![order]).await;
    }

    fn deliver_to_portal(&mut self, at: usize) {
        let (index, stays) = (
            self.dice.below(self.site.gates[at].to_portal.len()),
            self.dice.percent(25),
        );
        let gate = &mut self.site.gates[at];
        if gate.to_portal.is_empty() {
            return;
        }
        let report = if stays {
            gate.to_portal[index]
        } else {
            gate.to_portal.swap_remove(index)
        };
        self.ledger.report(gate.holder, &report);
    }

    /// A new code, or the one before again, which may have moved nothing.
    async fn somebody_comes(&mut self, at: usize) -> Option<ScanAnswer> {
        self.site.property.clock.advance(Duration::from_secs(1));
        let (at, text) = match self.unanswered.take() {
            Some(again) if self.dice.percent(70) => again,
            _ => (at, self.guest.long(self.site.property.now())),
        };
        let jams = self.dice.percent(8);
        self.site.gates[at].door().strike.jam(jams);
        let answer = self.scan(at, &text).await;
        self.site.gates[at].door().strike.jam(false);
        if !answer.opened && answer.reason.is_none() {
            self.unanswered = Some((at, text));
            if self.dice.percent(50) {
                self.site.gates[at].restart().await;
            }
        }
        Some(answer)
    }

    /// Holds a code before a door, and plays the portal for it.
    async fn scan(&mut self, at: usize, text: &str) -> ScanAnswer {
        let inside = self.site.gates[at].door().running.door_inside().clone();
        let text = text.to_owned();
        let scanning = tokio::spawn(async move { crate::scan::scan(&inside, &text).await });
        tokio::pin!(scanning);
        loop {
            let asked = tokio::select! {
                answer = &mut scanning => return answer.expect("it runs").expect("a decision"),
                Some(asked) = self.site.gates[at].asks.recv() => asked,
            };
            let answered = match asked.question {
                _ if !self.site.gates[at].has_network || self.dice.percent(15) => None,
                Question::Code(..) => Some(None),
                Question::Use(wanted) => self.use_wanted(at, wanted).await,
            };
            match answered {
                Some(denied) => drop(asked.answer.send(denied)),
                // It waits for a second and a half, and gives up.
                None => loop {
                    self.site
                        .property
                        .clock
                        .advance(Duration::from_millis(1500));
                    tokio::select! {
                        answer = &mut scanning =>
                            return answer.expect("it runs").expect("a decision"),
                        // Long enough for a slow disk: each round lets codes grow old.
                        () = sleep(&SystemClock, Duration::from_millis(20)) => {}
                    }
                },
            }
        }
    }

    /// The portal's answer; none when it is lost.
    async fn use_wanted(
        &mut self,
        at: usize,
        wanted: UseWanted,
    ) -> Option<Option<latchkey_protocol::rules::Reason>> {
        use latchkey_protocol::rules::Reason;
        let holder = self.site.gates[at].holder;
        let reachable: Vec<Holder> = self
            .site
            .gates
            .iter()
            .filter(|gate| gate.has_network)
            .map(|gate| gate.holder)
            .collect();
        let mut answer = self.ask(holder, wanted, &reachable);
        if answer == Answer::TakingBack {
            for other in 0..self.site.gates.len() {
                if other != at && self.site.gates[other].has_network && self.dice.percent(80) {
                    self.exchange(other).await;
                }
            }
            answer = self.ask(holder, wanted, &reachable);
        }
        match answer {
            Answer::Raised(order) => {
                self.site.gates[at].to_door.push(order);
                if self.dice.percent(20) {
                    // It arrives late, if ever: the use stays the door's.
                    return None;
                }
                self.site.gates[at].obey(vec![order]).await;
                Some(None)
            }
            Answer::UsedUp => Some(Some(Reason::UsedUp)),
            Answer::TakingBack | Answer::NoneLeft => Some(Some(Reason::NoUsesHeldHere)),
        }
    }

    fn ask(&mut self, holder: Holder, wanted: UseWanted, reachable: &[Holder]) -> Answer {
        self.ledger
            .ask(holder, wanted.spent, |other| reachable.contains(&other))
    }

    /// Portal and door speak, and nothing is lost.
    async fn exchange(&mut self, at: usize) {
        let gate = &mut self.site.gates[at];
        if let Some(order) = self.ledger.unconfirmed(gate.holder) {
            gate.obey(vec![order]).await;
        }
        gate.sign(self.ledger.id).await;
        for report in std::mem::take(&mut gate.to_portal) {
            self.ledger.report(gate.holder, &report);
        }
    }

    /// What was on its way arrives in any order, and then each door and the portal speak until both know all.
    async fn all_get_in_touch(&mut self) {
        for at in 0..self.site.gates.len() {
            while !self.site.gates[at].to_door.is_empty() {
                self.deliver_to_door(at).await;
            }
            while !self.site.gates[at].to_portal.is_empty() {
                self.deliver_to_portal(at);
            }
            self.site.gates[at].told = 0;
            self.exchange(at).await;
            self.exchange(at).await;
        }
        self.ledger.take_back(|_| true);
        for at in 0..self.site.gates.len() {
            self.exchange(at).await;
        }
        assert_eq!(
            self.ledger.spent(),
            i64::from(self.spent_at_doors()),
            "{}",
            self.story()
        );
    }

    /// Somebody opens one door until the key is used up.
    async fn spend_the_rest(&mut self) {
        self.dice = Dice(0);
        for _ in 0..USES {
            let before = self.spent_at_doors();
            // What the dice lose is tried again.
            for _ in 0..20 {
                self.site.property.clock.advance(Duration::from_secs(1));
                let text = self.guest.long(self.site.property.now());
                if self.scan(0, &text).await.opened {
                    break;
                }
                self.exchange(0).await;
            }
            if self.spent_at_doors() == before {
                break;
            }
            self.exchange(0).await;
        }
        assert_eq!(self.spent_at_doors(), USES, "{}", self.story());
        assert!(self.ledger.is_used_up(), "{}", self.story());
    }
}
