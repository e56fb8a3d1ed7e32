//! Letters as lines on standard output, for a portal without a mail server.

use std::io::Write as _;

use async_trait::async_trait;

use super::Courier;
use crate::model::outbox::Letter;

pub(super) struct Console;

#[async_trait]
impl Courier for Console {
    async fn send(&self, letter: &Letter) -> Result<(), String> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "mail to {}: {}", letter.address, letter.body)
            .and_then(|()| out.flush())
            .map_err(|error| error.to_string())
    }
}
