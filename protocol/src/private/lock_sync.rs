//! Lock sync: what phones carry to and from a door without a network.

use crate::bundle::{MAX_PAGES, PAGE};
use crate::cbor::{FormatError, Reader, Writer, inner};
use crate::doorlog::MAX_SEALED;
use crate::doorstate::{BundleNumber, ListNumber, StatementNumbers};
use crate::ids::Generation;

/// How far a door has come, and what a phone may bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Which controller it is: a bundle for another is of no use here.
    pub generation: Generation,
    /// A revocation list newer than this one.
    pub list_after: ListNumber,
    /// Statements after these.
    pub statements_after: StatementNumbers,
    /// A bundle newer than this one.
    pub bundle_after: BundleNumber,
    /// The bundle of which it has a header, and maybe some pages, already.
    pub assembling: Option<Assembling>,
    /// Up to which entry of its log it has a receipt, and the last entry that there is.
    pub log: LogReach,
    /// Its question for the time, when it would like to know it better.
    pub time: Option<[u8; 16]>,
}

/// A bundle that is being put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembling {
    /// Which.
    pub number: BundleNumber,
    /// The pages that are still missing, ascending. None: it was whole, and the door could not obey it.
    pub missing: Vec<u16>,
}

/// How far a log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogReach {
    /// The portal keeps all up to this one, by a receipt or its own word.
    pub kept: u64,
    /// The last one; 0 before the first.
    pub last: u64,
}

/// One page of a bundle's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundlePage {
    /// Of which bundle.
    pub number: BundleNumber,
    /// From 0.
    pub index: u16,
    /// 1 to [`PAGE`] bytes.
    pub bytes: Vec<u8>,
}

/// A part of the door's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogParcel {
    /// Up to which entry it goes.
    pub up_to: u64,
    /// Sealed to the portal: see [`crate::doorlog`].
    pub sealed: Vec<u8>,
}

impl Needs {
    /// `generation, list, statements, bundle, [bundle, [missing page, …]] or null, [kept, last], time or
    /// null`.
    pub(super) fn write(&self, writer: Writer) -> Writer {
        writer
            .uint(self.generation.0)
            .nested(self.list_after.write())
            .nested(self.statements_after.write())
            .nested(self.bundle_after.write())
            .optional(self.assembling.as_ref(), |writer, assembling| {
                writer.nested(
                    inner()
                        .nested(assembling.number.write())
                        .uints(assembling.missing.iter().copied()),
                )
            })
            .nested(inner().uint(self.log.kept).uint(self.log.last))
            .optional(self.time, |writer, nonce| writer.bytes(&nonce))
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        Ok(Self {
            generation: Generation(reader.uint()?),
            list_after: ListNumber::read(reader)?,
            statements_after: StatementNumbers::read(reader)?,
            bundle_after: BundleNumber::read(reader)?,
            assembling: reader.optional(|reader| {
                let mut items = reader.nested()?;
                let assembling = Assembling {
                    number: BundleNumber::read(&mut items)?,
                    missing: items.uints(MAX_PAGES)?,
                };
                items.end()?;
                if assembling.missing.is_sorted_by(|a, b| a < b) {
                    Ok(assembling)
                } else {
                    Err(FormatError::Malformed)
                }
            })?,
            log: {
                let mut items = reader.nested()?;
                let log = LogReach {
                    kept: items.uint()?,
                    last: items.uint()?,
                };
                items.end()?;
                log
            },
            time: reader.optional(Reader::exactly)?,
        })
    }
}

impl BundlePage {
    /// Cuts a body into the pages that are asked for; all of them without an answer from the door.
    pub fn cut<'a>(
        number: BundleNumber,
        body: &'a [u8],
        missing: Option<&'a [u16]>,
    ) -> impl Iterator<Item = Self> + 'a {
        let pages = body.chunks(PAGE).zip(0u16..);
        let asked =
            move |index: u16| missing.is_none_or(|missing| missing.binary_search(&index).is_ok());
        pages
            .filter(move |(_, index)| asked(*index))
            .map(move |(bytes, index)| Self {
                number,
                index,
                bytes: bytes.to_vec(),
            })
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        writer
            .nested(self.number.write())
            .uint(self.index)
            .bytes(&self.bytes)
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let page = Self {
            number: BundleNumber::read(reader)?,
            index: reader.uint()?,
            bytes: reader.bytes(PAGE)?,
        };
        if usize::from(page.index) < MAX_PAGES && !page.bytes.is_empty() {
            Ok(page)
        } else {
            Err(FormatError::Malformed)
        }
    }
}

impl LogParcel {
    pub(super) fn write(&self, writer: Writer) -> Writer {
        writer.uint(self.up_to).bytes(&self.sealed)
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        Ok(Self {
            up_to: reader.uint()?,
            sealed: reader.bytes(MAX_SEALED)?,
        })
    }
}
