//! A guest's link: seen, bound on a tap, renewed, ended.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_protocol::api::keys::{Key, SharedLink};
use latchkey_protocol::api::links::{GuestPass, LinkPreview};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::pass::SignedPass;
use latchkey_protocol::proof::{CredentialProof, KeyKind, Registrant};
use latchkey_protocol::rules::Reason;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::client::{Answer, Device, Key as Software, http};
use crate::door::find;
use crate::world::{STAFF, World};

/// A browser with a link.
pub(crate) struct Browser {
    device: Device,
    pub(crate) code_key: Software,
    token: String,
    cookie: Option<String>,
}

impl Browser {
    pub(crate) fn open(world: &World, link: &SharedLink) -> Self {
        let (page, token) = link.url.split_once('#').unwrap();
        assert_eq!(page, format!("{}/g/", world.portal.url()));
        Self {
            device: Device::new(world.portal.url()),
            code_key: Software::new(),
            token: token.to_owned(),
            cookie: None,
        }
    }

    pub(crate) async fn preview(&self) -> Answer {
        let body = Some(json!({ "token": self.token }));
        self.device
            .bare(Method::POST, "/v1/links/preview", body)
            .await
    }

    pub(crate) async fn bind(&mut self) -> Answer {
        let preview = self.preview().await;
        if !preview.status.is_success() {
            return preview;
        }
        let preview: LinkPreview = preview.ok();
        let body = Some(self.binding(&preview, preview.property));
        let answer = self.device.bare(Method::POST, "/v1/links/bind", body).await;
        if let Some(cookie) = answer.headers.get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(
                cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
                "{cookie}"
            );
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        answer
    }

    fn binding(&self, preview: &LinkPreview, property: PropertyId) -> Value {
        let proof = CredentialProof {
            property,
            kind: KeyKind::CodeKey,
            registrant: Registrant::Link(preview.link),
            nonce: preview.nonce.to_array().unwrap(),
            key: self.code_key.point(),
        };
        let signature = self.code_key.sign(&proof.to_be_signed());
        json!({
            "token": self.token,
            "public_key": URL_SAFE_NO_PAD.encode(self.code_key.public()),
            "nonce": preview.nonce,
            "signature": URL_SAFE_NO_PAD.encode(signature),
        })
    }

    pub(crate) async fn pass(&self) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = &self.cookie {
            headers.insert("cookie", cookie.parse().unwrap());
        }
        self.device
            .send(Method::GET, "/v1/guest/pass", None, headers)
            .await
    }
}

/// A QR key for these doors with these rules, and its link.
pub(crate) async fn share(
    world: &World,
    staff: &Device,
    doors: &[DoorId],
    rules: Value,
) -> (Key, SharedLink) {
    let draft = json!({
        "name": "Gustav Guest", "kind": "qr", "doors": { "some": doors }, "rules": rules,
    });
    let key: Key = staff.post(&world.path("/keys"), draft).await.ok();
    let path = world.path(&format!("/keys/{}/link", key.id));
    let link = staff.call(Method::POST, &path, None).await.ok();
    (key, link)
}

/// One for the north gate.
async fn share_north(world: &World, staff: &Device, rules: Value) -> (Key, SharedLink) {
    let north = find(world, staff, "North gate").await.id;
    share(world, staff, &[north], rules).await
}

#[tokio::test]
async fn a_preview_binds_nothing_and_a_tap_makes_a_pass() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (key, link) = share_north(&world, &stefan, json!({})).await;
    let mut browser = Browser::open(&world, &link);
    for _ in 0..3 {
        let preview: LinkPreview = browser.preview().await.ok();
        assert_eq!(
            (preview.key_name.as_str(), preview.bound),
            ("Gustav Guest", false)
        );
        assert_eq!(preview.doors, ["North gate"]);
    }
    assert_eq!(browser.pass().await.problem(), "not-signed-in");
    let bound: GuestPass = browser.bind().await.ok();
    let fetched: GuestPass = browser.pass().await.ok();
    assert_eq!(bound, fetched);
    assert_eq!(fetched.doors.len(), 1);
    assert_eq!(fetched.timeline[0].denied, None);
    let property: latchkey_protocol::api::property::Property =
        stefan.get(&world.path("")).await.ok();
    let issuer = aliro::crypto::PublicKey::from_uncompressed(&property.issuer_key.0).unwrap();
    let signed = SignedPass::from_bytes(&fetched.statement.0).unwrap();
    assert!(signed.fits_in_code());
    let stated = signed.verify(&issuer, world.property).unwrap();
    assert_eq!(
        (stated.id, stated.code_key),
        (fetched.pass, browser.code_key.point())
    );
    let path = world.path(&format!("/keys/{}", key.id));
    assert!(
        stefan
            .get(&path)
            .await
            .ok::<Key>()
            .link
            .unwrap()
            .bound_at
            .is_some()
    );
}

#[tokio::test]
async fn a_bound_link_is_one_browsers_alone_and_a_lost_answer_comes_again() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (_, link) = share_north(&world, &stefan, json!({})).await;
    let mut first = Browser::open(&world, &link);
    let mut second = Browser::open(&world, &link);
    let bound: GuestPass = first.bind().await.ok();
    assert_eq!(second.bind().await.problem(), "link-ended");
    let again: GuestPass = first.bind().await.ok();
    assert_eq!(bound.pass, again.pass);
}

#[tokio::test]
async fn a_resent_link_ends_the_one_before_with_its_pass() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (key, link) = share_north(&world, &stefan, json!({})).await;
    let mut browser = Browser::open(&world, &link);
    let old: GuestPass = browser.bind().await.ok();
    let path = world.path(&format!("/keys/{}/link", key.id));
    let resent: SharedLink = stefan.call(Method::POST, &path, None).await.ok();
    assert_eq!(browser.preview().await.problem(), "link-ended");
    assert_eq!(browser.pass().await.problem(), "link-ended");
    let mut other = Browser::open(&world, &resent);
    let new: GuestPass = other.bind().await.ok();
    assert_ne!(old.pass, new.pass);
}

#[tokio::test]
async fn a_withdrawn_key_ends_its_link_and_a_made_up_one_never_was() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (key, link) = share_north(&world, &stefan, json!({})).await;
    let mut browser = Browser::open(&world, &link);
    browser.bind().await.ok::<GuestPass>();
    let path = world.path(&format!("/keys/{}", key.id));
    stefan.call(Method::DELETE, &path, None).await.ok::<Key>();
    assert_eq!(browser.pass().await.problem(), "link-ended");
    assert_eq!(browser.preview().await.problem(), "link-ended");
    browser.token = "A".repeat(43);
    assert_eq!(browser.preview().await.problem(), "not-found");
}

#[tokio::test]
async fn a_binding_that_the_key_did_not_sign_binds_nothing() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (_, link) = share_north(&world, &stefan, json!({})).await;
    let mut browser = Browser::open(&world, &link);
    let preview: LinkPreview = browser.preview().await.ok();
    let other = browser.binding(&preview, PropertyId([1; 16]));
    let answer = browser
        .device
        .bare(Method::POST, "/v1/links/bind", Some(other))
        .await;
    assert_eq!(answer.problem(), "bad-proof");
    let preview: LinkPreview = browser.preview().await.ok();
    assert!(!preview.bound);
    browser.bind().await.ok::<GuestPass>();
}

#[tokio::test]
async fn the_page_is_told_what_comes_next_and_holds_no_rules() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    // 2026-11-24 is a Tuesday, 10:00 in Berlin.
    let rules = json!({
        "range": { "until": "2026-11-30" },
        "windows": [{ "days": ["tue"], "from": "11:00", "to": "12:00" }],
    });
    let (_, link) = share_north(&world, &stefan, rules).await;
    let pass: GuestPass = Browser::open(&world, &link).bind().await.ok();
    let said: Vec<_> = pass
        .timeline
        .iter()
        .map(|moment| (moment.from.to_rfc3339(), moment.denied))
        .collect();
    assert_eq!(
        said[..3],
        [
            (
                "2026-11-24T09:00:00+00:00".to_owned(),
                Some(Reason::OutsideHours)
            ),
            ("2026-11-24T10:00:00+00:00".to_owned(), None),
            (
                "2026-11-24T11:00:00+00:00".to_owned(),
                Some(Reason::OutsideHours)
            ),
        ]
    );
}

#[tokio::test]
async fn an_edit_that_takes_away_gives_the_page_a_new_pass_by_its_cookie() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (key, link) = share_north(&world, &stefan, json!({})).await;
    let mut browser = Browser::open(&world, &link);
    let before: GuestPass = browser.bind().await.ok();
    let stream = http()
        .get(format!("{}/v1/guest/stream", world.portal.url()))
        .header("cookie", browser.cookie.clone().unwrap())
        .send();
    let mut stream = stream.await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let path = world.path(&format!("/keys/{}", key.id));
    let north = find(&world, &stefan, "North gate").await.id;
    let draft = json!({
        "name": "Gustav Guest", "kind": "qr", "doors": { "some": [north] },
        "rules": { "range": { "until": "2026-11-30" } },
    });
    stefan
        .call(Method::PUT, &path, Some(draft))
        .await
        .ok::<Key>();
    let told = stream.chunk().await.unwrap().unwrap();
    assert!(told.starts_with(b"data: changed"), "{told:?}");
    let after: GuestPass = browser.pass().await.ok();
    assert_ne!(before.pass, after.pass);
    assert!(after.rules.range().until().is_some());
}

#[tokio::test]
async fn a_statement_is_renewed_from_half_of_its_life_on() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let (_, link) = share_north(&world, &stefan, json!({})).await;
    let mut browser = Browser::open(&world, &link);
    let first: GuestPass = browser.bind().await.ok();
    world.clock.advance(Duration::from_secs(14 * 86_400));
    let same: GuestPass = browser.pass().await.ok();
    assert_eq!(first.statement_until, same.statement_until);
    world.clock.advance(Duration::from_secs(2 * 86_400));
    let renewed: GuestPass = browser.pass().await.ok();
    assert_eq!(first.pass, renewed.pass);
    assert!(renewed.statement_until > first.statement_until);
}

#[tokio::test]
async fn a_key_that_is_over_has_no_link_to_share() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let rules = json!({ "range": { "until": "2026-11-24T10:05" } });
    let (key, link) = share_north(&world, &stefan, rules).await;
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(
        Browser::open(&world, &link).preview().await.problem(),
        "link-ended"
    );
    let path = world.path(&format!("/keys/{}/link", key.id));
    assert_eq!(
        stefan.call(Method::POST, &path, None).await.problem(),
        "conflict"
    );
}

#[tokio::test]
async fn guests_behind_one_address_do_not_use_up_each_others_patience() {
    let world = World::start().await;
    let stefan = world.device(STAFF).await;
    let north = find(&world, &stefan, "North gate").await.id;
    let (_, one) = share(&world, &stefan, &[north], json!({})).await;
    let (_, other) = share(&world, &stefan, &[north], json!({})).await;
    let (one, other) = (Browser::open(&world, &one), Browser::open(&world, &other));
    for _ in 0..120 {
        one.preview().await.ok::<LinkPreview>();
    }
    assert_eq!(one.preview().await.problem(), "too-many-requests");
    other.preview().await.ok::<LinkPreview>();
}

#[tokio::test]
async fn a_guest_whose_stay_is_prolonged_after_its_end_gets_in_with_the_page_that_is_open() {
    let world = World::start().await;
    let mut stefan = world.device(STAFF).await;
    let rules = |until: &str| json!({ "range": { "until": until } });
    let (key, link) = share_north(&world, &stefan, rules("2026-11-24T11:00")).await;
    let mut browser = Browser::open(&world, &link);
    let first: GuestPass = browser.bind().await.ok();
    // An hour after its end its statement is over, too, and what is due comes by.
    world.clock.advance(Duration::from_secs(4 * 3600));
    let over: GuestPass = browser.pass().await.ok();
    assert_eq!(over.timeline[0].denied, Some(Reason::Expired));
    let answer = stefan.refresh_with(&stefan.refresh).await;
    stefan.take(&answer);
    let path = world.path(&format!("/keys/{}", key.id));
    let draft = json!({
        "name": key.name, "kind": "qr", "doors": key.doors, "rules": rules("2026-11-25T11:00"),
    });
    stefan
        .call(Method::PUT, &path, Some(draft))
        .await
        .ok::<Key>();
    let prolonged: GuestPass = browser.pass().await.ok();
    assert_eq!(prolonged.pass, first.pass);
    assert_eq!(prolonged.timeline[0].denied, None);
    assert!(prolonged.statement_until > prolonged.server_time);
    // One that is cut short is cut off.
    let draft = json!({
        "name": key.name, "kind": "qr", "doors": key.doors, "rules": rules("2026-11-24T12:00"),
    });
    stefan
        .call(Method::PUT, &path, Some(draft))
        .await
        .ok::<Key>();
    assert_eq!(browser.pass().await.problem(), "link-ended");
}
