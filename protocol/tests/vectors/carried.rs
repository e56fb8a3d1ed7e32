//! What travels between our own two sides.

use latchkey_protocol::doorstate::{ListNumber, StatementNumbers};
use latchkey_protocol::hello::{Answer, ClientHello, Parsed, ServerHello};
use latchkey_protocol::ids::*;
use latchkey_protocol::private::*;
use latchkey_protocol::rules::Reason;
use serde_json::{Value, json};

use super::signed::door_state;
use super::{DOOR, check, instant};

#[test]
fn private_messages() {
    let attempt = AttemptId(*b"attempt 16 bytes");
    let record = ResultRecord {
        attempt,
        outcome: Outcome::Opened {
            until: Some(instant("2027-01-22T10:00:00Z")),
        },
        event: EventId(*b"event of 16 byte"),
        state: Some(door_state().to_bytes()),
        wants: Wants {
            list_after: ListNumber {
                epoch: 2,
                version: 41,
            },
            statements_after: StatementNumbers {
                epoch: 2,
                all: 17,
                own: 3,
            },
        },
    };
    let denied = ResultRecord {
        outcome: Outcome::Denied {
            reason: Reason::OutsideHours,
            next: Some(instant("2027-01-18T06:00:00Z")),
        },
        state: None,
        ..record.clone()
    };
    let list = ListNumber {
        epoch: 2,
        version: 42,
    };
    let messages = [
        (
            "commit",
            PrivateMessage::Commit {
                attempt,
                replaces: vec![],
            },
        ),
        (
            "commit that replaces",
            PrivateMessage::Commit {
                attempt,
                replaces: vec![AttemptId(*b"earlier 16 bytes")],
            },
        ),
        ("opened", PrivateMessage::Result(record)),
        ("denied", PrivateMessage::Result(denied)),
        (
            "revocation page",
            PrivateMessage::RevocationPage(Page::cut(list, b"a short list").remove(0)),
        ),
        (
            "statements",
            PrivateMessage::Statements(vec![b"one".to_vec(), b"two".to_vec()]),
        ),
        ("state", PrivateMessage::State(door_state().to_bytes())),
        ("done", PrivateMessage::Done),
    ];
    let vectors: Vec<Value> = messages
        .into_iter()
        .map(|(name, message)| {
            let bytes = message.encode();
            assert_eq!(PrivateMessage::decode(&bytes), Ok(message));
            json!({ "message": name, "bytes": hex::encode(bytes) })
        })
        .collect();
    check("private", &json!(vectors));
}

#[test]
fn reasons() {
    let all: Vec<Value> = Reason::ALL
        .iter()
        .map(|reason| json!({ "code": reason.code(), "name": reason.name() }))
        .collect();
    check("reasons", &json!(all));
}

#[test]
fn hellos() {
    let client = ClientHello {
        versions: vec![0x0200, 0x0100],
        door: DOOR,
    };
    assert_eq!(
        ClientHello::parse(&client.to_bytes()),
        Ok(Parsed::Whole(client.clone(), client.to_bytes().len()))
    );
    let answers = [
        ("go", Answer::Go { version: 0x0100 }),
        ("phone too old", Answer::PhoneTooOld),
        ("door too old", Answer::DoorTooOld),
        ("no such door", Answer::NoSuchDoor),
    ];
    let servers: Vec<Value> = answers
        .into_iter()
        .map(|(name, answer)| {
            let server = ServerHello {
                answer,
                offered: vec![0x0100],
            };
            let bytes = server.to_bytes();
            assert_eq!(
                ServerHello::parse(&bytes),
                Ok(Parsed::Whole(server, bytes.len()))
            );
            json!({ "answer": name, "bytes": hex::encode(bytes) })
        })
        .collect();
    check(
        "hello",
        &json!({ "client": hex::encode(client.to_bytes()), "server": servers }),
    );
}
