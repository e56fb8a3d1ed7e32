//! Clocks that jump: that of a door's machine, and that of a phone.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails its test, and says where"
)]

use std::time::Duration;

use latchkey_core::phone::Phone;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::rules::Reason;
use latchkey_tests::gate::Gate;
use latchkey_tests::house::unlock;
use latchkey_tests::scene::{Scene, first_key};

/// A code is shown for so long.
const SHOWN: Duration = Duration::from_secs(15);

/// What the gate says to the next code of this phone.
async fn scanned(scene: &Scene, gate: &Gate, phone: &Phone) -> Result<(), Option<Reason>> {
    scene.house.time.clock().advance(SHOWN);
    let code = phone.current_code(first_key(phone).unwrap(), None).await;
    let answer = gate.scan(&code.unwrap().text).await.unwrap();
    if answer.opened {
        Ok(())
    } else {
        Err(answer.reason)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_goes_by_its_own_time_however_its_machines_clock_jumps() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    for jump in [-400, 400, -1, 0].map(TimeDelta::days) {
        gate.clock.set_offset(jump);
        unlock(&rita, "Gate", CarrierKind::Stream).await.unwrap();
        assert_eq!(scanned(&scene, &gate, &rita).await, Ok(()), "{jump}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_clock_has_jumped_is_set_right_by_the_portal() {
    let scene = Scene::set().await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let (mut rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    for jump in [
        TimeDelta::hours(8),
        TimeDelta::days(-2),
        TimeDelta::minutes(-3),
    ] {
        // Its clock is set while the app does not run.
        drop(rita);
        rita = scene.house.wallet("rita@example.com", jump).unwrap();
        let refused = scanned(&scene, &gate, &rita).await;
        assert_eq!(refused, Err(Some(Reason::CodeTooOld)), "{jump}");
        rita.sync().await.unwrap();
        assert_eq!(scanned(&scene, &gate, &rita).await, Ok(()), "{jump}");
        unlock(&rita, "Gate", CarrierKind::Stream).await.unwrap();
    }
}
