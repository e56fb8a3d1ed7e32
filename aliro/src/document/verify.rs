//! What a reader checks before it believes a document, in the standard's order.
//!
//! [`Verifier`] answers *is it authentic, and does it fit this transaction?*
//! Whether it allows an action now is a question to the verified elements:
//! [`VerifiedAccess::allows`], or [`evaluate`] one by one.

use super::access::{AccessData, Capabilities};
use super::certificate::{CertificateError, IssuerCertificate};
use super::cose::{self, KeyId};
use super::error::DocumentError;
use super::evaluate::{Verdict, evaluate};
use super::iterations::Iterations;
use super::mso::{self, Validity};
use super::refusal::Refusal;
use super::response::{Item, RawDocument};
use super::revocation::RevocationData;
use super::revocation_list::RevocationList;
use super::schedule::Now;
use super::{ACCESS, REVOCATION};
use crate::crypto::PublicKey;

/// Whose documents a reader believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedIssuers {
    issuers: Vec<PublicKey>,
    authorities: Vec<PublicKey>,
}

impl TrustedIssuers {
    /// Nobody's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Documents signed by this key, named by its key id.
    pub fn add_issuer(&mut self, issuer: PublicKey) {
        self.issuers.push(issuer);
    }

    /// Documents signed by a key that this CA has certified.
    pub fn add_authority(&mut self, authority: PublicKey) {
        self.authorities.push(authority);
    }

    fn by_key_id(&self, id: KeyId) -> Option<&PublicKey> {
        self.issuers
            .iter()
            .find(|issuer| issuer.key_identifier() == id)
    }
}

/// What a reader knows of the transaction and of itself.
#[derive(Clone, Copy)]
pub struct VerifyContext<'a> {
    /// The key that the device has just proved in AUTH1.
    pub credential: &'a PublicKey,
    /// The element identifiers that were asked for.
    pub asked: &'a [String],
    /// A trusted clock, if there is one.
    pub clock: Option<Now>,
    /// Counters of accepted Access Documents.
    pub iterations: &'a Iterations,
    /// Whether a reader rule is configured (and satisfied) here.
    pub known_reader_rules: &'a dyn Fn(u16) -> bool,
    /// Whether an access extension is understood (and satisfied) here, by
    /// vendor, id and version.
    pub understands: &'a dyn Fn(u64, u64, u64) -> bool,
}

/// What a reader knows when it verifies a Revocation Document, which any
/// device may carry.
#[derive(Debug, Clone, Copy)]
pub struct RevocationContext<'a> {
    /// The element identifiers that were asked for.
    pub asked: &'a [String],
    /// A trusted clock, if there is one.
    pub clock: Option<Now>,
    /// Counters of accepted Revocation Documents.
    pub iterations: &'a Iterations,
}

/// An Access Document that may be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAccess {
    /// Key id of the trusted issuer or CA that it rests on. Give it, with
    /// `validity.iteration`, to [`Iterations::raise`].
    pub issuer: KeyId,
    /// Its own validity.
    pub validity: Validity,
    /// Whether it needs a clock.
    pub time_required: bool,
    /// The elements asked for that this reader can take, at least one.
    pub elements: Vec<(String, AccessData)>,
    /// Elements asked for that it cannot take, and why.
    pub refused: Vec<(String, Refusal)>,
}

/// A Revocation Document that may be believed; [`RevocationList::take`] it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRevocation {
    /// Key id of the trusted issuer or CA that it rests on.
    pub issuer: KeyId,
    /// Its own validity.
    pub validity: Validity,
    /// The elements asked for, at least one.
    pub elements: Vec<(String, RevocationData)>,
}

/// Checks documents against [`TrustedIssuers`].
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'a> {
    trusted: &'a TrustedIssuers,
}

impl<'a> Verifier<'a> {
    /// A verifier that believes these issuers.
    #[must_use]
    pub fn new(trusted: &'a TrustedIssuers) -> Self {
        Self { trusted }
    }

    /// Checks an Access Document for this transaction.
    ///
    /// # Errors
    /// The first [`Refusal`] in the order of the checks.
    pub fn access(
        &self,
        document: &RawDocument,
        context: &VerifyContext<'_>,
    ) -> Result<VerifiedAccess, Refusal> {
        let issuer = self.authenticate(document, ACCESS, context.clock)?;
        let asked = asked_items(document, context.asked)?;
        if !document
            .mso()
            .device_key
            .as_ref()
            .is_some_and(|key| key.is(context.credential))
        {
            return Err(Refusal::WrongDevice);
        }
        check_time(document, &issuer, context.clock)?;
        check_iteration(document, &issuer, context.iterations)?;
        let (mut elements, mut refused) = (Vec::new(), Vec::new());
        for item in asked {
            match access_element(document.value(item), context) {
                Ok(data) => elements.push((item.identifier.clone(), data)),
                Err(reason) => refused.push((item.identifier.clone(), reason)),
            }
        }
        if let (true, Some((_, reason))) = (elements.is_empty(), refused.first()) {
            return Err(*reason);
        }
        Ok(VerifiedAccess {
            issuer: issuer.anchor,
            validity: document.mso().validity,
            time_required: document.mso().time_required,
            elements,
            refused,
        })
    }

    /// Checks a Revocation Document.
    ///
    /// # Errors
    /// The first [`Refusal`] in the order of the checks; here one bad element
    /// refuses the document, because half a change is none.
    pub fn revocation(
        &self,
        document: &RawDocument,
        context: &RevocationContext<'_>,
    ) -> Result<VerifiedRevocation, Refusal> {
        let issuer = self.authenticate(document, REVOCATION, context.clock)?;
        let asked = asked_items(document, context.asked)?;
        if document.mso().device_key.is_some() {
            return Err(Refusal::WrongDevice);
        }
        check_time(document, &issuer, context.clock)?;
        check_iteration(document, &issuer, context.iterations)?;
        let elements = asked
            .into_iter()
            .map(|item| {
                RevocationData::decode(document.value(item))
                    .map(|data| (item.identifier.clone(), data))
                    .map_err(element_refusal)
            })
            .collect::<Result<_, _>>()?;
        Ok(VerifiedRevocation {
            issuer: issuer.anchor,
            validity: document.mso().validity,
            elements,
        })
    }

    /// Type, issuer, signature, and that every element is a signed one.
    fn authenticate(
        &self,
        document: &RawDocument,
        doc_type: &str,
        clock: Option<Now>,
    ) -> Result<Issuer, Refusal> {
        if document.doc_type() != doc_type {
            return Err(Refusal::WrongDocType);
        }
        let issuer = self.issuer(document, clock)?;
        let mso = document.mso();
        if mso.version != mso::VERSION || mso.digest_algorithm != mso::DIGEST_ALGORITHM {
            return Err(Refusal::UnknownVersion);
        }
        if mso.doc_type != document.doc_type() {
            return Err(Refusal::DocTypeMismatch);
        }
        check_digests(document)?;
        Ok(issuer)
    }

    /// Who signed it: a trusted key named by its id, else a key certified by a
    /// trusted CA.
    fn issuer(&self, document: &RawDocument, clock: Option<Now>) -> Result<Issuer, Refusal> {
        let auth = document.issuer_auth();
        if !auth.is_es256() {
            return Err(Refusal::WrongAlgorithm);
        }
        let issuer = match (auth.kid, &auth.certificate) {
            (None, None) => return Err(Refusal::NoIssuer),
            (Some(id), certificate) => match (self.trusted.by_key_id(id), certificate) {
                (Some(key), _) => Issuer::of_key(key),
                (None, Some(der)) => self.certified(der, clock)?,
                (None, None) => return Err(Refusal::UnknownIssuer),
            },
            (None, Some(der)) => self.certified(der, clock)?,
        };
        issuer
            .key
            .verify(&auth.to_be_signed(), &auth.signature)
            .map_err(|_| Refusal::BadSignature)?;
        Ok(issuer)
    }

    fn certified(&self, der: &[u8], clock: Option<Now>) -> Result<Issuer, Refusal> {
        let (authority, certificate) = IssuerCertificate::verify(der, &self.trusted.authorities)
            .map_err(|error| match error {
                CertificateError::Malformed => Refusal::MalformedCertificate,
                CertificateError::NotTrusted => Refusal::UntrustedCertificate,
            })?;
        if clock.is_some_and(|now| !certificate.holds_at(now.utc)) {
            return Err(Refusal::CertificateExpired);
        }
        Ok(Issuer {
            anchor: authority.key_identifier(),
            key: certificate.key,
            certificate: Some(certificate),
        })
    }
}

/// The key that verified a document, and what it rests on.
struct Issuer {
    anchor: KeyId,
    key: PublicKey,
    certificate: Option<IssuerCertificate>,
}

impl Issuer {
    fn of_key(key: &PublicKey) -> Self {
        Self {
            anchor: key.key_identifier(),
            key: *key,
            certificate: None,
        }
    }
}

fn check_digests(document: &RawDocument) -> Result<(), Refusal> {
    if document.items().is_empty() {
        return Err(Refusal::NoElements);
    }
    let digests = &document.mso().digests;
    let all_signed = document.items().iter().all(|item| {
        digests
            .get(&item.namespace)
            .and_then(|namespace| namespace.get(&item.digest_id))
            .is_some_and(|digest| *digest == cose::sha256(document.tagged(item)))
    });
    if all_signed {
        Ok(())
    } else {
        Err(Refusal::DigestMismatch)
    }
}

/// The asked elements of the document's own namespace.
fn asked_items<'d>(document: &'d RawDocument, asked: &[String]) -> Result<Vec<&'d Item>, Refusal> {
    let items: Vec<_> = document
        .items()
        .iter()
        .filter(|item| item.namespace == document.doc_type() && asked.contains(&item.identifier))
        .collect();
    if items.is_empty() {
        return Err(Refusal::NotAsked);
    }
    Ok(items)
}

fn check_time(document: &RawDocument, issuer: &Issuer, clock: Option<Now>) -> Result<(), Refusal> {
    let validity = &document.mso().validity;
    match clock {
        Some(now) if now.utc < validity.valid_from.epoch() => return Err(Refusal::NotYetValid),
        Some(now) if now.utc > validity.valid_until.epoch() => return Err(Refusal::Expired),
        None if document.mso().time_required => return Err(Refusal::TimeRequired),
        _ => {}
    }
    let outside = |certificate: &IssuerCertificate| !certificate.holds_at(validity.signed.epoch());
    if issuer.certificate.as_ref().is_some_and(outside) {
        return Err(Refusal::SignedOutsideCertificate);
    }
    Ok(())
}

fn check_iteration(
    document: &RawDocument,
    issuer: &Issuer,
    iterations: &Iterations,
) -> Result<(), Refusal> {
    if iterations.is_too_old(issuer.anchor, document.mso().validity.iteration) {
        Err(Refusal::IterationTooOld)
    } else {
        Ok(())
    }
}

/// An element that this reader can take as a whole.
fn access_element(value: &[u8], context: &VerifyContext<'_>) -> Result<AccessData, Refusal> {
    let data = AccessData::decode(value).map_err(element_refusal)?;
    let unknown_critical = data.access_extensions.iter().any(|(vendor, extensions)| {
        extensions.iter().any(|extension| {
            extension.critical && !(context.understands)(*vendor, extension.id, extension.version)
        })
    });
    if unknown_critical {
        return Err(Refusal::UnknownCriticalExtension);
    }
    if !data
        .reader_rules
        .iter()
        .all(|rule| (context.known_reader_rules)(*rule))
    {
        return Err(Refusal::UnknownReaderRule);
    }
    Ok(data)
}

fn element_refusal(error: DocumentError) -> Refusal {
    match error {
        DocumentError::ElementVersion(_) => Refusal::ElementVersion,
        _ => Refusal::MalformedElement,
    }
}

impl VerifiedAccess {
    /// Whether an element allows the action now and is not withdrawn; returns
    /// the identifier of the first that does.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`] or [`Refusal::Revoked`], of the element that
    /// came closest.
    pub fn allows(
        &self,
        action: Capabilities,
        clock: Option<Now>,
        credential: &PublicKey,
        revoked: &RevocationList,
    ) -> Result<&str, Refusal> {
        let mut reason = Refusal::NotAllowed(Verdict::NoSuchCapability);
        for (identifier, data) in &self.elements {
            match evaluate(data, action, clock) {
                Verdict::Allowed if revoked.revokes(credential, &data.id) => {
                    reason = Refusal::Revoked;
                }
                Verdict::Allowed => return Ok(identifier),
                verdict if reason != Refusal::Revoked => reason = Refusal::NotAllowed(verdict),
                _ => {}
            }
        }
        Err(reason)
    }
}
