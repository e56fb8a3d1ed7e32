//! One line through every part: a portal over HTTP with its SQLite file, controllers with stores of
//! their own, phones with wallets on disk, real sockets between them.

use latchkey_core::error::Error;
use latchkey_core::follow::PhoneChange;
use latchkey_core::phone::Phone;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_protocol::rules::Reason;
use latchkey_tests::house::{House, done, mobile_key, person, unlock, until};

const FILE: &str = r#"
[property]
name = "Harbour View"
zone = "Europe/Lisbon"

[owner]
name = "Olga Owner"
email = "olga@example.com"

[[doors]]
name = "Gate"
kind = "gate"
reach = "online"

[[doors]]
name = "Cellar"
kind = "common_area"
reach = "offline"

[[people]]
name = "Rita Resident"
role = "resident"
email = "rita@example.com"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn staff_issue_a_key_and_a_resident_opens_both_kinds_of_door() {
    let house = House::build(FILE).await.unwrap();
    let portal = house.portal().await.unwrap();
    let olga = house
        .phone(portal.url(), "olga@example.com", TimeDelta::zero())
        .await
        .unwrap();
    let property = olga.properties().unwrap()[0].id;
    let desk = olga.staff(property).unwrap();
    let gate = house.online(portal.addr(), &desk, "Gate").await.unwrap();
    let _cellar = house.offline(&desk, "Cellar").await.unwrap();

    let rita = house
        .phone(portal.url(), "rita@example.com", TimeDelta::minutes(-4))
        .await
        .unwrap();
    olga.sync().await.unwrap();
    let person = person(&desk, "Rita Resident").unwrap();
    let herself = olga.properties().unwrap()[0].person;
    let master = mobile_key("Master", vec![herself]);
    done(desk.issue_key(&master).await.unwrap()).unwrap();
    let key = mobile_key("Apartment 12", vec![person]);
    let key = done(desk.issue_key(&key).await.unwrap()).unwrap();
    let ready = |phone: &Phone| {
        let keys = phone.keys().unwrap();
        keys.first().is_some_and(|key| {
            key.shows_codes && key.doors.iter().all(|door| door.usable.is_allowed())
        })
    };
    until(&rita, ready).await.unwrap();
    until(&olga, ready).await.unwrap();

    let mut news = olga.follow().unwrap();
    unlock(&rita, "Gate", CarrierKind::Stream).await.unwrap();
    unlock(&rita, "Gate", CarrierKind::Relay).await.unwrap();
    unlock(&rita, "Cellar", CarrierKind::Stream).await.unwrap();

    let at = rita.keys().unwrap()[0].at;
    let code = rita.current_code(at, None).await.unwrap();
    let answer = gate.scan(&code.text).await.unwrap();
    assert!(answer.opened, "{answer:?}");
    let again = gate.scan(&code.text).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore), "{again:?}");

    // What happened at the gate comes to the desk by itself.
    let opened = || {
        let events = desk.events().unwrap();
        events.iter().filter(|event| event.denied.is_none()).count()
    };
    while opened() < 3 {
        let change = news.next().await.unwrap();
        assert!(!matches!(change, PhoneChange::Offline { .. }), "{change:?}");
    }
    drop(news);

    // A phone that has not heard of it is refused at the online door, as soon as the list is there.
    done(desk.withdraw_key(key.id).await.unwrap()).unwrap();
    let refused = loop {
        if let Err(refused) = unlock(&rita, "Gate", CarrierKind::Stream).await {
            break refused;
        }
    };
    let reason = Reason::Revoked;
    assert!(
        matches!(refused, Error::Denied { reason: r, .. } if r == reason),
        "{refused:?}"
    );

    // A door without a network still opens for it, until somebody else brings the list; and that
    // phone takes the proof along.
    unlock(&rita, "Cellar", CarrierKind::Stream).await.unwrap();
    olga.sync().await.unwrap();
    unlock(&olga, "Cellar", CarrierKind::Stream).await.unwrap();
    let refused = unlock(&rita, "Cellar", CarrierKind::Stream).await;
    assert!(
        matches!(refused, Err(Error::Denied { reason: r, .. }) if r == reason),
        "{refused:?}"
    );
    until(&olga, |_| {
        let keys = desk.keys().unwrap();
        let withdrawn = keys.into_iter().find(|k| k.id == key.id);
        let doors = withdrawn.and_then(|key| key.withdrawal).unwrap().doors;
        doors.len() == 2 && doors.iter().all(|door| door.dead_at.is_some())
    })
    .await
    .unwrap();
    until(&rita, |rita| rita.keys().unwrap().is_empty())
        .await
        .unwrap();

    // Without the portal, both kinds of door open: they decide by themselves.
    portal.shutdown().await;
    let offline = olga.sync().await;
    assert!(matches!(offline, Err(Error::Offline(_))), "{offline:?}");
    unlock(&olga, "Gate", CarrierKind::Stream).await.unwrap();
    unlock(&olga, "Cellar", CarrierKind::Stream).await.unwrap();
}
