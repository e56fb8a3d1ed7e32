//! Rotating codes: the text of a QR symbol, and when a door accepts one.
//!
//! `"LK1:" || base45(pass id (8) || issue time (5) || signature (64) [|| pass statement])`. The issue time
//! is in hundredths of a second since 1970, big-endian. The signature is the code key's over
//! `prefix || property (16) || pass id || issue time`. With the pass's statement ([`SignedPass`]) behind
//! it, it is a *long* code, which admits at a door that has never heard of the pass. Base45 (RFC 9285)
//! stays within a QR symbol's alphanumeric alphabet.

use aliro::crypto::{PublicKey, Signature};

use crate::clock::ClockReading;
use crate::ids::{PassId, PropertyId};
use crate::pass::SignedPass;
use crate::rules::Reason;
use crate::signing::{BadSignature, Purpose, input};

/// What every code begins with.
pub const SCHEME: &str = "LK1:";

/// How often a holder issues a new code.
pub const ISSUE_EVERY_SECONDS: u64 = 15;

/// How far a code's time and the door's may be apart, beside what the door's clock is unsure of.
const WINDOW_MS: u64 = 20_000;
/// How far they may be apart at all.
const MOST_MS: u64 = 120_000;
/// From more uncertainty on, the clock is at fault and not the code.
const UNSURE_MS: u64 = 100_000;

const SHORT: usize = PassId::LEN + 5 + 64;
/// No QR symbol in alphanumeric mode holds more than 4,296 characters.
const MAX_TEXT: usize = 4296;

/// When a code was issued, by its holder's corrected clock: hundredths of a second since 1970, 40 bits
/// (until the year 2318).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssueTime(u64);

impl IssueTime {
    const MAX: u64 = (1 << 40) - 1;

    /// The hundredth of a second that contains this millisecond; times after the last one are the last.
    #[must_use]
    pub fn from_unix_ms(unix_ms: u64) -> Self {
        Self((unix_ms / 10).min(Self::MAX))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        self.0 * 10
    }

    /// The next one: codes of one pass are told apart by their time alone.
    #[must_use]
    pub fn next(self) -> Self {
        Self((self.0 + 1).min(Self::MAX))
    }

    /// Five bytes, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 5] {
        let [_, _, _, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }

    /// From five bytes, big-endian.
    #[must_use]
    pub fn from_bytes([a, b, c, d, e]: [u8; 5]) -> Self {
        Self(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }
}

/// A code as it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Whose code.
    pub pass: PassId,
    /// When it was issued; pass and issue time are the attempt's id.
    pub issued: IssueTime,
    /// The code key's, over [`Code::to_be_signed`].
    pub signature: Signature,
    /// The pass's statement, in a long code.
    pub statement: Option<SignedPass>,
}

/// The text is no code of ours, or of a version that this side does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Something else altogether.
    #[error("not a Latchkey code")]
    NotACode,
    /// It has our scheme, but is damaged.
    #[error("a damaged code")]
    Damaged,
}

impl Code {
    /// What the code key signs.
    #[must_use]
    pub fn to_be_signed(property: PropertyId, pass: PassId, issued: IssueTime) -> Vec<u8> {
        input(Purpose::Code, &[&property.0, &pass.0, &issued.to_bytes()])
    }

    /// Whether it brings its pass's statement along.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.statement.is_some()
    }

    /// The text for a QR symbol in alphanumeric mode.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = self.pass.0.to_vec();
        bytes.extend_from_slice(&self.issued.to_bytes());
        bytes.extend_from_slice(&self.signature.0);
        if let Some(statement) = &self.statement {
            bytes.extend_from_slice(&statement.to_bytes());
        }
        format!("{SCHEME}{}", base45::encode(&bytes))
    }

    /// Reads a code. White space around it is left out: readers that act as keyboards end a line.
    ///
    /// # Errors
    /// [`CodeError`]; nothing is verified yet.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        // A space is a digit of base45, too, but none begins a code, and none can end one: the last
        // digit of a group stands for at most 32.
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let body = text.strip_prefix(SCHEME).ok_or(CodeError::NotACode)?;
        if body.len() > MAX_TEXT {
            return Err(CodeError::Damaged);
        }
        let bytes = base45::decode(body).map_err(|_| CodeError::Damaged)?;
        // One text a code: base45 readers differ in what else they let through.
        if base45::encode(&bytes) != body {
            return Err(CodeError::Damaged);
        }
        let (short, statement) = bytes.split_at_checked(SHORT).ok_or(CodeError::Damaged)?;
        let (pass, rest) = short.split_first_chunk().ok_or(CodeError::Damaged)?;
        let (issued, signature) = rest.split_first_chunk().ok_or(CodeError::Damaged)?;
        let statement = match statement {
            [] => None,
            bytes => Some(SignedPass::from_bytes(bytes).map_err(|_| CodeError::Damaged)?),
        };
        Ok(Self {
            pass: PassId(*pass),
            issued: IssueTime::from_bytes(*issued),
            signature: Signature::from_slice(signature).map_err(|_| CodeError::Damaged)?,
            statement,
        })
    }

    /// Checks that the pass's holder made it, for this property.
    ///
    /// # Errors
    /// [`BadSignature`]: a *wrong code*.
    pub fn verify(&self, code_key: &PublicKey, property: PropertyId) -> Result<(), BadSignature> {
        code_key
            .verify(
                &Self::to_be_signed(property, self.pass, self.issued),
                &self.signature,
            )
            .map_err(|_| BadSignature)
    }
}

/// Whether a code of this issue time may be accepted, whose pass's last accepted one was issued at
/// `last`, by a clock that reads `clock` (none where there is none). What was accepted is stored
/// before the door opens.
///
/// # Errors
/// The first [`Reason`] that applies: too old (one from the future is out of time all the same), used
/// before, or the clock is too unsure to say.
pub fn acceptance(
    issued: IssueTime,
    last: Option<IssueTime>,
    clock: Option<&ClockReading>,
) -> Result<(), Reason> {
    let in_time = in_time(issued, clock);
    if in_time != Err(Reason::CodeTooOld) && last.is_some_and(|last| issued <= last) {
        return Err(Reason::CodeUsedBefore);
    }
    in_time
}

fn in_time(issued: IssueTime, clock: Option<&ClockReading>) -> Result<(), Reason> {
    // Not challenged since a restart, a clock is off by nobody knows how much.
    let Some(clock) = clock.filter(|clock| !clock.unsure) else {
        return Err(Reason::ClockUnsure);
    };
    let uncertainty = u64::from(clock.uncertainty_ms);
    let apart = clock.unix_ms.abs_diff(issued.unix_ms());
    if apart <= (WINDOW_MS + uncertainty).min(MOST_MS) {
        Ok(())
    } else if uncertainty > UNSURE_MS {
        Err(Reason::ClockUnsure)
    } else {
        Err(Reason::CodeTooOld)
    }
}
