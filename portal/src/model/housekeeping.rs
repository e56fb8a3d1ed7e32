//! What is over is forgotten. Runs by itself.

use super::{challenge, guest, idempotency, offer, rate, replay, session, sign_in};
use crate::fault::Fault;
use crate::store::Tx;
use crate::tools::Tools;

/// Forgets what belongs to the portal as a whole.
pub(crate) fn run(tx: &mut dyn Tx, tools: &Tools) -> Result<(), Fault> {
    let now = tools.now();
    replay::forget(tx, now)?;
    rate::forget(tx, now)?;
    sign_in::forget(tx, now)?;
    session::forget(tx, now)?;
    offer::forget(tx, now)?;
    challenge::forget(tx, now)?;
    guest::forget(tx, now)?;
    idempotency::forget(tx, now)?;
    Ok(())
}
