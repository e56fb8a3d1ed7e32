//! protocol/env
