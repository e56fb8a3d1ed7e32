//! Codes: their text, and when they are accepted.

use latchkey_protocol::clock::ClockReading;
use latchkey_protocol::code::{Code, CodeError, IssueTime, acceptance};
use latchkey_protocol::ids::{PassId, PropertyId};
use latchkey_protocol::pass::SignedPass;
use latchkey_protocol::rules::Reason;
use proptest::prelude::*;

use super::test_key::TestKey;
use super::values;

const PROPERTY: PropertyId = PropertyId([1; 16]);
const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

fn code(issued: IssueTime, statement: Option<SignedPass>) -> Code {
    let pass = PassId([7; 8]);
    let signature = TestKey::of("guest").sign(&Code::to_be_signed(PROPERTY, pass, issued));
    Code {
        pass,
        issued,
        signature,
        statement,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn codes_read_back(unix_ms in 0u64..5_000_000_000_000, pass in values::pass(), long: bool) {
        let statement = long.then(|| SignedPass::new(
            pass.payload().unwrap(),
            TestKey::of("issuer").sign(b"whatever"),
        ));
        let code = code(IssueTime::from_unix_ms(unix_ms), statement);
        let text = code.to_text();
        prop_assert!(text.chars().all(|c| ALPHANUMERIC.contains(c)), "{text}");
        prop_assert!(code.is_long() || text.len() < 125, "{} characters", text.len());
        let fits = code.statement.as_ref().is_some_and(SignedPass::fits_in_code);
        prop_assert!(!fits || text.len() < 400, "{} characters", text.len());
        prop_assert_eq!(Code::parse(&format!(" \t{text}\r\n")), Ok(code));
    }

    #[test]
    fn a_changed_character_is_noticed(at in 4usize..100, to in 0usize..45) {
        let guest = TestKey::of("guest").public();
        let text = code(IssueTime::from_unix_ms(1_800_000_000_000), None).to_text();
        let mut spoilt = text.clone();
        spoilt.replace_range(at..=at, &ALPHANUMERIC[to..=to]);
        prop_assume!(spoilt != text);
        let read = Code::parse(&spoilt);
        prop_assert!(read.is_err() || read.unwrap().verify(&guest, PROPERTY).is_err());
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*", body in "[0-9A-Z $%*+./:-]{0,200}") {
        let _ = Code::parse(&text);
        if let Ok(code) = Code::parse(&format!("LK1:{body}")) {
            prop_assert_eq!(Code::parse(&code.to_text()), Ok(code));
        }
    }
}

#[test]
fn a_code_is_good_for_its_property_and_its_key() {
    let code = code(IssueTime::from_unix_ms(1_800_000_000_000), None);
    assert!(
        code.verify(&TestKey::of("guest").public(), PROPERTY)
            .is_ok()
    );
    assert!(
        code.verify(&TestKey::of("guest").public(), PropertyId([2; 16]))
            .is_err()
    );
    assert!(
        code.verify(&TestKey::of("mallory").public(), PROPERTY)
            .is_err()
    );
}

#[test]
fn what_is_no_code_is_told_from_a_damaged_one() {
    let text = code(IssueTime::from_unix_ms(0), None).to_text();
    assert_eq!(
        Code::parse("https://example.com/"),
        Err(CodeError::NotACode)
    );
    assert_eq!(Code::parse(&text[1..]), Err(CodeError::NotACode));
    assert_eq!(Code::parse(&text.to_lowercase()), Err(CodeError::NotACode));
    assert_eq!(
        Code::parse(&text[..text.len() - 1]),
        Err(CodeError::Damaged)
    );
    assert_eq!(
        Code::parse(&format!("{}\n{}", &text[..20], &text[20..])),
        Err(CodeError::Damaged)
    );
    assert_eq!(Code::parse("LK1:"), Err(CodeError::Damaged));
}

#[test]
fn issue_times_are_five_bytes_of_hundredths() {
    let time = IssueTime::from_unix_ms(1_795_000_000_129);
    assert_eq!(time.to_bytes(), [0x29, 0xcb, 0x08, 0xa3, 0x0c]);
    assert_eq!(IssueTime::from_bytes(time.to_bytes()), time);
    assert_eq!(time.unix_ms(), 1_795_000_000_120);
    assert!(time.next() > time);
    assert_eq!(IssueTime::from_unix_ms(u64::MAX).to_bytes(), [0xff; 5]);
}

#[test]
fn the_window_of_acceptance() {
    const NOW: u64 = 1_800_000_000_000;
    let at = |off: i64| IssueTime::from_unix_ms(NOW.checked_add_signed(off).unwrap());
    let clock = |uncertainty_ms| ClockReading {
        unix_ms: NOW,
        uncertainty_ms,
        unsure: false,
    };
    let ask = |off, uncertainty| acceptance(at(off), None, Some(&clock(uncertainty)));

    for sign in [-1, 1] {
        assert_eq!(ask(sign * 20_000, 0), Ok(()));
        assert_eq!(ask(sign * 20_010, 0), Err(Reason::CodeTooOld));
        assert_eq!(
            ask(sign * 20_010, 10),
            Ok(()),
            "uncertainty widens the window"
        );
        assert_eq!(ask(sign * 120_000, 100_000), Ok(()));
        assert_eq!(ask(sign * 120_010, 100_000), Err(Reason::CodeTooOld));
        assert_eq!(
            ask(sign * 120_010, 100_001),
            Err(Reason::ClockUnsure),
            "not beyond 120 s"
        );
        assert_eq!(ask(sign * 120_000, 100_001), Ok(()));
        assert_eq!(ask(sign * 120_010, u32::MAX), Err(Reason::ClockUnsure));
    }

    let good = clock(0);
    let accept = |issued, last| acceptance(issued, Some(last), Some(&good));
    assert_eq!(accept(at(0), at(-10)), Ok(()));
    assert_eq!(
        accept(at(0), at(0)),
        Err(Reason::CodeUsedBefore),
        "the same code"
    );
    assert_eq!(
        accept(at(-10), at(0)),
        Err(Reason::CodeUsedBefore),
        "an older one"
    );
    assert_eq!(
        accept(at(-90_000), at(0)),
        Err(Reason::CodeTooOld),
        "too old comes before used"
    );
    let unsure = clock(100_001);
    assert_eq!(
        acceptance(at(-200_000), Some(at(0)), Some(&unsure)),
        Err(Reason::CodeUsedBefore),
        "used comes before an unsure clock"
    );

    assert_eq!(acceptance(at(0), None, None), Err(Reason::ClockUnsure));
    let lost = ClockReading {
        unsure: true,
        uncertainty_ms: u32::MAX,
        ..good
    };
    assert_eq!(
        acceptance(at(0), None, Some(&lost)),
        Err(Reason::ClockUnsure)
    );
}
