//! Sign-in, proofs of possession, tokens and problems on the real wire.

use latchkey_core::error::{Error, Invalid};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::roles::Role;

use crate::wire::{CODE, Fault};
use crate::world::{EMAIL, PROPERTY, World, membership};

#[tokio::test]
async fn signing_in_registers_both_keys_and_names_the_property() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    let properties = phone.properties().unwrap();
    assert_eq!(properties.len(), 1);
    assert_eq!(properties[0].name, "Harbour View");
    assert_eq!(properties[0].role, Role::Resident);
    assert_eq!(properties[0].zone.as_deref(), Some("Etc/UTC"));
    // Once each, however often it syncs.
    phone.sync().await.unwrap();
    assert_eq!(world.wire.state().registered.len(), 2);
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_the_right_one_still_counts() {
    let world = World::hasty().await;
    let phone = world.phone();
    let pending = phone.sign_in_start(&world.wire.url(), EMAIL).await.unwrap();
    let refused = phone.sign_in_finish(&pending, "000000", "phone").await;
    let Err(Error::Refused(problem)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.problem_type(), Some(ProblemType::WrongCode));
    assert!(matches!(phone.sync().await, Err(Error::NotSignedIn)));
    world.wire.state().serve(PROPERTY, Vec::new());
    phone.sign_in_finish(&pending, CODE, "phone").await.unwrap();
}

#[tokio::test]
async fn a_plain_address_is_refused_before_anything_is_sent() {
    let world = World::hasty().await;
    let phone = world.phone();
    let refused = phone.sign_in_start("http://portal.example", EMAIL).await;
    assert!(matches!(
        refused,
        Err(Error::Invalid(Invalid::PortalAddress(_)))
    ));
}

#[tokio::test]
async fn a_new_nonce_of_the_portal_is_taken_up() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    world.wire.state().nonce += 1;
    phone.sync().await.unwrap();
    // One refusal, one repeat, and from then on the new one.
    let before = world.wire.count("/v1/me");
    phone.sync().await.unwrap();
    assert_eq!(world.wire.count("/v1/me"), before + 1);
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_once_for_all() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    world.wire.state().end_access();
    let (one, other) = tokio::join!(phone.sync(), phone.sync());
    one.unwrap();
    other.unwrap();
    assert_eq!(world.wire.count("/v1/token"), 1);
}

#[tokio::test]
async fn two_processes_of_one_wallet_renew_a_token_once() {
    let world = World::hasty().await;
    let (one, other) = (world.signed_in().await, world.phone());
    world.wire.state().end_access();
    let (one, other) = tokio::join!(one.sync(), other.sync());
    one.unwrap();
    other.unwrap();
    assert_eq!(world.wire.count("/v1/token"), 1);
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_renewed_before_it_is_sent() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    let before = world.wire.count("/v1/me");
    world.clock.advance(std::time::Duration::from_secs(290));
    phone.sync().await.unwrap();
    assert_eq!(world.wire.count("/v1/token"), 1);
    assert_eq!(world.wire.count("/v1/me"), before + 1);
}

#[tokio::test]
async fn a_lost_answer_to_a_renewal_signs_nobody_out() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    {
        let mut state = world.wire.state();
        state.end_access();
        // The first answer is lost; the repeat is held off until the phone gives up.
        state.fault("/token", Fault::AnswerLost);
        state.fault("/token", Fault::Down);
        state.fault("/token", Fault::Down);
    }
    let outcome = phone.sync().await;
    assert!(matches!(outcome, Err(Error::Offline(_))), "{outcome:?}");
    phone.sync().await.unwrap();
}

#[tokio::test]
async fn a_sign_in_that_the_portal_ended_is_said() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    {
        let mut state = world.wire.state();
        state.end_access();
        state.fault("/token", Fault::Refuse(ProblemType::TokenReused));
    }
    assert!(matches!(phone.sync().await, Err(Error::NotSignedIn)));
    // What was there stays usable, and signing in again goes on with it.
    assert_eq!(phone.keys().unwrap().len(), 1);
    let pending = phone.sign_in_start(&world.wire.url(), EMAIL).await.unwrap();
    phone.sign_in_finish(&pending, CODE, "phone").await.unwrap();
    assert_eq!(world.wire.state().registered.len(), 2);
}

#[tokio::test]
async fn a_portal_that_is_down_for_a_moment_is_asked_again_and_one_that_is_not_there_is_not() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    {
        let mut state = world.wire.state();
        state.fault("/me", Fault::Down);
        state.fault("/me", Fault::Down);
    }
    phone.sync().await.unwrap();
    let url = world.wire.url();
    drop(world.wire);
    let outcome = phone.sync().await;
    assert!(
        matches!(outcome, Err(Error::Offline(_))),
        "{url}: {outcome:?}"
    );
    assert_eq!(phone.keys().unwrap().len(), 1);
}

#[tokio::test]
async fn signing_out_forgets_everything_and_tells_the_portal() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    phone.sign_out(&world.wire.url()).await.unwrap();
    assert_eq!(world.wire.count("/v1/session"), 1);
    assert!(phone.properties().unwrap().is_empty());
    assert!(phone.keys().unwrap().is_empty());
    assert!(matches!(phone.sync().await, Err(Error::NotSignedIn)));
    let rows: i64 = rusqlite::Connection::open(world.folder().join("wallet.db"))
        .unwrap()
        .query_row(
            "SELECT (SELECT count(*) FROM entities) + (SELECT count(*) FROM device_keys)
             + (SELECT count(*) FROM credentials) + (SELECT count(*) FROM portals)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn a_membership_that_is_gone_takes_its_keys_with_it() {
    let world = World::hasty().await;
    let phone = world.signed_in().await;
    world.wire.state().memberships.clear();
    phone.sync().await.unwrap();
    assert!(phone.properties().unwrap().is_empty());
    assert!(phone.keys().unwrap().is_empty());
    world.wire.state().memberships = vec![membership(Role::Resident)];
    phone.sync().await.unwrap();
    assert_eq!(phone.keys().unwrap().len(), 1);
}
