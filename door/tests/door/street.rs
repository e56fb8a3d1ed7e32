//! What comes to a door from the side that faces the street: altered, held back, flooding, from strangers.

use std::time::Duration;

use latchkey_door::RunConfig;
use latchkey_protocol::rules::Reason;

use crate::phone::{Phone, Tamper, Visit, denied};
use crate::property::{Door, Property};

#[tokio::test]
async fn a_door_that_is_ready_waits_ten_seconds_for_the_commit() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    let control = phone.visit(&door).await;
    let commit = control.sent - 3;

    // A relay holds the commit back, then lets it through.
    for (held_seconds, opens) in [(9, true), (11, false)] {
        let phone = Phone::resident(&property, "{}");
        let before = door.strike.count();
        let (near, relay_near) = tokio::io::duplex(64 * 1024);
        let (relay_far, far) = tokio::io::duplex(64 * 1024);
        let held = Duration::from_secs(held_seconds);
        let (_, (), ()) = tokio::join!(
            phone.speak(door.id, near),
            crate::phone::hold_back(relay_near, relay_far, commit, || {
                property.clock.advance(held);
            }),
            door.running.serve(far),
        );
        assert_eq!(
            door.strike.count() - before,
            usize::from(opens),
            "{held_seconds}"
        );
    }
}

/// A runtime whose blocking work is one thing at a time, so that time can wait for it.
fn in_step<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(test)
}

/// Runs a visit in which a message may be lost: time goes on, each time nobody has anything to do
/// any more, until both sides are done.
async fn visit_in_time(property: &Property, phone: &Phone, door: &Door) -> Visit {
    let passing = async {
        loop {
            for _ in 0..8 {
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                // Comes after all blocking work that has been begun.
                tokio::task::spawn_blocking(|| ()).await.unwrap();
            }
            property.clock.advance(Duration::from_millis(500));
        }
    };
    tokio::select! {
        visit = phone.visit(door) => visit,
        () = passing => unreachable!("time does not end"),
    }
}

/// The cryptogram in the answer to AUTH0, which is the second message.
const CRYPTOGRAM: (usize, std::ops::Range<usize>) = (1, 73..137);

#[test]
fn no_changed_repeated_or_lost_message_opens() {
    in_step(async {
        let property = Property::new();
        let door = Door::new(&property).await;
        let control = visit_in_time(&property, &Phone::resident(&property, "{}"), &door).await;
        assert_eq!(denied(&control), None);
        // Then come the commit, the request and, after the answer, *done*.
        let request = control.sent - 2;
        let mut opened = 1;
        for message in 0..=request {
            let flips = [0, 1, 2, 3, 4, 5, 9, 20, 40, 70, 72, 120, 300].map(Tamper::Flip);
            for tamper in flips.into_iter().chain([Tamper::Drop, Tamper::Repeat]) {
                let mut phone = Phone::resident(&property, "{}");
                phone.tamper = Some((message, tamper));
                visit_in_time(&property, &phone, &door).await;
                // The first of two requests is as good as any; the second opens nothing more. And a
                // stranger's cryptogram is random: another one is no better and no worse.
                opened += usize::from(
                    (message, tamper) == (request, Tamper::Repeat)
                        || (message, tamper) == (CRYPTOGRAM.0, Tamper::Flip(120)),
                );
                assert_eq!(
                    door.strike.count(),
                    opened,
                    "{tamper:?} of message {message}"
                );
            }
        }
        let control = visit_in_time(&property, &Phone::resident(&property, "{}"), &door).await;
        assert_eq!(denied(&control), None, "the door still works");
    });
}

/// The same at a phone's second visit, byte by byte: what is changed in the cryptogram makes it a stranger's,
/// who has to sign.
#[test]
fn no_changed_repeated_or_lost_message_of_a_phone_that_comes_again_opens() {
    in_step(async {
        let property = Property::new();
        let door = Door::new(&property).await;
        let mut phone = Phone::resident(&property, "{}");
        visit_in_time(&property, &phone, &door).await;
        phone = phone.gesture(1);
        let control = visit_in_time(&property, &phone, &door).await;
        assert!(denied(&control).is_none() && !control.signed);
        let (request, lengths) = (control.sent - 2, control.lengths);
        let mut opened = 2;
        for (message, length) in lengths.into_iter().enumerate().take(request + 1) {
            let flips = (0..length).map(Tamper::Flip);
            for tamper in flips.chain([Tamper::Drop, Tamper::Repeat]) {
                phone.attempt.0 = latchkey_env::random_array(&latchkey_env::SystemRandom);
                phone.tamper = Some((message, tamper));
                let visit = visit_in_time(&property, &phone, &door).await;
                let spoilt = message == CRYPTOGRAM.0
                    && matches!(tamper, Tamper::Flip(byte) if CRYPTOGRAM.1.contains(&byte));
                opened += usize::from(spoilt || (message, tamper) == (request, Tamper::Repeat));
                assert_eq!(
                    door.strike.count(),
                    opened,
                    "{tamper:?} of message {message}"
                );
                assert_eq!(visit.signed, spoilt, "{tamper:?} of message {message}");
            }
        }
        phone.tamper = None;
        phone.attempt.0 = latchkey_env::random_array(&latchkey_env::SystemRandom);
        let control = visit_in_time(&property, &phone, &door).await;
        assert!(denied(&control).is_none() && !control.signed);
    });
}

#[test]
fn what_was_said_on_one_carrier_means_nothing_on_another() {
    in_step(async {
        let property = Property::new();
        let door = Door::new(&property).await;
        let mut phone = Phone::resident(&property, "{}");
        phone.interface = latchkey_protocol::hello::INTERFACE_RELAY;
        let visit = visit_in_time(&property, &phone, &door).await;
        assert!(visit.record.is_none());
        assert_eq!(door.strike.count(), 0);
    });
}

#[tokio::test]
async fn any_bytes_on_a_stream_end_in_a_closed_door() {
    use tokio::io::AsyncWriteExt as _;
    let property = Property::new();
    let door = Door::new(&property).await;
    let hello = latchkey_protocol::hello::ClientHello::to(door.id).to_bytes();
    let openings: [&[u8]; 6] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: door\r\n\r\n",
        b"LATCHKEY\x00",
        b"LATCHKEY\xff\xff\xff",
        &[&hello[..], &[0xff; 64]].concat(),
        &[&hello[..], &[2, 6, 0, 4, 0, 2, 0xa5, 0]].concat(),
    ];
    for opening in openings {
        let (mut near, far) = tokio::io::duplex(1024);
        near.write_all(opening).await.unwrap();
        near.shutdown().await.unwrap();
        door.running.serve(far).await;
    }
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn phones_find_the_door_over_tcp() {
    let property = Property::new();
    let config = RunConfig {
        stream: Some("127.0.0.1:0".parse().unwrap()),
        ..RunConfig::default()
    };
    let door = Door::with(&property, 7, config).await;
    let addr = door.running.stream_addr().unwrap();
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let visit = Phone::resident(&property, "{}")
        .speak(door.id, stream)
        .await;
    assert_eq!(denied(&visit), None);
    assert_eq!(door.strike.count(), 1);

    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let elsewhere = latchkey_protocol::ids::DoorId([9; 12]);
    let visit = Phone::resident(&property, "{}")
        .speak(elsewhere, stream)
        .await;
    assert!(visit.record.is_none(), "no such door behind this address");
    door.running.shutdown().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let silent: Vec<_> = (0..40).map(|_| tokio::io::duplex(1024)).collect();
    let (near, far): (Vec<_>, Vec<_>) = silent.into_iter().unzip();
    let serving =
        futures_util::future::join_all(far.into_iter().map(|far| door.running.serve(far)));
    let visiting = async {
        let visit = Phone::resident(&property, "{}").visit(&door).await;
        drop(near);
        visit
    };
    let (_, visit) = tokio::join!(serving, visiting);
    assert_eq!(denied(&visit), None);
}

#[tokio::test]
async fn strangers_with_keys_of_their_own_making_keep_nobody_out() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let (proved, mut all_proved) = tokio::sync::mpsc::unbounded_channel();
    let strangers: Vec<_> = (0..24)
        .map(|_| {
            let mut stranger = Phone::stranger(&property);
            stranger.falls_silent = Some(proved.clone());
            stranger
        })
        .collect();
    let staying = futures_util::future::join_all(strangers.iter().map(|phone| phone.visit(&door)));
    let visiting = async {
        for _ in &strangers {
            all_proved.recv().await.unwrap();
        }
        Phone::resident(&property, "{}").visit(&door).await
    };
    let visit = tokio::select! {
        visit = visiting => visit,
        _ = staying => panic!("they stay"),
    };
    assert_eq!(denied(&visit), None);
}

#[tokio::test]
async fn strangers_fill_neither_the_log_nor_the_list_of_gestures() {
    let property = Property::new();
    let door = Door::new(&property).await;
    for n in 0..130 {
        door.running.scan(&format!("junk {n}")).await.unwrap();
    }
    let mut stranger = Phone::stranger(&property);
    stranger.replaces = (0..16u8)
        .map(|n| latchkey_protocol::ids::AttemptId([n; 16]))
        .collect();
    assert_eq!(denied(&stranger.visit(&door).await), Some(Reason::Unknown));
    assert_eq!(door.running.status().await.unwrap().events, 100);
    let open = Phone::resident(&property, "{}").visit(&door).await;
    assert_eq!(denied(&open), None);
    assert_eq!(door.running.status().await.unwrap().events, 101);
    property.clock.advance(Duration::from_secs(10));
    door.running.scan("junk").await.unwrap();
    assert_eq!(door.running.status().await.unwrap().events, 102);
    let store = rusqlite::Connection::open(door.folder.path().join("controller.sqlite")).unwrap();
    let attempts: i64 = store
        .query_row("SELECT count(*) FROM attempts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(attempts, 1, "the resident's own");
}
