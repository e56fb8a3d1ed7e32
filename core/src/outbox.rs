//! What waits to be sent.
use serde::{Deserialize, Serialize};

/// What a waiting request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// x
    X,
}
