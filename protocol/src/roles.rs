//! Who may do what: one table, enforced by the portal and used by the apps to show or hide.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a person is at a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Role {
    /// Owns the property.
    Owner,
    /// Property manager, general manager.
    Manager,
    /// Team.
    Staff,
    /// Looks, repairs, changes nothing here.
    Maintenance,
    /// Opens doors with own keys, nothing else.
    Housekeeping,
    /// Puts doors and controllers into service.
    Installer,
    /// Comes from outside to work.
    Vendor,
    /// Lives here.
    Resident,
    /// Visits.
    Guest,
}

impl Role {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Owner,
        Self::Manager,
        Self::Staff,
        Self::Maintenance,
        Self::Housekeeping,
        Self::Installer,
        Self::Vendor,
        Self::Resident,
        Self::Guest,
    ];

    /// Its name in JSON, logs and stores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Staff => "staff",
            Self::Maintenance => "maintenance",
            Self::Housekeeping => "housekeeping",
            Self::Installer => "installer",
            Self::Vendor => "vendor",
            Self::Resident => "resident",
            Self::Guest => "guest",
        }
    }

    /// From its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether a person of this role stands above one of `other`.
    #[must_use]
    pub const fn is_above(self, other: Self) -> bool {
        self.height() > other.height()
    }

    const fn height(self) -> u8 {
        match self {
            Self::Owner => 3,
            Self::Manager => 2,
            Self::Staff => 1,
            _ => 0,
        }
    }
}

/// How far a role's permission reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Nobody and nothing.
    No,
    /// Oneself and what is one's own.
    Own,
    /// Everybody who does not stand above oneself.
    NotUp,
    /// What the property's setting says.
    Set,
    /// Everybody and everything.
    All,
}

macro_rules! table {
    ($($(#[$doc:meta])* $action:ident: [$($reach:ident)*],)*) => {
        /// What somebody wants to do. Its [`Target`] says to whom.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$action,)*];

            /// How far it reaches for each role, in the order of [`Role::ALL`].
            const fn reaches(self) -> [Reach; 9] {
                match self {
                    $(Self::$action => [$(Reach::$reach,)*],)*
                }
            }
        }
    };
}

table! {
    // Columns: owner, manager, staff, maintenance, housekeeping, installer, vendor, resident, guest.

    /// See the keys that people hold.
    ViewKeys: [All All All All No No No No No],
    /// Make a key for the target; give it doors, rules and credentials.
    IssueKey: [All All NotUp No No No No No No],
    /// Change, or send again, a key that the target holds.
    EditKey: [All All NotUp No No No No No No],
    /// End a key that the target holds, or one of its credentials.
    WithdrawKey: [All All NotUp No No No No No No],
    /// Give a key the right to open in a lockdown.
    GrantLockdownRight: [All All No No No No No No No],
    /// Grant a guest key; see [`GuestKeyPolicy`].
    GrantGuestKey: [All All Set No No No No Set No],
    /// Change, send again or end a guest key that oneself granted.
    ManageGrantedKey: [Own Own Own No No No No Own No],

    /// See the people of the property.
    ViewPeople: [All All All All No No No No No],
    /// Enter a person with the target's role.
    CreatePerson: [All NotUp NotUp No No No No No No],
    /// Change the target's name or what is noted of them.
    EditPerson: [All NotUp NotUp No No No No No No],
    /// Change where the target is reached, and so who can sign in as them.
    ChangeAddress: [All NotUp NotUp No No No No No No],
    /// Take the target's role away, or give it; see [`may_change_role`].
    ChangeRole: [All NotUp NotUp No No No No No No],
    /// Show a code with which the target's next phone signs in.
    ShowActivationCode: [All NotUp NotUp No No No No No No],
    /// Suspend a device of the target. Everybody may suspend a phone of their own.
    SuspendDevice: [All NotUp NotUp Own Own Own Own Own Own],
    /// Remove, or erase, the target.
    RemovePerson: [All NotUp NotUp No No No No No No],

    /// See doors and their state.
    ViewDoors: [All All All All No All No No No],
    /// Add, change and remove doors.
    ManageDoors: [All All No No No All No No No],
    /// Commission and replace controllers, report one stolen.
    ManageControllers: [All All No No No All No No No],
    /// Write off the uses that a lost or wiped door still holds.
    WriteOffUses: [All All All No No No No No No],
    /// Carry lock updates to any door of the property. A key may carry the right for its own.
    CarryLockSync: [All All All No No All No No No],
    /// Put doors into lockdown, or release them, and end that again.
    LockDown: [All All All No No No No No No],

    /// See cards and who has them.
    ViewCards: [All All All All No All No No No],
    /// Add cards to the inventory and take them out.
    ManageCards: [All All No No No All No No No],

    /// See the property's overview.
    ViewDashboard: [All All All All No All No No No],
    /// See and change the property's settings.
    ManageSettings: [All All No No No No No No No],
    /// See everything that happened at the property.
    ViewAudit: [All All No No No No No No No],
    /// See what happened with one's own keys and at one's own doors.
    ViewOwnActivity: [Own Own Own Own Own Own Own Own No],
    /// See and use one's own keys, or pass.
    UnlockOwn: [Own Own Own Own Own Own Own Own Own],
}

/// To whom, or to what, something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The property. For what is done to people: whether there is anybody to do it to, which is
    /// what an app asks before it shows a button.
    Property,
    /// The one who acts, or what is theirs.
    Oneself,
    /// Somebody else: a person, or the holder of a key. Of a key with several holders, each.
    Person(Role),
    /// The property's only owner, whoever acts.
    LastOwner,
    /// A guest key of a kind, with the kinds that the property's policy allows the one who acts.
    GuestKey {
        /// The kind asked for.
        kind: GuestKind,
        /// [`GuestKeyPolicy::kinds`] of the one who acts.
        allowed: GuestKinds,
    },
}

/// Whether a person with the role `actor` may do `action` to `target`.
#[must_use]
pub fn may(actor: Role, action: Action, target: Target) -> bool {
    let reach = action.reaches()[actor as usize];
    match target {
        Target::Property => matches!(reach, Reach::All | Reach::NotUp),
        Target::Oneself => match reach {
            Reach::Own | Reach::All | Reach::NotUp => true,
            Reach::Set | Reach::No => false,
        },
        Target::Person(role) => match reach {
            Reach::All => true,
            Reach::NotUp => !role.is_above(actor),
            Reach::Set | Reach::Own | Reach::No => false,
        },
        Target::LastOwner => {
            let ends_them = matches!(action, Action::RemovePerson | Action::ChangeRole);
            !ends_them && may(actor, action, Target::Person(Role::Owner))
        }
        Target::GuestKey { kind, allowed } => match reach {
            Reach::All => true,
            Reach::Set => allowed.contains(kind),
            Reach::NotUp | Reach::Own | Reach::No => false,
        },
    }
}

/// Whether a person with the role `actor` may give `person`, who has the role or is the last
/// owner, the role `to`: allowed for both, so nobody is raised above the one who acts.
#[must_use]
pub fn may_change_role(actor: Role, person: Target, to: Role) -> bool {
    let now = match person {
        Target::Oneself => Target::Person(actor),
        other => other,
    };
    let to_the_same = now == Target::LastOwner && to == Role::Owner;
    let leaves = may(actor, Action::ChangeRole, now) || to_the_same;
    leaves && may(actor, Action::ChangeRole, Target::Person(to))
}

/// A kind of key that may be granted to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum GuestKind {
    /// A rotating code.
    IndividualQr,
    /// Opening over the network.
    Remote,
    /// A PIN.
    Doorcode,
}

/// A set of kinds of guest keys. In JSON a list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<GuestKind>", into = "Vec<GuestKind>")]
pub struct GuestKinds(u8);

impl GuestKinds {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self(0b111);

    /// Whether `kind` is among them.
    #[must_use]
    pub const fn contains(self, kind: GuestKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// The kinds, in the order of [`GuestKind`].
    pub fn iter(self) -> impl Iterator<Item = GuestKind> {
        [
            GuestKind::IndividualQr,
            GuestKind::Remote,
            GuestKind::Doorcode,
        ]
        .into_iter()
        .filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<GuestKind> for GuestKinds {
    fn from_iter<I: IntoIterator<Item = GuestKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | 1 << kind as u8))
    }
}

impl From<Vec<GuestKind>> for GuestKinds {
    fn from(kinds: Vec<GuestKind>) -> Self {
        kinds.into_iter().collect()
    }
}

impl From<GuestKinds> for Vec<GuestKind> {
    fn from(kinds: GuestKinds) -> Self {
        kinds.iter().collect()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for GuestKinds {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Vec::<GuestKind>::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for GuestKinds {}

/// Who may grant guest keys, and of which kinds: the manager's setting, by role or person.
///
/// A person's own line stands in place of their role's. It speaks only of those whom the table
/// leaves to it (staff, residents): owners and managers grant any kind, all others none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestKeyPolicy<P: Ord> {
    /// Kinds by role.
    #[serde(default = "by_role")]
    pub by_role: BTreeMap<Role, GuestKinds>,
    /// Kinds by person, in place of what their role has.
    #[serde(default = "BTreeMap::new")]
    pub by_person: BTreeMap<P, GuestKinds>,
}

impl<P: Ord> GuestKeyPolicy<P> {
    /// The kinds that `person`, who has the role, may grant.
    #[must_use]
    pub fn kinds(&self, role: Role, person: &P) -> GuestKinds {
        match Action::GrantGuestKey.reaches()[role as usize] {
            Reach::All => GuestKinds::ALL,
            Reach::Set => {
                let own = self.by_person.get(person);
                own.or_else(|| self.by_role.get(&role))
                    .copied()
                    .unwrap_or_default()
            }
            Reach::NotUp | Reach::Own | Reach::No => GuestKinds::NONE,
        }
    }
}

/// Until a manager says otherwise, staff grant any kind and residents none.
impl<P: Ord> Default for GuestKeyPolicy<P> {
    fn default() -> Self {
        Self {
            by_role: by_role(),
            by_person: BTreeMap::new(),
        }
    }
}

fn by_role() -> BTreeMap<Role, GuestKinds> {
    BTreeMap::from([(Role::Staff, GuestKinds::ALL)])
}
