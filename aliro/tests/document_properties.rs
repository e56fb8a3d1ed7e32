//! What must hold of every document, sound or hostile.

mod documents;

use std::sync::LazyLock;

use aliro::crypto::PublicKey;
use aliro::document::issuer::AccessDocument;
use aliro::document::{
    AccessData, AccessExtension, AccessRule, Capabilities, ChangeMode, DeviceRequest,
    DeviceResponse, DocumentError, Extension, Iterations, ListFull, MAX_LEN, MAX_REVOCATIONS, Now,
    Pattern, RawDocument, Recurrence, Refusal, RevocationData, RevocationEntry, RevocationList,
    Schedule, TrustedIssuers, Validity, VerifiedAccess, VerifiedRevocation, Verifier,
    VerifyContext,
};
use documents::certificate::Template;
use documents::{ELEMENT, Key, NOW, access, access_with, at, element, signed_access, validity};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn extension() -> impl Strategy<Value = Extension> {
    (any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..40))
        .prop_map(|(id, version, data)| Extension { id, version, data })
}

fn access_extension() -> impl Strategy<Value = AccessExtension> {
    (any::<bool>(), extension()).prop_map(|(critical, extension)| AccessExtension {
        critical,
        id: extension.id,
        version: extension.version,
        data: extension.data,
    })
}

fn recurrence() -> impl Strategy<Value = Recurrence> {
    prop_oneof![
        Just((Pattern::Daily, 0, 0)),
        (1u32..0x80).prop_map(|mask| (Pattern::Weekly, mask, 0)),
        (1u32..0x80, 1i8..=5).prop_map(|(mask, n)| (Pattern::MonthlyByDay, mask, -n)),
        (1u32..0x8000_0000).prop_map(|mask| (Pattern::MonthlyByDate, mask, 0)),
        (1u32..0x1000, -53i8..0).prop_map(|(mask, n)| (Pattern::YearlyByWeek, mask << 7, n)),
    ]
    .prop_flat_map(|(pattern, mask, ordinal)| {
        (1..=u32::MAX, 1..=u8::MAX).prop_map(move |(duration, interval)| {
            Recurrence::new(duration, mask, pattern, interval, ordinal).expect("a rule")
        })
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    (
        0..u32::MAX,
        option::of(1..=u32::MAX),
        option::of(recurrence()),
        any::<bool>(),
    )
        .prop_map(|(start, end, recurrence, utc)| Schedule {
            start,
            end: end.filter(|end| recurrence.is_some() || *end > start),
            recurrence,
            utc,
        })
}

fn access_data() -> impl Strategy<Value = AccessData> {
    (
        vec(any::<u8>(), 0..=16),
        vec(schedule(), 0..=8),
        vec((1..=u16::MAX, any::<u8>(), any::<u8>()), 0..6),
        vec(any::<u16>(), 0..6),
        btree_map(1..=u64::MAX, vec(extension(), 0..3), 0..3),
        btree_map(1..=u64::MAX, vec(access_extension(), 0..3), 0..3),
    )
        .prop_map(
            |(id, schedules, rules, reader_rules, informational, conditions)| {
                let existing = ((1u16 << schedules.len()) - 1) as u8;
                let rules = rules
                    .into_iter()
                    .map(|(capabilities, allow, deny)| AccessRule {
                        capabilities: Capabilities(capabilities),
                        allow: allow & existing,
                        deny: deny & existing,
                    })
                    .collect();
                AccessData {
                    id,
                    rules,
                    schedules,
                    reader_rules,
                    non_access_extensions: informational,
                    access_extensions: conditions,
                }
            },
        )
}

fn entry() -> impl Strategy<Value = RevocationEntry> {
    (
        option::of(any::<[u8; 32]>()),
        vec(any::<u8>(), 1..=16),
        any::<bool>(),
        option::of(any::<u32>()),
    )
        .prop_map(|(key_hash, id, with_id, expiry)| RevocationEntry {
            id: if with_id || key_hash.is_none() {
                id
            } else {
                Vec::new()
            },
            key_hash,
            expiry,
        })
}

fn revocation_data() -> impl Strategy<Value = RevocationData> {
    (
        any::<bool>(),
        vec(entry(), 0..8),
        vec(entry(), 0..8),
        btree_map(1..=u64::MAX, vec(extension(), 0..3), 0..3),
    )
        .prop_map(|(overwrite, entries, remove, extensions)| RevocationData {
            change: if overwrite {
                ChangeMode::Overwrite
            } else {
                ChangeMode::Append
            },
            entries,
            remove,
            extensions,
        })
}

fn issuer() -> Key {
    Key::of("issuer")
}

fn credential() -> Key {
    Key::of("credential")
}

/// A reader that takes everything but what is not authentic, valid or new.
fn verify(document: &RawDocument, credential: &PublicKey) -> Result<VerifiedAccess, Refusal> {
    static TRUSTED: LazyLock<TrustedIssuers> = LazyLock::new(|| {
        let mut trusted = TrustedIssuers::new();
        trusted.add_issuer(issuer().public());
        trusted.add_authority(Key::of("CA").public());
        trusted
    });
    let context = VerifyContext {
        credential,
        asked: &[ELEMENT.to_owned()],
        clock: Some(Now {
            utc: NOW,
            local: NOW,
        }),
        iterations: &Iterations::new(),
        known_reader_rules: &|_| true,
        understands: &|_, _, _| true,
    };
    Verifier::new(&TRUSTED).access(document, &context)
}

proptest! {
    #[test]
    fn access_data_is_read_as_it_was_written(data in access_data()) {
        let bytes = data.encode().expect("within the limits");
        prop_assert_eq!(AccessData::decode(&bytes), Ok(data));
    }

    #[test]
    fn revocation_data_is_read_as_it_was_written(data in revocation_data()) {
        let bytes = data.encode().expect("within the limits");
        prop_assert_eq!(RevocationData::decode(&bytes), Ok(data));
    }

    #[test]
    fn requests_are_read_as_they_were_written(
        access in vec("[a-z.0-9]{1,12}", 0..5), revocation in vec("[a-z]{1,30}", 0..3),
    ) {
        let mut request = DeviceRequest { access, revocation };
        for list in [&mut request.access, &mut request.revocation] {
            list.sort();
            list.dedup();
        }
        prop_assert_eq!(DeviceRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn a_document_says_what_it_was_made_of(data in access_data(), other in access_data()) {
        let document = AccessDocument {
            elements: vec![element("other", other), element(ELEMENT, data.clone())],
            ..access(&issuer(), &credential())
        };
        let signed = signed_access(&document, &issuer());
        let response = DeviceResponse { documents: vec![signed], status: 0 };
        let received = DeviceResponse::decode(&response.encode()).expect("a response");
        let verified = verify(&received.documents[0], &credential().public())
            .expect("a sound document");
        prop_assert_eq!(verified.elements, vec![(ELEMENT.to_owned(), data)]);
        prop_assert_eq!(verified.validity, document.validity);
        prop_assert_eq!(verified.issuer, issuer().public().key_identifier());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _ = DeviceRequest::decode(&bytes);
        let _ = DeviceResponse::decode(&bytes);
        let _ = RawDocument::decode(&bytes);
        let _ = AccessData::decode(&bytes);
        let _ = RevocationData::decode(&bytes);
    }

    /// Starts from a sound response, so that the deeper parts are reached.
    #[test]
    fn spoilt_responses_are_refused_in_good_order(
        data in access_data(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..5),
    ) {
        let signed = signed_access(&access_with(&issuer(), &credential(), data), &issuer());
        let sound = DeviceResponse { documents: vec![signed], status: 0 }.encode();
        let mut bytes = sound.clone();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        if let Ok(response) = DeviceResponse::decode(&bytes)
            && let Some(document) = response.documents.first()
            && verify(document, &credential().public()).is_ok()
        {
            let original = DeviceResponse::decode(&sound).expect("a response");
            prop_assert_eq!(document.as_bytes(), original.documents[0].as_bytes());
        }
    }

    #[test]
    fn spoilt_elements_are_read_or_refused(
        data in access_data(), revocations in revocation_data(),
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let spoil = |mut bytes: Vec<u8>| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        };
        let bytes = spoil(data.encode().expect("within the limits"));
        if let Ok(data) = AccessData::decode(&bytes) {
            prop_assert_eq!(AccessData::decode(&data.encode().expect("as it was read")), Ok(data));
        }
        let _ = RevocationData::decode(&spoil(revocations.encode().expect("within the limits")));
    }

    /// The list against the sentences of the standard, with sets of names.
    #[test]
    fn the_list_follows_the_documents(changes in vec(revocation_data(), 0..6)) {
        let mut list = RevocationList::new();
        let mut expected = std::collections::BTreeSet::new();
        let name = |entry: &RevocationEntry| (entry.key_hash, entry.id.clone());
        for change in &changes {
            list.apply(change).expect("room");
            if change.change == ChangeMode::Overwrite {
                expected.clear();
            }
            expected.extend(change.entries.iter().map(name));
            for entry in &change.remove {
                expected.remove(&name(entry));
            }
        }
        let held: std::collections::BTreeSet<_> = list.iter().map(|entry| name(&entry)).collect();
        prop_assert_eq!(&held, &expected);
        prop_assert_eq!(RevocationList::restore(list.iter(), list.signed()), list);
    }
}

#[test]
fn no_single_byte_can_change() {
    let plain = signed_access(&access(&issuer(), &credential()), &issuer());
    let certified = AccessDocument {
        issuer: aliro::document::IssuerName::Certificate(
            Template::of(&issuer()).signed_by(&Key::of("CA")),
        ),
        ..access(&issuer(), &credential())
    };
    let certified = signed_access(&certified, &issuer());
    let credential = credential().public();
    for document in [plain, certified] {
        assert!(verify(&document, &credential).is_ok());
        for at in 0..document.as_bytes().len() {
            for bit in 0..8 {
                let mut bytes = document.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(spoilt) = RawDocument::decode(&bytes) {
                    let outcome = verify(&spoilt, &credential);
                    assert!(outcome.is_err(), "byte {at}, bit {bit}");
                }
            }
        }
    }
}

#[test]
fn no_part_can_be_cut_off_or_added() {
    let document = signed_access(&access(&issuer(), &credential()), &issuer());
    let bytes = document.as_bytes();
    for len in 0..bytes.len() {
        assert!(RawDocument::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(
        RawDocument::decode(&[bytes, &[0]].concat()),
        Err(DocumentError::NotCbor)
    );
}

#[test]
fn a_device_shows_only_what_is_asked_for() {
    let secret = AccessData {
        id: b"other door".to_vec(),
        ..AccessData::default()
    };
    let document = AccessDocument {
        elements: vec![
            element(ELEMENT, AccessData::default()),
            element("floor2", secret),
        ],
        ..access(&issuer(), &credential())
    };
    let held = signed_access(&document, &issuer());
    let shown = held.select(&[ELEMENT]).expect("it has that");
    assert_eq!(shown.identifiers().collect::<Vec<_>>(), [ELEMENT]);
    assert!(!contains(shown.as_bytes(), b"other door"));
    assert!(!contains(shown.as_bytes(), b"floor2"));
    assert!(verify(&shown, &credential().public()).is_ok());
    for shown in [Some(shown), held.select(&["floor2"])]
        .into_iter()
        .flatten()
    {
        assert_eq!(RawDocument::decode(shown.as_bytes()), Ok(shown));
    }
    assert_eq!(held.select(&["floor3"]), None);
    assert_eq!(held.select(&["floor2", ELEMENT]), Some(held.clone()));
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn one_bad_element_does_not_spoil_its_neighbours() {
    let needs_a_rule = AccessData {
        reader_rules: vec![7],
        ..AccessData::default()
    };
    let document = AccessDocument {
        elements: vec![
            element("a", needs_a_rule),
            element(ELEMENT, AccessData::default()),
        ],
        ..access(&issuer(), &credential())
    };
    let signed = signed_access(&document, &issuer());
    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(issuer().public());
    let context = VerifyContext {
        credential: &credential().public(),
        asked: &["a".to_owned(), ELEMENT.to_owned()],
        clock: None,
        iterations: &Iterations::new(),
        known_reader_rules: &|_| false,
        understands: &|_, _, _| false,
    };
    let verified = Verifier::new(&trusted)
        .access(&signed, &context)
        .expect("one is left");
    assert_eq!(
        verified.elements,
        [(ELEMENT.to_owned(), AccessData::default())]
    );
    assert_eq!(
        verified.refused,
        [("a".to_owned(), Refusal::UnknownReaderRule)]
    );
}

#[test]
fn an_old_list_does_not_come_back() {
    let list = |signed, entries| VerifiedRevocation {
        issuer: issuer().public().key_identifier(),
        validity: Validity {
            signed: at(signed),
            ..validity()
        },
        elements: vec![(ELEMENT.to_owned(), RevocationData::overwrite(entries))],
    };
    let withdrawn = RevocationEntry::of_key(&credential().public());
    let (without, with) = (list(NOW - 1, vec![]), list(NOW, vec![withdrawn]));
    let mut held = RevocationList::new();
    assert_eq!(held.take(&without), Ok(true));
    assert_eq!(held.take(&with), Ok(true));
    assert_eq!(held.signed(), Some(at(NOW)));
    assert_eq!(held.take(&without), Ok(false));
    assert!(held.revokes_key(&credential().public()));
    assert_eq!(held.take(&list(NOW, vec![])), Ok(true), "the same second");
    assert!(held.is_empty());
}

#[test]
fn a_revocation_names_a_key_or_an_id_and_ends_with_a_clock() {
    let (key, other) = (credential().public(), Key::of("other").public());
    let both = RevocationEntry {
        id: b"one".to_vec(),
        expiry: Some(1_000),
        ..RevocationEntry::of_key(&key)
    };
    let of_id = RevocationEntry::of_id(b"two");
    let mut list = RevocationList::restore([both, of_id], None);
    assert!(list.revokes(&key, b""));
    assert!(list.revokes(&other, b"one"));
    assert!(list.revokes(&other, b"two"));
    assert!(!list.revokes(&other, b"three"));
    assert!(!list.revokes(&other, b""), "no id is nobody's");
    list.drop_expired(1_000);
    assert_eq!((list.len(), list.is_empty()), (2, false));
    list.drop_expired(1_001);
    assert!(!list.revokes(&key, b"one"));
    assert!(list.revokes(&key, b"two"));
}

#[test]
fn a_full_list_refuses_rather_than_forgets() {
    let numbered = |from: u32, count: u32| {
        (from..from + count).map(|number| RevocationEntry::of_id(&number.to_be_bytes()))
    };
    let room = u32::try_from(MAX_REVOCATIONS).expect("a number");
    let full = RevocationList::restore(numbered(0, room), None);
    let mut list = full.clone();
    let change = RevocationData {
        change: ChangeMode::Append,
        ..RevocationData::overwrite(numbered(room, 1).collect())
    };
    assert_eq!(list.apply(&change), Err(ListFull));
    assert_eq!(list, full);
    let mut list = RevocationList::restore(numbered(1, room - 1), None);
    assert_eq!(list.apply(&change), Ok(()), "the last place");
}

#[test]
fn hostile_shapes_end_at_their_bounds() {
    // Nesting, by every container.
    for open in [
        &[0x81][..],
        &[0xa1, 0x00],
        &[0xc6],
        &[0x9b, 0, 0, 0, 0, 0, 0, 0, 1],
    ] {
        let deep = open.repeat(10_000);
        assert!(DeviceResponse::decode(&deep).is_err());
        assert!(AccessData::decode(&deep).is_err());
        let in_unknown_member = [&[0xa1, 0x61, b'9'], &deep[..]].concat();
        assert_eq!(
            DeviceResponse::decode(&in_unknown_member),
            Err(DocumentError::TooComplex)
        );
    }
    // Lengths that are not there.
    for major in 2u8..6 {
        let huge = [&[major << 5 | 27][..], &[0xff; 8]].concat();
        assert!(RevocationData::decode(&huge).is_err());
        assert!(DeviceRequest::decode(&huge).is_err());
    }
    assert_eq!(
        DeviceResponse::decode(&vec![0; MAX_LEN + 1]),
        Err(DocumentError::TooLarge)
    );
    // More items than any document has.
    let crowd = [
        &[0xa1, 0x61, b'9', 0x9a, 0, 1, 0x86, 0xa0][..],
        &[0; 100_000],
    ]
    .concat();
    assert_eq!(
        DeviceResponse::decode(&crowd),
        Err(DocumentError::TooComplex)
    );
}

#[test]
fn a_schedule_that_is_not_there_makes_the_element_invalid() {
    let data = AccessData {
        rules: vec![AccessRule {
            capabilities: Capabilities::ALL,
            allow: 2,
            deny: 0,
        }],
        schedules: vec![Schedule {
            start: 0,
            end: None,
            recurrence: None,
            utc: true,
        }],
        ..AccessData::default()
    };
    let malformed = DocumentError::Malformed("schedule of an AccessRule");
    assert_eq!(data.encode(), Err(malformed));
    // {0: 1, 2: [{0: 1, 1: 2}], 3: [{0: 0, 3: 1}]}
    let bytes = hex::decode("a30001028 1a20001010203 81a200000301".replace(' ', "")).expect("hex");
    assert_eq!(AccessData::decode(&bytes), Err(malformed));
}

#[test]
fn elements_with_unknown_members_are_refused() {
    assert!(AccessData::decode(&[0xa1, 0x00, 0x01]).is_ok());
    assert!(AccessData::decode(&[0xa2, 0x00, 0x01, 0x07, 0x00]).is_err());
    assert!(AccessData::decode(&[0xa2, 0x00, 0x01, 0x00, 0x01]).is_err());
    assert!(AccessData::decode(&[0xa2, 0x00, 0x01, 0x02, 0x80]).is_err());
    assert_eq!(
        AccessData::decode(&[0xa1, 0x00, 0x18, 0x2a]),
        Err(DocumentError::ElementVersion(42))
    );
}

#[test]
fn extension_data_may_also_be_a_bare_map() {
    // {0: 1, 6: {1: [[0, 2, 3, {}]]}}
    let bytes = hex::decode("a2000106a101818400020 3a0".replace(' ', "")).expect("hex");
    let data = AccessData::decode(&bytes).expect("AccessData");
    assert_eq!(
        data.access_extensions[&1],
        [AccessExtension {
            critical: true,
            id: 2,
            version: 3,
            data: vec![0xa0],
        }]
    );
}
