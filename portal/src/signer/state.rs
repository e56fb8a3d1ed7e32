//! What the signer remembers of a property.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use latchkey_protocol::ids::DoorId;
use latchkey_protocol::statement::Addressee;
use serde::{Deserialize, Serialize};

use super::{Series, SignerError, Standing};

/// Grants of one iteration are good for seven more: a lifetime is cut into as many parts.
const PARTS: i64 = 7;

/// How far a number may lead beyond the last that was confirmed. All passes of a property are stated in one transaction.
const AHEAD: u64 = 1_000_000;
/// The same of a door's controllers, of which there are fewer and whose numbers never begin anew.
const CONTROLLERS_AHEAD: u64 = 16;

/// The signer's memory of a property, as JSON in its own file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// In which its numbers count. A restored portal begins a new one.
    pub(super) epoch: u32,
    /// `validityIteration`: never lowered, never computed from dates.
    pub(super) iteration: u64,
    /// When the iteration was last stepped, seconds since 1970.
    stepped_at: i64,
    /// The longest lifetime of a grant that may still be out, in seconds, and until when it may.
    longest: u32,
    longest_until: i64,
    /// How far each series was given out, by its name.
    confirmed: BTreeMap<String, u64>,
}

impl State {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self {
            epoch: 1,
            iteration: 1,
            stepped_at: now.timestamp(),
            longest: 0,
            longest_until: 0,
            confirmed: BTreeMap::new(),
        }
    }

    /// Notes that a grant of this lifetime is to be signed now, and steps the iteration when a seventh of the longest
    /// lifetime still out has passed since the last step. True when something is to be stored.
    pub(super) fn note_grant(&mut self, lifetime: u32, now: DateTime<Utc>) -> bool {
        let now = now.timestamp();
        let mut changed = false;
        // Stored in tenths of a lifetime, so that not each grant writes a file.
        let until = now + i64::from(lifetime);
        if lifetime > self.longest || now >= self.longest_until {
            (self.longest, self.longest_until, changed) = (lifetime, until, true);
        } else if lifetime == self.longest && until - self.longest_until > i64::from(lifetime) / 10
        {
            (self.longest_until, changed) = (until, true);
        }
        if now - self.stepped_at >= i64::from(self.longest) / PARTS {
            self.iteration += 1;
            self.stepped_at = now;
            changed = true;
        }
        changed
    }

    /// What the portal may know of it.
    pub(super) fn standing(&self, keeps_list: bool) -> Standing {
        Standing {
            epoch: self.epoch,
            iteration: self.iteration,
            keeps_list,
            given_out: self.confirmed.clone(),
        }
    }

    /// Numbers begin anew, except those that are never used again. The iteration goes on: grants of before stay out.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.confirmed
            .retain(|name, _| door_of_controllers(name).is_some());
    }

    /// Refuses a number that was given out before, and one that leads too far beyond.
    pub(super) fn check(&self, series: Series, number: u64) -> Result<(), SignerError> {
        let confirmed = self.confirmed.get(&name(series)).copied().unwrap_or(0);
        if number <= confirmed {
            return Err(SignerError::Behind {
                asked: number,
                confirmed,
            });
        }
        self.reaches(series, number)
    }

    /// Refuses a number that leads too far beyond the last: nobody uses a series up.
    pub(super) fn reaches(&self, series: Series, number: u64) -> Result<(), SignerError> {
        let confirmed = self.confirmed.get(&name(series)).copied().unwrap_or(0);
        let most = match series {
            Series::Controllers(_) => CONTROLLERS_AHEAD,
            Series::Statements(_) | Series::Lists | Series::Bundles(_) => AHEAD,
        };
        if number.saturating_sub(confirmed) > most {
            return Err(SignerError::NotSignable(format!(
                "number {number} is too far beyond {confirmed}"
            )));
        }
        Ok(())
    }

    /// Whether any number of this series was given out.
    pub(super) fn knows(&self, series: Series) -> bool {
        self.confirmed.contains_key(&name(series))
    }

    /// How many series there are of which a number was.
    pub(super) fn series(&self) -> usize {
        self.confirmed.len()
    }

    /// Everything up to this number is given out. True when that is news.
    pub(super) fn confirm(&mut self, series: Series, number: u64) -> bool {
        let confirmed = self.confirmed.entry(name(series)).or_default();
        let news = number > *confirmed;
        *confirmed = number.max(*confirmed);
        news
    }
}

/// Before a door's id, in the name of its controllers' series.
const CONTROLLERS: &str = "controllers ";

/// A series as the state's file calls it.
pub(super) fn name(series: Series) -> String {
    match series {
        Series::Controllers(door) => format!("{CONTROLLERS}{door}"),
        Series::Lists => "lists".to_owned(),
        Series::Bundles(door) => format!("bundles {door}"),
        Series::Statements(Addressee::All) => "all".to_owned(),
        Series::Statements(Addressee::Door(door)) => door.to_string(),
    }
}

/// The door whose controllers a series of this name numbers.
pub(super) fn door_of_controllers(name: &str) -> Option<DoorId> {
    name.strip_prefix(CONTROLLERS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use latchkey_protocol::ids::Generation;

    use super::*;

    #[test]
    fn the_iteration_steps_with_each_seventh_of_the_longest_lifetime_still_out() {
        let start: DateTime<Utc> = "2026-11-24T09:00:00Z".parse().unwrap();
        let day = |n| start + chrono::TimeDelta::days(n);
        let week = 7 * 86_400;
        let mut state = State::new(start);
        state.note_grant(week, day(0));
        assert_eq!(state.iteration, 1);
        state.note_grant(week, day(1));
        assert_eq!(state.iteration, 2);
        state.note_grant(3600, day(1));
        assert_eq!(
            state.iteration, 2,
            "an hour's grant steps no faster while a week's is out"
        );
        state.note_grant(week, day(30));
        assert_eq!(state.iteration, 3, "one step, however long it was silent");
    }

    #[test]
    fn a_number_counts_as_given_out_once_it_is_confirmed() {
        let mut state = State::new(DateTime::UNIX_EPOCH);
        let series = Series::Statements(Addressee::All);
        assert!(state.check(series, 1).is_ok());
        assert!(
            state.check(series, 1).is_ok(),
            "the transaction was lost: asked again"
        );
        assert!(state.confirm(series, 1));
        assert!(!state.confirm(series, 1));
        assert_eq!(
            state.check(series, 1),
            Err(SignerError::Behind {
                asked: 1,
                confirmed: 1
            })
        );
        assert!(state.check(series, 2).is_ok());
        assert!(state.check(Series::Lists, 1).is_ok());
    }

    #[test]
    fn nobody_uses_a_series_up() {
        let mut state = State::new(DateTime::UNIX_EPOCH);
        let door = DoorId([7; 12]);
        for (series, most) in [
            (Series::Statements(Addressee::All), 1_000_000),
            (Series::Lists, 1_000_000),
            (Series::Bundles(door), 1_000_000),
            (Series::Controllers(door), 16),
        ] {
            for base in [0, 9] {
                state.confirm(series, base);
                assert!(state.check(series, base + most).is_ok());
                for far in [base + most + 1, u64::MAX] {
                    assert!(state.check(series, far).is_err());
                    assert!(state.reaches(series, far).is_err());
                }
            }
            assert!(state.reaches(series, 1).is_ok(), "which is old");
        }
    }

    #[test]
    fn a_new_epoch_begins_all_numbers_anew_but_those_of_controllers() {
        let mut state = State::new(DateTime::UNIX_EPOCH);
        let door = DoorId([7; 12]);
        for series in [
            Series::Lists,
            Series::Bundles(door),
            Series::Controllers(door),
        ] {
            state.confirm(series, 3);
        }
        state.begin_epoch();
        assert_eq!((state.epoch, state.iteration), (2, 1));
        assert!(state.check(Series::Lists, 1).is_ok());
        assert!(state.check(Series::Bundles(door), 1).is_ok());
        assert!(state.check(Series::Controllers(door), 3).is_err());
        let standing = state.standing(false);
        let controllers: Vec<_> = standing.controllers().collect();
        assert_eq!(controllers, [(door, Generation(3))]);
    }
}
