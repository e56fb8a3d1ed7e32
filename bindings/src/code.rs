//! Rotating codes.

use std::time::SystemTime;

use latchkey_core::codes as inner;
use latchkey_core::views::DoorRef as InnerDoorRef;

use crate::error::LatchkeyError;
use crate::phone::Phone;
use crate::views::{DoorRef, KeyRef};

/// A code to show.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Code {
    /// The text of the symbol, for QR's alphanumeric mode.
    pub text: String,
    /// The symbol, drawn: an SVG of dark modules on white, quiet zone included.
    pub svg: String,
    /// When it was issued, by the portal's clock.
    pub issued_at: SystemTime,
    /// When the next one is due; sooner when a sync tells that a door accepted this one.
    pub next_at: SystemTime,
    /// Whether it brings its pass's statement along, for doors that may not know the pass.
    pub long: bool,
}

#[uniffi::export(async_runtime = "tokio")]
impl Phone {
    /// The rotating code of this moment for a key, with no signal needed: short for a door that is proved
    /// to know the pass (with no door given: when all of the key's doors are), else long.
    pub async fn current_code(
        &self,
        key: KeyRef,
        door: Option<DoorRef>,
    ) -> Result<Code, LatchkeyError> {
        let door = door.map(InnerDoorRef::try_from).transpose()?;
        let code = self.inner.current_code(key.try_into()?, door).await?;
        Ok(code.into())
    }
}

impl From<inner::CodeView> for Code {
    fn from(view: inner::CodeView) -> Self {
        Self {
            text: view.text,
            svg: view.svg,
            issued_at: view.issued_at.into(),
            next_at: view.next_at.into(),
            long: view.long,
        }
    }
}
