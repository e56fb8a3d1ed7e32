//! Which door of which property this controller is.

use aliro::certificate::CompressedCertificate;
use aliro::crypto::PublicKey;
use aliro::identifier::ReaderIdentifier;
use latchkey_protocol::commissioning::Commissioned;
use latchkey_protocol::ids::{DoorId, DoorNumber, Generation, PropertyId, sub_identifier};
use latchkey_protocol::pass::{Pass, SignedPass};

/// What commissioning fixed.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) property: PropertyId,
    pub(crate) door: DoorId,
    pub(crate) number: DoorNumber,
    pub(crate) generation: Generation,
    /// Of the reader key, by `reader_ca`.
    pub(crate) certificate: CompressedCertificate,
    /// What phones trust readers of this property by.
    pub(crate) reader_ca: PublicKey,
    /// Whose word counts here.
    pub(crate) issuers: Vec<PublicKey>,
    /// Where the portal is, by the package.
    pub(crate) portal_url: Option<String>,
}

impl Installed {
    /// Aliro's name of this reader.
    pub(crate) fn reader_identifier(&self) -> ReaderIdentifier {
        ReaderIdentifier::new(self.property.0, sub_identifier(self.door, self.generation))
    }

    /// A pass that one of this property's issuers signed.
    pub(crate) fn verify_pass(&self, signed: &SignedPass) -> Option<Pass> {
        self.issuers
            .iter()
            .find_map(|issuer| signed.verify(issuer, self.property).ok())
    }
}

impl From<Commissioned> for Installed {
    fn from(package: Commissioned) -> Self {
        Self {
            property: package.property,
            door: package.door,
            number: package.door_number,
            generation: package.generation,
            certificate: package.certificate,
            reader_ca: package.reader_ca,
            issuers: vec![package.issuer],
            portal_url: package.portal_url,
        }
    }
}
