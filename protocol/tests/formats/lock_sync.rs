//! Bundles and logs on their way by phone.

use latchkey_protocol::FormatError;
use latchkey_protocol::api::events::Means;
use latchkey_protocol::bundle::{
    Content, Draft, Header, MAX_BODY, MAX_CONTENT, MAX_PAGES, OpenError, PAGE, PageRefused,
    SealError, SignedHeader, Unsigned,
};
use latchkey_protocol::doorlink::{DoorEvent, Subject};
use latchkey_protocol::doorlog::{
    MAX_EVENTS, MAX_SEALED, Parcel, Receipt, SignedParcel, SignedReceipt,
};
use latchkey_protocol::doorstate::BundleNumber;
use latchkey_protocol::ids::*;
use latchkey_protocol::pass::{Pass, SignedPass};
use latchkey_protocol::private::{BundlePage, MAX_MESSAGE, PrivateMessage};
use latchkey_protocol::sealing::{DoesNotOpen, SealingKey};
use latchkey_protocol::signing::{Purpose, SignedError, input};
use latchkey_protocol::statement::{SignedStatement, Statement};
use latchkey_protocol::uses::Ceiling;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::test_key::TestKey;
use super::values;

const PROPERTY: PropertyId = PropertyId([1; 16]);
const DOOR: DoorId = DoorId([2; 12]);

fn door_key() -> SealingKey {
    SealingKey::from_seed(&[5; 32])
}

fn sign_statement(statement: &Statement) -> SignedStatement {
    let payload = statement.payload();
    let signature = TestKey::of("issuer").sign(&Statement::to_be_signed(&payload));
    SignedStatement::new(payload, signature)
}

fn sign_pass(pass: &Pass) -> SignedPass {
    let payload = pass.payload().unwrap();
    let signature = TestKey::of("issuer").sign(&Pass::to_be_signed(PROPERTY, &payload));
    SignedPass::new(payload, signature)
}

prop_compose! {
    fn content()(
        statements in vec(values::statement(), 0..4),
        passes in prop::collection::btree_map(any::<u64>(), values::pass(), 0..12),
        revocations in option::of(vec(any::<u8>(), 0..9000)),
        ceilings in prop::collection::btree_map(any::<[u8; 8]>(), values::ceiling(), 0..12),
    ) -> Content {
        Content {
            statements: statements.iter().map(sign_statement).collect(),
            passes: passes.iter().map(|(number, pass)| (*number, sign_pass(pass))).collect(),
            revocations,
            ceilings: ceilings
                .into_iter()
                .map(|(budget, ceiling)| Ceiling { budget: BudgetId(budget), ..ceiling })
                .collect(),
        }
    }
}

prop_compose! {
    fn draft()(
        content in content(), generation in any::<u32>(), epoch in any::<u32>(), number in 1u64..,
        (all, own) in any::<(u64, u64)>(),
    ) -> Draft {
        Draft {
            property: PROPERTY,
            door: DOOR,
            generation: Generation(generation),
            number: BundleNumber { epoch, number },
            all,
            own,
            content,
        }
    }
}

fn sign(header: &Header) -> SignedHeader {
    let payload = header.payload();
    let signature = TestKey::of("issuer").sign(&Header::to_be_signed(&payload));
    SignedHeader::new(payload, signature)
}

fn sealed(draft: &Draft) -> Unsigned {
    draft.seal(&door_key().public().unwrap(), [9; 32]).unwrap()
}

fn empty() -> Draft {
    Draft {
        property: PROPERTY,
        door: DOOR,
        generation: Generation(1),
        number: BundleNumber {
            epoch: 1,
            number: 1,
        },
        all: 1,
        own: 0,
        content: Content::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// As it travels: the header, then its pages in any order, each checked by itself.
    #[test]
    fn a_bundle_comes_whole_through_its_pages(
        draft in draft(), order in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let issuer = TestKey::of("issuer").public();
        let Unsigned { header, body } = sealed(&draft);
        let bytes = sign(&header).to_bytes();
        prop_assert!(bytes.len() <= SignedHeader::MAX && bytes.len() < MAX_MESSAGE);
        let read = SignedHeader::from_bytes(&bytes).unwrap();
        prop_assert!(read.verify(&TestKey::of("mallory").public(), PROPERTY).is_err());
        prop_assert_eq!(read.verify(&issuer, PropertyId([9; 16])), Err(SignedError::Elsewhere));
        let read = read.verify(&issuer, PROPERTY).unwrap();
        prop_assert_eq!(&read, &header);
        let mut spoilt = bytes.clone();
        spoilt[at.index(bytes.len())] ^= 1 << bit;
        let spoilt = SignedHeader::from_bytes(&spoilt);
        prop_assert!(spoilt.is_err() || spoilt.unwrap().verify(&issuer, PROPERTY).is_err());

        let mut pages: Vec<_> = BundlePage::cut(header.number, &body, None).collect();
        let first = order.index(pages.len());
        pages.rotate_left(first);
        let mut whole = vec![None; read.pages.len()];
        for page in pages {
            // Through the wire, as the door gets them.
            let message = PrivateMessage::BundlePage(page).encode();
            prop_assert!(message.len() < MAX_MESSAGE);
            let Ok(PrivateMessage::BundlePage(page)) = PrivateMessage::decode(&message) else {
                return Err(TestCaseError::fail("a page reads back"));
            };
            prop_assert_eq!(read.check_page(page.index, &page.bytes), Ok(()));
            let mut spoilt = page.bytes.clone();
            spoilt[at.index(page.bytes.len())] ^= 1 << bit;
            prop_assert_eq!(read.check_page(page.index, &spoilt), Err(PageRefused));
            prop_assert_eq!(read.check_page(page.index + 1, &page.bytes), Err(PageRefused));
            whole[usize::from(page.index)] = Some(page.bytes);
        }
        let whole: Vec<u8> = whole.into_iter().flatten().flatten().collect();
        prop_assert_eq!(&whole, &body);
        let other = SealingKey::from_seed(&[6; 32]);
        prop_assert_eq!(
            read.open(&other, whole.clone()),
            Err(OpenError::Sealed(DoesNotOpen)),
            "another door's key"
        );
        prop_assert_eq!(read.open(&door_key(), whole), Ok(draft.content));
    }

    /// Nothing of what a bundle says can be read off it.
    #[test]
    fn a_bundle_shows_none_of_what_it_says(draft in draft()) {
        let Unsigned { header, body } = sealed(&draft);
        let carried = [sign(&header).to_bytes(), body].concat();
        let shows = |secret: &[u8]| carried.windows(secret.len()).any(|window| window == secret);
        for (_, pass) in &draft.content.passes {
            prop_assert!(!shows(&pass.to_bytes()[..24]));
        }
        for statement in &draft.content.statements {
            prop_assert!(!shows(&statement.to_bytes()[..32]));
        }
        if let Some(list) = &draft.content.revocations && list.len() >= 16 {
            prop_assert!(!shows(&list[..16]));
        }
    }

    #[test]
    fn only_missing_pages_are_cut(
        length in 1..6 * PAGE, missing in prop::collection::btree_set(0u16..8, 0..8),
    ) {
        let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let missing: Vec<u16> = missing.into_iter().collect();
        let number = BundleNumber { epoch: 1, number: 1 };
        for page in BundlePage::cut(number, &body, Some(&missing)) {
            prop_assert!(missing.contains(&page.index));
            let at = usize::from(page.index) * PAGE;
            prop_assert_eq!(&page.bytes, &body[at..(at + PAGE).min(length)]);
        }
        let pages = length.div_ceil(PAGE);
        let there = missing.iter().filter(|index| usize::from(**index) < pages).count();
        prop_assert_eq!(BundlePage::cut(number, &body, Some(&missing)).count(), there);
        prop_assert_eq!(BundlePage::cut(number, &body, None).count(), pages);
    }

    #[test]
    fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
        let _ = SignedHeader::from_bytes(&bytes);
        let _ = SignedReceipt::from_bytes(&bytes);
        let _ = SignedParcel::open(&bytes, PROPERTY, &door_key());
        if let Ok(content) = Content::from_bytes(&bytes) {
            prop_assert_eq!(content.to_bytes(), bytes);
        }
    }

    /// The payloads too, which only a holder of the issuer's key could make.
    #[test]
    fn any_rightly_signed_header_is_answered(
        draft in draft(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut payload = sealed(&draft).header.payload();
        let at = at.index(payload.len());
        payload[at] = byte;
        let issuer = TestKey::of("issuer");
        let signature = issuer.sign(&input(Purpose::Bundle, &[&payload]));
        if let Ok(header) = SignedHeader::new(payload.clone(), signature)
            .verify(&issuer.public(), PROPERTY)
        {
            prop_assert_eq!(header.payload(), payload, "one meaning has one encoding");
        }
    }

    #[test]
    fn a_log_opens_for_the_portal_alone_and_names_its_door(
        count in 1usize..120, after in 0u64..1000, generation in any::<u32>(),
        at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let events = events(after, count);
        let kept = after / 2;
        let generation = Generation(generation);
        let (payload, up_to) =
            Parcel::payload(PROPERTY, DOOR, generation, kept, after, &events).unwrap();
        let door = TestKey::of("door");
        let signature = door.sign(&Parcel::to_be_signed(&payload));
        let portal = SealingKey::from_seed(&[8; 32]);
        let bytes = SignedParcel::new(payload, signature)
            .seal(PROPERTY, &portal.public().unwrap(), [7; 32])
            .unwrap();
        prop_assert!(bytes.len() <= MAX_SEALED);

        prop_assert!(SignedParcel::open(&bytes, PROPERTY, &door_key()).is_err());
        prop_assert!(SignedParcel::open(&bytes, PropertyId([9; 16]), &portal).is_err());
        let mut spoilt = bytes.clone();
        spoilt[at.index(bytes.len())] ^= 1 << bit;
        prop_assert!(SignedParcel::open(&spoilt, PROPERTY, &portal).is_err());

        let parcel = SignedParcel::open(&bytes, PROPERTY, &portal).unwrap();
        prop_assert_eq!(parcel.claimed(), Ok((PROPERTY, DOOR, generation)));
        prop_assert!(parcel.verify(&TestKey::of("other door").public()).is_err());
        let parcel = parcel.verify(&door.public()).unwrap();
        let fits = usize::try_from(up_to - after).unwrap();
        prop_assert!(fits == count || fits >= 20, "{fits} of {count}");
        prop_assert!(fits <= MAX_EVENTS);
        prop_assert_eq!((parcel.kept, parcel.after, parcel.up_to), (kept, after, up_to));
        prop_assert_eq!(&parcel.events[..], &events[..fits]);
    }

    #[test]
    fn receipts_read_back_and_notice_changes(
        door in any::<[u8; 12]>(), generation in any::<u32>(), up_to in any::<u64>(),
        at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let receipt = Receipt {
            property: PROPERTY,
            door: DoorId(door),
            generation: Generation(generation),
            up_to,
        };
        let issuer = TestKey::of("issuer");
        let payload = receipt.payload();
        let signature = issuer.sign(&Receipt::to_be_signed(&payload));
        let bytes = SignedReceipt::new(payload, signature).to_bytes();
        prop_assert!(bytes.len() <= SignedReceipt::MAX);
        let read = SignedReceipt::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.verify(&issuer.public()), Ok(receipt));
        let mut spoilt = bytes.clone();
        spoilt[at.index(bytes.len())] ^= 1 << bit;
        let spoilt = SignedReceipt::from_bytes(&spoilt);
        prop_assert!(spoilt.is_err() || spoilt.unwrap().verify(&issuer.public()).is_err());
    }
}

fn events(after: u64, count: usize) -> Vec<DoorEvent> {
    let events = (0..count).map(|at| DoorEvent {
        id: EventId([u8::try_from(at % 251).unwrap(); 16]),
        sequence: after + 1 + at as u64,
        at_ms: 1_800_000_000_000,
        clock_unsure: false,
        means: Means::Stream,
        subject: Subject::Credential {
            key_hash: [7; 32].to_vec().into(),
            element: Some(ElementId([3; 8])),
        },
        attempt: Some(AttemptId([4; 16])),
        denied: None,
    });
    events.collect()
}

#[test]
fn a_bundle_for_the_controller_before_does_not_open_under_this_ones_name() {
    let Unsigned { header, body } = sealed(&empty());
    for other in [
        Header {
            generation: Generation(2),
            ..header.clone()
        },
        Header {
            door: DoorId([3; 12]),
            ..header.clone()
        },
        Header {
            number: BundleNumber {
                epoch: 1,
                number: 2,
            },
            ..header.clone()
        },
    ] {
        assert_eq!(
            other.open(&door_key(), body.clone()),
            Err(OpenError::Sealed(DoesNotOpen))
        );
    }
    assert_eq!(header.open(&door_key(), body), Ok(Content::default()));
}

#[test]
fn the_largest_bundle_fits_into_its_messages_and_a_larger_one_is_refused() {
    let list = |length| Content {
        // Parts that no reader would take, so that the length is all that is looked at.
        revocations: Some(vec![0; length]),
        ..Content::default()
    };
    let room = MAX_CONTENT - list(100_000).to_bytes().len() + 100_000;
    let full = Draft {
        content: list(room),
        ..empty()
    };
    let Unsigned { header, body } = sealed(&full);
    assert_eq!((body.len(), header.pages.len()), (MAX_BODY, MAX_PAGES));
    let message = PrivateMessage::BundleHeader(sign(&header).to_bytes()).encode();
    assert!(message.len() <= MAX_MESSAGE);
    assert!(PrivateMessage::decode(&message).is_ok());
    let more = Draft {
        content: list(room + 1),
        ..empty()
    };
    assert_eq!(
        more.seal(&door_key().public().unwrap(), [9; 32]),
        Err(SealError::TooMuch(MAX_CONTENT + 1))
    );
}

#[test]
fn a_header_whose_pages_and_length_disagree_is_refused() {
    let header = sealed(&empty()).header;
    for wrong in [
        Header {
            length: 0,
            pages: Vec::new(),
            ..header.clone()
        },
        Header {
            length: PAGE as u32 + 1,
            ..header.clone()
        },
        Header {
            pages: vec![[0; 32]; 2],
            ..header.clone()
        },
        Header {
            number: BundleNumber::default(),
            ..header.clone()
        },
    ] {
        let read = sign(&wrong).verify(&TestKey::of("issuer").public(), PROPERTY);
        assert_eq!(
            read,
            Err(SignedError::Format(FormatError::Malformed)),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_parcel_with_entries_outside_of_what_it_names_is_refused() {
    let door = TestKey::of("door");
    let read_kept = |kept, after, events: &[DoorEvent]| {
        let (payload, _) =
            Parcel::payload(PROPERTY, DOOR, Generation(1), kept, after, events).unwrap();
        let signature = door.sign(&Parcel::to_be_signed(&payload));
        SignedParcel::new(payload, signature).verify(&door.public())
    };
    let read = |after, events: &[DoorEvent]| read_kept(after, after, events);
    let three = events(5, 3);
    assert!(read(5, &three).is_ok());
    assert!(read(4, &three).is_ok(), "one that the door no longer has");
    let malformed = Err(SignedError::Format(FormatError::Malformed));
    assert_eq!(read(6, &three), malformed);
    assert!(read_kept(2, 5, &three).is_ok());
    assert_eq!(read_kept(6, 5, &three), malformed);
    let mut mixed = three;
    mixed.swap(0, 1);
    assert_eq!(read(5, &mixed), malformed);
    assert_eq!(
        Parcel::payload(PROPERTY, DOOR, Generation(1), 0, 0, &[]),
        None
    );
}
