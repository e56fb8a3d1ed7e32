//! The file that a property is made from: TOML, read whole and refused with the line and what to do.

use std::collections::BTreeSet;
use std::path::Path;

use latchkey_protocol::api::doors::{DoorKind, DoorReach};
use latchkey_protocol::api::keys::KeyKind;
use latchkey_protocol::roles::{GuestKeyPolicy, Role};
use latchkey_protocol::rules::{AccessRules, Holidays, LocalMoment, Range, WeeklyWindow};
use serde::{Deserialize, Deserializer};

/// A property as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyFile {
    /// `[property]`.
    pub property: PropertyEntry,
    /// `[owner]`.
    pub owner: OwnerEntry,
    /// `[[doors]]`.
    #[serde(default)]
    pub doors: Vec<DoorEntry>,
    /// `[[people]]`.
    #[serde(default)]
    pub people: Vec<PersonEntry>,
    /// `[[keys]]`.
    #[serde(default)]
    pub keys: Vec<KeyEntry>,
}

/// `[property]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyEntry {
    /// Its name.
    pub name: String,
    /// Its IANA zone.
    pub zone: String,
    /// Life of a grant, `1h` to `30d`; 7 days unless said.
    #[serde(default)]
    pub grant_lifetime: Lifetime,
    /// How many uses of each key with a number of uses a door without a network is given ahead; 1 unless said.
    #[serde(default = "one")]
    pub uses_ahead: u32,
    /// Who may grant guest keys from keys of their own, and of which kinds, by role or by person's name; residents none
    /// unless it says so.
    #[serde(default)]
    pub guest_keys: GuestKeyPolicy<String>,
    /// Dates on which keys that heed holidays are closed.
    #[serde(default)]
    pub holidays: Holidays,
}

const fn one() -> u32 {
    1
}

/// `[owner]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerEntry {
    /// The name.
    pub name: String,
    /// The address for the first sign-in.
    pub email: String,
}

/// `[[doors]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorEntry {
    /// Its name, unique.
    pub name: String,
    /// `unit`, `gate`, `garage` or `common_area`.
    pub kind: DoorKind,
    /// `online`, `hub` or `offline`.
    pub reach: DoorReach,
    /// Where it stands.
    #[serde(default)]
    pub place: String,
    /// Where its stream carrier will listen.
    #[serde(default)]
    pub stream_address: Option<String>,
}

/// `[[people]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonEntry {
    /// The name, unique in the file.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The address for signing in.
    #[serde(default)]
    pub email: Option<String>,
}

/// `[[keys]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "KeyText")]
pub struct KeyEntry {
    /// The name.
    pub name: String,
    /// `mobile` or `qr`.
    pub kind: KeyKind,
    /// Names of its holders.
    pub persons: Vec<String>,
    /// Names of its doors.
    pub doors: DoorsOf,
    /// Its rules.
    pub rules: AccessRules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    name: String,
    kind: KeyKind,
    #[serde(default)]
    persons: Vec<String>,
    doors: DoorsOf,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    windows: Vec<WeeklyWindow>,
    #[serde(default)]
    closed_on_holidays: bool,
}

impl TryFrom<KeyText> for KeyEntry {
    type Error = String;

    fn try_from(text: KeyText) -> Result<Self, String> {
        let rules = || {
            let from = text
                .from
                .as_deref()
                .map(LocalMoment::parse_start)
                .transpose()?;
            let until = text
                .until
                .as_deref()
                .map(LocalMoment::parse_end)
                .transpose()?;
            AccessRules::new(
                Range::new(from, until)?,
                text.windows.iter().copied(),
                text.closed_on_holidays,
                None,
            )
        };
        let rules = rules().map_err(|error| format!("key `{}`: {error}", text.name))?;
        Ok(Self {
            name: text.name,
            kind: text.kind,
            persons: text.persons,
            doors: text.doors,
            rules,
        })
    }
}

/// `"all"`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorsOf {
    /// All doors.
    All,
    /// These.
    Named(Vec<String>),
}

impl<'de> Deserialize<'de> for DoorsOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "`doors` is \"all\" or a list of names")]
        enum Text {
            Word(String),
            Names(Vec<String>),
        }
        match Text::deserialize(deserializer)? {
            Text::Word(word) if word == "all" => Ok(Self::All),
            Text::Word(word) => Err(serde::de::Error::custom(format!(
                "`doors` is \"all\" or a list of names, not \"{word}\""
            ))),
            Text::Names(names) => Ok(Self::Named(names)),
        }
    }
}

/// Life of a grant: `1h` to `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(u32);

impl Lifetime {
    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self(7 * 86_400)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let unit = |suffix, seconds: u32| {
            let number: u32 = text.strip_suffix(suffix)?.trim().parse().ok()?;
            number.checked_mul(seconds)
        };
        unit("d", 86_400)
            .or_else(|| unit("h", 3_600))
            .filter(|seconds| (3_600..=30 * 86_400).contains(seconds))
            .map(Self)
            .ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "`{text}` is no lifetime from 1 hour to 30 days: write `7d` or `12h`"
                ))
            })
    }
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It does not say a property. With line and column.
    #[error("{path}: {error}{}", hint.as_deref().unwrap_or_default())]
    Malformed {
        /// Which.
        path: String,
        /// Where and why.
        error: Box<toml::de::Error>,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// Two entries have one name, so nothing could refer to one of them.
    #[error("{path}: {what} `{name}` is there twice: give each a name of its own")]
    Twice {
        /// Which file.
        path: String,
        /// `door` or `person`.
        what: &'static str,
        /// The name.
        name: String,
    },
}

/// Reads a property's file.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &Path) -> Result<PropertyFile, FileError> {
    let text = std::fs::read_to_string(path).map_err(|error| FileError::Unreadable {
        path: path.display().to_string(),
        error,
    })?;
    parse(&text, &path.display().to_string())
}

/// Reads a property from text; `path` is for errors.
///
/// # Errors
/// [`FileError`].
pub fn parse(text: &str, path: &str) -> Result<PropertyFile, FileError> {
    let file: PropertyFile = toml::from_str(text).map_err(|error| FileError::Malformed {
        path: path.to_owned(),
        hint: hint(error.message()),
        error: Box::new(error),
    })?;
    let doors = file.doors.iter().map(|door| &door.name);
    let people = file
        .people
        .iter()
        .map(|person| &person.name)
        .chain([&file.owner.name]);
    for (what, names) in [
        ("door", doors.collect::<Vec<_>>()),
        ("person", people.collect()),
    ] {
        let mut seen = BTreeSet::new();
        if let Some(name) = names.into_iter().find(|name| !seen.insert(name.as_str())) {
            return Err(FileError::Twice {
                path: path.to_owned(),
                what,
                name: name.clone(),
            });
        }
    }
    Ok(file)
}

/// `did you mean`, for a field or a word that is nearly one of those expected.
fn hint(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    let near = quoted
        .filter(|known| distance(given, known) <= 2)
        .min_by_key(|known| distance(given, known))?;
    Some(format!("did you mean `{near}`?\n"))
}

/// Edits between two short words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use latchkey_protocol::roles::{GuestKind, GuestKinds};

    use super::*;

    const FILE: &str = r#"
[property]
name = "Harbour Yard"
zone = "Europe/Berlin"
grant_lifetime = "7d"
holidays = ["2026-12-25"]
guest_keys = { by_role = { resident = ["individual_qr"] }, by_person = { "Rita Resident" = [] } }

[owner]
name = "Olga Owner"
email = "olga@harbour.example"

[[doors]]
name = "North gate"
kind = "gate"
reach = "online"

[[people]]
name = "Rita Resident"
role = "resident"
email = "rita@harbour.example"

[[keys]]
name = "Rita's key"
kind = "mobile"
persons = ["Rita Resident"]
doors = ["North gate"]
from = "2026-01-01"
windows = [{ days = ["mon"], from = "09:00", to = "11:00" }]
closed_on_holidays = true

[[keys]]
name = "Plumber"
kind = "qr"
doors = "all"
"#;

    #[test]
    fn a_file_says_a_whole_property() {
        let file = parse(FILE, "harbour.toml").unwrap();
        assert_eq!(file.property.grant_lifetime.seconds(), 604_800);
        let grants = |who: &str| {
            file.property
                .guest_keys
                .kinds(Role::Resident, &who.to_owned())
        };
        assert!(grants("Somebody else").contains(GuestKind::IndividualQr));
        assert_eq!(grants("Rita Resident"), GuestKinds::NONE);
        assert_eq!(file.keys[0].rules.windows().len(), 1);
        assert!(file.keys[0].rules.closed_on_holidays());
        assert_eq!(file.keys[1].doors, DoorsOf::All);
    }

    #[rstest::rstest]
    #[case("reach = \"online\"", "reach = \"onlin\"", &["line 16", "did you mean `online`"])]
    #[case("role = \"resident\"", "roll = \"resident\"", &["line 20", "did you mean `role`"])]
    #[case("doors = \"all\"", "doors = \"every\"", &["\"all\" or a list of names"])]
    #[case("grant_lifetime = \"7d\"", "grant_lifetime = \"70d\"", &["1 hour to 30 days", "line 5"])]
    #[case("from = \"2026-01-01\"", "from = \"soon\"", &["Rita's key", "soon"])]
    #[case("name = \"Rita Resident\"", "name = \"Olga Owner\"", &["`Olga Owner` is there twice"])]
    fn a_mistake_is_named_with_its_place_and_what_to_do(
        #[case] right: &str,
        #[case] wrong: &str,
        #[case] says: &[&str],
    ) {
        let error = parse(&FILE.replacen(right, wrong, 1), "harbour.toml")
            .unwrap_err()
            .to_string();
        for word in says {
            assert!(error.contains(word), "{error}");
        }
    }
}
