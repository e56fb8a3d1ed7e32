//! The line to the portal.

use std::sync::Arc;
use std::time::Duration;

use latchkey_door::{Report, RunConfig};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::doorlink::{FromDoor, FromPortal};
use latchkey_protocol::hello::INTERFACE_RELAY;
use latchkey_protocol::private::Outcome;
use latchkey_protocol::revocation::Revocations;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::statement::{Addressee, Body, DoorSettings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::broadcast::Receiver;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::portal::{Line, Portal};
use crate::property::{DAY, Door, Property};

async fn online(property: &Property) -> (Portal, Door) {
    let portal = Portal::new().await;
    let config = RunConfig {
        portal_url: Some(portal.url.clone()),
        ..RunConfig::default()
    };
    let door = Door::with(property, 7, config).await;
    (portal, door)
}

async fn connected(reports: &mut Receiver<Report>, expected: bool) {
    loop {
        if let Report::Portal { connected, .. } = reports.recv().await.unwrap()
            && connected == expected
        {
            return;
        }
    }
}

/// The next connection of a door that has lost its line, and the counter of its first state.
async fn called_again(property: &Property, portal: &Portal, door: &Door) -> (Line, u64) {
    let mut line = portal.accept_later(&property.clock).await;
    line.sign_in(property, door).await;
    let state = line.state(door).await;
    (line, state.counter)
}

#[tokio::test]
async fn a_door_signs_in_asks_the_time_and_tells_its_state() {
    let property = Property::new();
    let (portal, door) = online(&property).await;
    let door = {
        // It lost its time: the line brings it back.
        let config = RunConfig {
            portal_url: Some(portal.url.clone()),
            ..RunConfig::default()
        };
        let first = portal.accept().await;
        drop(first);
        door.restart(false, config).await
    };
    assert!(door.running.status().await.unwrap().clock.unsure);
    let mut reports = door.running.reports();
    let mut line = portal.accept().await;
    line.sign_in(&property, &door).await;
    connected(&mut reports, true).await;
    assert!(line.state(&door).await.clock.reading.unsure);
    line.answer_time(&property, &door).await;
    let state = line.state(&door).await;
    assert!(!state.clock.reading.unsure, "told at once");
    assert_eq!(
        state.clock.reading.unix_ms,
        property.now().timestamp_millis() as u64
    );
    assert_eq!(
        (
            state.statements.all,
            state.statements.own,
            state.list.version
        ),
        (1, 0, 0)
    );
    line.hang_up().await;
    connected(&mut reports, false).await;
}

#[tokio::test]
async fn a_time_that_was_not_asked_for_or_is_forged_sets_nothing() {
    let property = Property::new();
    let (portal, door) = online(&property).await;
    let (mut line, _) = portal.signed_in(&property, &door).await;
    let before = door.running.status().await.unwrap().clock;
    let elsewhere = Property::new();
    elsewhere.clock.advance(DAY);
    for nonce in [[0; 16], [5; 16]] {
        let challenge = latchkey_protocol::clock::TimeChallenge { nonce };
        for issuer in [&property, &elsewhere] {
            let answer = issuer.time(door.id, challenge).into();
            line.say(&FromPortal::Time { answer }).await;
        }
    }
    // A statement behind them: once it is obeyed, they have been looked at.
    let own = property.statement(
        Addressee::Door(door.id),
        1,
        Body::DoorSettings(DoorSettings {
            relay_pulse_ms: 500,
        }),
    );
    line.say(&FromPortal::Statements {
        statements: vec![own.into()],
    })
    .await;
    assert_eq!(line.state(&door).await.statements.own, 1);
    assert_eq!(door.running.status().await.unwrap().clock.at, before.at);
}

#[tokio::test]
async fn statements_and_withdrawals_are_obeyed_and_told_at_once() {
    let mut property = Property::new();
    let (portal, door) = online(&property).await;
    let (mut line, first) = portal.signed_in(&property, &door).await;
    let guest = Guest::new(&property, "{}");
    let pass = property.state(Body::Pass(guest.signed.clone()));
    let gap = property.statement(Addressee::All, 9, Body::Pass(guest.signed.clone()));
    for _ in 0..3 {
        let statements = vec![gap.clone().into()];
        line.say(&FromPortal::Statements { statements }).await;
    }
    let state = line.state(&door).await;
    assert_eq!(state.statements.all, 1, "it asks for what is missing");
    let statements = vec![pass.into()];
    line.say(&FromPortal::Statements { statements }).await;
    let state = line.state(&door).await;
    assert_eq!(state.statements.all, 2, "and has asked once");
    assert!(state.counter > first.counter);

    let mut list = Revocations::default();
    list.passes.insert(guest.pass.id);
    let document = property.revoke(list).into();
    line.say(&FromPortal::Revocation { document }).await;
    assert_eq!(line.state(&door).await.list.version, 1);
    let answer = door
        .running
        .scan(&guest.short(property.now()))
        .await
        .unwrap();
    assert_eq!(
        answer.reason,
        Some(Reason::Revoked),
        "without asking anybody"
    );
}

/// A door online, and a guest whom it knows.
async fn with_guest() -> (Property, Portal, Arc<Door>, Guest, Line) {
    let mut property = Property::new();
    let guest = Guest::new(&property, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let (portal, door) = online(&property).await;
    let (line, _) = portal.signed_in(&property, &door).await;
    (property, portal, Arc::new(door), guest, line)
}

#[tokio::test]
async fn the_portal_says_whether_a_code_was_used_elsewhere() {
    let (property, _portal, door, guest, mut line) = with_guest().await;
    let code = guest.short(property.now());
    let scanning = door.running.scan(&code);
    let portal = async {
        let request = line.question().await;
        let denied = Some(Reason::CodeUsedBefore);
        line.say(&FromPortal::CodeAnswer { request, denied }).await;
        let events = line.events().await;
        assert_eq!(events[0].denied, denied);
    };
    let (answer, ()) = tokio::join!(scanning, portal);
    assert_eq!(answer.unwrap().reason, Some(Reason::CodeUsedBefore));

    property.clock.advance(Duration::from_secs(1));
    let code = guest.short(property.now());
    let scanning = door.running.scan(&code);
    let portal = async {
        let request = line.question().await;
        let denied = None;
        line.say(&FromPortal::CodeAnswer { request, denied }).await;
    };
    let (answer, ()) = tokio::join!(scanning, portal);
    assert!(answer.unwrap().opened);
    assert_eq!(door.strike.count(), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_a_second_and_a_half_for_the_portal() {
    let (property, _portal, door, guest, mut line) = with_guest().await;
    let code = guest.short(property.now());
    let scanning = door.running.scan(&code);
    let silent = async {
        let request = line.question().await;
        assert_eq!(door.strike.count(), 0, "it waits");
        property.clock.advance(Duration::from_millis(1500));
        request
    };
    let (answer, request) = tokio::join!(scanning, silent);
    assert!(answer.unwrap().opened, "the door decides alone");
    // A late word takes nothing back.
    let denied = Some(Reason::CodeUsedBefore);
    line.say(&FromPortal::CodeAnswer { request, denied }).await;
    let events = line.events().await;
    assert_eq!((events.len(), events[0].denied), (1, None));

    // What the door refuses by itself is not asked.
    let again = door.running.scan(&code).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore));
    let events = line.events().await;
    assert_eq!(events[0].denied, Some(Reason::CodeUsedBefore));
}

#[tokio::test]
async fn a_line_that_breaks_while_somebody_waits_lets_the_door_decide() {
    let (property, _portal, door, guest, mut line) = with_guest().await;
    let code = guest.short(property.now());
    let scanning = door.running.scan(&code);
    let breaking = async {
        line.question().await;
        line.hang_up().await;
    };
    let (answer, ()) = tokio::join!(scanning, breaking);
    assert!(answer.unwrap().opened);
}

#[tokio::test]
async fn days_without_the_portal_are_told_later_and_once() {
    let (property, portal, door, guest, line) = with_guest().await;
    let mut reports = door.running.reports();
    line.hang_up().await;
    connected(&mut reports, false).await;
    // The portal is away: whoever calls is not answered.
    for gesture in 10..13 {
        Phone::resident(&property, "{}")
            .gesture(gesture)
            .visit(&door)
            .await;
    }
    assert!(
        door.running
            .scan(&guest.short(property.now()))
            .await
            .unwrap()
            .opened
    );
    assert_eq!(door.running.status().await.unwrap().unreported, 4);

    let (mut line, counter) = called_again(&property, &portal, &door).await;
    let events = line.events().await;
    line.answer_time(&property, &door).await;
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.denied.is_none()));
    assert_eq!(
        events
            .iter()
            .map(|event| event.sequence)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(events[3].means, Means::Code);
    // The portal goes down before it has kept more than two.
    line.say(&FromPortal::EventsKept { up_to: 2 }).await;
    while door.running.status().await.unwrap().unreported != 2 {
        tokio::task::yield_now().await;
    }
    line.hang_up().await;
    connected(&mut reports, false).await;

    let (mut line, later) = called_again(&property, &portal, &door).await;
    assert!(later > counter, "no two states share a counter");
    let again = line.events().await;
    line.answer_time(&property, &door).await;
    assert_eq!(again, events[2..], "the same ids: they count once");
    line.say(&FromPortal::EventsKept { up_to: 4 }).await;
    while door.running.status().await.unwrap().unreported != 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_phone_opens_through_the_relay() {
    let property = Property::new();
    let (portal, door) = online(&property).await;
    let (mut line, _) = portal.signed_in(&property, &door).await;
    let mut phone = Phone::resident(&property, "{}");
    phone.interface = INTERFACE_RELAY;
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let channel = 1;
    let mut seen = Vec::new();
    let relaying = async {
        line.say(&FromPortal::RelayOpen { channel }).await;
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                read = far.read(&mut buffer) => {
                    let count = read.unwrap();
                    if count == 0 {
                        line.say(&FromPortal::RelayClose { channel }).await;
                        break;
                    }
                    let bytes = Base64(buffer[..count].to_vec());
                    line.say(&FromPortal::RelayData { channel, bytes }).await;
                }
                heard = line.hear() => match heard.expect("the line is up") {
                    FromDoor::RelayData { bytes, .. } => far.write_all(&bytes.0).await.unwrap(),
                    FromDoor::RelayClose { .. } => break,
                    other => seen.push(other),
                },
            }
        }
    };
    let (visit, ()) = tokio::join!(phone.speak(door.id, near), relaying);
    assert!(matches!(
        visit.record.unwrap().outcome,
        Outcome::Opened { .. }
    ));
    assert_eq!(door.strike.count(), 1);
    let events = seen.into_iter().find_map(|message| match message {
        FromDoor::Events { events } => Some(events),
        _ => None,
    });
    assert_eq!(events.unwrap()[0].means, Means::Relay);
}

#[tokio::test]
async fn a_silent_portal_is_left_and_called_again() {
    let property = Property::new();
    let (portal, door) = online(&property).await;
    let mut reports = door.running.reports();
    let (silent, _) = portal.signed_in(&property, &door).await;
    connected(&mut reports, true).await;
    // From here on it reads nothing, so it does not even answer pings.
    let passing = async {
        loop {
            property.clock.advance(Duration::from_secs(20));
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        () = connected(&mut reports, false) => {}
        () = passing => unreachable!("time does not end"),
    }
    drop(silent);
    called_again(&property, &portal, &door).await;
    connected(&mut reports, true).await;
}

/// Whoever runs the portal without the signer holds things back, or changes them on the way.
#[tokio::test]
async fn a_portal_without_the_signer_opens_nothing() {
    let mut property = Property::new();
    let guest = Guest::new(&property, "{}");
    let mut withdrawn = Revocations::default();
    withdrawn.passes.insert(guest.pass.id);
    let list = property.revoke(withdrawn);
    let (portal, door) = online(&property).await;
    let (mut line, _) = portal.signed_in(&property, &door).await;
    let document = list.clone().into();
    line.say(&FromPortal::Revocation { document }).await;
    assert_eq!(line.state(&door).await.list.version, 1);

    // A guest of its own making, in statements that it signs itself or has changed.
    let forger = Property::new();
    let thief = Guest::new(&forger, "{}");
    let mut statements =
        vec![forger.statement(Addressee::All, 2, Body::Pass(thief.signed.clone()))];
    let genuine = property.state(Body::Pass(guest.signed.clone()));
    for at in (0..genuine.len()).step_by(7) {
        let mut changed = genuine.clone();
        changed[at] ^= 1;
        statements.push(changed);
    }
    let statements = statements.into_iter().map(Base64).collect();
    line.say(&FromPortal::Statements { statements }).await;
    // Lists that would revive the guest.
    let mut elsewhere = Property::new();
    elsewhere.lists_so_far(8);
    let mut lists = vec![elsewhere.revoke(Revocations::default())];
    for at in (0..list.len()).step_by(11) {
        let mut changed = list.clone();
        changed[at] ^= 1;
        lists.push(changed);
    }
    for list in lists {
        let document = list.into();
        line.say(&FromPortal::Revocation { document }).await;
    }
    // Answers that nobody asked for.
    for request in 0..3 {
        line.say(&FromPortal::CodeAnswer {
            request,
            denied: None,
        })
        .await;
    }
    let scanning = async {
        for code in [
            thief.short(property.now()),
            thief.long(property.now()),
            guest.long(property.now()),
        ] {
            let answer = door.running.scan(&code).await.unwrap();
            assert!(!answer.opened);
        }
    };
    // Whatever is asked, the portal says yes.
    let saying_yes = async {
        while let Some(message) = line.hear().await {
            if let FromDoor::CodeCheck { request, .. } = message {
                line.say(&FromPortal::CodeAnswer {
                    request,
                    denied: None,
                })
                .await;
            }
        }
    };
    tokio::select! {
        () = scanning => {}
        () = saying_yes => panic!("the line broke"),
    }
    assert_eq!(door.strike.count(), 0);
    let status = door.running.status().await.unwrap();
    assert_eq!(
        (status.statements.all, status.list.version, status.passes),
        (1, 1, 0)
    );
}
