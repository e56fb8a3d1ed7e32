//! A grant as the portal makes one, shown and believed as phone and door do it: the key to one door, on
//! weekdays.

use aliro::crypto::PublicKey;
use aliro::document::{
    ACCESS, DeviceRequest, DeviceResponse, Iterations, Now, RawDocument, TrustedIssuers, Verifier,
    VerifyContext,
};
use latchkey_protocol::grant::{
    GrantRequest, KeyAt, Lifetime, Place, Rights, asked_elements, knows_reader_rule, prepare,
    understands, verify_grant,
};
use latchkey_protocol::ids::{DoorNumber, ElementId};

use crate::key::Key;
use crate::rules;

const DOOR: DoorNumber = DoorNumber(7);

pub(super) struct Grant {
    document: RawDocument,
    trusted: TrustedIssuers,
    iterations: Iterations,
    signed: usize,
}

impl Grant {
    pub(super) fn to(holder: &PublicKey) -> Self {
        let issuer = Key::new();
        let key = KeyAt {
            place: Place::Door(DOOR),
            id: ElementId([3; ElementId::LEN]),
            rules: rules::two_windows(),
            rights: Rights::NONE,
            budget: None,
        };
        let request = GrantRequest {
            issuer: &issuer.public(),
            holder,
            keys: &[key],
            offsets: &rules::offsets(),
            lifetime: Lifetime {
                signed: rules::now().timestamp(),
                seconds: 7 * 24 * 3600,
                iteration: 1,
            },
        };
        let grant = prepare(&request, || [4; _]).expect("a grant");
        let [document] = <[_; 1]>::try_from(grant.documents).expect("one document");
        let to_be_signed = document.unsigned.to_be_signed();
        let signature = issuer.sign(&to_be_signed);
        let mut trusted = TrustedIssuers::new();
        trusted.add_issuer(issuer.public());
        Self {
            document: document.unsigned.finish(signature).expect("a document"),
            trusted,
            iterations: Iterations::new(),
            signed: to_be_signed.len(),
        }
    }

    /// Bytes that the issuer's signature is over.
    pub(super) fn signed(&self) -> usize {
        self.signed
    }

    /// What the door asks for.
    pub(super) fn request(&self) -> Vec<u8> {
        DeviceRequest {
            access: asked_elements(DOOR),
            revocation: Vec::new(),
        }
        .encode()
    }

    /// What the phone answers.
    pub(super) fn answer(&self, request: &[u8]) -> Vec<u8> {
        let request = DeviceRequest::decode(request).expect("a request");
        let own = asked_elements(DOOR);
        let asked = request.access.iter().filter(|name| own.contains(name));
        let selected = self.document.select(&asked.collect::<Vec<_>>());
        DeviceResponse {
            documents: selected.into_iter().collect(),
            status: DeviceResponse::STATUS_OK,
        }
        .encode()
    }

    /// The door believes it.
    pub(super) fn verify(&self, response: &[u8], credential: &PublicKey) {
        let response = DeviceResponse::decode(response).expect("a response");
        let document = response.document(ACCESS).expect("a grant");
        let now = rules::now().timestamp();
        let context = VerifyContext {
            credential,
            asked: &asked_elements(DOOR),
            clock: Some(Now {
                utc: now,
                local: now,
            }),
            iterations: &self.iterations,
            known_reader_rules: &knows_reader_rule,
            understands: &understands,
        };
        let verified = verify_grant(&Verifier::new(&self.trusted), document, &context);
        assert_eq!(verified.expect("believed").elements.len(), 1, "one key");
    }
}
