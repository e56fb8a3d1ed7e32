//! Issuer certificates in `x5chain`: X.509, P-256, ECDSA with SHA-256.
//!
//! A reader trusts a CA by its key alone, so neither names nor chains are
//! looked at: the one certificate is signed by that key or worth nothing.

use der::asn1::ObjectIdentifier;
use der::{Decode, Reader, SliceReader};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::KeyUsage;

use crate::crypto::PublicKey;

/// What is left of a certificate that a trusted CA has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IssuerCertificate {
    /// The key that signs documents.
    pub(crate) key: PublicKey,
    /// Seconds since 1970-01-01T00:00:00Z; both ends are included.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

/// Why a certificate is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateError {
    /// Not a certificate of the expected algorithms, or without a usable key.
    Malformed,
    /// Not signed by a trusted CA.
    NotTrusted,
}

/// ecdsa-with-SHA256 (RFC 5758, section 3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// id-ecPublicKey (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1 (RFC 5480, section 2.1.1.1).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

impl IssuerCertificate {
    /// Reads a certificate and finds the CA that signed it.
    pub(crate) fn verify<'a>(
        der: &[u8],
        authorities: &'a [PublicKey],
    ) -> Result<(&'a PublicKey, Self), CertificateError> {
        let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let signed = signed_part(der).map_err(|_| CertificateError::Malformed)?;
        let parsed = Self::read(&certificate).ok_or(CertificateError::Malformed)?;
        let signature = certificate
            .signature()
            .as_bytes()
            .ok_or(CertificateError::Malformed)?;
        authorities
            .iter()
            .find(|authority| authority.verify_der(signed, signature).is_ok())
            .map(|authority| (authority, parsed))
            .ok_or(CertificateError::NotTrusted)
    }

    fn read(certificate: &Certificate) -> Option<Self> {
        let tbs = certificate.tbs_certificate();
        let algorithms_agree = certificate.signature_algorithm() == tbs.signature();
        if !algorithms_agree || tbs.signature().oid != ECDSA_WITH_SHA256 {
            return None;
        }
        let spki = tbs.subject_public_key_info();
        let curve = spki
            .algorithm
            .parameters
            .as_ref()?
            .decode_as::<ObjectIdentifier>()
            .ok()?;
        if spki.algorithm.oid != EC_PUBLIC_KEY || curve != P256 {
            return None;
        }
        // An empty point ends here (CVE-2026-50583).
        let key = PublicKey::from_uncompressed(spki.subject_public_key.as_bytes()?).ok()?;
        if !tbs
            .extensions()
            .is_none_or(|extensions| extensions.iter().all(is_acceptable))
        {
            return None;
        }
        let validity = tbs.validity();
        let seconds =
            |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
        Some(Self {
            key,
            not_before: seconds(validity.not_before)?,
            not_after: seconds(validity.not_after)?,
        })
    }

    /// Whether a moment lies in the certificate's validity.
    pub(crate) fn holds_at(&self, seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&seconds)
    }
}

/// RFC 5280, section 4.2: a critical extension that is not understood refuses
/// the certificate; a key usage must let the key sign.
fn is_acceptable(extension: &Extension) -> bool {
    if extension.extn_id == KEY_USAGE {
        return KeyUsage::from_der(extension.extn_value.as_bytes())
            .is_ok_and(|usage| usage.digital_signature());
    }
    !extension.critical
        || extension.extn_id == BASIC_CONSTRAINTS
        || extension.extn_id == EXTENDED_KEY_USAGE
}

/// The bytes of the tbsCertificate as they stand.
fn signed_part(der: &[u8]) -> der::Result<&[u8]> {
    SliceReader::new(der)?.sequence(|certificate| {
        let signed = certificate.tlv_bytes()?;
        certificate.tlv_bytes()?;
        certificate.tlv_bytes()?;
        Ok::<_, der::Error>(signed)
    })
}

/// A certificate that will be put into documents must at least be one.
pub(crate) fn is_certificate(der: &[u8]) -> bool {
    Certificate::from_der(der).is_ok_and(|certificate| certificate.signature().as_bytes().is_some())
}
