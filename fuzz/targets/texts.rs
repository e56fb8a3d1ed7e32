//! The short texts in paths, queries and JSON: identifiers, bytes, names, moments and windows. What is read is written
//! as it was read, or in the one way that means the same.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{
    AccountId, AttemptId, BudgetId, CredentialId, DeviceId, DoorId, ElementId, EventId, KeyId,
    LinkId, PassId, PersonId, PropertyId,
};
use latchkey_protocol::roles::{GuestKeyPolicy, Role};
use latchkey_protocol::rules::{AccessRules, LocalMoment, Range, Weekdays, WeeklyWindow};
use serde::Serialize;
use serde::de::DeserializeOwned;

libfuzzer_sys::fuzz_target!(|text: &str| {
    one_spelling::<PropertyId>(text);
    one_spelling::<DoorId>(text);
    one_spelling::<PersonId>(text);
    one_spelling::<KeyId>(text);
    one_spelling::<CredentialId>(text);
    one_spelling::<PassId>(text);
    one_spelling::<ElementId>(text);
    one_spelling::<BudgetId>(text);
    one_spelling::<AttemptId>(text);
    one_spelling::<EventId>(text);
    one_spelling::<AccountId>(text);
    one_spelling::<DeviceId>(text);
    one_spelling::<LinkId>(text);
    if let Ok(bytes) = Base64::from_text(text) {
        assert_eq!(bytes.to_text(), text);
    }
    if let Some(role) = Role::from_name(text) {
        assert_eq!(role.name(), text);
    }
    if let Some(kind) = ProblemType::from_uri(text) {
        assert!(text.ends_with(kind.slug()));
    }
    moments(text);
    json::<Weekdays>(text);
    json::<WeeklyWindow>(text);
    json::<Range>(text);
    json::<AccessRules>(text);
    json::<GuestKeyPolicy<String>>(text);
});

fn one_spelling<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

fn moments(text: &str) {
    if let Ok(start) = LocalMoment::parse_start(text) {
        assert_eq!(LocalMoment::parse_start(&start.start_text()), Ok(start));
        assert_eq!(LocalMoment::from_minutes(start.minutes()), Ok(start));
    }
    if let Ok(end) = LocalMoment::parse_end(text) {
        assert_eq!(LocalMoment::parse_end(&end.end_text()), Ok(end));
    }
    if let Some((from, to)) = text.split_once('-')
        && let Ok(window) = WeeklyWindow::parse(Weekdays::ALL, from, to)
    {
        assert!((1..=1440).contains(&window.minutes()));
        assert_eq!(
            WeeklyWindow::new(Weekdays::ALL, window.from(), window.to()),
            Ok(window)
        );
    }
}

fn json<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(value) = serde_json::from_str::<T>(text) {
        let written = serde_json::to_string(&value).expect("what was read can be written");
        let again: T = serde_json::from_str(&written).expect("what was written can be read");
        assert_eq!(again, value);
    }
}
