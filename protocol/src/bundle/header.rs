//! What travels in clear, signed: whose bundle it is, what it stands for, and the hash of each page.

use aliro::crypto::PublicKey;
use ring::digest::{SHA256, digest};

use super::content::{Content, MAX_CONTENT};
use crate::cbor::{FormatError, Reader, array};
use crate::doorstate::{BundleNumber, StatementNumbers};
use crate::ids::{DoorId, Generation, PropertyId};
use crate::sealing::{self, DoesNotOpen, NotSealable, Sealed, SealingKey};
use crate::signing::{Purpose, SignedError, input, signed};

/// Bytes of a page; the last one has what is left.
pub const PAGE: usize = 4 * 1024;
/// Most pages of a bundle.
pub const MAX_PAGES: usize = 256;
/// Most bytes of a body: 1 MiB.
pub const MAX_BODY: usize = MAX_PAGES * PAGE;
/// Most bytes of a header's payload.
pub const MAX_HEADER: usize = 10 * 1024;

/// Enters HPKE's key schedule, and then [`Header::info`]'s parts.
const INFO: &[u8] = b"latchkey/1/bundle-seal\0";

/// What is to become a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The property.
    pub property: PropertyId,
    /// For which door.
    pub door: DoorId,
    /// For which controller of it: what the last one was sent, this one does not open.
    pub generation: Generation,
    /// Its number.
    pub number: BundleNumber,
    /// The last statement of the series for all doors that it stands for.
    pub all: u64,
    /// The same of the door's own series.
    pub own: u64,
    /// What it says.
    pub content: Content,
}

/// A sealed bundle that is still to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// Its header.
    pub header: Header,
    /// Its body: what the pages cut.
    pub body: Vec<u8>,
}

/// A bundle's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The property.
    pub property: PropertyId,
    /// For which door.
    pub door: DoorId,
    /// For which controller of it.
    pub generation: Generation,
    /// Its number.
    pub number: BundleNumber,
    /// The last statement of the series for all doors that it stands for, in the number's epoch.
    pub all: u64,
    /// The same of the door's own series.
    pub own: u64,
    /// How many bytes the body has.
    pub length: u32,
    /// HPKE's encapsulated key.
    pub encapsulated: PublicKey,
    /// SHA-256 of each page.
    pub pages: Vec<[u8; 32]>,
}

/// There is too much to say, or nobody to say it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More than a bundle holds.
    #[error("a content of {0} bytes is more than a bundle holds")]
    TooMuch(usize),
    /// The door's key.
    #[error(transparent)]
    Key(#[from] NotSealable),
}

/// Why a page is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no page of that bundle")]
pub struct PageRefused;

/// Why a whole body says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not sealed to this key, or not this bundle's body.
    #[error(transparent)]
    Sealed(#[from] DoesNotOpen),
    /// What was sealed is no content; a newer version or kind means that the door has to be updated.
    #[error(transparent)]
    Content(#[from] FormatError),
}

impl Draft {
    /// Seals it to the door's key. `seed` is from secure randomness, and used for nothing else.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, recipient: &PublicKey, seed: [u8; 32]) -> Result<Unsigned, SealError> {
        let plain = self.content.to_bytes();
        if plain.len() > MAX_CONTENT {
            return Err(SealError::TooMuch(plain.len()));
        }
        let info = info(self.property, self.door, self.generation, self.number);
        let sealed = sealing::seal(recipient, &info, &plain, seed)?;
        Ok(Unsigned {
            header: Header {
                property: self.property,
                door: self.door,
                generation: self.generation,
                number: self.number,
                all: self.all,
                own: self.own,
                length: u32::try_from(sealed.ciphertext.len()).unwrap_or(u32::MAX),
                encapsulated: sealed.encapsulated,
                pages: sealed.ciphertext.chunks(PAGE).map(hash).collect(),
            },
            body: sealed.ciphertext,
        })
    }
}

impl Header {
    /// The payload: `[1, property, door, generation, epoch, number, all, own, length, encapsulated key,
    /// [SHA-256 of a page, …]]`.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        array()
            .bytes(&self.property.0)
            .bytes(&self.door.0)
            .uint(self.generation.0)
            .uint(self.number.epoch)
            .uint(self.number.number)
            .uint(self.all)
            .uint(self.own)
            .uint(self.length)
            .bytes(self.encapsulated.as_bytes())
            .byte_strings(self.pages.iter())
            .finish()
    }

    /// What the issuer signs for this payload.
    #[must_use]
    pub fn to_be_signed(payload: &[u8]) -> Vec<u8> {
        input(Purpose::Bundle, &[payload])
    }

    fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::versioned(payload, MAX_HEADER)?;
        let header = Self {
            property: PropertyId(reader.exactly()?),
            door: DoorId(reader.exactly()?),
            generation: Generation(reader.uint()?),
            number: BundleNumber {
                epoch: reader.uint()?,
                number: reader.uint()?,
            },
            all: reader.uint()?,
            own: reader.uint()?,
            length: reader.uint()?,
            encapsulated: reader.public_key()?,
            pages: reader.list(MAX_PAGES, Reader::exactly)?,
        };
        reader.end()?;
        let length = usize::try_from(header.length).map_err(|_| FormatError::Malformed)?;
        let fits = length > 0 && length.div_ceil(PAGE) == header.pages.len();
        if !fits || header.number.number == 0 {
            return Err(FormatError::Malformed);
        }
        Ok(header)
    }

    /// How far the statements reach that it stands for.
    #[must_use]
    pub fn stands_for(&self) -> StatementNumbers {
        StatementNumbers {
            epoch: self.number.epoch,
            all: self.all,
            own: self.own,
        }
    }

    /// Checks one page.
    ///
    /// # Errors
    /// [`PageRefused`] for whatever the issuer did not sign at this place.
    pub fn check_page(&self, index: u16, bytes: &[u8]) -> Result<(), PageRefused> {
        let expected = self.pages.get(usize::from(index)).ok_or(PageRefused)?;
        // All but the last are full: their hashes say so, too, but a short one need not be hashed.
        if bytes.len() <= PAGE && hash(bytes) == *expected {
            Ok(())
        } else {
            Err(PageRefused)
        }
    }

    /// Opens the body, which the pages make.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, key: &SealingKey, body: Vec<u8>) -> Result<Content, OpenError> {
        let info = info(self.property, self.door, self.generation, self.number);
        let sealed = Sealed {
            encapsulated: self.encapsulated,
            ciphertext: body,
        };
        Ok(Content::from_bytes(&key.open(&info, &sealed)?)?)
    }
}

signed! {
    /// A header with the issuer's signature.
    SignedHeader, MAX_HEADER
}

impl SignedHeader {
    /// The header, once the issuer's key and the property have been checked. For which door and controller
    /// it is, the door compares.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn verify(&self, issuer: &PublicKey, property: PropertyId) -> Result<Header, SignedError> {
        self.0.verify(Purpose::Bundle, issuer)?;
        let header = Header::from_payload(&self.0.payload)?;
        if header.property == property {
            Ok(header)
        } else {
            Err(SignedError::Elsewhere)
        }
    }
}

fn hash(page: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, page).as_ref());
    out
}

fn info(
    property: PropertyId,
    door: DoorId,
    generation: Generation,
    number: BundleNumber,
) -> Vec<u8> {
    [
        INFO,
        &property.0,
        &door.0,
        &generation.0.to_be_bytes(),
        &number.epoch.to_be_bytes(),
        &number.number.to_be_bytes(),
    ]
    .concat()
}
