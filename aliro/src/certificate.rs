//! Reader certificates, profile 0000: an X.509 certificate of which only what
//! differs from a template travels.
//!
//! To issue: fill in a [`CertificateRequest`], sign its
//! [`to_be_signed`](CertificateRequest::to_be_signed), and
//! [`assemble`](CertificateRequest::assemble). To check:
//! [`CompressedCertificate::parse`], then [`Certificate::verify`].

mod der;

use crate::crypto::{CryptoError, PublicKey, Signature};

/// Most characters of a common name.
const MAX_NAME: usize = 32;
/// Most bytes of a serial number.
const MAX_SERIAL: usize = 20;

const DEFAULT_SERIAL: &[u8] = &[1];
const DEFAULT_ISSUER: &str = "issuer";
const DEFAULT_NOT_BEFORE: &str = "200101000000Z";
const DEFAULT_NOT_AFTER: &str = "490101000000Z";
const DEFAULT_SUBJECT: &str = "subject";

/// What an issuer certifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    serial: Vec<u8>,
    issuer: String,
    not_before: String,
    not_after: String,
    subject: String,
    subject_key: PublicKey,
}

impl CertificateRequest {
    /// A certificate for `subject_key` with every field as in the template.
    pub fn new(subject_key: PublicKey) -> Self {
        Self {
            serial: DEFAULT_SERIAL.to_vec(),
            issuer: DEFAULT_ISSUER.to_owned(),
            not_before: DEFAULT_NOT_BEFORE.to_owned(),
            not_after: DEFAULT_NOT_AFTER.to_owned(),
            subject: DEFAULT_SUBJECT.to_owned(),
            subject_key,
        }
    }

    /// The serial number: 1 to 20 bytes, big-endian, in the shortest form of a
    /// positive DER integer (a leading zero byte exactly before a byte of 0x80
    /// or more).
    ///
    /// # Errors
    /// [`CertificateError::Field`].
    pub fn serial(mut self, serial: &[u8]) -> Result<Self, CertificateError> {
        check_serial(serial)?;
        self.serial = serial.to_vec();
        Ok(self)
    }

    /// The issuer's common name, 1 to 32 bytes.
    ///
    /// # Errors
    /// [`CertificateError::Field`].
    pub fn issuer(mut self, name: &str) -> Result<Self, CertificateError> {
        self.issuer = check_name(name.as_bytes())?;
        Ok(self)
    }

    /// The subject's common name, 1 to 32 bytes.
    ///
    /// # Errors
    /// [`CertificateError::Field`].
    pub fn subject(mut self, name: &str) -> Result<Self, CertificateError> {
        self.subject = check_name(name.as_bytes())?;
        Ok(self)
    }

    /// The validity as `YYMMDDHHMMSSZ` (1950 to 2049) or `YYYYMMDDHHMMSSZ`.
    ///
    /// # Errors
    /// [`CertificateError::Field`].
    pub fn validity(mut self, from: &str, until: &str) -> Result<Self, CertificateError> {
        self.not_before = check_time(from.as_bytes())?;
        self.not_after = check_time(until.as_bytes())?;
        Ok(self)
    }

    /// What the issuer signs with ECDSA/SHA-256.
    pub fn to_be_signed(&self, issuer_key: &PublicKey) -> Vec<u8> {
        der::to_be_signed(self, issuer_key)
    }

    /// The certificate with the issuer's signature.
    pub fn assemble(self, signature: &Signature) -> Certificate {
        Certificate {
            content: self,
            signature: signature.to_der(),
        }
    }
}

/// A reader certificate, parsed; not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    content: CertificateRequest,
    /// DER `ECDSA-Sig-Value`.
    signature: Vec<u8>,
}

impl Certificate {
    /// The certified key.
    pub fn subject_key(&self) -> &PublicKey {
        &self.content.subject_key
    }

    /// The subject's common name.
    pub fn subject(&self) -> &str {
        &self.content.subject
    }

    /// The issuer's common name.
    pub fn issuer(&self) -> &str {
        &self.content.issuer
    }

    /// The serial number.
    pub fn serial(&self) -> &[u8] {
        &self.content.serial
    }

    /// Checks the issuer's signature. Validity dates are another matter: see
    /// [`is_valid_at`](Self::is_valid_at).
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`].
    pub fn verify(&self, issuer_key: &PublicKey) -> Result<(), CryptoError> {
        issuer_key.verify_der(&self.content.to_be_signed(issuer_key), &self.signature)
    }

    /// Whether `now` (Unix seconds) lies within the validity, ends included.
    pub fn is_valid_at(&self, now: i64) -> bool {
        let from = der::unix_seconds(&self.content.not_before);
        let until = der::unix_seconds(&self.content.not_after);
        matches!((from, until), (Some(from), Some(until)) if (from..=until).contains(&now))
    }

    /// The last moment of the validity, in Unix seconds; none for a date that no
    /// calendar has.
    pub fn valid_until(&self) -> Option<i64> {
        der::unix_seconds(&self.content.not_after)
    }

    /// The X.509 certificate that this stands for.
    pub fn to_der(&self, issuer_key: &PublicKey) -> Vec<u8> {
        der::certificate(&self.content, &self.signature, issuer_key)
    }

    /// The compressed form, as it travels.
    pub fn compress(&self) -> CompressedCertificate {
        CompressedCertificate(der::compress(&self.content, &self.signature))
    }
}

/// A certificate as it travels: well-formed, kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressedCertificate(Vec<u8>);

impl CompressedCertificate {
    /// Reads the compressed form.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn parse(bytes: &[u8]) -> Result<Certificate, CertificateError> {
        der::decompress(bytes)
    }

    /// Takes over a compressed certificate after checking that it parses.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        der::decompress(bytes)?;
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes that travel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What can be wrong with a certificate's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not the DER that the profile asks for.
    #[error("the certificate is malformed")]
    Malformed,
    /// Another profile than 0000.
    #[error("unknown certificate profile")]
    Profile,
    /// A field has a value that it cannot have: its tag.
    #[error("certificate field {0:#x} has an impossible value")]
    Field(u8),
}

fn check_serial(serial: &[u8]) -> Result<(), CertificateError> {
    let shortest = match serial {
        [0, second, ..] => *second >= 0x80,
        [first, ..] => *first < 0x80,
        [] => false,
    };
    if shortest && serial.len() <= MAX_SERIAL {
        Ok(())
    } else {
        Err(CertificateError::Field(0x80))
    }
}

fn check_name(name: &[u8]) -> Result<String, CertificateError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(CertificateError::Field(0x84));
    }
    String::from_utf8(name.to_vec()).map_err(|_| CertificateError::Field(0x84))
}

fn check_time(time: &[u8]) -> Result<String, CertificateError> {
    let text = String::from_utf8(time.to_vec()).map_err(|_| CertificateError::Field(0x82))?;
    match der::unix_seconds(&text) {
        Some(_) => Ok(text),
        None => Err(CertificateError::Field(0x82)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "0450310390bb67402286eeb6a243756a18f33acff3bca51b15fa3f419c879bbdb7157998bccb96e0d795376f3d7fe740ddf9591cd799c5a837c06a34a5c2f19da3";

    fn key() -> PublicKey {
        PublicKey::from_uncompressed(&hex::decode(KEY).unwrap()).unwrap()
    }

    fn request() -> CertificateRequest {
        CertificateRequest::new(key())
            .serial(&[0x7f, 1])
            .and_then(|request| request.issuer("a property"))
            .and_then(|request| request.subject("door 7"))
            .and_then(|request| request.validity("260101000000Z", "20510101000000Z"))
            .unwrap()
    }

    #[test]
    fn what_is_compressed_is_decompressed() {
        for request in [CertificateRequest::new(key()), request()] {
            let made = request.assemble(&Signature([0x81; 64]));
            let read = CompressedCertificate::parse(made.compress().as_bytes()).unwrap();
            assert_eq!(read, made);
        }
    }

    #[test]
    fn what_was_asked_for_is_what_it_says() {
        let made = request().assemble(&Signature([0x81; 64]));
        assert_eq!(made.serial(), [0x7f, 1]);
        assert_eq!(made.issuer(), "a property");
        assert_eq!(made.subject(), "door 7");
        assert_eq!(made.subject_key(), &key());
    }

    #[test]
    fn the_rebuilt_certificate_is_what_an_x509_library_reads() {
        use x509_cert::der::Decode;
        let made = request().assemble(&Signature([0x81; 64]));
        let read = x509_cert::Certificate::from_der(&made.to_der(&key())).unwrap();
        let content = read.tbs_certificate();
        assert_eq!(content.subject().to_string(), "CN=door 7");
        assert_eq!(content.issuer().to_string(), "CN=a property");
        let until = content.validity().not_after.to_unix_duration().as_secs();
        assert!(made.is_valid_at(until as i64));
        assert!(!made.is_valid_at(until as i64 + 1));
        assert_eq!(made.valid_until(), Some(until as i64));
        let from = content.validity().not_before.to_unix_duration().as_secs();
        assert!(made.is_valid_at(from as i64));
        assert!(!made.is_valid_at(from as i64 - 1));
    }

    #[test]
    fn fields_that_cannot_be_are_refused() {
        let new = || CertificateRequest::new(key());
        assert!(new().serial(&[]).is_err());
        assert!(new().serial(&[0x80]).is_err());
        assert!(new().serial(&[0, 1]).is_err());
        assert!(new().serial(&[1; 21]).is_err());
        assert!(new().subject("").is_err());
        assert!(new().subject(&"x".repeat(33)).is_err());
        assert!(new().validity("20010100000Z", "490101000000Z").is_err());
        assert!(new().validity("201301000000Z", "490101000000Z").is_err());
        assert!(new().validity("200230000000Z", "490101000000Z").is_err());
    }

    #[test]
    fn every_truncation_is_malformed() {
        let made = request().assemble(&Signature([1; 64])).compress();
        for cut in 0..made.as_bytes().len() {
            assert!(CompressedCertificate::parse(&made.as_bytes()[..cut]).is_err());
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in any::<Vec<u8>>(), at in 0usize..150, value in any::<u8>()) {
            let _ = CompressedCertificate::parse(&bytes);
            let mut spoilt = request().assemble(&Signature([1; 64])).compress().as_bytes().to_vec();
            if let Some(byte) = spoilt.get_mut(at) {
                *byte = value;
            }
            if let Ok(certificate) = CompressedCertificate::parse(&spoilt) {
                let _ = certificate.verify(&key());
            }
        }
    }
}
