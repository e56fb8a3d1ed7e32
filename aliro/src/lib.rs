//! aliro
