//! Revocation lists, and what is obeyed of several.

use std::collections::BTreeSet;

use aliro::crypto::Signature;
use aliro::document::{
    RevocationData, RevocationEntry, RevocationList as AliroList, Timestamp, key_hash,
};
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::ids::{ElementId, PassId};
use latchkey_protocol::revocation::{RevocationList, RevocationView, Revocations, Taken};
use latchkey_protocol::rules::Reason;
use proptest::collection::btree_set;
use proptest::prelude::*;

use super::test_key::TestKey;
use super::values;

fn sign_by(key: &TestKey, list: &Revocations) -> Vec<u8> {
    let signed = Timestamp::from_epoch(1_800_000_000).unwrap();
    let unsigned = list.prepare(&key.public(), signed, [7; 16]).unwrap();
    let signature: Signature = key.sign(&unsigned.to_be_signed());
    unsigned.finish(signature).unwrap().as_bytes().to_vec()
}

fn verified(list: &Revocations) -> RevocationList {
    let issuer = TestKey::of("issuer");
    RevocationList::verify(&sign_by(&issuer, list), &issuer.public()).unwrap()
}

prop_compose! {
    fn revocations()(
        number in values::list_number(), contains in btree_set(values::list_number(), 0..4),
        credentials in btree_set(any::<[u8; 32]>(), 0..5), elements in btree_set(any::<[u8; 8]>(), 0..5),
        superseded in btree_set(any::<[u8; 8]>(), 0..5), passes in btree_set(any::<[u8; 8]>(), 0..5),
    ) -> Revocations {
        let elements: BTreeSet<_> = elements.difference(&superseded).copied().map(ElementId).collect();
        Revocations {
            number,
            contains,
            credentials,
            elements,
            superseded: superseded.into_iter().map(ElementId).collect(),
            passes: passes.into_iter().map(PassId).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lists_read_back_and_notice_changes(
        list in revocations(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let issuer = TestKey::of("issuer");
        let document = sign_by(&issuer, &list);
        let read = RevocationList::verify(&document, &issuer.public()).unwrap();
        prop_assert_eq!(read.content(), &list);
        prop_assert_eq!(read.document(), &document);
        prop_assert_eq!(read.signed(), 1_800_000_000);
        prop_assert!(RevocationList::verify(&document, &TestKey::of("mallory").public()).is_err());

        let mut spoilt = document;
        let at = at.index(spoilt.len());
        spoilt[at] ^= 1 << bit;
        if let Ok(read) = RevocationList::verify(&spoilt, &issuer.public()) {
            // Only what says nothing may differ: members that the standard lets a reader skip.
            prop_assert_eq!(read.content(), &list);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
        prop_assert!(RevocationList::verify(&bytes, &TestKey::of("issuer").public()).is_err());
    }
}

#[test]
fn another_makers_reader_refuses_what_is_withdrawn_and_what_is_superseded() {
    use aliro::document::{Iterations, RawDocument, RevocationContext, TrustedIssuers, Verifier};
    let issuer = TestKey::of("issuer");
    let phone = TestKey::of("phone").public();
    let list = Revocations {
        number: ListNumber {
            epoch: 1,
            version: 1,
        },
        credentials: [key_hash(&phone)].into(),
        elements: [ElementId([1; 8])].into(),
        superseded: [ElementId([2; 8])].into(),
        ..Revocations::default()
    };
    let document = RawDocument::decode(&sign_by(&issuer, &list)).unwrap();
    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(issuer.public());
    let context = RevocationContext {
        asked: &["revoked".to_owned()],
        clock: None,
        iterations: &Iterations::new(),
    };
    let read = Verifier::new(&trusted)
        .revocation(&document, &context)
        .unwrap();
    let mut theirs = AliroList::new();
    theirs
        .apply(&RevocationData::overwrite(vec![RevocationEntry::of_id(
            &[9; 8],
        )]))
        .unwrap();
    theirs.apply(&read.elements[0].1).unwrap();
    assert!(theirs.revokes_key(&phone));
    assert!(theirs.revokes_id(&[1; 8]) && theirs.revokes_id(&[2; 8]));
    assert!(
        !theirs.revokes_id(&[9; 8]),
        "each list replaces the one before"
    );
}

fn list(epoch: u32, version: u64, contains: &[(u32, u64)], pass: u8) -> Revocations {
    let number = |&(epoch, version): &(u32, u64)| ListNumber { epoch, version };
    Revocations {
        number: number(&(epoch, version)),
        contains: contains.iter().map(number).collect(),
        passes: [PassId([pass; 8])].into(),
        ..Revocations::default()
    }
}

#[test]
fn a_newer_list_replaces_and_an_older_one_says_nothing() {
    let mut view = RevocationView::new();
    assert!(view.lacks(ListNumber {
        epoch: 1,
        version: 1
    }));
    assert_eq!(view.take(verified(&list(1, 2, &[], 2))), Taken::Newest);
    assert_eq!(view.take(verified(&list(1, 1, &[], 1))), Taken::Known);
    assert!(!view.revokes_pass(PassId([1; 8])));
    assert_eq!(view.take(verified(&list(1, 3, &[], 3))), Taken::Newest);
    assert!(view.revokes_pass(PassId([3; 8])));
    assert!(!view.revokes_pass(PassId([2; 8])), "each list is whole");
    assert_eq!(
        view.number(),
        ListNumber {
            epoch: 1,
            version: 3
        }
    );
    assert_eq!(view.lists().len(), 1);
}

#[test]
fn what_a_restored_portal_forgot_stays_withdrawn_until_it_answers_for_it() {
    let mut view = RevocationView::new();
    view.take(verified(&list(1, 9, &[], 9)));
    // The backup was made at list 7.
    assert_eq!(
        view.take(verified(&list(2, 1, &[(1, 7)], 1))),
        Taken::Newest
    );
    assert!(
        view.revokes_pass(PassId([9; 8])),
        "withdrawn by a list that the portal has lost"
    );
    assert!(view.revokes_pass(PassId([1; 8])));
    assert_eq!(
        view.number(),
        ListNumber {
            epoch: 2,
            version: 1
        }
    );
    // Then it hears of list 9.
    assert_eq!(
        view.take(verified(&list(2, 2, &[(1, 9)], 2))),
        Taken::Newest
    );
    assert!(
        !view.revokes_pass(PassId([9; 8])),
        "the list that answers for it decides"
    );
    assert_eq!(view.lists().len(), 1);
}

#[test]
fn withdrawn_comes_before_changed() {
    let mut view = RevocationView::new();
    let element = ElementId([5; 8]);
    let mut old = list(1, 9, &[], 9);
    old.elements.insert(element);
    let mut new = list(2, 1, &[(1, 7)], 1);
    new.superseded.insert(element);
    view.take(verified(&new));
    assert_eq!(view.revokes_element(element), Some(Reason::KeyChanged));
    assert_eq!(view.take(verified(&old)), Taken::Beside);
    assert_eq!(view.revokes_element(element), Some(Reason::Revoked));
    assert_eq!(view.revokes_element(ElementId([6; 8])), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_in_which_lists_come_does_not_matter(
        order in Just(vec![(1, 7), (1, 8), (1, 9), (2, 1), (2, 2), (3, 1)]).prop_shuffle(),
    ) {
        let contains = |epoch| match epoch {
            1 => &[][..],
            2 => &[(1, 8)],
            _ => &[(2, 1)],
        };
        let mut view = RevocationView::new();
        for (epoch, version) in order {
            let pass = u8::try_from(epoch * 10 + u32::try_from(version).unwrap()).unwrap();
            view.take(verified(&list(epoch, version, contains(epoch), pass)));
        }
        let numbers: Vec<_> =
            view.lists().iter().map(|list| (list.number().epoch, list.number().version)).collect();
        prop_assert_eq!(numbers, [(3, 1), (2, 2), (1, 9)]);
    }
}
