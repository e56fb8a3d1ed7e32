//! Known answers, made by an implementation independent of this one.

mod documents;

use aliro::crypto::PublicKey;
use aliro::document::issuer::{self, AccessDocument};
use aliro::document::{
    AccessData, ChangeMode, DeviceRequest, DeviceResponse, Iterations, Now, RawDocument,
    RevocationContext, Timestamp, TrustedIssuers, Verdict, Verifier, VerifyContext, evaluate,
};
use aliro::document::{AccessRule, Capabilities, Recurrence, Schedule};
use documents::{ELEMENT, Key};
use serde_json::Value;

/// `outputs` and `inputs` of a vector in one lookup.
struct Vector(Value);

impl Vector {
    fn of(id: &str) -> Self {
        let all: Value =
            serde_json::from_str(include_str!("vectors.json")).expect("vectors are JSON");
        let vectors = all["vectors"].as_array().expect("a list");
        let found = vectors.iter().find(|vector| vector["id"] == id);
        Self(found.expect("the vector").clone())
    }

    fn text(&self, name: &str) -> &str {
        [&self.0["inputs"][name], &self.0["outputs"][name]]
            .into_iter()
            .find_map(Value::as_str)
            .expect("the value")
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name)).expect("hex")
    }

    fn key(&self, name: &str) -> PublicKey {
        PublicKey::from_uncompressed(&self.bytes(name)).expect("a point")
    }

    fn now(&self) -> Option<Now> {
        let utc = Timestamp::parse(self.text("now")).expect("a time").epoch();
        Some(Now { utc, local: utc })
    }
}

fn trusting(issuer: PublicKey) -> TrustedIssuers {
    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(issuer);
    trusted
}

fn verified(vector: &Vector, document: &RawDocument) -> AccessData {
    let trusted = trusting(vector.key("issuer_pub"));
    let context = VerifyContext {
        credential: &vector.key("credential_pub"),
        asked: &[ELEMENT.to_owned()],
        clock: vector.now(),
        iterations: &Iterations::new(),
        known_reader_rules: &|_| false,
        understands: &|_, _, _| false,
    };
    let mut verified = Verifier::new(&trusted)
        .access(document, &context)
        .expect("the vector verifies");
    assert_eq!(verified.validity.iteration, Some(4));
    assert!(!verified.time_required);
    let (identifier, data) = verified.elements.remove(0);
    assert_eq!(identifier, ELEMENT);
    data
}

#[test]
fn the_access_document_verifies_and_says_what_it_was_made_of() {
    let vector = Vector::of("access-document");
    let document = RawDocument::decode(&vector.bytes("document")).expect("a document");
    let data = verified(&vector, &document);
    assert_eq!(
        data,
        AccessData {
            id: hex::decode("45db15b15da97d8b").expect("hex"),
            rules: vec![AccessRule {
                capabilities: Capabilities::SECURE.and(Capabilities::UNSECURE),
                allow: 1,
                deny: 0,
            }],
            schedules: vec![Schedule {
                start: 1_769_932_800,
                end: None,
                // Monday to Friday, ten hours.
                recurrence: Some(Recurrence::weekly(0x1f, 36_000).expect("a rule")),
                utc: false,
            }],
            ..AccessData::default()
        }
    );
    // 2027-01-01 is a Friday; the window begins at 8.
    assert_eq!(
        evaluate(&data, Capabilities::UNSECURE, vector.now()),
        Verdict::OutsideSchedules
    );
}

#[test]
fn issuing_the_same_document_gives_the_same_bytes() {
    let vector = Vector::of("access-document");
    let bytes = vector.bytes("document");
    let document = RawDocument::decode(&bytes).expect("a document");
    let data = verified(&vector, &document);
    let issuer = Key::from_scalar(&vector.bytes("issuer_priv"));
    let again = AccessDocument {
        issuer: issuer.kid(),
        device_key: vector.key("credential_pub"),
        validity: aliro::document::Validity {
            signed: Timestamp::parse("2026-02-01T08:00:00Z").expect("a time"),
            valid_from: Timestamp::parse("2026-02-01T08:00:00Z").expect("a time"),
            valid_until: Timestamp::parse("2031-01-31T23:59:59Z").expect("a time"),
            expected_update: None,
            iteration: Some(4),
        },
        time_required: false,
        elements: vec![issuer::Element {
            identifier: ELEMENT.to_owned(),
            salt: hex::decode("9cb2366f82d3392fd79d372c3087b148")
                .expect("hex")
                .try_into()
                .expect("16 bytes"),
            data,
        }],
    };
    // RFC 6979 on both sides: even the signature is the same.
    let reissued = issuer.finish(again.prepare().expect("an issuable document"));
    assert_eq!(hex::encode(reissued.as_bytes()), hex::encode(bytes));
}

#[test]
fn the_revocation_document_verifies_without_a_device() {
    let vector = Vector::of("revocation-document");
    let document = RawDocument::decode(&vector.bytes("document")).expect("a document");
    let trusted = trusting(vector.key("issuer_pub"));
    let context = RevocationContext {
        asked: &[ELEMENT.to_owned()],
        clock: vector.now(),
        iterations: &Iterations::new(),
    };
    let verified = Verifier::new(&trusted)
        .revocation(&document, &context)
        .expect("the vector verifies");
    let (_, data) = &verified.elements[0];
    assert_eq!(data.change, ChangeMode::Overwrite);
    let revoked = vector.bytes("document");
    let [entry] = &data.entries[..] else {
        panic!("one entry");
    };
    let hash = entry.key_hash.expect("a key");
    assert!(revoked.windows(32).any(|window| window == hash));
    assert_eq!(entry.expiry, Some(0x713f_b300));
    assert_eq!(verified.validity.iteration, None);
}

#[test]
fn the_response_holds_what_was_sent() {
    let vector = Vector::of("device-response");
    let bytes = vector.bytes("device_response");
    let response = DeviceResponse::decode(&bytes).expect("a response");
    assert_eq!(response.status, DeviceResponse::STATUS_OK);
    assert_eq!(response.encode(), bytes);
}

#[test]
fn issuers_are_named_by_the_key_id() {
    let vector = Vector::of("issuer-key-id");
    assert_eq!(
        issuer::key_id(&vector.key("issuer_pub")).to_vec(),
        vector.bytes("key_id")
    );
}

#[test]
fn the_smallest_request_is_the_known_48_bytes() {
    let request = DeviceRequest {
        access: vec![ELEMENT.to_owned()],
        revocation: Vec::new(),
    };
    let expected = "a2613163312e30613281a16131d818581fa26131a167616c69726f2d61a166666c6f6f7231f4\
                    613567616c69726f2d61";
    assert_eq!(hex::encode(request.encode()), expected);
    assert_eq!(DeviceRequest::decode(&request.encode()), Ok(request));
}

#[test]
fn sizes_are_the_computed_ones() {
    let (issuer, credential) = (Key::of("issuer"), Key::of("credential"));
    let smallest = documents::access(&issuer, &credential);
    let document = documents::signed_access(&smallest, &issuer);
    assert_eq!(document.as_bytes().len(), 389);
    assert_eq!(documents::response(vec![document]).len(), 402);
}
