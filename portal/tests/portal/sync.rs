//! The sync: what comes, what goes, the long poll.

use std::time::Duration;

use latchkey_protocol::api::keys::Key;
use latchkey_protocol::api::sync::{Change, Entity, EntityKind, SyncPage};
use reqwest::Method;
use serde_json::json;

use crate::door::find;
use crate::keys::{home, person};
use crate::world::{OWNER, RESIDENT, STAFF, World};

fn kinds(page: &SyncPage) -> Vec<EntityKind> {
    let mut kinds: Vec<_> = page.changes.iter().map(|change| change.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn of_kind(page: &SyncPage, kind: EntityKind) -> Vec<&Change> {
    page.changes
        .iter()
        .filter(|change| change.kind == kind)
        .collect()
}

#[tokio::test]
async fn the_first_sync_brings_what_a_person_sees_and_nothing_that_is_gone() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let key = home(&world, &stefan).await;
    let rita = world.device(RESIDENT).await;
    let page = rita.sync(&world, None).await;
    assert_eq!(
        kinds(&page),
        [
            EntityKind::Property,
            EntityKind::Door,
            EntityKind::Key,
            EntityKind::Revocation,
            EntityKind::Statement
        ]
    );
    assert_eq!(of_kind(&page, EntityKind::Door).len(), 2);
    assert!(page.changes.iter().all(|change| change.value.is_some()));
    let staff = stefan.sync(&world, None).await;
    assert_eq!(of_kind(&staff, EntityKind::Door).len(), 3);
    assert_eq!(of_kind(&staff, EntityKind::Person).len(), 6);
    let path = world.path(&format!("/keys/{}", key.id));
    stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    let fresh = rita.sync(&world, None).await;
    assert!(
        of_kind(&fresh, EntityKind::Key).is_empty(),
        "gone before it was ever seen"
    );
}

#[tokio::test]
async fn who_loses_sight_of_something_gets_a_tombstone() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let rita = world.device(RESIDENT).await;
    let before = rita.sync(&world, None).await;
    let key = home(&world, &stefan).await;
    let north = find(&world, &stefan, "North gate").await.id;
    let flat = find(&world, &stefan, "Flat 7").await.id;

    // A door less: the key changes, the door goes.
    let path = world.path(&format!("/keys/{}", key.id));
    let rita_id = person(&world, &stefan, "Rita Resident").await.id;
    let draft = json!({
        "name": "Home", "kind": "mobile", "persons": [rita_id], "doors": { "some": [north] },
    });
    stefan
        .call(Method::PUT, &path, Some(draft))
        .await
        .ok::<Key>();
    let page = rita.sync(&world, Some(&before.cursor)).await;
    let doors = of_kind(&page, EntityKind::Door);
    let gone: Vec<_> = doors
        .iter()
        .filter(|change| change.value.is_none())
        .collect();
    assert_eq!(
        gone.iter()
            .map(|change| change.id.clone())
            .collect::<Vec<_>>(),
        [flat.to_string()]
    );
    assert!(of_kind(&page, EntityKind::Key)[0].value.is_some());

    // Withdrawn: key and last door go.
    stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    let page = rita.sync(&world, Some(&page.cursor)).await;
    assert!(of_kind(&page, EntityKind::Key)[0].value.is_none());
    let doors = of_kind(&page, EntityKind::Door);
    assert!(
        doors
            .iter()
            .any(|change| change.id == north.to_string() && change.value.is_none())
    );
}

#[tokio::test]
async fn an_answer_says_only_what_changed_since_its_cursor() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let first = stefan.sync(&world, None).await;
    let nothing = stefan.sync(&world, Some(&first.cursor)).await;
    assert!(nothing.changes.is_empty());
    let olga = world.device(OWNER).await;
    let new = json!({ "name": "Vera Vendor", "role": "vendor" });
    assert!(
        olga.post(&world.path("/people"), new)
            .await
            .status
            .is_success()
    );
    let page = stefan.sync(&world, Some(&first.cursor)).await;
    let [
        Change {
            value: Some(Entity::Person(person)),
            ..
        },
    ] = &page.changes[..]
    else {
        panic!("{:?}", page.changes);
    };
    assert_eq!(person.name, "Vera Vendor");
}

#[tokio::test]
async fn a_long_poll_is_answered_by_a_change_at_once_and_by_nothing_in_the_end() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let olga = world.device(OWNER).await;
    let first = stefan.sync(&world, None).await;
    let path = world.path(&format!("/sync?cursor={}&wait=25", first.cursor));
    let polled = stefan.get(&path);
    let change = async {
        let new = json!({ "name": "Vera Vendor", "role": "vendor" });
        assert!(
            olga.post(&world.path("/people"), new)
                .await
                .status
                .is_success()
        );
    };
    let (answer, ()) = tokio::join!(polled, change);
    let page: SyncPage = answer.ok();
    assert_eq!(
        page.changes.len(),
        1,
        "no time has passed: the change woke it"
    );

    let path = world.path(&format!("/sync?cursor={}&wait=25", page.cursor));
    let poll = stefan.get(&path);
    let mut poll = std::pin::pin!(poll);
    let answer = loop {
        // Until the portal holds the answer back, moving its clock helps nothing: so it is moved until it helps.
        tokio::select! {
            answer = &mut poll => break answer,
            () = tokio::task::yield_now() => world.clock.advance(Duration::from_millis(20)),
        }
    };
    assert!(answer.ok::<SyncPage>().changes.is_empty());
}

#[tokio::test]
async fn a_cursor_of_somebody_else_or_made_up_is_stale() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let rita = world.device(RESIDENT).await;
    let theirs = stefan.sync(&world, None).await.cursor;
    let mut forged = theirs.clone().into_bytes();
    forged[8] = if forged[8] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for cursor in [&theirs, "AAAA", ""] {
        let path = world.path(&format!("/sync?cursor={cursor}"));
        assert_eq!(rita.get(&path).await.problem(), "cursor-stale");
    }
    let path = world.path(&format!("/sync?cursor={forged}"));
    assert_eq!(stefan.get(&path).await.problem(), "cursor-stale");
}

#[tokio::test]
async fn a_long_log_comes_in_pages_that_lose_nothing() {
    let world = World::start().await;
    let olga = world.device(OWNER).await;
    let first = olga.sync(&world, None).await;
    for n in 0..230 {
        let new = json!({ "name": format!("Person {n}"), "role": "resident" });
        assert!(
            olga.post(&world.path("/people"), new)
                .await
                .status
                .is_success()
        );
    }
    let path = world.path(&format!("/sync?cursor={}", first.cursor));
    let page: SyncPage = olga.get(&path).await.ok();
    assert!(
        page.more && page.changes.len() == 200,
        "{}",
        page.changes.len()
    );
    let all = olga.sync(&world, Some(&first.cursor)).await;
    assert_eq!(all.changes.len(), 230);
}

#[tokio::test]
async fn a_page_is_packed_for_who_reads_gzip_and_plain_for_others() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    home(&world, &stefan).await;
    let path = world.path("/sync");
    let asked = async |packing: Option<&str>| {
        let mut headers = stefan.proof_headers(&Method::GET, &path, Some(&stefan.access));
        if let Some(packing) = packing {
            headers.insert("accept-encoding", packing.parse().unwrap());
        }
        // One that leaves a body as it came, and asks for nothing by itself.
        let http = reqwest::Client::builder().no_proxy().no_gzip().build();
        let request = http.unwrap().get(format!("{}{path}", stefan.base()));
        let response = request.headers(headers).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["vary"], "accept-encoding");
        let length = response.content_length().unwrap();
        let encoding = response.headers().get("content-encoding").cloned();
        let body = response.bytes().await.unwrap();
        assert_eq!(length, body.len() as u64);
        (encoding, body)
    };
    let read = |body: &[u8]| serde_json::from_slice::<SyncPage>(body).unwrap().changes;
    let (encoding, plain) = asked(None).await;
    assert_eq!(encoding, None);
    let (encoding, refused) = asked(Some("gzip;q=0, identity")).await;
    assert_eq!(encoding, None);
    assert_eq!(read(&refused), read(&plain));

    let (encoding, packed) = asked(Some("br, gzip")).await;
    assert_eq!(encoding.unwrap(), "gzip");
    assert!(packed.len() * 2 < plain.len(), "{}", packed.len());
    let mut unpacked = Vec::new();
    let mut gzip = flate2::read::GzDecoder::new(&packed[..]);
    std::io::Read::read_to_end(&mut gzip, &mut unpacked).unwrap();
    assert_eq!(read(&unpacked), read(&plain));
}

#[tokio::test]
async fn nothing_with_a_token_is_packed_and_no_problem() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    home(&world, &stefan).await;
    let refresh = json!({ "refresh_token": stefan.refresh });
    for (path, body, status) in [
        ("/v1/me".to_owned(), None, 200),
        (world.path("/keys"), None, 200),
        (world.path("/sync?cursor=old"), None, 410),
        ("/v1/token".to_owned(), Some(refresh), 200),
    ] {
        let method = if body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let token = body.is_none().then_some(stefan.access.as_str());
        let headers = stefan.proof_headers(&method, &path, token);
        let http = reqwest::Client::builder().no_proxy().no_gzip().build();
        let url = format!("{}{path}", stefan.base());
        let mut request = http.unwrap().request(method, url).headers(headers);
        request = request.header("accept-encoding", "gzip");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert!(
            !response.headers().contains_key("content-encoding"),
            "{path}"
        );
        let body = response.bytes().await.unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }
}
