//! The log of a door without a network, which phones take along.

use latchkey_door::RunConfig;
use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::doorlog::{Parcel, Receipt, SignedParcel, SignedReceipt};
use latchkey_protocol::ids::Generation;
use latchkey_protocol::private::LogReach;
use latchkey_protocol::sealing::SealingKey;
use latchkey_protocol::statement::Body;

use crate::bundles::{passes, with};
use crate::guest::Guest;
use crate::phone::{Carries, Phone, Visit, denied};
use crate::property::{Door, Key, Property};

/// The log goes out sealed, again and again, until a receipt says that it is kept; a receipt of others
/// changes nothing.
#[tokio::test]
async fn the_log_is_handed_out_until_a_receipt_covers_it() {
    let mut property = Property::new();
    let portal = SealingKey::from_seed(&random_array(&SystemRandom));
    property.state(Body::LogKey(portal.public().unwrap()));
    let door = Door::new(&property).await;
    for gesture in 0..150 {
        let phone = Phone::resident(&property, "{}").gesture(gesture);
        assert_eq!(denied(&phone.visit(&door).await), None);
    }
    let takes_log = || Carries {
        takes_log: true,
        ..Carries::default()
    };
    let reader_key = door.reader_key;
    let open = |visit: &Visit| -> Vec<Parcel> {
        let parcels = visit.log.iter().map(|parcel| {
            let opened = SignedParcel::open(&parcel.sealed, property.id, &portal).unwrap();
            let opened = opened.verify(&reader_key).unwrap();
            assert_eq!(opened.up_to, parcel.up_to);
            opened
        });
        parcels.collect()
    };
    let first = Phone::resident(&property, "{}").carries(takes_log());
    let parcels = open(&first.visit(&door).await);
    assert!(parcels.len() > 2, "{} parcels", parcels.len());
    let mut after = 0;
    for parcel in &parcels {
        assert_eq!(parcel.after, after, "without a gap");
        after = parcel.up_to;
    }
    // The visit itself stands in it, too.
    assert_eq!(after, 151);
    let ids = |parcels: &[Parcel]| -> Vec<_> {
        let events = parcels.iter().flat_map(|parcel| &parcel.events);
        events.map(|event| event.id).collect()
    };
    let all = ids(&parcels);

    // Another phone, after a loss of power: all of it once more, whoever took it before.
    let door = door.restart(true, RunConfig::default()).await;
    let second = Phone::resident(&property, "{}").carries(takes_log());
    let again = ids(&open(&second.visit(&door).await));
    assert_eq!(again[..151], all[..]);
    assert_eq!(again.len(), 152);

    let receipt = |signer: &Key, generation, up_to| {
        let payload = Receipt {
            property: property.id,
            door: door.id,
            generation: Generation(generation),
            up_to,
        }
        .payload();
        let signature = signer.sign(&Receipt::to_be_signed(&payload));
        SignedReceipt::new(payload, signature).to_bytes()
    };
    let bring = async |receipt, gesture| {
        let carries = Carries {
            receipt: Some(receipt),
            ..takes_log()
        };
        let phone = Phone::resident(&property, "{}").gesture(gesture);
        open(&phone.carries(carries).visit(&door).await)
    };
    for forged in [
        receipt(&property.reader_ca, 1, 152),
        receipt(&property.issuer, 2, 152),
    ] {
        assert_eq!(bring(forged, 1).await[0].after, 0);
    }
    let rest = bring(receipt(&property.issuer, 1, 151), 2).await;
    assert_eq!((rest[0].after, rest[0].up_to), (151, 155));
    // An earlier receipt takes nothing back.
    let rest = bring(receipt(&property.issuer, 1, 40), 3).await;
    assert_eq!((rest[0].after, rest[0].up_to), (151, 156));
    let status = door.running.status().await.unwrap();
    assert_eq!((status.events, status.unreported), (156, 5));
}

#[tokio::test]
async fn whoever_has_shown_no_grant_takes_no_log() {
    let mut property = Property::new();
    let portal = SealingKey::from_seed(&random_array(&SystemRandom));
    property.state(Body::LogKey(portal.public().unwrap()));
    let door = Door::new(&property).await;
    Phone::resident(&property, "{}").visit(&door).await;
    let carries = || Carries {
        takes_log: true,
        only: true,
        ..Carries::default()
    };
    let stranger = Phone::stranger(&property).carries(carries());
    assert!(stranger.visit(&door).await.log.is_empty());
    let known = Phone::resident(&property, "{}").carries(carries());
    assert_eq!(known.visit(&door).await.log.len(), 1);
}

/// Two visits of anybody's would tell how often the door was opened in between, and by what others bring,
/// what is on its way.
#[tokio::test]
async fn a_stranger_hears_nothing_of_how_far_the_log_goes_or_what_others_bring() {
    let mut property = Property::new();
    let door = Door::new(&property).await;
    let guests: Vec<_> = (0..30).map(|_| Guest::new(&property, "{}")).collect();
    for guest in &guests {
        property.state(Body::Pass(guest.signed.clone()));
    }
    let numbered: Vec<_> = (2u64..).zip(&guests).collect();
    let bundle = property.bundle(&door, 1, passes(&numbered));
    let half = Carries {
        pages: Some(vec![bundle.pages().remove(0)]),
        ..with(bundle)
    };
    let staff = Phone::resident(&property, "{}").carries(half);
    staff.visit(&door).await;
    let asks = || Carries {
        takes_log: true,
        only: true,
        ..Carries::default()
    };
    let stranger = Phone::stranger(&property).carries(asks());
    let needs = stranger.visit(&door).await.needs.unwrap();
    assert_eq!((needs.log, needs.assembling), (LogReach::default(), None));
    let known = Phone::resident(&property, "{}").carries(asks());
    let needs = known.visit(&door).await.needs.unwrap();
    assert_eq!((needs.log.kept, needs.log.last), (0, 1));
    assert!(needs.assembling.is_some());
}
