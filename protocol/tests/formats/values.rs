//! Arbitrary values of every type.

use std::num::NonZeroU32;

use aliro::crypto::PublicKey;
use chrono::{DateTime, NaiveDate, Utc};
use latchkey_protocol::clock::{ClockReading, TimeAnswer};
use latchkey_protocol::doorstate::{
    BundleNumber, ClockState, DoorState, ListNumber, MAX_LEASES, StatementNumbers,
};
use latchkey_protocol::ids::*;
use latchkey_protocol::pass::{DoorSet, Pass, SignedPass};
use latchkey_protocol::rules::*;
use latchkey_protocol::statement::{Addressee, Body, DoorSettings, PropertySettings, Statement};
use latchkey_protocol::uses::{Ceiling, LeaseNumber, LeaseReport};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::test_key::TestKey;

pub(crate) fn public_key() -> impl Strategy<Value = PublicKey> {
    "[a-z]{4}".prop_map(|word| TestKey::of(&word).public())
}

pub(crate) fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0i64..4_000_000_000).prop_map(|at| DateTime::from_timestamp(at, 0).unwrap())
}

pub(crate) fn window() -> impl Strategy<Value = WeeklyWindow> {
    (1u8..128, 0u16..1440, 1u16..=1440).prop_map(|(days, from, to)| {
        WeeklyWindow::new(Weekdays::from_bits(days).unwrap(), from, to).unwrap()
    })
}

pub(crate) fn range() -> impl Strategy<Value = Range> {
    let moment = || 28_000_000u32..40_000_000;
    (option::of(moment()), option::of(1u32..1_000_000)).prop_map(|(from, length)| {
        let start = from.unwrap_or(30_000_000);
        let until = length.map(|length| LocalMoment::from_minutes(start + length).unwrap());
        Range::new(
            from.map(|from| LocalMoment::from_minutes(from).unwrap()),
            until,
        )
        .unwrap()
    })
}

pub(crate) fn rules_without_uses() -> impl Strategy<Value = AccessRules> {
    (range(), vec(window(), 0..5), any::<bool>()).prop_map(|(range, windows, holidays)| {
        AccessRules::new(range, windows, holidays, None).unwrap()
    })
}

pub(crate) fn door_set() -> impl Strategy<Value = DoorSet> {
    prop_oneof![
        Just(DoorSet::All),
        vec(any::<u16>(), 0..20).prop_map(|doors| DoorSet::of(doors.into_iter().map(DoorNumber))),
    ]
}

prop_compose! {
    pub(crate) fn pass()(
        id in any::<[u8; 8]>(), code_key in public_key(), doors in door_set(),
        rules in rules_without_uses(), until in any::<u32>(),
        counted in option::of((1u32.., any::<[u8; 8]>())),
    ) -> Pass {
        let max_uses = counted.and_then(|(uses, _)| NonZeroU32::new(uses));
        let windows = rules.windows().iter().copied();
        let rules = AccessRules::new(*rules.range(), windows, rules.closed_on_holidays(), max_uses);
        let budget = counted.map(|(_, budget)| BudgetId(budget));
        Pass { id: PassId(id), code_key, doors, rules: rules.unwrap(), budget, until }
    }
}

pub(crate) fn offsets() -> impl Strategy<Value = Offsets> {
    let changes = vec((1i64..40_000_000, -50_000i32..50_000), 0..30);
    (any::<[bool; 2]>(), -50_000i32..50_000, changes).prop_map(|(_, first, steps)| {
        let mut at = 1_700_000_000;
        let changes = steps.into_iter().map(|(step, offset)| {
            at += step;
            OffsetChange {
                at: DateTime::from_timestamp(at, 0).unwrap(),
                offset,
            }
        });
        let span = Span {
            from: DateTime::from_timestamp(1_690_000_000, 0).unwrap(),
            until: DateTime::from_timestamp(2_000_000_000, 0).unwrap(),
        };
        Offsets::new("Europe/Zurich", "2026b", span, first, changes).unwrap()
    })
}

pub(crate) fn holidays() -> impl Strategy<Value = Holidays> {
    vec(0i32..60_000, 0..40).prop_map(|days| {
        Holidays::new(
            days.into_iter()
                .map(|day| NaiveDate::from_epoch_days(day).unwrap()),
        )
        .unwrap()
    })
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        (offsets(), holidays())
            .prop_map(|(offsets, holidays)| Body::Settings(PropertySettings { offsets, holidays })),
        any::<u32>().prop_map(|ms| Body::DoorSettings(DoorSettings { relay_pulse_ms: ms })),
        pass().prop_map(|pass| {
            let payload = pass.payload().unwrap();
            let input = Pass::to_be_signed(PropertyId([1; 16]), &payload);
            Body::Pass(SignedPass::new(payload, TestKey::of("issuer").sign(&input)))
        }),
        public_key().prop_map(Body::LogKey),
    ]
}

prop_compose! {
    pub(crate) fn statement()(
        door in option::of(any::<[u8; 12]>()), epoch in any::<u32>(), number in 1u64.., body in body(),
    ) -> Statement {
        let addressee = door.map_or(Addressee::All, |door| Addressee::Door(DoorId(door)));
        Statement { property: PropertyId([1; 16]), addressee, epoch, number, body }
    }
}

prop_compose! {
    pub(crate) fn list_number()(epoch in any::<u32>(), version in any::<u64>()) -> ListNumber {
        ListNumber { epoch, version }
    }
}

prop_compose! {
    pub(crate) fn statement_numbers()(
        epoch in any::<u32>(), all in any::<u64>(), own in any::<u64>(),
    ) -> StatementNumbers {
        StatementNumbers { epoch, all, own }
    }
}

prop_compose! {
    pub(crate) fn ceiling()(
        (epoch, count, ceiling, spent) in any::<(u32, u64, u32, u32)>(),
        until in any::<Option<i64>>(),
    ) -> Ceiling {
        Ceiling {
            budget: BudgetId([0; 8]),
            number: LeaseNumber { epoch, count },
            ceiling,
            spent,
            until,
        }
    }
}

prop_compose! {
    fn lease()(
        epoch in any::<u32>(), count in any::<u64>(), spent in any::<u32>(), more in any::<u32>(),
    ) -> LeaseReport {
        LeaseReport {
            budget: BudgetId([0; 8]),
            number: LeaseNumber { epoch, count },
            ceiling: spent.saturating_add(more),
            spent,
        }
    }
}

prop_compose! {
    pub(crate) fn bundle_number()(epoch in any::<u32>(), number in any::<u64>()) -> BundleNumber {
        BundleNumber { epoch, number }
    }
}

prop_compose! {
    pub(crate) fn door_state()(
        door in any::<[u8; 12]>(), generation in any::<u32>(), iteration in any::<u64>(),
        list in list_number(), statements in statement_numbers(),
        bundle in prop_oneof![Just(BundleNumber::default()), bundle_number()],
        (unix_ms, uncertainty_ms, unsure) in any::<(u64, u32, bool)>(),
        drift_ppm in any::<Option<i32>>(), battery in any::<Option<u8>>(), counter in any::<u64>(),
        leases in btree_map(any::<[u8; 8]>(), lease(), 0..=MAX_LEASES),
    ) -> DoorState {
        DoorState {
            property: PropertyId([1; 16]),
            door: DoorId(door),
            generation: Generation(generation),
            iteration,
            list,
            statements,
            clock: ClockState { reading: ClockReading { unix_ms, uncertainty_ms, unsure }, drift_ppm },
            battery,
            counter,
            leases: leases
                .into_iter()
                .map(|(budget, lease)| LeaseReport { budget: BudgetId(budget), ..lease })
                .collect(),
            bundle,
        }
    }
}

prop_compose! {
    pub(crate) fn time_answer()(nonce in any::<[u8; 16]>(), unix_ms in any::<u64>()) -> TimeAnswer {
        TimeAnswer { property: PropertyId([1; 16]), door: DoorId([2; 12]), nonce, unix_ms }
    }
}
