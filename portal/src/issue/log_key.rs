//! The key that doors seal their logs to, for phones to carry: one a property, made of a secret of the portal's.

use latchkey_protocol::ids::PropertyId;
use latchkey_protocol::sealing::SealingKey;
use latchkey_protocol::statement::{Addressee, Body};
use ring::hmac;

use super::{epoch, statements};
use crate::fault::Fault;
use crate::model::secrets;
use crate::store::Tx;
use crate::tools::Tools;

/// Opens what this property's doors seal.
pub(crate) fn of(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
) -> Result<SealingKey, Fault> {
    let secret = secrets::named(tx, tools, "door-logs")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let mut seed = [0; 32];
    seed.copy_from_slice(hmac::sign(&key, property.as_bytes()).as_ref());
    Ok(SealingKey::from_seed(&seed))
}

/// Tells all doors of it.
pub(super) fn publish(tx: &mut dyn Tx, tools: &Tools, property: PropertyId) -> Result<(), Fault> {
    let public = of(tx, tools, property)?.public();
    let public = public.map_err(|error| Fault::Internal(error.to_string()))?;
    let body = Body::LogKey(public);
    statements::publish(tx, tools, property, Addressee::All, body)?;
    Ok(())
}

/// The same for a property that was made before there was one.
pub(crate) fn publish_once(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
) -> Result<(), Fault> {
    let epoch = epoch::current(tx, tools, property)?;
    if statements::has_log_key(tx, property, epoch)? {
        return Ok(());
    }
    publish(tx, tools, property)
}
