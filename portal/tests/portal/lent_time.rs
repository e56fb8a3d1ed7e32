//! The time that a phone asks for in the name of a door.

use latchkey_protocol::api::doors::DoorTime;
use latchkey_protocol::clock::SignedTimeAnswer;
use serde_json::json;

use crate::door::{Door, find};
use crate::world::{STAFF, World};

#[tokio::test]
async fn a_phone_at_a_door_asks_for_the_time_in_its_name() {
    let world = World::start().await;
    let staff = world.device(STAFF).await;
    let flat = Door::install(&world, "Flat 7").await;
    let path = world.path(&format!("/doors/{}/time", flat.id));
    let ask = |nonce: &[u8]| json!({ "nonce": latchkey_protocol::bytes::Base64(nonce.to_vec()) });
    let told: DoorTime = staff.post(&path, ask(&[7; 16])).await.ok();
    let answer = SignedTimeAnswer::from_bytes(&told.answer.0).unwrap();
    let answer = answer.verify(&flat.commissioned.issuer, world.property, flat.id);
    let answer = answer.unwrap();
    assert_eq!(answer.nonce, [7; 16]);
    let now = latchkey_env::Clock::now(&world.clock).timestamp_millis();
    assert_eq!(answer.unix_ms, now.cast_unsigned());

    assert_eq!(
        staff.post(&path, ask(&[7; 15])).await.problem(),
        "invalid-value"
    );
    // A door without a controller, and one that is out of this person's sight.
    let gate = find(&world, &staff, "South gate").await.id;
    let gate = world.path(&format!("/doors/{gate}/time"));
    assert_eq!(
        staff.post(&gate, ask(&[7; 16])).await.problem(),
        "not-found"
    );
    let mut refused = None;
    for _ in 0..40 {
        let answer = staff.post(&path, ask(&[7; 16])).await;
        if !answer.status.is_success() {
            refused = Some(answer.problem());
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("too-many-requests"));
}
