//! Each check that a reader makes, by a document that fails this one alone.

mod documents;

use aliro::document::issuer::{AccessDocument, RevocationDocument};
use aliro::document::{
    AccessData, AccessExtension, AccessRule, Capabilities, IssuerName, Iterations, Now,
    RawDocument, Refusal, RevocationContext, RevocationData, RevocationEntry, RevocationList,
    Schedule, TrustedIssuers, Validity, Verdict, VerifiedAccess, VerifiedRevocation, Verifier,
    VerifyContext, evaluate,
};
use ciborium::value::Value;
use documents::certificate::{
    ANOTHER, BASIC_CONSTRAINTS, DIGITAL_SIGNATURE, EC_PUBLIC_KEY, ECDSA_WITH_SHA256,
    EXTENDED_KEY_USAGE, KEY_ENCIPHERMENT, KEY_USAGE, NAME_CONSTRAINTS, P256, Template, extension,
};
use documents::forge::{Parts, forge, member, put, remove};
use documents::{
    ELEMENT, Key, NOW, access, at, element, revocation, signed_access, signed_revocation, validity,
};
use rstest::rstest;

fn issuer() -> Key {
    Key::of("issuer")
}

fn credential() -> Key {
    Key::of("credential")
}

fn trusting(keys: &[&Key], authorities: &[&Key]) -> TrustedIssuers {
    let mut trusted = TrustedIssuers::new();
    for key in keys {
        trusted.add_issuer(key.public());
    }
    for authority in authorities {
        trusted.add_authority(authority.public());
    }
    trusted
}

const CLOCK: Option<Now> = Some(Now {
    utc: NOW,
    local: NOW,
});

fn verify_by(
    trusted: &TrustedIssuers,
    document: &[u8],
    clock: Option<Now>,
) -> Result<VerifiedAccess, Refusal> {
    verify_for(&credential(), trusted, document, clock)
}

fn verify_for(
    credential: &Key,
    trusted: &TrustedIssuers,
    document: &[u8],
    clock: Option<Now>,
) -> Result<VerifiedAccess, Refusal> {
    let document = RawDocument::decode(document).expect("well-formed");
    let context = VerifyContext {
        credential: &credential.public(),
        asked: &[ELEMENT.to_owned()],
        clock,
        iterations: &Iterations::new(),
        known_reader_rules: &|_| true,
        understands: &|_, _, _| true,
    };
    Verifier::new(trusted).access(&document, &context)
}

fn verify(document: &[u8]) -> Result<VerifiedAccess, Refusal> {
    verify_by(&trusting(&[&issuer()], &[]), document, CLOCK)
}

fn verify_revocation(
    document: &RawDocument,
    clock: Option<Now>,
    iterations: &Iterations,
) -> Result<VerifiedRevocation, Refusal> {
    let trusted = trusting(&[&issuer()], &[]);
    let context = RevocationContext {
        asked: &[ELEMENT.to_owned()],
        clock,
        iterations,
    };
    Verifier::new(&trusted).revocation(document, &context)
}

fn grant() -> RawDocument {
    signed_access(&access(&issuer(), &credential()), &issuer())
}

fn list() -> RevocationDocument {
    revocation(&issuer(), RevocationData::overwrite(Vec::new()))
}

/// What a reader says to a grant that is sound but for one edit.
fn outcome(edit: impl FnOnce(&mut Parts)) -> Result<(), Refusal> {
    verify(&forge(&grant(), &issuer(), edit)).map(|_| ())
}

#[test]
fn taking_apart_and_signing_again_changes_nothing() {
    assert_eq!(forge(&grant(), &issuer(), |_| ()), grant().as_bytes());
}

#[rstest]
#[case::es384(&[0xa1, 0x01, 0x38, 0x22])]
#[case::no_algorithm(&[0xa0])]
#[case::empty(&[])]
#[case::more_than_the_algorithm(&[0xa2, 0x01, 0x26, 0x03, 0x00])]
fn only_es256(#[case] protected: &[u8]) {
    assert_eq!(
        outcome(|parts| parts.protected = protected.to_vec()),
        Err(Refusal::WrongAlgorithm)
    );
}

#[rstest]
#[case::version("1", "1.1")]
#[case::digest_algorithm("2", "SHA-512")]
fn only_what_version_1_has(#[case] key: &str, #[case] value: &str) {
    assert_eq!(
        outcome(|parts| put(&mut parts.mso, key, value.into())),
        Err(Refusal::UnknownVersion)
    );
}

#[test]
fn a_trusted_key_id_decides_even_beside_a_good_certificate() {
    let ca = Key::of("CA");
    // Signed by the certified key, in the name of another trusted one.
    let document = AccessDocument {
        issuer: IssuerName::Both(
            Key::of("another issuer").public().key_identifier(),
            Template::of(&issuer()).signed_by(&ca),
        ),
        ..access(&issuer(), &credential())
    };
    let bytes = signed_access(&document, &issuer()).as_bytes().to_vec();
    let trusts_both = trusting(&[&Key::of("another issuer")], &[&ca]);
    assert_eq!(
        verify_by(&trusts_both, &bytes, CLOCK),
        Err(Refusal::BadSignature)
    );
    let verified = verify_by(&trusting(&[], &[&ca]), &bytes, CLOCK).expect("by the certificate");
    assert_eq!(
        verified.issuer,
        ca.public().key_identifier(),
        "rests on the CA"
    );
}

#[test]
fn an_issuer_is_no_authority_and_the_reverse() {
    let by_key = grant().as_bytes().to_vec();
    assert_eq!(
        verify_by(&trusting(&[], &[&issuer()]), &by_key, CLOCK),
        Err(Refusal::UnknownIssuer)
    );
    let document = AccessDocument {
        issuer: IssuerName::Certificate(Template::of(&issuer()).signed_by(&Key::of("CA"))),
        ..access(&issuer(), &credential())
    };
    let by_certificate = signed_access(&document, &issuer()).as_bytes().to_vec();
    assert_eq!(
        verify_by(
            &trusting(&[&Key::of("CA"), &issuer()], &[]),
            &by_certificate,
            CLOCK
        ),
        Err(Refusal::UntrustedCertificate)
    );
}

#[rstest]
#[case::begins_now(NOW, NOW + 1, NOW, Ok(()))]
#[case::ends_now(NOW - 7200, NOW, NOW - 3600, Ok(()))]
#[case::begins_later(NOW + 1, NOW + 2, NOW + 1, Err(Refusal::CertificateExpired))]
#[case::ended(NOW - 7200, NOW - 1, NOW - 3600, Err(Refusal::CertificateExpired))]
#[case::signed_on_its_first_second(NOW - 3600, NOW, NOW - 3600, Ok(()))]
#[case::signed_before(NOW - 3599, NOW, NOW - 3600, Err(Refusal::SignedOutsideCertificate))]
#[case::signed_after(NOW - 7200, NOW, NOW + 1, Err(Refusal::SignedOutsideCertificate))]
fn a_certificate_holds_while_it_says(
    #[case] not_before: i64,
    #[case] not_after: i64,
    #[case] signed: i64,
    #[case] expected: Result<(), Refusal>,
) {
    let template = Template {
        not_before,
        not_after,
        ..Template::of(&issuer())
    };
    let document = AccessDocument {
        issuer: IssuerName::Certificate(template.signed_by(&Key::of("CA"))),
        validity: Validity {
            signed: at(signed),
            ..validity()
        },
        ..access(&issuer(), &credential())
    };
    let bytes = signed_access(&document, &issuer()).as_bytes().to_vec();
    let trusted = trusting(&[], &[&Key::of("CA")]);
    assert_eq!(verify_by(&trusted, &bytes, CLOCK).map(|_| ()), expected);
}

fn outcome_of_certificate(template: &Template) -> Result<(), Refusal> {
    let ca = Key::of("CA");
    let document = AccessDocument {
        issuer: IssuerName::Certificate(template.signed_by(&ca)),
        ..access(&issuer(), &credential())
    };
    let bytes = signed_access(&document, &issuer()).as_bytes().to_vec();
    verify_by(&trusting(&[], &[&ca]), &bytes, CLOCK).map(|_| ())
}

#[test]
fn a_certificate_must_let_its_key_sign() {
    let outcome = |extensions: &[Vec<u8>]| {
        outcome_of_certificate(&Template {
            extensions: extensions.to_vec(),
            ..Template::of(&issuer())
        })
    };
    let signs = extension(KEY_USAGE, true, &DIGITAL_SIGNATURE);
    let enciphers = extension(KEY_USAGE, true, &KEY_ENCIPHERMENT);
    let constrains = |critical| extension(NAME_CONSTRAINTS, critical, &[0x30, 0]);
    let refused = Err(Refusal::MalformedCertificate);
    assert_eq!(outcome(std::slice::from_ref(&signs)), Ok(()));
    assert_eq!(outcome(&[enciphers]), refused);
    assert_eq!(outcome(&[constrains(false)]), Ok(()));
    assert_eq!(
        outcome(&[constrains(true)]),
        refused,
        "critical and unknown"
    );
    assert_eq!(outcome(&[signs, constrains(true)]), refused);
    for known in [BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE] {
        assert_eq!(outcome(&[extension(known, true, &[0x30, 0])]), Ok(()));
    }
}

#[test]
fn a_certificate_is_of_p256_and_ecdsa_with_sha256() {
    let with = |key_type, algorithms| {
        outcome_of_certificate(&Template {
            key_type,
            algorithms,
            ..Template::of(&issuer())
        })
    };
    let (key_type, algorithms) = ([EC_PUBLIC_KEY, P256], [ECDSA_WITH_SHA256; 2]);
    let refused = Err(Refusal::MalformedCertificate);
    assert_eq!(with(key_type, algorithms), Ok(()));
    assert_eq!(with([ANOTHER, P256], algorithms), refused);
    assert_eq!(with([EC_PUBLIC_KEY, ANOTHER], algorithms), refused);
    assert_eq!(with(key_type, [ANOTHER; 2]), refused);
    assert_eq!(with(key_type, [ECDSA_WITH_SHA256, ANOTHER]), refused);
    assert_eq!(with(key_type, [ANOTHER, ECDSA_WITH_SHA256]), refused);
}

#[test]
fn every_element_is_a_signed_one() {
    // Its digest under another number.
    let other_number = |parts: &mut Parts| {
        parts.fresh_digests = false;
        put(&mut parts.items[0], "1", 2.into());
    };
    assert_eq!(outcome(other_number), Err(Refusal::DigestMismatch));
    // In a namespace that the issuer signed nothing for.
    let other_namespace = |parts: &mut Parts| {
        parts.fresh_digests = false;
        parts.namespace = "aliro-b".into();
    };
    assert_eq!(outcome(other_namespace), Err(Refusal::DigestMismatch));
    // Signed, but not of the document's own namespace.
    assert_eq!(
        outcome(|parts| parts.namespace = "aliro-b".into()),
        Err(Refusal::NotAsked)
    );
    // One good element does not carry a bad one.
    let smuggled = |parts: &mut Parts| {
        parts.fresh_digests = false;
        let mut second = parts.items[0].clone();
        put(&mut second, "1", 9.into());
        put(&mut second, "3", "floor2".into());
        parts.items.push(second);
    };
    assert_eq!(outcome(smuggled), Err(Refusal::DigestMismatch));
}

#[test]
fn the_device_key_may_be_compressed() {
    // One key with an odd y, one with an even.
    let keys = (0..).map(|number: u32| Key::of(&format!("device {number}")));
    let is_odd = |key: &Key| key.public().y()[31] & 1 == 1;
    for odd in [true, false] {
        let key = keys
            .clone()
            .find(|key| is_odd(key) == odd)
            .expect("half are");
        let outcome = |y: Value| {
            let signed = signed_access(&access(&issuer(), &key), &issuer());
            let bytes = forge(&signed, &issuer(), |parts| {
                let device_key = member(member(&mut parts.mso, "4"), "1");
                device_key.as_map_mut().expect("a map")[3].1 = y;
            });
            verify_for(&key, &trusting(&[&issuer()], &[]), &bytes, CLOCK).map(|_| ())
        };
        assert_eq!(outcome(Value::Bool(odd)), Ok(()));
        assert_eq!(outcome(Value::Bool(!odd)), Err(Refusal::WrongDevice));
        let other_y = Value::Bytes(vec![1; 32]);
        assert_eq!(outcome(other_y), Err(Refusal::WrongDevice));
    }
}

#[test]
fn a_grant_needs_a_device_and_a_list_must_have_none() {
    assert_eq!(
        outcome(|parts| remove(&mut parts.mso, "4")),
        Err(Refusal::WrongDevice)
    );
    let list = signed_revocation(&list(), &issuer());
    let mut key = Value::Null;
    forge(&grant(), &issuer(), |parts| {
        key = member(&mut parts.mso, "4").clone()
    });
    let bound = forge(&list, &issuer(), |parts| put(&mut parts.mso, "4", key));
    let bound = RawDocument::decode(&bound).expect("well-formed");
    assert_eq!(
        verify_revocation(&bound, CLOCK, &Iterations::new()),
        Err(Refusal::WrongDevice)
    );
    assert!(verify_revocation(&list, CLOCK, &Iterations::new()).is_ok());
}

#[test]
fn a_list_is_checked_like_a_grant() {
    let outcome = |document: RevocationDocument, clock, iterations: &Iterations| {
        let signed = signed_revocation(&document, &issuer());
        verify_revocation(&signed, clock, iterations).map(|_| ())
    };
    let none = Iterations::new();
    let with = |validity| RevocationDocument { validity, ..list() };
    let late = Validity {
        valid_from: at(NOW + 1),
        ..validity()
    };
    assert_eq!(outcome(with(late), CLOCK, &none), Err(Refusal::NotYetValid));
    assert_eq!(outcome(with(late), None, &none), Ok(()));
    let over = Validity {
        valid_until: at(NOW - 1),
        ..validity()
    };
    assert_eq!(outcome(with(over), CLOCK, &none), Err(Refusal::Expired));
    let time_required = RevocationDocument {
        time_required: true,
        ..list()
    };
    assert_eq!(
        outcome(time_required.clone(), None, &none),
        Err(Refusal::TimeRequired)
    );
    assert_eq!(outcome(time_required, CLOCK, &none), Ok(()));
    let ninth: Iterations = [(issuer().public().key_identifier(), 9)]
        .into_iter()
        .collect();
    let first = Validity {
        iteration: Some(1),
        ..validity()
    };
    assert_eq!(
        outcome(with(first), CLOCK, &ninth),
        Err(Refusal::IterationTooOld)
    );
    // Without a counter there is none to hold it against.
    assert_eq!(outcome(with(validity()), CLOCK, &ninth), Ok(()));
    let grant = grant();
    assert_eq!(
        verify_revocation(&grant, CLOCK, &none),
        Err(Refusal::WrongDocType)
    );
    let malformed = forge(&signed_revocation(&list(), &issuer()), &issuer(), |parts| {
        put(
            &mut parts.items[0],
            "4",
            Value::Map(vec![(0.into(), 1.into())]),
        );
    });
    let malformed = RawDocument::decode(&malformed).expect("well-formed");
    assert_eq!(
        verify_revocation(&malformed, CLOCK, &none),
        Err(Refusal::MalformedElement)
    );
}

#[test]
fn one_unknown_critical_extension_among_known_ones_is_enough() {
    let access_extension = |critical, id| AccessExtension {
        critical,
        id,
        version: 1,
        data: Vec::new(),
    };
    let outcome = |extensions| {
        let data = AccessData {
            access_extensions: [(7, extensions)].into(),
            ..AccessData::default()
        };
        let document = AccessDocument {
            elements: vec![element(ELEMENT, data)],
            ..access(&issuer(), &credential())
        };
        let trusted = trusting(&[&issuer()], &[]);
        let context = VerifyContext {
            credential: &credential().public(),
            asked: &[ELEMENT.to_owned()],
            clock: CLOCK,
            iterations: &Iterations::new(),
            known_reader_rules: &|_| true,
            understands: &|vendor, id, version| (vendor, id, version) == (7, 1, 1),
        };
        Verifier::new(&trusted)
            .access(&signed_access(&document, &issuer()), &context)
            .map(|_| ())
    };
    let refused = Err(Refusal::UnknownCriticalExtension);
    assert_eq!(outcome(vec![access_extension(true, 1)]), Ok(()));
    assert_eq!(
        outcome(vec![access_extension(true, 1), access_extension(false, 2)]),
        Ok(())
    );
    assert_eq!(
        outcome(vec![access_extension(true, 1), access_extension(true, 2)]),
        refused
    );
    assert_eq!(
        outcome(vec![access_extension(true, 2), access_extension(true, 1)]),
        refused
    );
}

#[test]
fn counters_are_kept_apart_by_issuer() {
    let (ours, theirs) = ([1; 8], [2; 8]);
    let mut iterations = Iterations::new();
    assert!(!iterations.is_too_old(ours, Some(0)), "none known");
    assert!(iterations.raise(ours, Some(8)));
    assert!(!iterations.raise(ours, Some(8)), "no rise");
    assert!(!iterations.raise(ours, Some(3)), "never lowered");
    assert!(!iterations.raise(ours, None));
    assert_eq!(iterations.highest(ours), Some(8));
    assert!(iterations.is_too_old(ours, Some(0)));
    assert!(!iterations.is_too_old(ours, Some(1)));
    assert!(!iterations.is_too_old(ours, Some(u64::MAX)));
    assert!(!iterations.is_too_old(theirs, Some(0)));
    assert_eq!(iterations.iter().collect::<Iterations>(), iterations);
    iterations.forget(ours);
    assert!(!iterations.is_too_old(ours, Some(0)));
}

/// Active at second 100 and not at 200.
const ONCE: Schedule = Schedule {
    start: 100,
    end: Some(200),
    recurrence: None,
    utc: true,
};

#[test]
fn rules_are_alternatives_and_deny_wins() {
    let rule = |capabilities, allow, deny| AccessRule {
        capabilities,
        allow,
        deny,
    };
    let verdict = |rules: &[AccessRule], seconds: Option<i64>| {
        let later = Schedule {
            start: 200,
            end: None,
            ..ONCE
        };
        let data = AccessData {
            rules: rules.to_vec(),
            schedules: vec![ONCE, later],
            ..AccessData::default()
        };
        let now = seconds.map(|utc| Now { utc, local: 0 });
        evaluate(&data, Capabilities::UNSECURE, now)
    };
    let [unsecure, secure] = [Capabilities::UNSECURE, Capabilities::SECURE];
    use Verdict::{Allowed, DeniedBySchedule, NeedsClock, NoSuchCapability, OutsideSchedules};
    assert_eq!(verdict(&[rule(unsecure, 1, 0)], Some(100)), Allowed);
    assert_eq!(
        verdict(&[rule(unsecure, 1, 0)], Some(200)),
        OutsideSchedules
    );
    assert_eq!(verdict(&[rule(unsecure, 3, 0)], Some(200)), Allowed);
    assert_eq!(
        verdict(&[rule(unsecure, 1, 1)], Some(100)),
        DeniedBySchedule
    );
    assert_eq!(verdict(&[rule(unsecure, 1, 2)], Some(100)), Allowed);
    assert_eq!(verdict(&[rule(unsecure, 0, 2)], Some(100)), Allowed);
    assert_eq!(verdict(&[rule(unsecure, 1, 0)], None), NeedsClock);
    assert_eq!(verdict(&[rule(unsecure, 0, 1)], None), NeedsClock);
    assert_eq!(verdict(&[rule(unsecure, 0, 0)], None), Allowed);
    assert_eq!(verdict(&[rule(secure, 0, 0)], None), NoSuchCapability);
    // A rule that applies is enough, and else the closest miss is told.
    let mixed = [
        rule(secure, 0, 0),
        rule(unsecure, 1, 0),
        rule(unsecure, 0, 1),
    ];
    assert_eq!(verdict(&mixed, Some(100)), Allowed);
    assert_eq!(verdict(&mixed, Some(200)), Allowed);
    assert_eq!(verdict(&mixed[..2], Some(200)), OutsideSchedules);
    let narrow = [rule(unsecure, 1, 0), rule(unsecure, 3, 2)];
    assert_eq!(verdict(&narrow, Some(200)), DeniedBySchedule);
}

#[test]
fn no_rules_grant_all_that_is_assigned_and_nothing_else() {
    let verdict = |action| evaluate(&AccessData::default(), action, None);
    for bit in 0..16 {
        let expected = match bit {
            0..6 => Verdict::Allowed,
            _ => Verdict::NoSuchCapability,
        };
        assert_eq!(verdict(Capabilities(1 << bit)), expected, "bit {bit}");
    }
    assert_eq!(verdict(Capabilities(0)), Verdict::NoSuchCapability);
    let everything = AccessData {
        rules: vec![AccessRule {
            capabilities: Capabilities(0xffff),
            ..documents::rule(0, 0)
        }],
        ..AccessData::default()
    };
    let unassigned = Capabilities(1 << 12);
    assert_eq!(
        evaluate(&everything, unassigned, None),
        Verdict::NoSuchCapability
    );
}

#[test]
fn a_withdrawn_element_leaves_the_others() {
    let with_id = |id: &[u8]| AccessData {
        id: id.to_vec(),
        ..AccessData::default()
    };
    let nothing = AccessData {
        rules: vec![AccessRule {
            capabilities: Capabilities::UNSECURE,
            ..documents::rule(0, 0)
        }],
        ..with_id(b"3")
    };
    let document = AccessDocument {
        elements: vec![
            element("a", with_id(b"1")),
            element("b", with_id(b"2")),
            element("c", nothing),
        ],
        ..access(&issuer(), &credential())
    };
    let signed = signed_access(&document, &issuer());
    let trusted = trusting(&[&issuer()], &[]);
    let context = VerifyContext {
        credential: &credential().public(),
        asked: &["a", "b", "c"].map(str::to_owned),
        clock: CLOCK,
        iterations: &Iterations::new(),
        known_reader_rules: &|_| true,
        understands: &|_, _, _| true,
    };
    let verified = Verifier::new(&trusted)
        .access(&signed, &context)
        .expect("sound");
    let outcome = |entries: Vec<RevocationEntry>| {
        let revoked = RevocationList::restore(entries, None);
        let (action, key) = (Capabilities::SECURE, credential().public());
        let allowed = verified.allows(action, CLOCK, &key, &revoked);
        allowed.map(str::to_owned)
    };
    let of_id = RevocationEntry::of_id;
    assert_eq!(outcome(vec![]), Ok("a".to_owned()));
    assert_eq!(outcome(vec![of_id(b"1")]), Ok("b".to_owned()));
    let both = vec![of_id(b"1"), of_id(b"2")];
    assert_eq!(outcome(both), Err(Refusal::Revoked));
    let of_key = RevocationEntry::of_key(&credential().public());
    assert_eq!(outcome(vec![of_key]), Err(Refusal::Revoked));
}
