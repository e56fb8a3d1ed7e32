//! The same decision by cedar-policy: one policy, each credential an entity with its key's rules.
//!
//! It is given what it has no words for: the property's wall clock as the door reads it, whether this day
//! is a holiday, and whether anything but the rules speaks against opening. So it does less.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression as Value,
};
use chrono::{Datelike as _, Timelike as _};
use latchkey_protocol::ids::PassId;
use latchkey_protocol::rules::{AccessRules, Clock, WeeklyWindow};

use super::keys::{Asked, Property};
use super::now;
use crate::measure::Timed;

const POLICY: &str = r#"
permit (principal, action == Action::"open", resource == Door::"gate")
when {
    !context.refused
    && (!(principal has from) || principal.from <= context.clock)
    && (!(principal has until) || context.clock < principal.until)
    && (!(principal has uses) || context.spent < principal.uses)
    && (!principal.closed_on_holidays || !context.holiday)
    && (!(principal has first)
        || (principal.first.days.contains(context.day)
            && principal.first.from <= context.minute && context.minute < principal.first.to)
        || (principal.second.days.contains(context.day)
            && principal.second.from <= context.minute && context.minute < principal.second.to))
};
"#;

/// Each time with another credential.
pub(super) fn decision(property: &Rc<Property>) -> Timed {
    let policies: PolicySet = POLICY.parse().expect("a policy");
    let asked = property.all_asked();
    let entity = |asked: &Asked| entity(asked.credential, property.found(asked.credential));
    let entities = Entities::from_entities(asked.iter().map(entity), None).expect("entities");
    let requests: Vec<Request> = asked.iter().map(|asked| request(property, asked)).collect();
    let authorizer = Authorizer::new();
    let decide = move |request: &Request| {
        let response = authorizer.is_authorized(request, &policies, &entities);
        response.decision()
    };
    for (asked, request) in asked.iter().zip(&requests) {
        let ours = property.verdict(asked);
        let same = (decide(request) == Decision::Allow) == ours.is_ok();
        assert!(same, "cedar does not say {ours:?} of {asked:?}");
    }
    let mut turn = 0;
    Timed::new(move || {
        turn = (turn + 1) % requests.len();
        decide(&requests[turn])
    })
}

fn entity(credential: PassId, rules: &AccessRules) -> Entity {
    let mut attributes = HashMap::from([(
        "closed_on_holidays".to_owned(),
        Value::new_bool(rules.closed_on_holidays()),
    )]);
    let range = [
        ("from", rules.range().from()),
        ("until", rules.range().until()),
    ];
    for (name, moment) in range {
        if let Some(moment) = moment {
            attributes.insert(name.to_owned(), Value::new_long(moment.seconds()));
        }
    }
    if let Some(uses) = rules.max_uses() {
        attributes.insert("uses".to_owned(), Value::new_long(uses.get().into()));
    }
    for (name, window) in ["first", "second"].into_iter().zip(rules.windows()) {
        attributes.insert(name.to_owned(), record(*window));
    }
    Entity::new(
        uid("Credential", &credential.to_string()),
        attributes,
        HashSet::new(),
    )
    .expect("an entity")
}

fn record(window: WeeklyWindow) -> Value {
    let days = window.days().iter();
    let days = days.map(|day| Value::new_long(day.number_from_monday().into()));
    let fields = [
        ("days".to_owned(), Value::new_set(days)),
        ("from".to_owned(), Value::new_long(window.from().into())),
        ("to".to_owned(), Value::new_long(window.to().into())),
    ];
    Value::new_record(fields).expect("a record")
}

fn request(property: &Property, asked: &Asked) -> Request {
    let facts = &asked.facts;
    let (at, unsure) = match facts.clock {
        Clock::Sure(at) => (at, false),
        Clock::Unsure => (now(), true),
    };
    let calendar = property.calendar();
    let local = calendar.offsets.local(at);
    let spends = facts.uses.held_here.is_none();
    let refused = !facts.against.is_empty() || unsure || !spends;
    let fields = [
        ("refused", Value::new_bool(refused)),
        ("clock", Value::new_long(local.and_utc().timestamp())),
        ("spent", Value::new_long(facts.uses.spent.into())),
        (
            "holiday",
            Value::new_bool(calendar.holidays.contains(local.date())),
        ),
        (
            "day",
            Value::new_long(local.weekday().number_from_monday().into()),
        ),
        (
            "minute",
            Value::new_long((local.hour() * 60 + local.minute()).into()),
        ),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    Request::new(
        uid("Credential", &asked.credential.to_string()),
        uid("Action", "open"),
        uid("Door", "gate"),
        Context::from_pairs(fields).expect("a context"),
        None,
    )
    .expect("a request")
}

fn uid(of: &str, id: &str) -> EntityUid {
    let of: EntityTypeName = of.parse().expect("a type's name");
    EntityUid::from_type_name_and_id(of, EntityId::new(id))
}
