//! The certification tool's cases for access and revocation documents (group
//! B), each as a test of its name. The tool's side, a device with documents of
//! all kinds, is played from the public notes; the transaction around step-up
//! is another matter, so a case here proves what the reader decides and
//! remembers.

mod documents;

use aliro::document::issuer::AccessDocument;
use aliro::document::{
    AccessData, AccessRule, Capabilities, ChangeMode, DeviceRequest, Extension, IssuerName,
    RawDocument, Refusal, RevocationData, RevocationEntry, Validity, Verdict,
};
use documents::certificate::Template;
use documents::forge::{forge, member};
use documents::reader::{Failure, Reader};
use documents::{
    ELEMENT, Key, NOW, access, access_with, at, daily, element, response, revocation, rule,
    signed_access, signed_revocation, validity, with_extension, with_rule,
};

const GRANTED: Result<(), Failure> = Ok(());

fn refused(refusal: Refusal) -> Result<(), Failure> {
    Err(Failure::Refused(refusal))
}

fn issuer() -> Key {
    Key::of("issuer")
}

fn credential() -> Key {
    Key::of("credential")
}

/// One transaction at a fresh reader that trusts the issuer by its key id.
fn outcome(document: &AccessDocument) -> Result<(), Failure> {
    outcome_at(Reader::trusting(&issuer()), document)
}

fn outcome_at(mut reader: Reader, document: &AccessDocument) -> Result<(), Failure> {
    let signed = signed_access(document, &issuer());
    reader.step_up(&credential(), &response(vec![signed]))
}

fn outcome_of_data(data: AccessData) -> Result<(), Failure> {
    outcome(&access_with(&issuer(), &credential(), data))
}

/// A document whose signing key is certified by a CA.
fn certified(certificate: Vec<u8>) -> AccessDocument {
    AccessDocument {
        issuer: IssuerName::Certificate(certificate),
        ..access(&issuer(), &credential())
    }
}

fn outcome_of_certificate(certificate: Vec<u8>) -> Result<(), Failure> {
    outcome_at(
        Reader::trusting_authority(&Key::of("CA")),
        &certified(certificate),
    )
}

/// A signed document with one run of bytes exchanged for another.
fn spoilt(document: &AccessDocument, from: &[u8], to: &[u8]) -> RawDocument {
    let bytes = signed_access(document, &issuer()).as_bytes().to_vec();
    let index = bytes
        .windows(from.len())
        .position(|window| window == from)
        .expect("the bytes are there");
    let changed = [&bytes[..index], to, &bytes[index + from.len()..]].concat();
    RawDocument::decode(&changed).expect("still well-formed")
}

fn outcome_of_spoilt(from: &[u8], to: &[u8]) -> Result<(), Failure> {
    let document = spoilt(&access(&issuer(), &credential()), from, to);
    Reader::trusting(&issuer()).step_up(&credential(), &response(vec![document]))
}

#[test]
fn nfc_rdr_stepup_ad_key_id() {
    let request = DeviceRequest::decode(&Reader::request()).expect("a request");
    assert_eq!(request.access, [ELEMENT]);
    assert_eq!(outcome(&access(&issuer(), &credential())), GRANTED);
}

#[test]
fn nfc_rdr_stepup_ad_issuer_cert() {
    let certificate = Template::of(&issuer()).signed_by(&Key::of("CA"));
    assert_eq!(outcome_of_certificate(certificate), GRANTED);
}

#[test]
fn nfc_rdr_stepup_ad_issuer_cert_key_id() {
    let certificate = Template::of(&issuer()).signed_by(&Key::of("CA"));
    let document = AccessDocument {
        issuer: IssuerName::Both(issuer().public().key_identifier(), certificate),
        ..access(&issuer(), &credential())
    };
    assert_eq!(outcome(&document), GRANTED);
    let knows_the_ca_only = Reader::trusting_authority(&Key::of("CA"));
    assert_eq!(outcome_at(knows_the_ca_only, &document), GRANTED);
}

#[test]
fn nfc_rdr_stepup_ad_access_rule() {
    let data = AccessData {
        rules: vec![rule(0, 0)],
        ..AccessData::default()
    };
    assert_eq!(outcome_of_data(data), GRANTED);
}

#[test]
fn nfc_rdr_stepup_ad_access_rule_schedules() {
    assert_eq!(outcome_of_data(with_rule(rule(1, 0), daily(60))), GRANTED);
}

#[test]
fn nfc_rdr_stepup_ad_unknown_non_access_extension() {
    let extension = Extension {
        id: 1,
        version: 1,
        data: vec![0xa0],
    };
    let data = AccessData {
        non_access_extensions: [(1, vec![extension])].into(),
        ..AccessData::default()
    };
    assert_eq!(outcome_of_data(data), GRANTED);
}

#[test]
fn nfc_rdr_stepup_ad_unknown_non_critical_access_extension() {
    assert_eq!(outcome_of_data(with_extension(false)), GRANTED);
}

#[test]
fn nfc_rdr_stepup_ad_same_doc_twice() {
    let mut reader = Reader::trusting(&issuer());
    let document = signed_access(&access(&issuer(), &credential()), &issuer());
    for _ in 0..2 {
        let bytes = response(vec![document.clone()]);
        assert_eq!(reader.step_up(&credential(), &bytes), GRANTED);
    }
}

fn with_iteration(credential: &Key, iteration: u64) -> Vec<u8> {
    let document = AccessDocument {
        validity: Validity {
            iteration: Some(iteration),
            ..validity()
        },
        ..access(&issuer(), credential)
    };
    response(vec![signed_access(&document, &issuer())])
}

#[test]
fn nfc_rdr_stepup_fast() {
    let mut reader = Reader::trusting(&issuer());
    assert!(!reader.knows_for_fast(&credential()));
    let bytes = with_iteration(&credential(), 3);
    assert_eq!(reader.step_up(&credential(), &bytes), GRANTED);
    assert!(reader.knows_for_fast(&credential()));
    assert_eq!(
        reader
            .access_iterations
            .highest(issuer().public().key_identifier()),
        Some(3)
    );
}

#[test]
fn nfc_rdr_stepup_fast_kpersistent_removed() {
    let (a, b) = (Key::of("A"), Key::of("B"));
    let mut reader = Reader::trusting(&issuer());
    let old = with_iteration(&a, 1);
    assert_eq!(reader.step_up(&a, &old), GRANTED);
    assert!(reader.knows_for_fast(&a));
    assert_eq!(reader.step_up(&b, &with_iteration(&b, 9)), GRANTED);
    assert!(!reader.knows_for_fast(&a), "dropped with its old document");
    assert_eq!(
        reader.step_up(&a, &old),
        refused(Refusal::IterationTooOld),
        "the old document does not come back"
    );
    assert_eq!(reader.step_up(&a, &with_iteration(&a, 9)), GRANTED);
    assert!(reader.knows_for_fast(&a));
    assert!(reader.knows_for_fast(&b));
}

#[test]
fn nfc_rdr_stepup_rd() {
    let (a, b) = (Key::of("A"), Key::of("B"));
    let [entry_a, entry_b] = [&a, &b].map(|key| RevocationEntry::of_key(&key.public()));
    let change =
        |change, entries: &[&RevocationEntry], remove: &[&RevocationEntry]| RevocationData {
            change,
            entries: entries.iter().copied().cloned().collect(),
            remove: remove.iter().copied().cloned().collect(),
            extensions: Default::default(),
        };
    use ChangeMode::{Append, Overwrite};
    // What is sent in each round, and who is revoked after it.
    let rounds = [
        (change(Overwrite, &[&entry_a], &[]), [true, false]),
        (change(Append, &[&entry_b], &[]), [true, true]),
        (change(Append, &[], &[&entry_a]), [false, true]),
        (change(Append, &[&entry_a], &[&entry_a]), [false, true]),
        (change(Overwrite, &[&entry_a], &[]), [true, false]),
        (change(Overwrite, &[], &[]), [false, false]),
    ];
    let mut reader = Reader::trusting(&issuer());
    for key in [&a, &b] {
        let bytes = response(vec![signed_access(&access(&issuer(), key), &issuer())]);
        assert_eq!(reader.step_up(key, &bytes), GRANTED);
    }
    for (round, (data, revoked)) in rounds.into_iter().enumerate() {
        let list = signed_revocation(&revocation(&issuer(), data), &issuer());
        for (key, revoked) in [&a, &b].into_iter().zip(revoked) {
            let grant = signed_access(&access(&issuer(), key), &issuer());
            let outcome = reader.step_up(key, &response(vec![grant, list.clone()]));
            let expected = if revoked {
                refused(Refusal::Revoked)
            } else {
                GRANTED
            };
            assert_eq!(outcome, expected, "round {round}");
            assert_eq!(reader.knows_for_fast(key), !revoked, "round {round}");
        }
    }
}

#[test]
fn nfc_rdr_neg_stepup_rd_invalid_element_version() {
    let data = RevocationData::overwrite(vec![RevocationEntry::of_id(b"id")]);
    let version_42 = of_version_42(&signed_revocation(&revocation(&issuer(), data), &issuer()));
    let grant = signed_access(&access(&issuer(), &credential()), &issuer());
    assert_eq!(
        Reader::trusting(&issuer()).step_up(&credential(), &response(vec![grant, version_42])),
        refused(Refusal::ElementVersion)
    );
}

/// The same document, soundly signed, but for the version of its element.
fn of_version_42(document: &RawDocument) -> RawDocument {
    let bytes = forge(document, &issuer(), |parts| {
        let element = member(&mut parts.items[0], "4");
        element.as_map_mut().expect("a map")[0].1 = 42.into();
    });
    RawDocument::decode(&bytes).expect("well-formed")
}

#[test]
fn nfc_rdr_neg_stepup_ad_doctype_not_aliroa() {
    // The outer type is the last text of the document.
    let bytes = signed_access(&access(&issuer(), &credential()), &issuer())
        .as_bytes()
        .to_vec();
    let mut changed = bytes.clone();
    let last = changed.len() - 1;
    changed[last] = b'b';
    let document = RawDocument::decode(&changed).expect("well-formed");
    assert_eq!(
        Reader::trusting(&issuer()).step_up(&credential(), &response(vec![document])),
        refused(Refusal::WrongDocType)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_issuer_doctype_mismatch() {
    // A well-signed revocation document under the other type's name.
    let data = RevocationData::overwrite(Vec::new());
    let document = signed_revocation(&revocation(&issuer(), data), &issuer());
    let mut bytes = document.as_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] = b'a';
    let document = RawDocument::decode(&bytes).expect("well-formed");
    assert_eq!(
        Reader::trusting(&issuer()).step_up(&credential(), &response(vec![document])),
        refused(Refusal::DocTypeMismatch)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_device_key_info_mismatch() {
    assert_eq!(
        outcome(&access(&issuer(), &Key::of("somebody else"))),
        refused(Refusal::WrongDevice)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_invalid_hash_issuer_auth() {
    // Another salt than the one that was signed.
    assert_eq!(
        outcome_of_spoilt(&[7; 16], &[8; 16]),
        refused(Refusal::DigestMismatch)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_invalid_signature_issuer_auth() {
    let document = access(&issuer(), &credential());
    let signature = issuer()
        .sign(&document.prepare().expect("issuable").to_be_signed())
        .0;
    let mut other = signature;
    other[63] ^= 1;
    assert_eq!(
        outcome_of_spoilt(&signature, &other),
        refused(Refusal::BadSignature)
    );
}

fn outcome_of_validity(validity: Validity) -> Result<(), Failure> {
    outcome(&AccessDocument {
        validity,
        ..access(&issuer(), &credential())
    })
}

#[test]
fn nfc_rdr_neg_stepup_ad_early_issuer_auth() {
    let from = |valid_from| {
        outcome_of_validity(Validity {
            valid_from: at(valid_from),
            ..validity()
        })
    };
    assert_eq!(from(NOW + 1), refused(Refusal::NotYetValid));
    assert_eq!(from(NOW), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_expired_issuer_auth() {
    let until = |valid_until| {
        outcome_of_validity(Validity {
            valid_until: at(valid_until),
            ..validity()
        })
    };
    assert_eq!(until(NOW - 1), refused(Refusal::Expired));
    assert_eq!(until(NOW), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_issuer_cert_expired() {
    let certificate = Template {
        not_after: NOW - 1,
        ..Template::of(&issuer())
    }
    .signed_by(&Key::of("CA"));
    assert_eq!(
        outcome_of_certificate(certificate.clone()),
        refused(Refusal::CertificateExpired)
    );
    // Without a clock there is nothing to hold it against.
    let reader = Reader::trusting_authority(&Key::of("CA")).without_clock();
    assert_eq!(outcome_at(reader, &certified(certificate)), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_issuer_cert_invalid_signature() {
    let other_ca = Template::of(&issuer()).signed_by(&Key::of("another CA"));
    assert_eq!(
        outcome_of_certificate(other_ca),
        refused(Refusal::UntrustedCertificate)
    );
    // r || s instead of DER, as one source has it.
    let template = Template::of(&issuer());
    let raw = Key::of("CA").sign(&template.tbs()).0;
    assert_eq!(
        outcome_of_certificate(template.with_signature(&raw)),
        refused(Refusal::UntrustedCertificate)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_issuer_certificate_time_mismatch() {
    // The document says to have been signed an hour ago.
    let certificate = Template {
        not_before: NOW - 1800,
        ..Template::of(&issuer())
    }
    .signed_by(&Key::of("CA"));
    assert_eq!(
        outcome_of_certificate(certificate),
        refused(Refusal::SignedOutsideCertificate)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_issuer_cert_empty_public_key() {
    let zeros = [0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00];
    for public_key in [vec![], vec![0], vec![4], vec![4; 65], vec![0; 65]] {
        let empty = Template {
            public_key,
            ..Template::of(&issuer())
        };
        for signature in [&zeros[..], &[0; 64], &[]] {
            assert_eq!(
                outcome_of_certificate(empty.with_signature(signature)),
                refused(Refusal::MalformedCertificate)
            );
        }
        // Even when the CA itself has signed such a thing.
        assert_eq!(
            outcome_of_certificate(empty.signed_by(&Key::of("CA"))),
            refused(Refusal::MalformedCertificate)
        );
    }
}

#[test]
fn nfc_rdr_neg_stepup_ad_no_issuer_cert_no_key_id() {
    // The unprotected header {4: kid} becomes {5: the same}, an IV.
    let kid = issuer().public().key_identifier();
    let from = [&[0xa1, 0x04, 0x48], &kid[..]].concat();
    let to = [&[0xa1, 0x05, 0x48], &kid[..]].concat();
    assert_eq!(outcome_of_spoilt(&from, &to), refused(Refusal::NoIssuer));
}

#[test]
fn nfc_rdr_neg_stepup_ad_credential_issuer_removed() {
    let mut reader = Reader::trusting(&issuer());
    let nine = with_iteration(&credential(), 9);
    assert_eq!(reader.step_up(&credential(), &nine), GRANTED);
    let later_signed_but_older = AccessDocument {
        validity: Validity {
            signed: at(NOW - 60),
            iteration: Some(0),
            ..validity()
        },
        ..access(&issuer(), &credential())
    };
    let bytes = response(vec![signed_access(&later_signed_but_older, &issuer())]);
    assert_eq!(
        reader.step_up(&credential(), &bytes),
        refused(Refusal::IterationTooOld)
    );
    // What the name says: an issuer that is no longer configured.
    reader.trusted = Default::default();
    assert_eq!(
        reader.step_up(&credential(), &nine),
        refused(Refusal::UnknownIssuer)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_validity_iteration() {
    let mut reader = Reader::trusting(&issuer());
    let [a, b, c] = ["A", "B", "C"].map(Key::of);
    assert_eq!(reader.step_up(&a, &with_iteration(&a, 1)), GRANTED);
    assert_eq!(reader.step_up(&b, &with_iteration(&b, 9)), GRANTED);
    assert_eq!(reader.step_up(&c, &with_iteration(&c, 3)), GRANTED);
    assert_eq!(
        reader.step_up(&a, &with_iteration(&a, 1)),
        refused(Refusal::IterationTooOld)
    );
    assert_eq!(reader.step_up(&a, &with_iteration(&a, 2)), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_no_data_elements() {
    let grant = signed_access(&access(&issuer(), &credential()), &issuer());
    let empty_list = forge(&grant, &issuer(), |parts| parts.items.clear());
    let empty_list = RawDocument::decode(&empty_list).expect("well-formed");
    assert_eq!(
        Reader::trusting(&issuer()).step_up(&credential(), &response(vec![empty_list])),
        refused(Refusal::NoElements)
    );
    assert_eq!(
        Reader::trusting(&issuer()).step_up(&credential(), &response(Vec::new())),
        Err(Failure::Missing)
    );
    // An element, but none that was asked for.
    let other = AccessDocument {
        elements: vec![element("floor2", AccessData::default())],
        ..access(&issuer(), &credential())
    };
    assert_eq!(outcome(&other), refused(Refusal::NotAsked));
}

#[test]
fn nfc_rdr_neg_stepup_ad_invalid_access_data_element_version() {
    let version_42 = of_version_42(&signed_access(&access(&issuer(), &credential()), &issuer()));
    assert_eq!(
        Reader::trusting(&issuer()).step_up(&credential(), &response(vec![version_42])),
        refused(Refusal::ElementVersion)
    );
}

fn not_allowed(verdict: Verdict) -> Result<(), Failure> {
    refused(Refusal::NotAllowed(verdict))
}

#[test]
fn nfc_rdr_neg_stepup_ad_no_access_rule_for_reader_action() {
    let data = AccessData {
        rules: vec![AccessRule {
            capabilities: Capabilities(1 << 12),
            allow: 0,
            deny: 0,
        }],
        ..AccessData::default()
    };
    assert_eq!(
        outcome_of_data(data),
        not_allowed(Verdict::NoSuchCapability)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_no_valid_schedule_allow_scheduleid() {
    assert_eq!(
        outcome_of_data(with_rule(rule(1, 0), daily(7200))),
        not_allowed(Verdict::OutsideSchedules)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_valid_schedule_deny_scheduleid() {
    assert_eq!(
        outcome_of_data(with_rule(rule(0, 1), daily(60))),
        not_allowed(Verdict::DeniedBySchedule)
    );
    assert_eq!(outcome_of_data(with_rule(rule(0, 1), daily(7200))), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_schedule_in_access_rule_and_reader() {
    let mut reader = Reader::trusting(&issuer());
    reader.supports_schedules = false;
    let document = access_with(&issuer(), &credential(), with_rule(rule(1, 0), daily(60)));
    assert_eq!(
        outcome_at(reader, &document),
        not_allowed(Verdict::NeedsClock)
    );
}

#[test]
fn nfc_rdr_neg_stepup_ad_schedule_time_verify_required() {
    let document = AccessDocument {
        time_required: true,
        ..access_with(&issuer(), &credential(), with_rule(rule(1, 0), daily(60)))
    };
    let reader = Reader::trusting(&issuer()).without_clock();
    assert_eq!(
        outcome_at(reader, &document),
        refused(Refusal::TimeRequired)
    );
    assert_eq!(outcome(&document), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_time_verification_required() {
    let document = AccessDocument {
        time_required: true,
        ..access(&issuer(), &credential())
    };
    let reader = Reader::trusting(&issuer()).without_clock();
    assert_eq!(
        outcome_at(reader, &document),
        refused(Refusal::TimeRequired)
    );
    let not_required = access(&issuer(), &credential());
    let reader = Reader::trusting(&issuer()).without_clock();
    assert_eq!(outcome_at(reader, &not_required), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_unknown_reader_rule() {
    let naming = |reader_rules| {
        outcome_of_data(AccessData {
            reader_rules,
            ..AccessData::default()
        })
    };
    assert_eq!(naming(vec![0xf118]), refused(Refusal::UnknownReaderRule));
    assert_eq!(naming(vec![1, 0xf118]), refused(Refusal::UnknownReaderRule));
    assert_eq!(naming(vec![1]), GRANTED);
}

#[test]
fn nfc_rdr_neg_stepup_ad_unknown_critical_access_extension() {
    assert_eq!(
        outcome_of_data(with_extension(true)),
        refused(Refusal::UnknownCriticalExtension)
    );
}
