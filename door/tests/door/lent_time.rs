//! The time that a phone asks for in the name of a door without a network.

use std::sync::{Arc, Mutex};

use latchkey_door::RunConfig;
use latchkey_protocol::rules::Reason;

use crate::phone::{Carries, Phone, denied};
use crate::property::{DAY, Door, Property};

/// The time comes by challenge only, through a phone that is online there: its answer to this session's
/// nonce counts once, and no other does.
#[tokio::test]
async fn a_phone_that_is_online_brings_the_time() {
    let property = Property::new();
    let door = Door::new(&property).await;
    property.clock.advance(DAY);
    let door = door.restart(false, RunConfig::default()).await;
    assert!(door.running.status().await.unwrap().clock.unsure);
    let ranged = || Phone::resident(&property, r#"{"range": {"until": "2026-12-01"}}"#);
    let unsure = Some(Reason::ClockUnsure);
    assert_eq!(denied(&ranged().visit(&door).await), unsure);

    let signer = property.time_signer(door.id);
    let asked = Arc::new(Mutex::new([0; 16]));
    let hears = asked.clone();
    let carries = Carries {
        time: Some(Box::new(move |nonce| {
            *hears.lock().unwrap() = nonce;
            b"nothing".to_vec()
        })),
        ..Carries::default()
    };
    ranged().carries(carries).visit(&door).await;
    // An answer to another session's question.
    let late = signer(*asked.lock().unwrap());
    let carries = Carries {
        time: Some(Box::new(move |_| late.clone())),
        ..Carries::default()
    };
    ranged().carries(carries).visit(&door).await;
    assert!(door.running.status().await.unwrap().clock.unsure);

    let carries = Carries {
        time: Some(Box::new(signer)),
        ..Carries::default()
    };
    let visit = ranged().carries(carries).visit(&door).await;
    assert!(visit.needs.unwrap().time.is_some());
    let clock = door.running.status().await.unwrap().clock;
    assert!(!clock.unsure && clock.at == property.now(), "{clock:?}");
    assert_eq!(denied(&ranged().visit(&door).await), None);
    // One that is sure of its time does not ask.
    let carries = Carries {
        takes_log: true,
        ..Carries::default()
    };
    let visit = ranged().carries(carries).visit(&door).await;
    assert_eq!(visit.needs.unwrap().time, None);
}
