//! AccessData: the element value of an Access Document.

use ciborium::value::Value;

use super::cbor;
use super::error::DocumentError;
use super::extension::{self, AccessExtension, Extension, Extensions};
use super::fields::{self, Fields};
use super::policy::{MAX_READER_RULES, MAX_RULES, MAX_SCHEDULES};
use super::schedule::Schedule;

/// The only element version there is.
pub(crate) const ELEMENT_VERSION: u64 = 1;

/// Longest `id` of an element.
pub const MAX_ID: usize = 16;

/// What a reader may do for a holder, and when.
///
/// The default, without rules, grants with no restriction beyond the
/// document's own validity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessData {
    /// Opaque, 0 to 16 bytes; what a revocation entry can name.
    pub id: Vec<u8>,
    /// Alternatives: one that applies is enough.
    pub rules: Vec<AccessRule>,
    /// At most 8, named by rules with their index.
    pub schedules: Vec<Schedule>,
    /// Conditions configured in the reader, all of which must hold.
    pub reader_rules: Vec<u16>,
    /// Informational, by vendor.
    pub non_access_extensions: Extensions<Extension>,
    /// Further conditions, by vendor.
    pub access_extensions: Extensions<AccessExtension>,
}

/// One alternative of an [`AccessData`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRule {
    /// What it allows.
    pub capabilities: Capabilities,
    /// Bit n: it applies while schedule n is active. None set: always.
    pub allow: u8,
    /// Bit n: it does not apply while schedule n is active.
    pub deny: u8,
}

/// A set of things that a reader can be asked to do.
///
/// Bits 6 to 15 are not assigned; they may be set and allow nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(pub u16);

impl Capabilities {
    /// Lock.
    pub const SECURE: Self = Self(1 << 0);
    /// Unlock.
    pub const UNSECURE: Self = Self(1 << 1);
    /// Lock or unlock, whichever it is not.
    pub const TOGGLE: Self = Self(1 << 2);
    /// Unlock for the reader's usual time.
    pub const MOMENTARY_UNSECURE: Self = Self(1 << 3);
    /// Unlock for the reader's longer time.
    pub const EXTENDED_MOMENTARY_UNSECURE: Self = Self(1 << 4);
    /// Pay.
    pub const PAYMENT: Self = Self(1 << 5);
    /// All assigned ones.
    pub const ALL: Self = Self(0x3f);

    /// Whether every capability of `other` is in this set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl AccessData {
    /// The CBOR of the element value.
    ///
    /// # Errors
    /// [`DocumentError`] when it breaks a limit or a rule names a schedule
    /// that is not there.
    pub fn encode(&self) -> Result<Vec<u8>, DocumentError> {
        self.check()?;
        Ok(cbor::encode(&self.to_value()))
    }

    /// Reads an element value.
    ///
    /// A member that version 1 does not have is refused: a reader that ignored
    /// it could grant too much, and extensions are there for additions.
    ///
    /// # Errors
    /// [`DocumentError::ElementVersion`] for another version, else another
    /// [`DocumentError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        const WHAT: &str = "AccessData";
        let mut data = Fields::new(cbor::value(bytes)?, WHAT)?;
        require_version(&mut data, WHAT)?;
        let decoded = Self {
            id: optional_bytes(data.take(KEY_ID), WHAT)?,
            rules: rules(data.take(KEY_RULES))?,
            schedules: list(data.take(KEY_SCHEDULES), MAX_SCHEDULES, |value| {
                Schedule::from_value(value)
            })?,
            reader_rules: list(data.take(KEY_READER_RULES), MAX_READER_RULES, |value| {
                fields::uint(&value, WHAT)
            })?,
            non_access_extensions: extension::decode(data.take(KEY_NON_ACCESS_EXTENSIONS))?,
            access_extensions: extension::decode(data.take(KEY_ACCESS_EXTENSIONS))?,
        };
        data.done()?;
        decoded.check()?;
        Ok(decoded)
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.id.len() > MAX_ID {
            return Err(DocumentError::Malformed("AccessData id"));
        }
        if self.rules.len() > MAX_RULES
            || self.schedules.len() > MAX_SCHEDULES
            || self.reader_rules.len() > MAX_READER_RULES
        {
            return Err(DocumentError::TooComplex);
        }
        let existing = (1u16 << self.schedules.len()) - 1;
        if self
            .rules
            .iter()
            .any(|rule| u16::from(rule.allow | rule.deny) & !existing != 0)
        {
            return Err(DocumentError::Malformed("schedule of an AccessRule"));
        }
        if self.rules.iter().any(|rule| rule.capabilities.0 == 0) {
            return Err(DocumentError::Malformed("AccessRule"));
        }
        if !self.schedules.iter().all(Schedule::is_valid) {
            return Err(DocumentError::Malformed("Schedule"));
        }
        extension::check(&self.non_access_extensions)?;
        extension::check(&self.access_extensions)
    }

    fn to_value(&self) -> Value {
        let mut map = vec![(Value::from(KEY_VERSION), Value::from(ELEMENT_VERSION))];
        let mut push = |key: u64, present: bool, value: &dyn Fn() -> Value| {
            if present {
                map.push((Value::from(key), value()));
            }
        };
        push(KEY_ID, !self.id.is_empty(), &|| {
            Value::Bytes(self.id.clone())
        });
        push(KEY_RULES, !self.rules.is_empty(), &|| {
            Value::Array(
                self.rules
                    .iter()
                    .copied()
                    .map(AccessRule::to_value)
                    .collect(),
            )
        });
        push(KEY_SCHEDULES, !self.schedules.is_empty(), &|| {
            Value::Array(
                self.schedules
                    .iter()
                    .copied()
                    .map(Schedule::to_value)
                    .collect(),
            )
        });
        push(KEY_READER_RULES, !self.reader_rules.is_empty(), &|| {
            Value::Array(
                self.reader_rules
                    .iter()
                    .map(|id| Value::from(*id))
                    .collect(),
            )
        });
        push(
            KEY_NON_ACCESS_EXTENSIONS,
            !self.non_access_extensions.is_empty(),
            &|| extension::encode(&self.non_access_extensions),
        );
        push(
            KEY_ACCESS_EXTENSIONS,
            !self.access_extensions.is_empty(),
            &|| extension::encode(&self.access_extensions),
        );
        Value::Map(map)
    }
}

impl AccessRule {
    fn from_value(value: Value) -> Result<Self, DocumentError> {
        const WHAT: &str = "AccessRule";
        let mut rule = Fields::new(value, WHAT)?;
        let mut schedules = |key: u64| match rule.take(key) {
            Some(mask) => fields::uint(&mask, "schedule of an AccessRule"),
            None => Ok(0),
        };
        let (allow, deny) = (schedules(1)?, schedules(2)?);
        let capabilities = Capabilities(fields::uint(&rule.require(0)?, WHAT)?);
        rule.done()?;
        Ok(Self {
            capabilities,
            allow,
            deny,
        })
    }

    fn to_value(self) -> Value {
        let mut map = vec![(Value::from(0), Value::from(self.capabilities.0))];
        if self.allow != 0 {
            map.push((Value::from(1), Value::from(self.allow)));
        }
        if self.deny != 0 {
            map.push((Value::from(2), Value::from(self.deny)));
        }
        Value::Map(map)
    }
}

/// Rules may be left out, which grants everything; a list of none grants
/// nothing, so it is no element that anybody means to issue.
fn rules(value: Option<Value>) -> Result<Vec<AccessRule>, DocumentError> {
    let left_out = value.is_none();
    let rules = list(value, MAX_RULES, AccessRule::from_value)?;
    if rules.is_empty() && !left_out {
        return Err(DocumentError::Malformed("AccessRule list"));
    }
    Ok(rules)
}

pub(crate) fn require_version(
    element: &mut Fields,
    what: &'static str,
) -> Result<(), DocumentError> {
    match fields::uint(&element.require(KEY_VERSION)?, what)? {
        ELEMENT_VERSION => Ok(()),
        other => Err(DocumentError::ElementVersion(other)),
    }
}

pub(crate) fn optional_bytes(
    value: Option<Value>,
    what: &'static str,
) -> Result<Vec<u8>, DocumentError> {
    value.map_or(Ok(Vec::new()), |value| fields::bytes(value, what))
}

/// An optional array of at most `max` items.
pub(crate) fn list<T>(
    value: Option<Value>,
    max: usize,
    item: impl Fn(Value) -> Result<T, DocumentError>,
) -> Result<Vec<T>, DocumentError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let items = fields::array(value, "element list")?;
    if items.len() > max {
        return Err(DocumentError::TooComplex);
    }
    items.into_iter().map(item).collect()
}

const KEY_VERSION: u64 = 0;
const KEY_ID: u64 = 1;
const KEY_RULES: u64 = 2;
const KEY_SCHEDULES: u64 = 3;
const KEY_READER_RULES: u64 = 4;
const KEY_NON_ACCESS_EXTENSIONS: u64 = 5;
const KEY_ACCESS_EXTENSIONS: u64 = 6;
