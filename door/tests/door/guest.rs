//! A guest with a pass.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::code::{Code, IssueTime};
use latchkey_protocol::ids::{DoorNumber, PassId, PropertyId};
use latchkey_protocol::pass::{DoorSet, Pass, SignedPass};
use latchkey_protocol::rules::AccessRules;

use crate::property::{BUDGET, Key, Property};

pub(crate) struct Guest {
    property: PropertyId,
    key: Key,
    pub(crate) pass: Pass,
    pub(crate) signed: SignedPass,
}

impl Guest {
    /// With a pass for door 7 and these rules, as JSON.
    pub(crate) fn new(property: &Property, rules: &str) -> Self {
        Self::at(property, 7, rules)
    }

    pub(crate) fn at(property: &Property, door: u16, rules: &str) -> Self {
        let key = Key::new();
        let rules: AccessRules = serde_json::from_str(rules).unwrap();
        let until = (property.now() + TimeDelta::days(30)).timestamp();
        let mut id = [0x9a; 8];
        id.copy_from_slice(&key.public().x()[..8]);
        let pass = Pass {
            id: PassId(id),
            code_key: key.public(),
            doors: DoorSet::of([DoorNumber(door)]),
            budget: rules.max_uses().map(|_| BUDGET),
            rules,
            until: until.try_into().unwrap(),
        };
        Self::of(property, key, pass)
    }

    /// Whoever holds this pass.
    pub(crate) fn of(property: &Property, key: Key, pass: Pass) -> Self {
        Self {
            property: property.id,
            signed: property.sign_pass(&pass),
            key,
            pass,
        }
    }

    /// The code that the guest's phone shows at this moment.
    pub(crate) fn code(&self, at: DateTime<Utc>) -> Code {
        let issued = IssueTime::from_unix_ms(at.timestamp_millis().cast_unsigned());
        let signature = self
            .key
            .sign(&Code::to_be_signed(self.property, self.pass.id, issued));
        Code {
            pass: self.pass.id,
            issued,
            signature,
            statement: None,
        }
    }

    pub(crate) fn short(&self, at: DateTime<Utc>) -> String {
        self.code(at).to_text()
    }

    pub(crate) fn long(&self, at: DateTime<Utc>) -> String {
        Code {
            statement: Some(self.signed.clone()),
            ..self.code(at)
        }
        .to_text()
    }
}
