//! Bundles: all that holds now at one door without a network, numbered, signed by the issuer and sealed to
//! that door, in pages that phones carry in.
//!
//! The **header** travels first. It is signed, and names the hash of every page, so a door checks each page
//! as it comes and keeps it: whoever brings the next one, days later, goes on where the first broke off.
//! The **body**, which the pages cut, is HPKE's ciphertext of the [`Content`]. Whoever carries it learns for
//! which door it is, its numbers and its length.
//!
//! A bundle *stands for* the statements of both series up to its numbers: a door that has applied it asks
//! for none of them any more.

mod content;
mod header;

pub use content::{Content, MAX_CEILINGS, MAX_CONTENT, MAX_PASSES, MAX_STATEMENTS};
pub use header::{
    Draft, Header, MAX_BODY, MAX_HEADER, MAX_PAGES, OpenError, PAGE, PageRefused, SealError,
    SignedHeader, Unsigned,
};
