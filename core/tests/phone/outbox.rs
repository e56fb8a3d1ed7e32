//! What staff do without a network waits, goes in order, once, and reports what became of it.

use latchkey_core::error::{Error, Invalid};
use latchkey_core::outbox::{Action, Outcome};
use latchkey_core::staff::Submitted;
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft, KeyKind, SharedLink};
use latchkey_protocol::api::people::{NewPerson, Person};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::{PersonId, PropertyId};
use latchkey_protocol::roles::{Action as Does, Role, Target};
use latchkey_protocol::rules::AccessRules;
use serde_json::json;

use crate::wire::Fault;
use crate::world::{KEY, PROPERTY, RITA, World, membership};

async fn staff() -> World {
    let world = World::hasty().await;
    let person = Person {
        id: PersonId([0x77; 16]),
        name: "Vic Vendor".to_owned(),
        role: Role::Vendor,
        email: None,
        has_phone: false,
    };
    let mut state = world.wire.state();
    state.memberships = vec![membership(Role::Staff)];
    let link = SharedLink {
        url: "https://portal.example/g/#secret".to_owned(),
    };
    state.answers.insert("people".to_owned(), json!(person));
    state.answers.insert("link".to_owned(), json!(link));
    drop(state);
    world
}

fn person(name: &str) -> NewPerson {
    NewPerson {
        name: name.to_owned(),
        role: Role::Vendor,
        email: None,
    }
}

#[tokio::test]
async fn what_is_done_online_is_answered_at_once_and_leaves_nothing_behind() {
    let world = staff().await;
    let phone = world.signed_in().await;
    let desk = phone.staff(PROPERTY).unwrap();
    let Submitted::Done(link) = desk.share_key(KEY).await.unwrap() else {
        panic!("it waits");
    };
    assert!(link.url.ends_with("#secret"));
    assert_eq!(phone.outbox().unwrap(), []);
    assert_eq!(world.wire.state().done.len(), 1);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_once() {
    let world = staff().await;
    let phone = world.signed_in().await;
    world.wire.state().fault("/people", Fault::AnswerLost);
    let desk = phone.staff(PROPERTY).unwrap();
    let done = desk.add_person(&person("Vic")).await.unwrap();
    assert!(matches!(done, Submitted::Done(person) if person.name == "Vic Vendor"));
    assert_eq!(world.wire.count("/people"), 2);
    assert_eq!(world.wire.state().done.len(), 1);
}

#[tokio::test]
async fn what_is_done_offline_goes_in_order_later_even_after_a_restart() {
    let world = staff().await;
    let phone = world.signed_in().await;
    for _ in 0..9 {
        world.wire.state().fault("/people", Fault::Down);
    }
    let desk = phone.staff(PROPERTY).unwrap();
    for name in ["Ann", "Ben", "Cem"] {
        let waits = desk.add_person(&person(name)).await.unwrap();
        assert!(matches!(waits, Submitted::Waiting(_)), "{waits:?}");
    }
    let waiting = phone.outbox().unwrap();
    assert_eq!(waiting.len(), 3);
    assert!(
        waiting
            .iter()
            .all(|entry| entry.outcome == Outcome::Waiting)
    );
    assert_eq!(waiting[1].action, Action::AddPerson("Ben".to_owned()));
    drop((desk, phone));

    let phone = world.phone();
    phone.sync().await.unwrap();
    let names: Vec<_> = {
        let state = world.wire.state();
        state
            .done
            .iter()
            .map(|(_, _, body)| body["name"].clone())
            .collect()
    };
    assert_eq!(names, ["Ann", "Ben", "Cem"]);
    let done = phone.outbox().unwrap();
    assert!(
        done.iter()
            .all(|entry| matches!(entry.outcome, Outcome::Done(_)))
    );
    for entry in &done {
        phone.forget(entry.id).unwrap();
    }
    assert_eq!(phone.outbox().unwrap(), []);
    let again = phone.forget(done[0].id);
    assert!(matches!(again, Err(Error::Invalid(Invalid::OutboxEntry))));
}

#[tokio::test]
async fn a_refusal_is_told_and_does_not_hold_up_what_comes_after() {
    let world = staff().await;
    let phone = world.signed_in().await;
    let desk = phone.staff(PROPERTY).unwrap();
    world
        .wire
        .state()
        .fault("/people", Fault::Refuse(ProblemType::NotAllowed));
    let refused = desk.add_person(&person("Olga Owner")).await;
    let Err(Error::Refused(problem)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.problem_type(), Some(ProblemType::NotAllowed));

    // Waiting when it is refused: the outbox reports it.
    for _ in 0..6 {
        world.wire.state().fault("/people", Fault::Down);
    }
    desk.add_person(&person("Olga Owner")).await.unwrap();
    desk.add_person(&person("Vic")).await.unwrap();
    world.wire.state().faults.clear();
    world
        .wire
        .state()
        .fault("/people", Fault::Refuse(ProblemType::NotAllowed));
    phone.sync().await.unwrap();
    let outcomes: Vec<_> = phone
        .outbox()
        .unwrap()
        .into_iter()
        .map(|e| e.outcome)
        .collect();
    assert!(
        matches!(&outcomes[..], [Outcome::Refused(_), Outcome::Done(_)]),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_draft_goes_out_as_it_was_made() {
    let world = staff().await;
    let phone = world.signed_in().await;
    let desk = phone.staff(PROPERTY).unwrap();
    let draft = KeyDraft {
        name: "Cleaning".to_owned(),
        kind: KeyKind::Mobile,
        persons: vec![RITA],
        doors: KeyDoors::All,
        rules: AccessRules::default(),
    };
    let key = json!(desk.keys().unwrap()[0]);
    world
        .wire
        .state()
        .answers
        .insert("keys".to_owned(), key.clone());
    world.wire.state().answers.insert(KEY.to_string(), key);
    desk.issue_key(&draft).await.unwrap();
    desk.edit_key(KEY, &draft).await.unwrap();
    desk.withdraw_key(KEY).await.unwrap();
    let state = world.wire.state();
    let methods: Vec<_> = state
        .done
        .iter()
        .map(|(method, ..)| method.as_str())
        .collect();
    assert_eq!(methods, ["POST", "PUT", "DELETE"]);
    assert_eq!(state.done[0].2, json!(draft));
    assert!(state.done[1].1.ends_with(&format!("/keys/{KEY}")));
}

#[tokio::test]
async fn a_desk_knows_its_role_and_its_property() {
    let world = staff().await;
    let phone = world.signed_in().await;
    let desk = phone.staff(PROPERTY).unwrap();
    assert_eq!(desk.role(), Role::Staff);
    assert!(desk.may(Does::IssueKey, Target::Person(Role::Resident)));
    assert!(!desk.may(Does::IssueKey, Target::Person(Role::Owner)));
    assert_eq!(desk.doors().unwrap().len(), 2);
    assert_eq!(desk.keys().unwrap().len(), 1);
    assert!(matches!(
        phone.staff(PropertyId([1; 16])),
        Err(Error::Invalid(Invalid::Property))
    ));
}
