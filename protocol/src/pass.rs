//! A pass: a holder's right to show rotating codes, as the issuer states it to doors. It travels in a
//! numbered statement, and inside a long code to a door that has never heard of its holder; there every
//! byte costs one and a half characters of a QR symbol, so this payload is as small as it can be.

use aliro::crypto::{PublicKey, Signature};

use crate::cbor::{FormatError, Reader, array, array_of};
use crate::ids::{BudgetId, DoorNumber, PassId, PropertyId};
use crate::rules::AccessRules;
use crate::signing::{Purpose, SignedError, input, verify};

/// How long a pass is good for at most after it was signed; while its key stands, it is renewed.
pub const MAX_LIFE_SECONDS: u32 = 30 * 24 * 3600;

/// Most bytes of a pass's payload. One for a long code ([`MAX_IN_CODE`]) is far smaller.
pub const MAX_PASS: usize = 2048;

/// Most bytes of payload and signature that still fit into a long code of less than 400 characters.
pub const MAX_IN_CODE: usize = 185;

/// The version of a counted pass's payload.
const COUNTED: u64 = 2;

/// Most doors that a pass may name.
const MAX_DOORS: usize = 400;

/// The doors at which something is good.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DoorSet {
    /// Every door of the property, those to come included.
    All,
    /// These, in ascending order.
    Numbers(Vec<DoorNumber>),
}

impl DoorSet {
    /// These doors, put in order, each once.
    #[must_use]
    pub fn of(doors: impl IntoIterator<Item = DoorNumber>) -> Self {
        let mut numbers: Vec<_> = doors.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self::Numbers(numbers)
    }

    /// Whether `door` is among them.
    #[must_use]
    pub fn contains(&self, door: DoorNumber) -> bool {
        match self {
            Self::All => true,
            Self::Numbers(numbers) => numbers.binary_search(&door).is_ok(),
        }
    }
}

/// What the issuer states of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Random; revocation names it.
    pub id: PassId,
    /// Checks the codes' signatures. Only its holder has the private half.
    pub code_key: PublicKey,
    /// Where it opens.
    pub doors: DoorSet,
    /// When it opens.
    pub rules: AccessRules,
    /// What counts its uses: there where the rules have a number of them, and only there.
    pub budget: Option<BudgetId>,
    /// Seconds since 1970 from which this statement of it says nothing any more.
    pub until: u32,
}

/// What cannot be stated of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pass with a number of uses says what counts them, and every pass names at most 400 doors, in order"
)]
pub struct NotForAPass;

impl Pass {
    /// The payload: `[1, id, x || y of the code key, doors or null, rules (compact), until]`, of a counted key
    /// `[2, …, until, budget]`.
    ///
    /// # Errors
    /// [`NotForAPass`].
    pub fn payload(&self) -> Result<Vec<u8>, NotForAPass> {
        let writer = match self.budget {
            None => array(),
            Some(_) => array_of(COUNTED),
        };
        let writer = writer
            .bytes(&self.id.0)
            .bytes(&self.code_key.as_bytes()[1..]);
        let writer = match &self.doors {
            DoorSet::All => writer.null(),
            DoorSet::Numbers(numbers)
                if numbers.len() <= MAX_DOORS && numbers.is_sorted_by(|a, b| a < b) =>
            {
                writer.uints(numbers.iter().map(|number| number.0))
            }
            DoorSet::Numbers(_) => return Err(NotForAPass),
        };
        if self.rules.max_uses().is_some() != self.budget.is_some() {
            return Err(NotForAPass);
        }
        let writer = writer.bytes(&self.rules.to_compact()).uint(self.until);
        Ok(match self.budget {
            None => writer,
            Some(budget) => writer.bytes(&budget.0),
        }
        .finish())
    }

    /// What the issuer signs for this payload: the property stands beside it, not in it.
    #[must_use]
    pub fn to_be_signed(property: PropertyId, payload: &[u8]) -> Vec<u8> {
        input(Purpose::Pass, &[&property.0, payload])
    }

    /// Reads what [`Self::payload`] wrote; whoever takes it from a door's or a phone's side
    /// [verifies](SignedPass::verify) it.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let (version, mut reader) = Reader::up_to_version(COUNTED, payload, MAX_PASS)?;
        let id = PassId(reader.exactly()?);
        let xy: [u8; 64] = reader.exactly()?;
        let code_key = PublicKey::from_uncompressed(&[&[4], &xy[..]].concat())
            .map_err(|_| FormatError::Malformed)?;
        let doors = match reader.optional(|reader| reader.uints(MAX_DOORS))? {
            None => DoorSet::All,
            Some(numbers) if numbers.is_sorted_by(|a, b| a < b) => {
                DoorSet::Numbers(numbers.into_iter().map(DoorNumber).collect())
            }
            Some(_) => return Err(FormatError::Malformed),
        };
        let rules = AccessRules::from_compact(&reader.bytes(MAX_PASS)?)
            .map_err(|_| FormatError::Malformed)?;
        let is_counted = version == COUNTED;
        if rules.max_uses().is_some() != is_counted {
            return Err(FormatError::Malformed);
        }
        let until = reader.uint()?;
        let budget = is_counted.then(|| reader.exactly().map(BudgetId));
        let budget = budget.transpose()?;
        reader.end()?;
        Ok(Self {
            id,
            code_key,
            doors,
            rules,
            budget,
            until,
        })
    }
}

/// A pass with the issuer's signature: payload, then 64 bytes r || s.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedPass {
    payload: Vec<u8>,
    signature: Signature,
}

impl SignedPass {
    /// Puts payload and signature together.
    #[must_use]
    pub fn new(payload: Vec<u8>, signature: Signature) -> Self {
        Self { payload, signature }
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.payload[..], &self.signature.0].concat()
    }

    /// Whether it fits into a long code.
    #[must_use]
    pub fn fits_in_code(&self) -> bool {
        self.payload.len() + self.signature.0.len() <= MAX_IN_CODE
    }

    /// Takes the bytes apart; nothing is verified yet.
    ///
    /// # Errors
    /// [`FormatError`] when there are too few or too many.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let (payload, signature) = bytes
            .split_last_chunk::<64>()
            .ok_or(FormatError::Malformed)?;
        if payload.len() > MAX_PASS {
            return Err(FormatError::TooLong {
                limit: MAX_PASS + 64,
            });
        }
        Ok(Self {
            payload: payload.to_vec(),
            signature: Signature(*signature),
        })
    }

    /// The pass, once the issuer's signature for this property has been checked. Whether it is over, or
    /// withdrawn, is still to be asked.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn verify(&self, issuer: &PublicKey, property: PropertyId) -> Result<Pass, SignedError> {
        verify(
            Purpose::Pass,
            issuer,
            &[&property.0, &self.payload],
            &self.signature,
        )?;
        Ok(Pass::from_payload(&self.payload)?)
    }
}

impl std::fmt::Debug for SignedPass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignedPass({} bytes)", self.payload.len() + 64)
    }
}
