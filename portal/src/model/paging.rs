//! Pages of lists, each with the cursor of the next.

use latchkey_protocol::api::Page;
use latchkey_protocol::api::problem::ProblemType;

use crate::cursor::{read_ordinal, write_ordinal};
use crate::fault::Fault;

/// Entries of one page.
pub(crate) const PAGE: usize = 100;

/// The ordinal after which a page begins.
pub(crate) fn after(cursor: Option<&str>) -> Result<i64, Fault> {
    let Some(cursor) = cursor else { return Ok(0) };
    read_ordinal(cursor).ok_or_else(|| {
        Fault::because(
            ProblemType::BadRequest,
            "the cursor is not one of this list",
        )
    })
}

/// A page from up to [`PAGE`] + 1 entries with their ordinals.
pub(crate) fn page<T>(mut items: Vec<(i64, T)>) -> Page<T> {
    let more = items.len() > PAGE;
    items.truncate(PAGE);
    let next = items
        .last()
        .filter(|_| more)
        .map(|(ordinal, _)| write_ordinal(*ordinal));
    Page {
        items: items.into_iter().map(|(_, item)| item).collect(),
        next,
    }
}
