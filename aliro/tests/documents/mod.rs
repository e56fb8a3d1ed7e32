//! What the document tests share: an issuer that signs, certificates as broken
//! as one likes, and a reader with a memory.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file is a crate of its own and uses some of it"
)]

pub mod certificate;
pub mod forge;
pub mod reader;

use aliro::crypto::{PublicKey, Signature};
use aliro::document::issuer::{AccessDocument, Element, RevocationDocument, Unsigned};
use aliro::document::{
    AccessData, AccessExtension, AccessRule, Capabilities, DeviceResponse, IssuerName, Pattern,
    RawDocument, Recurrence, RevocationData, Schedule, Timestamp, Validity,
};
use p256::ecdsa::{SigningKey, signature::Signer};

/// What the certification tool's reader is configured to ask for.
pub const ELEMENT: &str = "floor1";

/// 2027-01-01T00:00:00Z, a Friday.
pub const NOW: i64 = 1_798_761_600;

/// A key pair of its own for each name.
#[derive(Clone)]
pub struct Key(SigningKey);

impl Key {
    pub fn of(name: &str) -> Self {
        Self::from_scalar(&sha256(name.as_bytes()))
    }

    pub fn from_scalar(bytes: &[u8]) -> Self {
        Self(SigningKey::from_slice(bytes).expect("a valid scalar"))
    }

    pub fn public(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(false);
        PublicKey::from_uncompressed(point.as_bytes()).expect("a point of the curve")
    }

    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        Signature::from_slice(&signature.to_bytes()).expect("64 bytes")
    }

    pub fn kid(&self) -> IssuerName {
        IssuerName::KeyId(self.public().key_identifier())
    }

    pub fn finish(&self, unsigned: Unsigned) -> RawDocument {
        let signature = self.sign(&unsigned.to_be_signed());
        unsigned.finish(signature).expect("a sound document")
    }
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_epoch(seconds).expect("a year of four digits")
}

/// Signed an hour ago, valid for a day around now.
pub fn validity() -> Validity {
    Validity {
        signed: at(NOW - 3600),
        valid_from: at(NOW - 3600),
        valid_until: at(NOW + 86_400),
        expected_update: None,
        iteration: None,
    }
}

pub fn element<D>(identifier: &str, data: D) -> Element<D> {
    Element {
        identifier: identifier.to_owned(),
        salt: [7; 16],
        data,
    }
}

/// The tool's plain grant for a credential; cases change a part of it.
pub fn access(issuer: &Key, credential: &Key) -> AccessDocument {
    AccessDocument {
        issuer: issuer.kid(),
        device_key: credential.public(),
        validity: validity(),
        time_required: false,
        elements: vec![element(ELEMENT, AccessData::default())],
    }
}

pub fn access_with(issuer: &Key, credential: &Key, data: AccessData) -> AccessDocument {
    AccessDocument {
        elements: vec![element(ELEMENT, data)],
        ..access(issuer, credential)
    }
}

pub fn revocation(issuer: &Key, data: RevocationData) -> RevocationDocument {
    RevocationDocument {
        issuer: issuer.kid(),
        validity: validity(),
        time_required: false,
        elements: vec![element(ELEMENT, data)],
    }
}

pub fn signed_access(document: &AccessDocument, issuer: &Key) -> RawDocument {
    issuer.finish(document.prepare().expect("an issuable document"))
}

pub fn signed_revocation(document: &RevocationDocument, issuer: &Key) -> RawDocument {
    issuer.finish(document.prepare().expect("an issuable document"))
}

pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes)
        .as_ref()
        .to_vec()
}

/// The response bytes that a device sends.
pub fn response(documents: Vec<RawDocument>) -> Vec<u8> {
    DeviceResponse {
        documents,
        status: DeviceResponse::STATUS_OK,
    }
    .encode()
}

/// All capabilities.
pub fn rule(allow: u8, deny: u8) -> AccessRule {
    AccessRule {
        capabilities: Capabilities::ALL,
        allow,
        deny,
    }
}

/// Daily, for half an hour, in UTC, first begun so many seconds ago.
pub fn daily(begun_ago: i64) -> Schedule {
    Schedule {
        start: u32::try_from(NOW - begun_ago).expect("after 1970"),
        end: None,
        recurrence: Some(Recurrence::new(1800, 0, Pattern::Daily, 1, 0).expect("a rule")),
        utc: true,
    }
}

pub fn with_rule(rule: AccessRule, schedule: Schedule) -> AccessData {
    AccessData {
        rules: vec![rule],
        schedules: vec![schedule],
        ..AccessData::default()
    }
}

pub fn with_extension(critical: bool) -> AccessData {
    let extension = AccessExtension {
        critical,
        id: 1,
        version: 1,
        data: vec![0xa0],
    };
    AccessData {
        access_extensions: [(1, vec![extension])].into(),
        ..AccessData::default()
    }
}
