//! Private messages and pages.

use latchkey_protocol::FormatError;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::*;
use latchkey_protocol::private::*;
use latchkey_protocol::rules::Reason;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::values;

prop_compose! {
    fn result()(
        attempt in any::<[u8; 16]>(), event in any::<[u8; 16]>(),
        reason in option::of(prop::sample::select(Reason::ALL)), at in option::of(values::instant()),
        state in option::of(vec(any::<u8>(), 0..300)), list_after in values::list_number(),
        statements_after in values::statement_numbers(),
    ) -> ResultRecord {
        ResultRecord {
            attempt: AttemptId(attempt),
            outcome: match reason {
                None => Outcome::Opened { until: at },
                Some(reason) => Outcome::Denied { reason, next: at },
            },
            event: EventId(event),
            state,
            wants: Wants { list_after, statements_after },
        }
    }
}

prop_compose! {
    fn needs()(
        generation in any::<u32>(), list_after in values::list_number(),
        statements_after in values::statement_numbers(), bundle_after in values::bundle_number(),
        assembling in option::of((values::bundle_number(), prop::collection::btree_set(any::<u16>(), 0..20))),
        (kept, last) in any::<(u64, u64)>(), time in any::<Option<[u8; 16]>>(),
    ) -> Needs {
        Needs {
            generation: Generation(generation),
            list_after,
            statements_after,
            bundle_after,
            assembling: assembling.map(|(number, missing)| Assembling {
                number,
                missing: missing.into_iter().collect(),
            }),
            log: LogReach { kept, last },
            time,
        }
    }
}

fn lock_sync() -> impl Strategy<Value = PrivateMessage> {
    let bytes = || vec(any::<u8>(), 1..100);
    let page = (values::bundle_number(), 0u16..256, bytes());
    prop_oneof![
        Just(PrivateMessage::Carry),
        needs().prop_map(|needs| PrivateMessage::Needs(Box::new(needs))),
        bytes().prop_map(PrivateMessage::BundleHeader),
        page.prop_map(
            |(number, index, bytes)| PrivateMessage::BundlePage(BundlePage {
                number,
                index,
                bytes
            })
        ),
        bytes().prop_map(PrivateMessage::LogReceipt),
        any::<u64>().prop_map(|after| PrivateMessage::TakeLog { after }),
        option::of((any::<u64>(), bytes())).prop_map(|log| {
            PrivateMessage::Log(log.map(|(up_to, sealed)| LogParcel { up_to, sealed }))
        }),
        bytes().prop_map(PrivateMessage::Time),
    ]
}

fn message() -> impl Strategy<Value = PrivateMessage> {
    let page = (values::list_number(), vec(any::<u8>(), 1..40)).prop_map(|(list, bytes)| {
        PrivateMessage::RevocationPage(Page::cut(list, &bytes).remove(0))
    });
    let commit = (any::<[u8; 16]>(), vec(any::<[u8; 16]>(), 0..=MAX_REPLACED)).prop_map(
        |(attempt, replaces)| PrivateMessage::Commit {
            attempt: AttemptId(attempt),
            replaces: replaces.into_iter().map(AttemptId).collect(),
        },
    );
    prop_oneof![
        commit,
        result().prop_map(PrivateMessage::Result),
        page,
        vec(vec(any::<u8>(), 0..60), 0..20).prop_map(PrivateMessage::Statements),
        vec(any::<u8>(), 0..300).prop_map(PrivateMessage::State),
        Just(PrivateMessage::Done),
        lock_sync(),
    ]
}

proptest! {
    #[test]
    fn messages_read_back(message in message()) {
        prop_assert_eq!(PrivateMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_are_answered(
        message in message(), bytes in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let _ = PrivateMessage::decode(&bytes);
        let mut spoilt = message.encode();
        let at = at.index(spoilt.len());
        spoilt[at] = byte;
        if let Ok(read) = PrivateMessage::decode(&spoilt) {
            prop_assert_eq!(read.encode(), spoilt, "one meaning has one encoding");
        }
    }

    #[test]
    fn pages_come_together_in_any_order(
        length in 1..5 * MAX_PAGE, order in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
        repeated in 0..5usize,
    ) {
        let list = ListNumber { epoch: 1, version: 9 };
        let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let pages = Page::cut(list, &bytes);
        let mut order: Vec<_> = order.into_iter().filter(|at| *at < pages.len()).collect();
        if repeated < pages.len() && pages.len() > 1 {
            order.insert(0, order[repeated % (order.len() - 1)]);
        }
        let mut assembler = PageAssembler::new();
        let mut whole = None;
        for at in order {
            prop_assert!(whole.is_none(), "whole before all pages are there");
            // Through the wire, as the door gets them.
            let message = PrivateMessage::RevocationPage(pages[at].clone()).encode();
            let Ok(PrivateMessage::RevocationPage(page)) = PrivateMessage::decode(&message) else {
                return Err(TestCaseError::fail("a page reads back"));
            };
            whole = assembler.take(page);
        }
        prop_assert_eq!(whole, Some(bytes));
    }
}

#[test]
fn another_list_begins_anew_and_no_page_is_mixed_in() {
    let page = |version, count, index| Page {
        list: ListNumber { epoch: 1, version },
        index,
        count,
        bytes: vec![u8::try_from(version).unwrap(); MAX_PAGE],
    };
    let mut assembler = PageAssembler::new();
    assert_eq!(assembler.take(page(1, 2, 0)), None);
    assert_eq!(assembler.missing().collect::<Vec<_>>(), [1]);
    assert_eq!(assembler.take(page(2, 2, 1)), None);
    assert_eq!(assembler.missing().collect::<Vec<_>>(), [0]);
    assert_eq!(assembler.take(page(2, 2, 0)), Some(vec![2; 2 * MAX_PAGE]));
    assert_eq!(assembler.missing().count(), 0);
}

#[test]
fn a_list_beyond_the_bound_has_no_pages() {
    assert!(Page::cut(ListNumber::default(), &vec![0; MAX_LIST + 1]).is_empty());
    assert_eq!(
        Page::cut(ListNumber::default(), &vec![0; MAX_LIST]).len(),
        MAX_LIST / MAX_PAGE
    );
}

#[test]
fn kinds_that_are_not_known_are_told_from_damage() {
    assert_eq!(
        PrivateMessage::decode(&[0x82, 0x01, 0x18, 77]),
        Err(FormatError::UnknownKind(77))
    );
    assert_eq!(
        PrivateMessage::decode(&[0x83, 0x01, 0x06, 0x00]),
        Err(FormatError::Malformed)
    );
}

#[test]
fn statements_are_spread_over_messages_that_all_can_be_read() {
    let all: Vec<Vec<u8>> = (0..600u32).map(|at| vec![0; (at % 500) as usize]).collect();
    let messages = PrivateMessage::statements(all.clone());
    assert!(messages.len() > 2);
    let mut read = Vec::new();
    for message in messages {
        match PrivateMessage::decode(&message.encode()) {
            Ok(PrivateMessage::Statements(statements)) => read.extend(statements),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, all);
}
