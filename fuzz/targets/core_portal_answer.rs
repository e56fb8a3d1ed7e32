//! A portal's answer to the phone, or that of what stands before it: a status and any body.
#![no_main]

use std::time::Duration;

use http::StatusCode;
use latchkey_core::portal::answer::Answer;
use latchkey_protocol::api::auth::{CredentialChallenge, Me, SignInStarted, Tokens};
use latchkey_protocol::api::doors::{DoorTime, InstalledController};
use latchkey_protocol::api::keys::{Key, SharedLink};
use latchkey_protocol::api::problem::Problem;
use latchkey_protocol::api::sync::SyncPage;
use serde::Serialize;
use serde::de::DeserializeOwned;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [high, low, body @ ..] = bytes else {
        return;
    };
    let number = 100 + u16::from_be_bytes([*high, *low]) % 900;
    let status = StatusCode::from_u16(number).expect("100 to 999");
    let answer = Answer::new(status, body.to_vec(), Duration::ZERO);
    let problem = answer.problem();
    assert_eq!(problem.is_none(), status.is_success());
    if let Some(problem) = problem {
        let said = serde_json::from_slice::<Problem>(body).is_ok();
        assert!(said || problem.status == number);
    }
    reads_as_itself::<SyncPage>(&answer);
    reads_as_itself::<Tokens>(&answer);
    reads_as_itself::<Me>(&answer);
    reads_as_itself::<SignInStarted>(&answer);
    reads_as_itself::<CredentialChallenge>(&answer);
    reads_as_itself::<DoorTime>(&answer);
    reads_as_itself::<InstalledController>(&answer);
    reads_as_itself::<Key>(&answer);
    reads_as_itself::<SharedLink>(&answer);
    if body.is_empty() {
        assert!(answer.json::<()>().is_ok(), "nothing is null");
    }
});

/// Written, and read once more, it is the same.
fn reads_as_itself<T: Serialize + DeserializeOwned>(answer: &Answer) {
    let Ok(value) = answer.json::<T>() else {
        return;
    };
    let json = serde_json::to_vec(&value).expect("what was read can be written");
    let written = Answer::new(StatusCode::OK, json.clone(), Duration::ZERO);
    let again: T = written.json().expect("what was written can be read");
    let once_more = serde_json::to_vec(&again).expect("what was read can be written");
    assert_eq!(once_more, json);
}
