//! Signing in, tokens, proofs of possession.

use std::time::Duration;

use chrono::TimeDelta;
use latchkey_protocol::proof::KeyKind;
use latchkey_protocol::roles::Role;
use reqwest::Method;
use serde_json::json;

use crate::client::{Device, Key as Software, claims, code_in};
use crate::grants::grants;
use crate::world::{OWNER, RESIDENT, World};

#[tokio::test]
async fn a_code_by_mail_signs_a_device_in_and_it_learns_where_it_is_known() {
    let world = World::start().await;
    let rita = world.device(RESIDENT).await;
    let me = rita.me().await;
    assert_eq!(me.email, RESIDENT);
    let [membership] = &me.memberships[..] else {
        panic!("{me:?}")
    };
    assert_eq!(membership.property, world.property);
    assert_eq!(membership.property_name, "Harbour Yard");
    assert_eq!(
        (membership.person_name.as_str(), membership.role),
        ("Rita Resident", Role::Resident)
    );
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_the_right_one_too_after_five_of_them() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    let id = device.ask_for_code(OWNER).await;
    let code = code_in(&world.mail.next_to(OWNER, 0).await.body);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        assert_eq!(device.confirm(&id, wrong).await.problem(), "wrong-code");
    }
    assert_eq!(device.confirm(&id, &code).await.problem(), "wrong-code");
}

#[tokio::test]
async fn a_code_ends_after_ten_minutes() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    let id = device.ask_for_code(OWNER).await;
    let code = code_in(&world.mail.next_to(OWNER, 0).await.body);
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(device.confirm(&id, &code).await.problem(), "wrong-code");
}

#[tokio::test]
async fn a_code_serves_the_device_whose_answer_was_lost_again_and_no_other() {
    let world = World::start().await;
    let mut device = Device::new(world.portal.url());
    let id = device.ask_for_code(OWNER).await;
    let code = code_in(&world.mail.next_to(OWNER, 0).await.body);
    assert!(device.confirm(&id, &code).await.status.is_success());
    let again = device.confirm(&id, &code).await;
    device.take(&again);
    device.me().await;
    let other = Device::new(world.portal.url());
    assert_eq!(other.confirm(&id, &code).await.problem(), "wrong-code");
}

#[tokio::test]
async fn an_unknown_address_is_answered_alike_and_gets_no_letter() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    let body = |email: &str| Some(json!({ "email": email }));
    let known = device.bare(Method::POST, "/v1/sign-in", body(OWNER)).await;
    let unknown = device
        .bare(Method::POST, "/v1/sign-in", body("nobody@else.example"))
        .await;
    assert_eq!(known.status, unknown.status);
    assert_eq!(known.body.len(), unknown.body.len());
    world.mail.next_to(OWNER, 0).await;
    // The letters go out in order, so the other one's would be here now.
    assert_eq!(world.mail.len(), 1);
}

#[tokio::test]
async fn too_many_codes_for_one_address_are_refused_until_later() {
    let world = World::start().await;
    let device = Device::new(world.portal.url());
    for _ in 0..10 {
        device.ask_for_code(OWNER).await;
    }
    let body = Some(json!({ "email": OWNER }));
    let refused = device.bare(Method::POST, "/v1/sign-in", body.clone()).await;
    assert_eq!(refused.problem(), "too-many-requests");
    let seconds: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    world.clock.advance(Duration::from_secs(seconds));
    assert!(
        device
            .bare(Method::POST, "/v1/sign-in", body)
            .await
            .status
            .is_success()
    );
}

#[tokio::test]
async fn a_refresh_token_before_the_last_serves_until_its_successor_was_used() {
    let world = World::start().await;
    let mut device = world.device(OWNER).await;
    let first = device.refresh.clone();
    let lost = device.refresh_with(&first).await;
    assert!(lost.status.is_success());
    // Its answer was lost: the same key asks again with the token that it has.
    let second = device.refresh_with(&first).await;
    device.take(&second);
    let third = device.refresh_with(&device.refresh).await;
    device.take(&third);
    device.me().await;
    // Now the first one is dead, and whoever shows it has a copy: everything ends.
    assert_eq!(device.refresh_with(&first).await.problem(), "token-reused");
    assert_eq!(device.get("/v1/me").await.problem(), "not-signed-in");
    assert_eq!(
        device.refresh_with(&device.refresh).await.problem(),
        "not-signed-in"
    );
}

#[tokio::test]
async fn a_stolen_refresh_token_is_worth_nothing_without_the_key() {
    let world = World::start().await;
    let device = world.device(OWNER).await;
    let thief = Device::new(world.portal.url());
    assert_eq!(
        thief.refresh_with(&device.refresh).await.problem(),
        "bad-proof"
    );
    assert!(
        device
            .refresh_with(&device.refresh)
            .await
            .status
            .is_success()
    );
}

#[tokio::test]
async fn a_stolen_access_token_is_worth_nothing_without_the_key() {
    let world = World::start().await;
    let device = world.device(OWNER).await;
    let mut thief = Device::new(world.portal.url());
    thief.access = device.access.clone();
    assert_eq!(thief.get("/v1/me").await.problem(), "bad-proof");
}

#[tokio::test]
async fn a_proof_counts_once_for_its_request_its_token_and_a_fresh_nonce() {
    let world = World::start().await;
    let device = world.device(OWNER).await;
    device.me().await;
    let url = format!("{}/v1/me", world.portal.url());
    let (token, nonce) = (device.access.clone(), device.nonce().unwrap());
    let ask = async |proof: String| {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("authorization", format!("DPoP {token}").parse().unwrap());
        headers.insert("dpop", proof.parse().unwrap());
        device.send(Method::GET, "/v1/me", None, headers).await
    };
    let right = device.proof(&claims("GET", &url, Some(&token), Some(&nonce), "one"));
    assert!(ask(right.clone()).await.status.is_success());
    assert_eq!(ask(right).await.problem(), "bad-proof", "replayed");
    let elsewhere = "https://keys.elsewhere.example/v1/me";
    for (what, claims) in [
        (
            "another method",
            claims("POST", &url, Some(&token), Some(&nonce), "two"),
        ),
        (
            "another portal",
            claims("GET", elsewhere, Some(&token), Some(&nonce), "three"),
        ),
        (
            "another path",
            claims(
                "GET",
                &format!("{url}s"),
                Some(&token),
                Some(&nonce),
                "four",
            ),
        ),
        (
            "another token",
            claims("GET", &url, Some("x"), Some(&nonce), "five"),
        ),
        ("no token", claims("GET", &url, None, Some(&nonce), "six")),
    ] {
        assert_eq!(
            ask(device.proof(&claims)).await.problem(),
            "bad-proof",
            "{what}"
        );
    }
    let without = ask(device.proof(&claims("GET", &url, Some(&token), None, "seven"))).await;
    assert_eq!(without.problem(), "use-dpop-nonce");
    assert!(without.headers.contains_key("dpop-nonce"));
    let made_up = claims("GET", &url, Some(&token), Some("AAAAAAAAAAAAAAAA"), "eight");
    assert_eq!(
        ask(device.proof(&made_up)).await.problem(),
        "use-dpop-nonce"
    );
    world.clock.advance(Duration::from_secs(300));
    let old = claims("GET", &url, Some(&token), Some(&nonce), "nine");
    assert_eq!(ask(device.proof(&old)).await.problem(), "use-dpop-nonce");
}

#[tokio::test]
async fn a_phone_with_a_wrong_clock_gets_in_and_is_corrected() {
    let world = World::start().await;
    // Its proofs say 1970 (see `claims`); the server's nonce is what makes them fresh.
    let device = world.device(OWNER).await;
    let answer = device.get("/v1/me").await;
    assert_eq!(answer.headers["date"], "Tue, 24 Nov 2026 09:00:00 GMT");
}

#[tokio::test]
async fn an_access_token_ends_after_ten_minutes_and_a_sign_out_ends_all() {
    let world = World::start().await;
    let mut device = world.device(OWNER).await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(device.get("/v1/me").await.problem(), "not-signed-in");
    let answer = device.refresh_with(&device.refresh).await;
    device.take(&answer);
    device.me().await;
    assert_eq!(
        device
            .call(Method::DELETE, "/v1/session", None)
            .await
            .status,
        204
    );
    assert_eq!(device.get("/v1/me").await.problem(), "not-signed-in");
    assert_eq!(
        device.refresh_with(&device.refresh).await.problem(),
        "not-signed-in"
    );
}

#[tokio::test]
async fn a_restarted_portal_knows_its_devices() {
    let world = World::start().await;
    let mut device = world.device(OWNER).await;
    let world = world.restart().await;
    device.move_to(world.portal.url());
    device.me().await;
    world.clock.jump_wall(TimeDelta::seconds(1));
}

#[tokio::test]
async fn a_phone_that_signs_in_again_keeps_what_was_issued_to_it() {
    let world = World::start().await;
    let mut rita = world.device(RESIDENT).await;
    let before = rita.refresh.clone();
    let held = rita
        .register(&world, KeyKind::AccessCredential, &Software::new())
        .await
        .credential;
    // Its session had ended: sixty days without a refresh.
    world.clock.advance(Duration::from_secs(61 * 86_400));
    rita.sign_in(&world, RESIDENT).await;
    let page = rita.sync(&world, None).await;
    let grants: Vec<_> = grants(&page).iter().map(|grant| grant.credential).collect();
    assert_eq!(grants, [held]);
    assert_eq!(rita.refresh_with(&before).await.problem(), "not-signed-in");
    rita.me().await;
}
