//! A reader's side of step-up without the transaction around it: what it asks,
//! verifies, decides and remembers.

use std::collections::BTreeMap;

use aliro::crypto::PublicKey;
use aliro::document::{
    ACCESS, Capabilities, DeviceRequest, DeviceResponse, Iterations, KeyId, Now, REVOCATION,
    Refusal, RevocationContext, RevocationList, TrustedIssuers, Verifier, VerifyContext,
};

use super::{ELEMENT, Key, NOW};

/// A reader whose intended action is *unsecure*.
pub struct Reader {
    pub trusted: TrustedIssuers,
    pub clock: Option<Now>,
    /// Without, rules with schedules are refused, clock or not.
    pub supports_schedules: bool,
    pub access_iterations: Iterations,
    pub revocation_iterations: Iterations,
    pub revoked: RevocationList,
    /// Credentials with a cached document, hence a persistent key.
    pub cached: BTreeMap<PublicKey, (KeyId, Option<u64>)>,
}

/// How a transaction went wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    Response,
    Missing,
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Reader {
    /// Trusts the key, by its key id.
    pub fn trusting(issuer: &Key) -> Self {
        let mut reader = Self::new();
        reader.trusted.add_issuer(issuer.public());
        reader
    }

    /// Trusts what the CA has certified.
    pub fn trusting_authority(authority: &Key) -> Self {
        let mut reader = Self::new();
        reader.trusted.add_authority(authority.public());
        reader
    }

    pub fn without_clock(mut self) -> Self {
        self.clock = None;
        self
    }

    fn new() -> Self {
        Self {
            trusted: TrustedIssuers::new(),
            clock: Some(Now {
                utc: NOW,
                local: NOW + 3600,
            }),
            supports_schedules: true,
            access_iterations: Iterations::new(),
            revocation_iterations: Iterations::new(),
            revoked: RevocationList::new(),
            cached: BTreeMap::new(),
        }
    }

    pub fn request() -> Vec<u8> {
        DeviceRequest {
            access: vec![ELEMENT.to_owned()],
            revocation: vec![ELEMENT.to_owned()],
        }
        .encode()
    }

    /// Standard phase done, credential proved: the step-up answer is here.
    pub fn step_up(&mut self, credential: &Key, response: &[u8]) -> Result<(), Failure> {
        let response = DeviceResponse::decode(response).map_err(|_| Failure::Response)?;
        if response.status != DeviceResponse::STATUS_OK {
            return Err(Failure::Response);
        }
        self.take_revocations(&response)?;
        self.decide(&credential.public(), &response)
    }

    /// Whether the next transaction may stay in the fast phase.
    pub fn knows_for_fast(&self, credential: &Key) -> bool {
        let credential = credential.public();
        self.cached.contains_key(&credential) && !self.revoked.revokes_key(&credential)
    }

    fn take_revocations(&mut self, response: &DeviceResponse) -> Result<(), Failure> {
        let Some(document) = response.document(REVOCATION) else {
            return Ok(());
        };
        let asked = [ELEMENT.to_owned()];
        let context = RevocationContext {
            asked: &asked,
            clock: self.clock,
            iterations: &self.revocation_iterations,
        };
        let verified = Verifier::new(&self.trusted).revocation(document, &context)?;
        self.revocation_iterations
            .raise(verified.issuer, verified.validity.iteration);
        self.revoked.take(&verified).expect("room in the list");
        Ok(())
    }

    fn decide(&mut self, credential: &PublicKey, response: &DeviceResponse) -> Result<(), Failure> {
        let document = response
            .document(ACCESS)
            .or(response.documents.first())
            .ok_or(Failure::Missing)?;
        let asked = [ELEMENT.to_owned()];
        let context = VerifyContext {
            credential,
            asked: &asked,
            clock: self.clock,
            iterations: &self.access_iterations,
            known_reader_rules: &|rule| rule == 1,
            understands: &|vendor, id, version| (vendor, id, version) == (0xFA_1466, 1, 1),
        };
        let verified = Verifier::new(&self.trusted).access(document, &context)?;
        let clock = self.clock.filter(|_| self.supports_schedules);
        verified.allows(Capabilities::UNSECURE, clock, credential, &self.revoked)?;
        if self
            .access_iterations
            .raise(verified.issuer, verified.validity.iteration)
        {
            let iterations = &self.access_iterations;
            self.cached
                .retain(|_, (issuer, iteration)| !iterations.is_too_old(*issuer, *iteration));
        }
        self.cached
            .insert(*credential, (verified.issuer, verified.validity.iteration));
        Ok(())
    }
}
