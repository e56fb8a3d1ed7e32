//! aliro

pub mod document;
