//! What a controller and the portal say to each other over the door's WebSocket (`GET /v1/door/socket`).
//!
//! One JSON object a text message. The order: portal [`FromPortal::Challenge`], door [`FromDoor::SignIn`], portal
//! [`FromPortal::Welcome`] (or a close with a reason), then the door's state, and from there on whatever each has
//! to say. The portal carries and counts; what makes a door open is signed by others than the portal.

use serde::{Deserialize, Serialize};

use crate::api::events::Means;
use crate::bytes::Base64;
use crate::ids::{AttemptId, BudgetId, DoorId, ElementId, EventId, Generation, PassId, PropertyId};
use crate::rules::Reason;
use crate::uses::Ceiling;

/// Versions of this conversation that this code speaks, newest first.
pub const VERSIONS: &[u16] = &[2, 1];

/// The first version with [`FromDoor::List`].
pub const WITH_LISTS: u16 = 2;

/// Most ceilings of one message.
pub const MOST_CEILINGS: usize = 100;

/// Close codes of ours (RFC 6455, section 7.4.2: 4000–4999 are private).
pub mod close {
    /// The signature, the generation or the property does not count.
    pub const NOT_SIGNED_IN: u16 = 4001;
    /// No common version: update the controller or the portal, as the reason says.
    pub const VERSION: u16 = 4002;
    /// A newer connection of the same door took over.
    pub const REPLACED: u16 = 4003;
    /// The message does not read, or does not belong here.
    pub const PROTOCOL: u16 = 4004;
    /// The portal goes down or restarts: come back soon.
    pub const RESTART: u16 = 4005;
}

/// From the portal to a door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPortal {
    /// Sign this, see `proof::DoorSignIn`.
    Challenge {
        /// 32 bytes, good for this connection.
        nonce: Base64,
    },
    /// The door is signed in.
    Welcome {
        /// The version that was chosen.
        version: u16,
    },
    /// Statements, each signed by the issuer, in the order of their numbers within a series.
    Statements {
        /// The signed statements.
        statements: Vec<Base64>,
    },
    /// A revocation list that is newer than the one in the door's state.
    Revocation {
        /// The Revocation Document.
        document: Base64,
    },
    /// The answer to [`FromDoor::TimeChallenge`], signed by the issuer.
    Time {
        /// The signed answer.
        answer: Base64,
    },
    /// The answer to [`FromDoor::CodeCheck`].
    CodeAnswer {
        /// The question's number.
        request: u64,
        /// Why not; missing when this door has won the code. A repeat to the same door is answered alike.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        denied: Option<Reason>,
    },
    /// Ceilings of leases on uses, in any order; see `uses`. The door signs for each in its state.
    Ceilings {
        /// The ceilings, at most [`MOST_CEILINGS`].
        ceilings: Vec<Ceiling>,
    },
    /// The answer to [`FromDoor::UseWanted`], behind the ceiling that was raised for it.
    UseAnswer {
        /// The question's number.
        request: u64,
        /// Why not; missing when the door holds one more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        denied: Option<Reason>,
    },
    /// All events up to this sequence number are kept durably.
    EventsKept {
        /// The door's sequence number.
        up_to: u64,
    },
    /// A phone wants to speak to this door over the network.
    RelayOpen {
        /// Names the conversation in what follows; never used twice on a connection.
        channel: u64,
    },
    /// Bytes from the phone.
    RelayData {
        /// The conversation.
        channel: u64,
        /// The bytes.
        bytes: Base64,
    },
    /// The phone is gone.
    RelayClose {
        /// The conversation.
        channel: u64,
    },
}

/// From a door to the portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromDoor {
    /// Who it is.
    SignIn {
        /// The property.
        property: PropertyId,
        /// The door.
        door: DoorId,
        /// The controller's generation.
        generation: Generation,
        /// Versions of this conversation that it speaks.
        versions: Vec<u16>,
        /// By the reader key over the nonce, property, door and generation.
        signature: Base64,
    },
    /// The door's signed state, when something in it has changed. The portal answers with what is missing.
    State {
        /// The signed state.
        state: Base64,
    },
    /// A request for the time.
    TimeChallenge {
        /// 16 bytes, good once and for 10 seconds.
        nonce: Base64,
    },
    /// Somebody shows a code: is it the first to be accepted? Compare-and-set at the portal.
    CodeCheck {
        /// Numbered by the door, in this connection.
        request: u64,
        /// The pass.
        pass: PassId,
        /// The code's issue time, centiseconds since 1970.
        issued: u64,
    },
    /// Somebody stands there with a counted key, and no uses of it are held here: one more is wanted.
    UseWanted {
        /// Numbered by the door, in this connection, together with its other questions.
        request: u64,
        /// What counts the key's uses.
        budget: BudgetId,
        /// How many have been spent here: asked twice for the same, the portal raises once.
        spent: u32,
    },
    /// What happened, in the order of the door's log.
    Events {
        /// Those that the portal has not yet said it keeps.
        events: Vec<DoorEvent>,
    },
    /// A revocation list that the door obeys beside the portal's newest, which does not answer for it: the portal was
    /// restored from a backup, and has forgotten it. Since version 2.
    List {
        /// The Revocation Document.
        document: Base64,
    },
    /// Bytes for the phone.
    RelayData {
        /// The conversation.
        channel: u64,
        /// The bytes.
        bytes: Base64,
    },
    /// The conversation is over, or was refused.
    RelayClose {
        /// The conversation.
        channel: u64,
    },
}

/// One entry of a door's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorEvent {
    /// Its id; counts once.
    pub id: EventId,
    /// Its place in the log, from 1.
    pub sequence: u64,
    /// When, by the door's clock: milliseconds since 1970.
    pub at_ms: i64,
    /// Whether the clock was unsure.
    pub clock_unsure: bool,
    /// How somebody came.
    pub means: Means,
    /// Who.
    pub subject: Subject,
    /// The gesture, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// Why not; missing when it opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Reason>,
}

/// Who stood at a door, as the door knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A phone: its access credential, and the element that opened or came nearest.
    Credential {
        /// SHA-256 of the credential's public key (65 bytes).
        key_hash: Base64,
        /// The element.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        element: Option<ElementId>,
    },
    /// A rotating code.
    Pass {
        /// The pass.
        pass: PassId,
    },
    /// Nobody that the door knows: a code or a handshake that did not verify.
    Stranger,
}
