//! The table of roles against the sentences that it stands for.

use std::collections::BTreeMap;

use latchkey_protocol::roles::Action::{self, *};
use latchkey_protocol::roles::Role::{self, *};
use latchkey_protocol::roles::{
    GuestKeyPolicy, GuestKind, GuestKinds, Target, may, may_change_role,
};
use rstest::rstest;
use serde_json::json;

const KEYS: [Action; 3] = [IssueKey, EditKey, WithdrawKey];
const PEOPLE: [Action; 7] = [
    CreatePerson,
    EditPerson,
    ChangeAddress,
    ChangeRole,
    ShowActivationCode,
    SuspendDevice,
    RemovePerson,
];
const TEAM: [Role; 7] = [
    Staff,
    Maintenance,
    Housekeeping,
    Installer,
    Vendor,
    Resident,
    Guest,
];

/// For whom each role may issue and edit keys: FEATURES p08 and q01.
#[rstest]
#[case(Owner, &Role::ALL)]
#[case(Manager, &Role::ALL)]
#[case(Staff, &TEAM)]
#[case(Maintenance, &[])]
#[case(Housekeeping, &[])]
#[case(Installer, &[])]
#[case(Vendor, &[])]
#[case(Resident, &[])]
#[case(Guest, &[])]
fn keys_are_issued_and_edited_for(#[case] actor: Role, #[case] holders: &[Role]) {
    for action in KEYS {
        for holder in Role::ALL {
            let allowed = may(actor, action, Target::Person(holder));
            assert_eq!(
                allowed,
                holders.contains(&holder),
                "{actor:?} {action:?} {holder:?}"
            );
        }
        assert_eq!(may(actor, action, Target::Property), !holders.is_empty());
    }
}

/// Whom each role may enter, move, let in, suspend and remove: never somebody above.
#[rstest]
#[case(Owner, &Role::ALL)]
#[case(Manager, &[Manager, Staff, Maintenance, Housekeeping, Installer, Vendor, Resident, Guest])]
#[case(Staff, &TEAM)]
#[case(Maintenance, &[])]
#[case(Housekeeping, &[])]
#[case(Installer, &[])]
#[case(Vendor, &[])]
#[case(Resident, &[])]
#[case(Guest, &[])]
fn people_are_protected_like_keys(#[case] actor: Role, #[case] people: &[Role]) {
    for action in PEOPLE {
        for person in Role::ALL {
            let allowed = may(actor, action, Target::Person(person));
            assert_eq!(
                allowed,
                people.contains(&person),
                "{actor:?} {action:?} {person:?}"
            );
        }
    }
}

#[test]
fn nobody_does_anything_to_people_above() {
    for actor in Role::ALL {
        for person in Role::ALL
            .into_iter()
            .filter(|person| person.is_above(actor))
        {
            for action in PEOPLE {
                assert!(
                    !may(actor, action, Target::Person(person)),
                    "{actor:?} {action:?}"
                );
            }
        }
    }
}

#[rstest]
#[case::down(Owner, Target::Person(Manager), Staff, true)]
#[case::up_to_oneself(Staff, Target::Person(Vendor), Staff, true)]
#[case::above_oneself(Staff, Target::Person(Vendor), Manager, false)]
#[case::oneself_up(Staff, Target::Oneself, Manager, false)]
#[case::oneself_to_the_top(Manager, Target::Oneself, Owner, false)]
#[case::oneself_down(Manager, Target::Oneself, Staff, true)]
#[case::another_owner(Owner, Target::Person(Owner), Manager, true)]
#[case::an_owner_by_a_manager(Manager, Target::Person(Owner), Manager, false)]
#[case::a_new_owner(Owner, Target::Person(Manager), Owner, true)]
#[case::a_new_owner_by_a_manager(Manager, Target::Person(Staff), Owner, false)]
#[case::the_last_owner(Owner, Target::LastOwner, Manager, false)]
#[case::the_last_owner_stays(Owner, Target::LastOwner, Owner, true)]
#[case::resident(Resident, Target::Oneself, Staff, false)]
fn roles_change_only_below_and_up_to_oneself(
    #[case] actor: Role,
    #[case] person: Target,
    #[case] to: Role,
    #[case] allowed: bool,
) {
    assert_eq!(may_change_role(actor, person, to), allowed);
}

#[test]
fn the_last_owner_cannot_be_removed() {
    for actor in Role::ALL {
        assert!(!may(actor, RemovePerson, Target::LastOwner), "{actor:?}");
        assert!(!may(actor, ChangeRole, Target::LastOwner), "{actor:?}");
    }
    assert!(may(Owner, ChangeAddress, Target::LastOwner));
    assert!(may(Owner, SuspendDevice, Target::LastOwner));
    assert!(!may(Manager, ChangeAddress, Target::LastOwner));
}

/// FEATURES n09: whoever loses a phone suspends it from any browser.
#[test]
fn everybody_suspends_a_phone_of_their_own_and_opens_with_their_own_keys() {
    for role in Role::ALL {
        assert!(may(role, SuspendDevice, Target::Oneself), "{role:?}");
        assert!(may(role, UnlockOwn, Target::Oneself), "{role:?}");
    }
}

#[rstest]
#[case::settings(ManageSettings, &[Owner, Manager])]
#[case::all_audit(ViewAudit, &[Owner, Manager])]
#[case::lockdown_right(GrantLockdownRight, &[Owner, Manager])]
#[case::doors(ManageDoors, &[Owner, Manager, Installer])]
#[case::controllers(ManageControllers, &[Owner, Manager, Installer])]
#[case::cards_inventory(ManageCards, &[Owner, Manager, Installer])]
#[case::lock_sync(CarryLockSync, &[Owner, Manager, Staff, Installer])]
#[case::write_off(WriteOffUses, &[Owner, Manager, Staff])]
#[case::lockdown(LockDown, &[Owner, Manager, Staff])]
#[case::sees_people(ViewPeople, &[Owner, Manager, Staff, Maintenance])]
#[case::sees_keys(ViewKeys, &[Owner, Manager, Staff, Maintenance])]
#[case::sees_doors(ViewDoors, &[Owner, Manager, Staff, Maintenance, Installer])]
#[case::sees_cards(ViewCards, &[Owner, Manager, Staff, Maintenance, Installer])]
#[case::no_dashboard_for_housekeeping(ViewDashboard, &[Owner, Manager, Staff, Maintenance, Installer])]
fn what_is_done_to_the_property(#[case] action: Action, #[case] by: &[Role]) {
    for role in Role::ALL {
        assert_eq!(
            may(role, action, Target::Property),
            by.contains(&role),
            "{role:?}"
        );
    }
}

/// FEATURES p08: housekeeping only unlocks. Guests have their pass.
#[rstest]
#[case(Housekeeping, &[SuspendDevice, ViewOwnActivity, UnlockOwn])]
#[case(Vendor, &[SuspendDevice, ViewOwnActivity, UnlockOwn])]
#[case(Resident, &[ManageGrantedKey, SuspendDevice, ViewOwnActivity, UnlockOwn])]
#[case(Guest, &[SuspendDevice, UnlockOwn])]
fn what_is_ones_own(#[case] role: Role, #[case] own: &[Action]) {
    for action in Action::ALL {
        let expected = own.contains(action);
        assert_eq!(
            may(role, *action, Target::Oneself),
            expected,
            "{role:?} {action:?}"
        );
        assert!(!may(role, *action, Target::Property), "{role:?} {action:?}");
    }
}

/// FEATURES q01: maintenance views, and changes nothing.
#[test]
fn maintenance_views_only() {
    let views = [ViewKeys, ViewPeople, ViewDoors, ViewCards, ViewDashboard];
    for action in Action::ALL {
        assert_eq!(
            may(Maintenance, *action, Target::Property),
            views.contains(action),
            "{action:?}"
        );
    }
}

/// FEATURES c11: by role or person, and of which kinds.
#[test]
fn the_manager_decides_who_grants_guest_keys_and_of_which_kinds() {
    let policy: GuestKeyPolicy<u32> = serde_json::from_value(json!({
        "by_role": {"resident": ["individual_qr", "remote"], "vendor": ["doorcode"]},
        "by_person": {"7": [], "8": ["doorcode"]},
    }))
    .expect("a policy");
    let grants = |role, person, kind| {
        let allowed = policy.kinds(role, &person);
        may(role, GrantGuestKey, Target::GuestKey { kind, allowed })
    };
    assert!(grants(Resident, 1, GuestKind::IndividualQr));
    assert!(grants(Resident, 1, GuestKind::Remote));
    assert!(!grants(Resident, 1, GuestKind::Doorcode));
    // A person's own line stands in place of their role's.
    assert!(!grants(Resident, 7, GuestKind::IndividualQr));
    assert!(!grants(Resident, 8, GuestKind::IndividualQr));
    assert!(grants(Resident, 8, GuestKind::Doorcode));
    // The setting reaches those alone whom the table leaves to it.
    assert!(!grants(Vendor, 8, GuestKind::Doorcode));
    assert!(
        !grants(Staff, 1, GuestKind::IndividualQr),
        "staff have no line here"
    );
    for role in [Owner, Manager] {
        assert!(grants(role, 7, GuestKind::Doorcode), "{role:?}");
    }
    for role in [Maintenance, Housekeeping, Installer, Vendor, Guest] {
        let allowed = GuestKinds::ALL;
        let kind = GuestKind::IndividualQr;
        assert!(
            !may(role, GrantGuestKey, Target::GuestKey { kind, allowed }),
            "{role:?}"
        );
        assert_eq!(GuestKeyPolicy::default().kinds(role, &1), GuestKinds::NONE);
    }
}

#[test]
fn until_a_manager_says_otherwise() {
    let policy = GuestKeyPolicy::<u32>::default();
    assert_eq!(policy.kinds(Staff, &1), GuestKinds::ALL);
    assert_eq!(policy.kinds(Resident, &1), GuestKinds::NONE);
    assert_eq!(
        serde_json::from_value::<GuestKeyPolicy<u32>>(json!({})).expect("one"),
        policy
    );
    assert_eq!(policy.by_person, BTreeMap::new());
}

/// Stored and sent: these names may never change.
#[test]
fn names_are_frozen() {
    let roles = [
        "owner",
        "manager",
        "staff",
        "maintenance",
        "housekeeping",
        "installer",
        "vendor",
        "resident",
        "guest",
    ];
    for (role, name) in Role::ALL.into_iter().zip(roles) {
        assert_eq!(role.name(), name);
        assert_eq!(serde_json::to_value(role).expect("json"), name);
        assert_eq!(Role::from_name(name), Some(role));
    }
    assert_eq!(Role::from_name("root"), None);
    assert_eq!(
        serde_json::to_value(GuestKind::IndividualQr).expect("json"),
        "individual_qr"
    );
    assert_eq!(
        serde_json::to_value(ShowActivationCode).expect("json"),
        "show_activation_code"
    );
}
