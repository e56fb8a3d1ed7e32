//! What a controller gets in order to work.

use aliro::certificate::CompressedCertificate;
use aliro::crypto::PublicKey;
use serde::{Deserialize, Serialize};

use super::Offer;
use crate::bytes::Base64;
use crate::clock::{SignedTimeAnswer, TimeAnswer};
use crate::doorstate::StatementNumbers;
use crate::ids::{DoorId, DoorNumber, Generation, PropertyId, sub_identifier};
use crate::revocation::{RevocationError, RevocationList};
use crate::signing::SignedError;
use crate::statement::{SignedStatement, Statement, Step};

/// The subject of a door's certificate: its sub-identifier in lowercase hex. Aliro's certificates name no
/// door by themselves; our phones check this against the door that was chosen, so that a stolen lock cannot
/// pose as another.
#[must_use]
pub fn certificate_subject(door: DoorId, generation: Generation) -> String {
    hex::encode(sub_identifier(door, generation))
}

/// What the portal hands to a controller, through its own connection or through the installer's app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The property; Aliro's reader group.
    pub property: PropertyId,
    /// The door at which the controller now stands.
    pub door: DoorId,
    /// Its number, by which grants and passes name it.
    pub door_number: DoorNumber,
    /// Which controller of that door this is.
    pub generation: Generation,
    /// The reader certificate, in Aliro's compressed form.
    pub certificate: Base64,
    /// The key of the property's reader CA: 65 bytes.
    pub reader_ca_key: Base64,
    /// The property's issuer key: 65 bytes. The controller pins it.
    pub issuer_key: Base64,
    /// Both series of statements from their beginning, in the order in which they apply.
    pub statements: Vec<Base64>,
    /// The newest revocation list, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Base64>,
    /// The signed answer to the offer's challenge, where it was made in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Base64>,
    /// The signer's present `validityIteration`: older grants than this allows are refused from the first.
    pub iteration: u64,
    /// Where the portal is, for a controller with a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_url: Option<String>,
}

/// A package that holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commissioned {
    /// The property.
    pub property: PropertyId,
    /// The door.
    pub door: DoorId,
    /// The door's number.
    pub door_number: DoorNumber,
    /// The controller's generation.
    pub generation: Generation,
    /// The reader certificate, compressed, for LOAD CERT.
    pub certificate: CompressedCertificate,
    /// The property's reader CA.
    pub reader_ca: PublicKey,
    /// The property's issuer.
    pub issuer: PublicKey,
    /// The statements, in the order in which they apply.
    pub statements: Vec<Statement>,
    /// How far they reach.
    pub numbers: StatementNumbers,
    /// The revocation list.
    pub revocation: Option<RevocationList>,
    /// The answer to the offer's challenge, for [`crate::clock::DoorClock::answer`].
    pub time: Option<TimeAnswer>,
    /// The signer's `validityIteration`.
    pub iteration: u64,
    /// Where the portal is.
    pub portal_url: Option<String>,
}

/// Why a controller refuses a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// A key is no point of P-256.
    #[error("a key in the package is malformed")]
    BadKey,
    /// The certificate does not parse, or the CA beside it did not sign it.
    #[error("the certificate was not signed by the reader CA of the package")]
    BadCertificate,
    /// The certificate is for another controller's key.
    #[error("the certificate is for another key")]
    NotOurKey,
    /// The certificate names another door or generation than the package.
    #[error("the certificate names another door")]
    NotOurDoor,
    /// A statement is not by the issuer, or of a kind that this controller has to be updated for.
    #[error("a statement of the package: {0}")]
    BadStatement(SignedError),
    /// The statements leave something out.
    #[error("the statements of the package do not follow each other")]
    Gap,
    /// The list is not by the issuer.
    #[error("the revocation list of the package: {0}")]
    BadRevocation(RevocationError),
    /// The time is not by the issuer, or answers another question.
    #[error("the time in the package: {0}")]
    BadTime(SignedError),
}

impl Package {
    /// Checks all that a controller that made this offer can check.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn verify(&self, offer: &Offer) -> Result<Commissioned, PackageError> {
        let key = |bytes: &Base64| {
            PublicKey::from_uncompressed(&bytes.0).map_err(|_| PackageError::BadKey)
        };
        let reader_ca = key(&self.reader_ca_key)?;
        let issuer = key(&self.issuer_key)?;
        let (statements, numbers) = self.statements(&issuer)?;
        Ok(Commissioned {
            property: self.property,
            door: self.door,
            door_number: self.door_number,
            generation: self.generation,
            certificate: self.certificate(offer, &reader_ca)?,
            reader_ca,
            issuer,
            statements,
            numbers,
            revocation: self
                .revocation
                .as_ref()
                .map(|list| RevocationList::verify(&list.0, &issuer))
                .transpose()
                .map_err(PackageError::BadRevocation)?,
            time: self
                .time
                .as_ref()
                .map(|time| self.time(offer, time, &issuer))
                .transpose()?,
            iteration: self.iteration,
            portal_url: self.portal_url.clone(),
        })
    }

    fn certificate(
        &self,
        offer: &Offer,
        reader_ca: &PublicKey,
    ) -> Result<CompressedCertificate, PackageError> {
        let certificate = CompressedCertificate::parse(&self.certificate.0)
            .map_err(|_| PackageError::BadCertificate)?;
        certificate
            .verify(reader_ca)
            .map_err(|_| PackageError::BadCertificate)?;
        if *certificate.subject_key() != offer.reader_key {
            return Err(PackageError::NotOurKey);
        }
        if certificate.subject() != certificate_subject(self.door, self.generation) {
            return Err(PackageError::NotOurDoor);
        }
        CompressedCertificate::from_bytes(&self.certificate.0)
            .map_err(|_| PackageError::BadCertificate)
    }

    fn statements(
        &self,
        issuer: &PublicKey,
    ) -> Result<(Vec<Statement>, StatementNumbers), PackageError> {
        let mut numbers = StatementNumbers::default();
        let mut statements = Vec::with_capacity(self.statements.len());
        for bytes in &self.statements {
            let statement = SignedStatement::from_bytes(&bytes.0)
                .map_err(SignedError::from)
                .and_then(|signed| signed.verify(issuer, self.property))
                .map_err(PackageError::BadStatement)?;
            numbers = match numbers.step(self.door, &statement) {
                Step::Apply(next) => next,
                // The first epoch, unless some are mixed.
                Step::BeginEpoch(next) if statements.is_empty() => next,
                _ => return Err(PackageError::Gap),
            };
            statements.push(statement);
        }
        Ok((statements, numbers))
    }

    fn time(
        &self,
        offer: &Offer,
        time: &Base64,
        issuer: &PublicKey,
    ) -> Result<TimeAnswer, PackageError> {
        let answer = SignedTimeAnswer::from_bytes(&time.0)
            .map_err(SignedError::from)
            .and_then(|signed| signed.verify(issuer, self.property, self.door))
            .map_err(PackageError::BadTime)?;
        if answer.nonce == offer.challenge.nonce {
            Ok(answer)
        } else {
            Err(PackageError::BadTime(SignedError::Elsewhere))
        }
    }
}
