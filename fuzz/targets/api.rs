//! What apps and guests' pages send to the portal, and what it syncs to them, as JSON.
#![no_main]

use latchkey_protocol::api::auth::{
    RefreshRequest, RegisterCredential, SignInConfirm, SignInRequest,
};
use latchkey_protocol::api::doors::{
    AskTime, CarriedDoorState, CarriedList, CarriedLog, InstallController, NewDoor,
};
use latchkey_protocol::api::keys::{KeyDraft, WriteOff};
use latchkey_protocol::api::links::{BindLink, GuestPass, PreviewLink};
use latchkey_protocol::api::people::NewPerson;
use latchkey_protocol::api::problem::Problem;
use latchkey_protocol::api::sync::SyncPage;
use serde::Serialize;
use serde::de::DeserializeOwned;

libfuzzer_sys::fuzz_target!(|text: &str| {
    both_ways::<SignInRequest>(text);
    both_ways::<SignInConfirm>(text);
    both_ways::<RefreshRequest>(text);
    both_ways::<RegisterCredential>(text);
    both_ways::<NewDoor>(text);
    both_ways::<InstallController>(text);
    both_ways::<CarriedDoorState>(text);
    both_ways::<CarriedList>(text);
    both_ways::<CarriedLog>(text);
    both_ways::<AskTime>(text);
    both_ways::<KeyDraft>(text);
    both_ways::<WriteOff>(text);
    both_ways::<NewPerson>(text);
    both_ways::<PreviewLink>(text);
    both_ways::<BindLink>(text);
    both_ways::<GuestPass>(text);
    both_ways::<SyncPage>(text);
    both_ways::<Problem>(text);
});

/// Written, read and written again, it is the same text.
fn both_ways<T: Serialize + DeserializeOwned>(text: &str) {
    if let Ok(value) = serde_json::from_str::<T>(text) {
        let json = serde_json::to_string(&value).expect("what was read can be written");
        let again: T = serde_json::from_str(&json).expect("what was written can be read");
        let written = serde_json::to_string(&again).expect("what was read can be written");
        assert_eq!(written, json);
    }
}
