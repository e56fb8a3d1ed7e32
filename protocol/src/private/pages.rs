//! A revocation list in pages, since one message cannot hold all of a large one.

use crate::cbor::{FormatError, Reader, Writer};
use crate::doorstate::ListNumber;

/// Most bytes of a page.
pub const MAX_PAGE: usize = 16 * 1024;
/// Most bytes of a list: some 7,000 withdrawn credentials.
pub const MAX_LIST: usize = aliro::document::MAX_LEN;

const MAX_PAGES: usize = MAX_LIST / MAX_PAGE;

/// One page of a signed revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Which list, by its carrier's word; the list itself says it signed.
    pub list: ListNumber,
    /// From 0.
    pub index: u16,
    /// How many pages the list has, 1 to 16.
    pub count: u16,
    /// 1 to [`MAX_PAGE`] bytes; all pages but the last are full.
    pub bytes: Vec<u8>,
}

impl Page {
    /// Cuts a list into pages; none for one of no bytes or of more than [`MAX_LIST`].
    #[must_use]
    pub fn cut(list: ListNumber, bytes: &[u8]) -> Vec<Self> {
        if bytes.len() > MAX_LIST {
            return Vec::new();
        }
        // At most 16.
        let count = u16::try_from(bytes.len().div_ceil(MAX_PAGE)).unwrap_or_default();
        let pages = bytes.chunks(MAX_PAGE).zip(0..);
        pages
            .map(|(bytes, index)| Self {
                list,
                index,
                count,
                bytes: bytes.to_vec(),
            })
            .collect()
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        writer
            .nested(self.list.write())
            .uint(self.index)
            .uint(self.count)
            .bytes(&self.bytes)
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, FormatError> {
        let page = Self {
            list: ListNumber::read(reader)?,
            index: reader.uint()?,
            count: reader.uint()?,
            bytes: reader.bytes(MAX_PAGE)?,
        };
        let last = page.index.checked_add(1) == Some(page.count);
        let length = if last {
            1..=MAX_PAGE
        } else {
            MAX_PAGE..=MAX_PAGE
        };
        if usize::from(page.count) > MAX_PAGES
            || page.index >= page.count
            || !length.contains(&page.bytes.len())
        {
            return Err(FormatError::Malformed);
        }
        Ok(page)
    }
}

/// Puts pages together again, in whatever order they come and over however many sessions. It holds one
/// list at a time, [`MAX_LIST`] bytes at most; nothing is believed until the whole has been verified.
#[derive(Debug, Default)]
pub struct PageAssembler {
    list: ListNumber,
    pages: Vec<Option<Vec<u8>>>,
}

impl PageAssembler {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a page, and answers with the whole list once it is there. Pages of another list, or of the
    /// same one with another number of pages, begin anew: whoever carried the first may have gone.
    pub fn take(&mut self, page: Page) -> Option<Vec<u8>> {
        let count = usize::from(page.count).min(MAX_PAGES);
        if self.list != page.list || self.pages.len() != count {
            self.list = page.list;
            self.pages = vec![None; count];
        }
        *self.pages.get_mut(usize::from(page.index))? = Some(page.bytes);
        if self.pages.iter().any(Option::is_none) {
            return None;
        }
        Some(
            std::mem::take(&mut self.pages)
                .into_iter()
                .flatten()
                .flatten()
                .collect(),
        )
    }

    /// The pages that are still missing of the list that is being put together.
    pub fn missing(&self) -> impl Iterator<Item = u16> {
        let missing = self
            .pages
            .iter()
            .zip(0..)
            .filter(|(page, _)| page.is_none());
        missing.map(|(_, index)| index)
    }
}
