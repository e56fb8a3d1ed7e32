//! Strangers who ask for other people's sign-in codes. Each comes from an address of this machine's own network, which
//! only Linux has more than one of.
#![cfg(target_os = "linux")]

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::client::{Answer, Device, code_in};
use crate::world::{OWNER, World};

async fn ask(device: &Device, email: &str) -> Answer {
    let body = Some(json!({ "email": email }));
    device.bare(Method::POST, "/v1/sign-in", body).await
}

/// Asks for codes all day until it is refused for good; how many it got.
async fn ask_all_day(world: &World, network: u8, email: &str) -> usize {
    let stranger = Device::from_address(world.portal.url(), [127, 0, 66, network]);
    let mut got = 0;
    loop {
        let before = world.mail.len();
        let answer = ask(&stranger, email).await;
        if answer.status.is_success() {
            world.mail.next_to(email, before).await;
            got += 1;
            continue;
        }
        assert_eq!(answer.problem(), "too-many-requests");
        let seconds = answer.headers["retry-after"].to_str().unwrap();
        let seconds: u64 = seconds.parse().unwrap();
        if seconds > 600 {
            return got;
        }
        world.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn a_stranger_who_asks_for_codes_all_day_keeps_nobody_from_signing_in() {
    let world = World::start().await;
    let got = ask_all_day(&world, 1, OWNER).await;
    assert!((10..=20).contains(&got), "{got}");
    let mut owner = Device::from_address(world.portal.url(), [127, 0, 66, 2]);
    owner.sign_in(&world, OWNER).await;
    owner.me().await;
}

#[tokio::test]
async fn many_strangers_get_a_bounded_number_of_letters_sent_and_not_those_of_a_network_that_is_known()
 {
    let world = World::start().await;
    let home = [127, 0, 66, 2];
    Device::from_address(world.portal.url(), home)
        .sign_in(&world, OWNER)
        .await;
    let mut got = 0;
    for network in 10..20 {
        got += ask_all_day(&world, network, OWNER).await;
    }
    // The day may have turned once on the way.
    assert!((50..=120).contains(&got), "{got}");
    let elsewhere = Device::from_address(world.portal.url(), [127, 0, 66, 3]);
    assert_eq!(ask(&elsewhere, OWNER).await.problem(), "too-many-requests");
    let before = world.mail.len();
    let mut owner = Device::from_address(world.portal.url(), home);
    let id = owner.ask_for_code(OWNER).await;
    let code = code_in(&world.mail.next_to(OWNER, before).await.body);
    let answer = owner.confirm(&id, &code).await;
    owner.take(&answer);
    owner.me().await;
    // What is known is known for this address alone.
    assert_eq!(
        ask(&elsewhere, "mara@harbour.example").await.status,
        200,
        "another address has letters of its own"
    );
}
