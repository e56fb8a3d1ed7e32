//! What a bundle says.

use crate::cbor::{FormatError, Reader, array, array_of, inner};
use crate::pass::{MAX_PASS, SignedPass};
use crate::sealing::TAG;
use crate::statement::SignedStatement;
use crate::uses::Ceiling;

use super::MAX_BODY;

/// Most bytes of a content.
pub const MAX_CONTENT: usize = MAX_BODY - TAG;
/// Most statements that stand in one.
pub const MAX_STATEMENTS: usize = 16;
/// Most passes in one.
pub const MAX_PASSES: usize = 8192;
/// Most ceilings in one.
pub const MAX_CEILINGS: usize = 2048;

/// The version of a content with ceilings.
const WITH_CEILINGS: u64 = 2;

/// All that holds at a door of what statements and lists have told. What is not in it does not hold: the
/// door forgets it, unless a later statement has told it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The statements that stand and replace what is of their kind: settings, door settings, the log key. In
    /// the order in which they apply; no passes.
    pub statements: Vec<SignedStatement>,
    /// The passes that stand here, each with the number of the statement that told it, ascending.
    pub passes: Vec<(u64, SignedPass)>,
    /// The newest revocation list, a Revocation Document.
    pub revocations: Option<Vec<u8>>,
    /// Ceilings of leases on uses that the door has not signed for, ascending by their budgets. They count by their own
    /// numbers: what is not here stays as it is.
    pub ceilings: Vec<Ceiling>,
}

impl Content {
    /// `[1, [statement, …], [[number, pass], …], list or null]`, with ceilings `[2, …, list or null, [ceiling, …]]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let version = if self.ceilings.is_empty() {
            array()
        } else {
            array_of(WITH_CEILINGS)
        };
        let content = version
            .byte_strings(self.statements.iter().map(SignedStatement::to_bytes))
            .list(
                self.passes
                    .iter()
                    .map(|(number, pass)| inner().uint(*number).bytes(&pass.to_bytes())),
            )
            .optional(self.revocations.as_ref(), |writer, list| writer.bytes(list));
        if self.ceilings.is_empty() {
            return content.finish();
        }
        content
            .list(self.ceilings.iter().map(Ceiling::write))
            .finish()
    }

    /// Reads what [`Self::to_bytes`] wrote. Statements, passes and list carry signatures of their own,
    /// which are still to be verified.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let (version, mut reader) = Reader::up_to_version(WITH_CEILINGS, bytes, MAX_CONTENT)?;
        let statements = reader.list(MAX_STATEMENTS, |item| {
            SignedStatement::from_bytes(&item.bytes(SignedStatement::MAX)?)
        })?;
        let passes = reader.list(MAX_PASSES, |item| {
            let mut entry = item.nested()?;
            let read = (
                entry.uint()?,
                SignedPass::from_bytes(&entry.bytes(MAX_PASS + 64)?)?,
            );
            entry.end()?;
            Ok(read)
        })?;
        if !passes.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Err(FormatError::Malformed);
        }
        let revocations = reader.optional(|reader| reader.bytes(aliro::document::MAX_LEN))?;
        let mut ceilings = Vec::new();
        if version == WITH_CEILINGS {
            ceilings = reader.list(MAX_CEILINGS, Ceiling::read)?;
            let ascend = ceilings.is_sorted_by(|one, other| one.budget < other.budget);
            if ceilings.is_empty() || !ascend {
                return Err(FormatError::Malformed);
            }
        }
        reader.end()?;
        Ok(Self {
            statements,
            passes,
            revocations,
            ceilings,
        })
    }
}
