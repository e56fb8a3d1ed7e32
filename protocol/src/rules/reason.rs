//! Why a door stays closed.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// Why a door stays closed: one set of reasons for door, phone, portal and wire.
        ///
        /// Codes (one byte on the wire) and names (in JSON) never change. They ascend in the
        /// order of precedence: of several reasons the lowest is the one that is named.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $variant = $code,)*
        }

        impl Reason {
            /// All of them, in the order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// From its code on the wire.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name in JSON, logs and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// The rotating code's window has passed.
    CodeTooOld = 1, "code_too_old";
    /// This code, or a newer one of its pass, has opened before.
    CodeUsedBefore = 2, "code_used_before";
    /// The door does not know the time well enough to decide.
    ClockUnsure = 3, "clock_unsure";
    /// The door has not heard of this credential yet; its long form, or a sync, would help.
    NotYetAtThisDoor = 4, "not_yet_at_this_door";
    /// Not a code of this credential.
    WrongCode = 5, "wrong_code";
    /// The grant's own lifetime is over, whatever its key says: the phone has to sync.
    GrantTooOld = 6, "grant_too_old";
    /// Nobody knows this credential.
    Unknown = 16, "unknown";
    /// The key opens other doors.
    WrongDoor = 17, "wrong_door";
    /// Withdrawn.
    Revoked = 18, "revoked";
    /// Superseded by an edit that the phone has not heard of: the phone has to sync.
    KeyChanged = 19, "key_changed";
    /// The person's device, or the key, is suspended.
    Suspended = 20, "suspended";
    /// A lockdown stands, and the key has no right to open in it.
    Lockdown = 21, "lockdown";
    /// Its range is over.
    Expired = 22, "expired";
    /// All its uses are spent, over all doors.
    UsedUp = 23, "used_up";
    /// The uses that this door may give are spent, and it was given no more in time.
    NoUsesHeldHere = 24, "no_uses_held_here";
    /// Its range has not begun.
    TooEarly = 25, "too_early";
    /// Closed on this day.
    Holiday = 26, "holiday";
    /// No window starts today.
    WrongDay = 27, "wrong_day";
    /// A window starts today, and none runs now.
    OutsideHours = 28, "outside_hours";
    /// It would open, but the door cannot be reached. Said of a key beforehand, never by a door.
    DoorOffline = 40, "door_offline";
}

impl Reason {
    /// Its code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether it passes with time alone, so that a next moment may stand beside it.
    #[must_use]
    pub const fn is_of_calendar(self) -> bool {
        matches!(
            self,
            Self::TooEarly | Self::Holiday | Self::WrongDay | Self::OutsideHours
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reasons(u64);

impl Reasons {
    /// No reason.
    pub const NONE: Self = Self(0);

    /// This set and `reason`.
    #[must_use]
    pub const fn with(self, reason: Reason) -> Self {
        // Codes stay below 64; a test says so.
        Self(self.0 | 1 << reason as u8)
    }

    /// This set and `reason`, when `holds`.
    #[must_use]
    pub const fn with_if(self, holds: bool, reason: Reason) -> Self {
        if holds { self.with(reason) } else { self }
    }

    /// Whether `reason` is among them.
    #[must_use]
    pub const fn contains(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The one to name.
    #[must_use]
    pub const fn first(self) -> Option<Reason> {
        // 64 for the empty set, which is no reason's code.
        Reason::from_code(self.0.trailing_zeros() as u8)
    }

    /// The one to name of those that come before `reason`.
    pub(super) const fn first_before(self, reason: Reason) -> Option<Reason> {
        Self(self.0 & ((1 << reason as u8) - 1)).first()
    }
}

impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        reasons.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Reason> for Reasons {
    fn from(reason: Reason) -> Self {
        Self::NONE.with(reason)
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Reason::ALL.iter().filter(|reason| self.contains(**reason));
        f.debug_set().entries(held).finish()
    }
}
