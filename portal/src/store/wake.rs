//! What others wait for, told after the commit.

use latchkey_protocol::ids::PropertyId;

/// Something that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wake {
    /// The property's change log grew.
    Changed(PropertyId),
    /// Something was signed for the property's doors.
    Issued(PropertyId),
    /// Something waits to be sent.
    Outbox,
    /// A pass was used, or what its page shows has changed.
    Guests(PropertyId),
}
