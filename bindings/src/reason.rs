//! Why a door stays closed, for an app's own words.

use latchkey_protocol::rules::Reason;

use crate::mirror::mirror;

mirror! {
    Reason =>
    /// Why a door stays closed.
    DenialReason {
        /// The rotating code's window has passed.
        CodeTooOld,
        /// This code, or a newer one of its pass, has opened before.
        CodeUsedBefore,
        /// The door does not know the time well enough to decide: any phone that syncs there helps.
        ClockUnsure,
        /// The door has not heard of this credential yet: its long form, or a sync, helps.
        NotYetAtThisDoor,
        /// Not a code of this credential.
        WrongCode,
        /// The phone has to sync: what it carries has ended, whatever its key says.
        GrantTooOld,
        /// Nobody knows this credential.
        Unknown,
        /// The key opens other doors.
        WrongDoor,
        /// Withdrawn.
        Revoked,
        /// The key was edited: the phone has to sync.
        KeyChanged,
        /// The person's device, or the key, is suspended.
        Suspended,
        /// A lockdown stands.
        Lockdown,
        /// Its range is over.
        Expired,
        /// All its uses are spent.
        UsedUp,
        /// The uses that this door may give are spent, and it was given no more in time.
        NoUsesHeldHere,
        /// Its range has not begun.
        TooEarly,
        /// Closed on this day.
        Holiday,
        /// No window starts today.
        WrongDay,
        /// A window starts today, and none runs now.
        OutsideHours,
        /// It would open, but the door cannot be reached. Said of a key beforehand, never by a door.
        DoorOffline,
    }
}
