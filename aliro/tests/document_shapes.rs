//! What a document, a request, an answer and an element look like, and where
//! they end.

mod documents;

use aliro::document::issuer::AccessDocument;
use aliro::document::{
    AccessData, AccessRule, Capabilities, DeviceRequest, DeviceResponse, DocumentError, IssuerName,
    MAX_ASKED, MAX_ELEMENTS, Pattern, RawDocument, Recurrence, RevocationData, Schedule,
};
use ciborium::value::Value;
use documents::forge::{Parts, encode, forge, map, member, put, remove};
use documents::{Key, access, access_with, element, revocation, signed_access, signed_revocation};
use rstest::rstest;

fn issuer() -> Key {
    Key::of("issuer")
}

fn credential() -> Key {
    Key::of("credential")
}

fn grant() -> RawDocument {
    signed_access(&access(&issuer(), &credential()), &issuer())
}

const ONCE: Schedule = Schedule {
    start: 100,
    end: Some(200),
    recurrence: None,
    utc: true,
};

fn decoded(edit: impl FnOnce(&mut Parts)) -> Result<(), DocumentError> {
    RawDocument::decode(&forge(&grant(), &issuer(), edit)).map(|_| ())
}

#[test]
fn documents_of_another_shape_are_malformed() {
    let item = Err(DocumentError::Malformed("IssuerSignedItem"));
    let in_item = |key: &'static str, value: Value| {
        decoded(move |parts| put(&mut parts.items[0], key, value))
    };
    assert_eq!(in_item("2", Value::Bytes(vec![])), item, "no salt");
    assert_eq!(in_item("3", "".into()), item, "no identifier");
    assert_eq!(in_item("1", (-1).into()), item);
    for key in ["2", "3", "4"] {
        assert_eq!(
            decoded(|parts| remove(&mut parts.items[0], key)),
            item,
            "without {key}"
        );
    }
    assert_eq!(in_item("9", "ignored".into()), Ok(()));
    let again_as = |identifier: &'static str| {
        move |parts: &mut Parts| {
            let mut second = parts.items[0].clone();
            put(&mut second, "1", 2.into());
            put(&mut second, "3", identifier.into());
            parts.items.push(second);
        }
    };
    assert_eq!(decoded(again_as("floor2")), Ok(()));
    assert_eq!(
        decoded(again_as("floor1")),
        Err(DocumentError::Malformed("IssuerSigned namespaces")),
        "one identifier twice"
    );
    let mso = |edit: fn(&mut Value)| decoded(move |parts| edit(&mut parts.mso));
    for key in ["1", "2", "5", "6", "7"] {
        let without = decoded(|parts| remove(&mut parts.mso, key));
        assert!(without.is_err(), "without {key}");
    }
    assert_eq!(mso(|mso| put(mso, "8", "ignored".into())), Ok(()));
    // A time with a fraction, one without a tag, a counter below zero.
    let in_validity = |key: &'static str, value: Value| {
        decoded(move |parts| put(member(&mut parts.mso, "6"), key, value))
    };
    let date = |text: &str| Value::Tag(0, Box::new(text.into()));
    assert_eq!(in_validity("4", date("2027-01-01T00:00:00Z")), Ok(()));
    assert!(in_validity("4", date("2027-01-01T00:00:00.0Z")).is_err());
    assert!(in_validity("4", "2027-01-01T00:00:00Z".into()).is_err());
    assert!(in_validity("5", (-1).into()).is_err());
    // Another curve, a key that is cut short.
    let key = |index: usize, value: Value| {
        decoded(move |parts| {
            let key = member(member(&mut parts.mso, "4"), "1");
            key.as_map_mut().expect("a map")[index].1 = value;
        })
    };
    assert!(key(0, 1.into()).is_err());
    assert!(key(1, 2.into()).is_err());
    assert!(key(2, Value::Bytes(vec![0; 31])).is_err());
    // A key id of seven bytes, and two certificates.
    let header = |label: i64, value: Value| {
        decoded(move |parts| parts.unprotected = Value::Map(vec![(label.into(), value)]))
    };
    assert!(header(4, Value::Bytes(vec![0; 7])).is_err());
    let certificates = vec![Value::Bytes(vec![0x30]), Value::Bytes(vec![0x30])];
    assert!(header(33, Value::Array(certificates)).is_err());
    assert_eq!(header(-70_000, "ignored".into()), Ok(()));
}

#[test]
fn a_crowd_of_digests_is_not_compared() {
    let digests = |count: u64| {
        let digests = (1..=count).map(|id| (id.into(), Value::Bytes(vec![0; 32])));
        let digests = Value::Map(digests.collect());
        decoded(|parts| {
            parts.fresh_digests = false;
            put(&mut parts.mso, "3", map([("aliro-a", digests)]));
        })
    };
    assert_eq!(digests(1024), Ok(()));
    assert_eq!(digests(1025), Err(DocumentError::TooComplex));
}

#[test]
fn responses_are_read_in_any_order_and_with_nothing_in_them() {
    let decoded = |response: Value| DeviceResponse::decode(&encode(&response));
    let document = || documents::forge::decode(grant().as_bytes());
    let version = || ("1", Value::from("1.0"));
    let answer = decoded(map([
        ("3", 0.into()),
        ("2", Value::Array(vec![document()])),
        version(),
        ("9", Value::Null),
    ]));
    assert_eq!(answer.map(|answer| answer.documents), Ok(vec![grant()]));
    let nothing = decoded(map([version(), ("3", 0.into())]));
    assert_eq!(
        nothing,
        Ok(DeviceResponse::of_status(DeviceResponse::STATUS_OK))
    );
    let failed = decoded(map([version(), ("3", 11.into())]));
    assert_eq!(failed.map(|answer| answer.status), Ok(11));
    let malformed = Err(DocumentError::Malformed("DeviceResponse"));
    assert_eq!(decoded(map([version()])), malformed);
    assert_eq!(
        decoded(map([("1", "1.1".into()), ("3", 0.into())])),
        malformed
    );
    assert_eq!(decoded(map([("3", 0.into())])), malformed);
    assert_eq!(
        decoded(map([version(), version(), ("3", 0.into())])),
        malformed
    );
    let two = Value::Array(vec![document(), document()]);
    assert!(decoded(map([version(), ("2", two), ("3", 0.into())])).is_err());
}

#[test]
fn a_device_answers_out_of_what_it_holds() {
    let with = |identifiers: &[&str]| {
        let document = AccessDocument {
            elements: identifiers
                .iter()
                .map(|identifier| element(identifier, AccessData::default()))
                .collect(),
            ..access(&issuer(), &credential())
        };
        signed_access(&document, &issuer())
    };
    let list = signed_revocation(
        &revocation(&issuer(), RevocationData::overwrite(Vec::new())),
        &issuer(),
    );
    let held = [list, with(&["a", "b"]), with(&["b", "c"])];
    let answer = |access: &[&str], revocation: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|id| id.to_string()).collect();
        let request = DeviceRequest {
            access: owned(access),
            revocation: owned(revocation),
        };
        let answer = DeviceResponse::answer(&request.encode(), &held);
        assert_eq!(answer.status, DeviceResponse::STATUS_OK);
        let shown = answer.documents.iter().map(|document| {
            let identifiers: Vec<_> = document.identifiers().collect();
            (document.doc_type().to_owned(), identifiers.join(" "))
        });
        shown.collect::<Vec<_>>()
    };
    let access_with = |identifiers: &str| ("aliro-a".to_owned(), identifiers.to_owned());
    let lists = ("aliro-r".to_owned(), "floor1".to_owned());
    assert_eq!(answer(&["c"], &[]), [access_with("c")]);
    assert_eq!(
        answer(&["b", "c"], &[]),
        [access_with("b")],
        "the first that has any"
    );
    assert_eq!(
        answer(&["b", "a"], &["floor1"]),
        [access_with("a b"), lists]
    );
    assert_eq!(answer(&["floor1"], &["a"]), [], "each in its own type");
    let status = |bytes: &[u8]| DeviceResponse::answer(bytes, &held);
    let undecodable = DeviceResponse::of_status(DeviceResponse::STATUS_CBOR_DECODING_ERROR);
    assert_eq!(status(&[0xff]), undecodable);
    let invalid = DeviceResponse::of_status(DeviceResponse::STATUS_CBOR_VALIDATION_ERROR);
    assert_eq!(status(&[0x00]), invalid);
}

#[test]
fn requests_are_read_in_any_order() {
    let items = |members: Value| {
        let tagged = Value::Tag(24, Box::new(Value::Bytes(encode(&members))));
        map([("1", tagged)])
    };
    let request = |doc_requests: Vec<Value>| {
        DeviceRequest::decode(&encode(&map([
            ("2", Value::Array(doc_requests)),
            ("1", "1.0".into()),
        ])))
    };
    let namespaces =
        |namespace, identifier| map([(namespace, map([(identifier, Value::from(false))]))]);
    let access = items(map([
        ("5", "aliro-a".into()),
        ("2", map([("note", "ignored".into())])),
        ("1", namespaces("aliro-a", "floor1")),
    ]));
    let unknown = items(map([
        ("1", namespaces("org.iso.18013.5.1", "family_name")),
        ("5", "org.iso.18013.5.1.mDL".into()),
    ]));
    let elsewhere = items(map([
        ("1", namespaces("aliro-r", "floor1")),
        ("5", "aliro-a".into()),
    ]));
    let expected = DeviceRequest {
        access: vec!["floor1".to_owned()],
        revocation: Vec::new(),
    };
    assert_eq!(
        request(vec![access.clone(), unknown, elsewhere, access]),
        Ok(expected)
    );
    assert_eq!(request(vec![]), Ok(DeviceRequest::default()));
    let many = (0..=MAX_ASKED).map(|number| (Value::from(number.to_string()), false.into()));
    let many = Value::Map(vec![("aliro-a".into(), Value::Map(many.collect()))]);
    let many = items(map([("1", many), ("5", "aliro-a".into())]));
    assert_eq!(request(vec![many]), Err(DocumentError::TooComplex));
    let no_type = items(map([("1", namespaces("aliro-a", "floor1"))]));
    assert!(request(vec![no_type]).is_err());
    let other_version = map([("1", "2.0".into()), ("2", Value::Array(vec![]))]);
    assert!(DeviceRequest::decode(&encode(&other_version)).is_err());
    assert!(DeviceRequest::decode(&encode(&map([("1", "1.0".into())]))).is_err());
}

#[test]
fn elements_end_at_their_limits() {
    let outcome = |data: AccessData| data.encode().and_then(|bytes| AccessData::decode(&bytes));
    let id = |len| AccessData {
        id: vec![1; len],
        ..AccessData::default()
    };
    assert!(outcome(id(16)).is_ok());
    assert!(outcome(id(17)).is_err());
    let schedules = |count| AccessData {
        schedules: vec![ONCE; count],
        ..AccessData::default()
    };
    assert!(outcome(schedules(8)).is_ok());
    assert!(outcome(schedules(9)).is_err());
    let backwards = AccessData {
        schedules: vec![Schedule {
            end: Some(100),
            ..ONCE
        }],
        ..AccessData::default()
    };
    assert!(outcome(backwards).is_err(), "ends as it starts");
    let no_capability = AccessData {
        rules: vec![AccessRule {
            capabilities: Capabilities(0),
            allow: 0,
            deny: 0,
        }],
        ..AccessData::default()
    };
    assert!(outcome(no_capability).is_err());
    let of_nobody = AccessData {
        non_access_extensions: [(0, Vec::new())].into(),
        ..AccessData::default()
    };
    assert!(outcome(of_nobody).is_err());
}

#[rstest]
#[case::daily_with_a_mask(Pattern::Daily, 1, 0)]
#[case::weekly_without_a_day(Pattern::Weekly, 0, 0)]
#[case::weekly_with_a_month(Pattern::Weekly, 1 | 1 << 7, 0)]
#[case::weekly_with_an_ordinal(Pattern::Weekly, 1, 1)]
#[case::sixth_monday(Pattern::MonthlyByDay, 1, 6)]
#[case::zeroth_monday(Pattern::MonthlyByDay, 1, 0)]
#[case::thirty_second(Pattern::MonthlyByDate, 1 << 31, 0)]
#[case::no_date(Pattern::MonthlyByDate, 0, 0)]
#[case::date_32(Pattern::MonthlyByDate, 0, 32)]
#[case::date_in_a_month(Pattern::MonthlyByDate, 1 << 7, 1)]
#[case::monday_of_no_month(Pattern::YearlyByDay, 1, 1)]
#[case::no_day_of_a_month(Pattern::YearlyByDay, 1 << 7, 1)]
#[case::date_of_no_month(Pattern::YearlyByDate, 1, 1)]
#[case::thirteenth_month(Pattern::YearlyByDate, 1 << 19, 1)]
#[case::week_54(Pattern::YearlyByWeek, 0, 54)]
#[case::week_0(Pattern::YearlyByWeek, 0, 0)]
#[case::sixth_week(Pattern::YearlyByMonthWeek, 1 << 7, -6)]
#[case::week_of_no_month(Pattern::YearlyByMonthWeek, 1, 1)]
fn rules_that_no_pattern_has(#[case] pattern: Pattern, #[case] mask: u32, #[case] ordinal: i8) {
    assert_eq!(
        Recurrence::new(60, mask, pattern, 1, ordinal),
        Err(DocumentError::Malformed("recurrence rule"))
    );
}

#[test]
fn a_rule_lasts_and_comes_again() {
    assert!(Recurrence::new(0, 0, Pattern::Daily, 1, 0).is_err());
    assert!(Recurrence::new(60, 0, Pattern::Daily, 0, 0).is_err());
}

#[test]
fn revocations_name_something_and_say_what_to_do() {
    let decoded = |members: Vec<(u64, Value)>| {
        let members = members.into_iter().map(|(key, value)| (key.into(), value));
        RevocationData::decode(&encode(&Value::Map(members.collect()))).map(|_| ())
    };
    let list = |entries: Vec<Vec<(u64, Value)>>| {
        let entries = entries.into_iter().map(|entry| {
            Value::Map(
                entry
                    .into_iter()
                    .map(|(key, value)| (key.into(), value))
                    .collect(),
            )
        });
        Value::Array(entries.collect())
    };
    let (version, append) = ((0, Value::from(1)), (1, Value::from(1)));
    let of_id = || vec![(1, Value::Bytes(b"id".to_vec()))];
    let add = |entry| {
        decoded(vec![
            version.clone(),
            append.clone(),
            (2, list(vec![entry])),
        ])
    };
    assert_eq!(add(of_id()), Ok(()));
    assert_eq!(add(vec![(0, Value::Bytes(vec![7; 32]))]), Ok(()));
    assert!(add(vec![(0, Value::Bytes(vec![7; 31]))]).is_err());
    assert!(add(vec![(1, Value::Bytes(vec![]))]).is_err());
    assert!(add(vec![(1, Value::Bytes(vec![7; 17]))]).is_err());
    assert!(add(vec![]).is_err());
    let expiring = |expiry| [of_id(), vec![(2, expiry)]].concat();
    assert_eq!(add(expiring(Value::Tag(1, Box::new(9.into())))), Ok(()));
    assert!(add(expiring(9.into())).is_err(), "no tag");
    // Entries may be left out only beside entries to remove.
    let remove = (3, list(vec![of_id()]));
    assert_eq!(
        decoded(vec![version.clone(), append.clone(), remove]),
        Ok(())
    );
    assert!(decoded(vec![version.clone(), append]).is_err());
    let unknown_mode = vec![version.clone(), (1, 2.into()), (2, list(vec![]))];
    assert!(decoded(unknown_mode).is_err());
    assert!(
        decoded(vec![version, (2, list(vec![]))]).is_err(),
        "no mode"
    );
}

#[test]
fn what_no_reader_would_take_is_not_issued() {
    let outcome = |document: AccessDocument| document.prepare().map(|_| ());
    let with = |identifiers: &[&str]| AccessDocument {
        elements: identifiers
            .iter()
            .map(|identifier| element(identifier, AccessData::default()))
            .collect(),
        ..access(&issuer(), &credential())
    };
    let identifiers = Err(DocumentError::Malformed("element identifiers"));
    assert_eq!(outcome(with(&[])), identifiers);
    assert_eq!(outcome(with(&["a", "a"])), identifiers);
    assert_eq!(outcome(with(&["a", ""])), identifiers);
    assert_eq!(outcome(with(&["a", "b"])), Ok(()));
    let many: Vec<String> = (0..=MAX_ELEMENTS)
        .map(|number| number.to_string())
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(outcome(with(&many[1..])), Ok(()));
    assert_eq!(outcome(with(&many)), Err(DocumentError::TooComplex));
    let fullest = signed_access(&with(&many[1..]), &issuer());
    assert_eq!(fullest.identifiers().count(), MAX_ELEMENTS);
    let no_certificate = AccessDocument {
        issuer: IssuerName::Certificate(vec![0x30, 0x00]),
        ..access(&issuer(), &credential())
    };
    assert_eq!(
        outcome(no_certificate),
        Err(DocumentError::Malformed("issuer certificate"))
    );
    let dangling = AccessData {
        rules: vec![AccessRule {
            capabilities: Capabilities::ALL,
            allow: 0,
            deny: 1,
        }],
        ..AccessData::default()
    };
    assert!(outcome(access_with(&issuer(), &credential(), dangling)).is_err());
}
