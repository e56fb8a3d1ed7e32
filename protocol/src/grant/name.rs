//! The names by which doors ask for elements.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::DoorNumber;

/// Elements of one place and kind.
pub const SLOTS: u8 = 4;

/// Where a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At every door of the property.
    AllDoors,
    /// At one.
    Door(DoorNumber),
}

/// The name of an element: `d7.1` to `d7.4` for door 7, `all.1` to `all.4` for all doors, each with
/// `x.` before it when the element carries our access extension. Only our doors ask for those, so
/// that no other maker's reader can open by ignoring the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementName {
    /// Where its keys open.
    pub place: Place,
    /// Whether it carries our access extension.
    pub extended: bool,
    /// 1 to [`SLOTS`].
    pub slot: u8,
}

/// Not the name of an element of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an element of ours")]
pub struct BadElementName;

impl fmt::Display for ElementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extended = if self.extended { "x." } else { "" };
        match self.place {
            Place::AllDoors => write!(f, "{extended}all.{}", self.slot),
            Place::Door(number) => write!(f, "{extended}d{}.{}", number.0, self.slot),
        }
    }
}

impl FromStr for ElementName {
    type Err = BadElementName;

    fn from_str(text: &str) -> Result<Self, BadElementName> {
        let (extended, rest) = match text.strip_prefix("x.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (place, slot) = rest.split_once('.').ok_or(BadElementName)?;
        let place = match place.strip_prefix('d') {
            Some(number) => Place::Door(DoorNumber(number.parse().map_err(|_| BadElementName)?)),
            None if place == "all" => Place::AllDoors,
            None => return Err(BadElementName),
        };
        let name = Self {
            place,
            extended,
            slot: slot.parse().map_err(|_| BadElementName)?,
        };
        // A number has one spelling.
        if (1..=SLOTS).contains(&name.slot) && name.to_string() == text {
            Ok(name)
        } else {
            Err(BadElementName)
        }
    }
}

/// The elements that a door asks for: its own, and those for all doors.
#[must_use]
pub fn asked_elements(door: DoorNumber) -> Vec<String> {
    let names = [Place::Door(door), Place::AllDoors]
        .into_iter()
        .flat_map(|place| [false, true].map(|extended| (place, extended)))
        .flat_map(|(place, extended)| {
            (1..=SLOTS).map(move |slot| ElementName {
                place,
                extended,
                slot,
            })
        });
    names.map(|name| name.to_string()).collect()
}
