//! Over bare APDUs: how failure is reported, and one card at many terminals.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use aliro::command::{ReaderStatus, StatusWord, ins};
use aliro::reader;
use common::{Installation, Way, untouched};

#[test]
fn failures_are_reported_once_and_with_the_right_word() {
    let installation = Installation::new();
    // A refused credential: EXCHANGE with the status, and nothing after it.
    let mut field = installation.field();
    field.verdict = ReaderStatus::NOT_TRUSTED;
    let seen = field.run(untouched);
    assert_eq!(seen.status, Some(ReaderStatus::NOT_TRUSTED));
    assert_eq!(
        seen.reader_failure,
        Some(reader::Failure::Refused(ReaderStatus::NOT_TRUSTED))
    );
    assert!(!seen.sent(ins::CONTROL_FLOW) && !seen.finished);
    // A refused AUTH1: CONTROL FLOW, which is answered.
    let seen = installation.field().run(|_, way, apdu| {
        if way == Way::ToDevice && apdu[1] == ins::AUTH1 {
            apdu[20] ^= 1;
        }
    });
    assert_eq!(
        seen.reader_failure,
        Some(reader::Failure::DeviceStatus(StatusWord::SECURITY.0))
    );
    let (last, answer) = seen.apdus.last().unwrap();
    assert_eq!(
        last[..],
        [0x80, ins::CONTROL_FLOW, 0, 0, 6, 0x41, 1, 0, 0x42, 1, 0]
    );
    assert_eq!(answer[..], [0x90, 0x00]);
}

#[test]
fn one_card_serves_one_terminal_after_another() {
    let installation = Installation::new();
    let mut card = installation.card(None);
    for _ in 0..3 {
        let field = installation.field_of(installation.terminal(None), card);
        let (seen, back) = field.run_and_keep(untouched);
        assert!(seen.finished);
        card = back;
    }
    // Interrupted anywhere, the next SELECT begins afresh.
    for stop in 1..8 {
        let field = installation.field_of(installation.terminal(None), card);
        let (seen, mut back) = field.run_and_keep(|number, way, apdu| {
            if (number, way) == (stop, Way::ToReader) {
                *apdu = vec![0x6f, 0x00];
            }
        });
        assert!(!seen.finished);
        back.field_lost();
        card = back;
    }
    let field = installation.field_of(installation.terminal(None), card);
    assert!(field.run(untouched).finished);
}
