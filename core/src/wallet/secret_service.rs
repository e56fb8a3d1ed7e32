//! The Secret Service of a desktop's session (freedesktop.org's specification; GNOME's keyring and KWallet speak it),
//! over D-Bus. Secrets cross the session's bus as they are: whoever may listen there may ask the service itself.

use std::collections::HashMap;
use std::time::Duration;

use dbus::blocking::Connection;
use dbus_secret_service::{EncryptionType, Error, Item, SecretService};
use zeroize::Zeroizing;

use super::sealing_key::{SealingKey, SealingKeyError, WalletId};

const BUS: &str = "org.freedesktop.DBus";
const SERVICE: &str = "org.freedesktop.secrets";
/// By this, and by the wallet, an item is found.
const SCHEMA: (&str, &str) = ("xdg:schema", "app.latchkey.SealingKey");
/// For how many seconds a person is asked to unlock their keyring.
const PROMPT: u64 = 120;
/// For how long the bus may take to start the service.
const START: Duration = Duration::from_secs(10);

/// Whether this session has a Secret Service, running or to be started.
pub(super) fn is_there() -> Result<bool, SealingKeyError> {
    let Ok(bus) = Connection::new_session() else {
        return Ok(false);
    };
    let bus = bus.with_proxy(BUS, "/org/freedesktop/DBus", START);
    // Not every one can be started: some are only there while their program runs.
    let runs: Result<(bool,), dbus::Error> = bus.method_call(BUS, "NameHasOwner", (SERVICE,));
    if runs.map_err(failed)?.0 {
        return Ok(true);
    }
    let started: Result<(u32,), dbus::Error> =
        bus.method_call(BUS, "StartServiceByName", (SERVICE, 0_u32));
    match started {
        Ok(_) => Ok(true),
        Err(error) if error.name() == Some("org.freedesktop.DBus.Error.ServiceUnknown") => {
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}

/// The key of this wallet; none when the service, all of it unlocked, does not have it.
pub(super) fn load(wallet: WalletId) -> Result<Option<SealingKey>, SealingKeyError> {
    let service = connect()?;
    let name = wallet.to_string();
    if let Some(key) = find(&service, &name)? {
        return Ok(Some(key));
    }
    // Some show what is in a keyring only while it is unlocked.
    match service.get_default_collection() {
        Err(Error::NoResult) => {}
        keyring => keyring
            .and_then(|keyring| keyring.ensure_unlocked())
            .map_err(refused)?,
    }
    if let Some(key) = find(&service, &name)? {
        return Ok(Some(key));
    }
    for keyring in service.get_all_collections().map_err(refused)? {
        if keyring.is_locked().map_err(refused)? {
            return Err(SealingKeyError::KeyringLocked);
        }
    }
    Ok(None)
}

fn find(service: &SecretService, wallet: &str) -> Result<Option<SealingKey>, SealingKeyError> {
    let found = service.search_items(attributes(wallet)).map_err(refused)?;
    let item = match (found.unlocked.first(), found.locked.first()) {
        (Some(item), _) => item,
        (None, Some(item)) => {
            item.unlock().map_err(refused)?;
            item
        }
        (None, None) => return Ok(None),
    };
    key_of(item).map(Some)
}

/// Keeps a key of this wallet, in place of one that it had, and has seen that it is there when this returns.
pub(super) fn keep(wallet: WalletId, key: &SealingKey) -> Result<(), SealingKeyError> {
    let service = connect()?;
    let keyring = match service.get_default_collection() {
        Err(Error::NoResult) => return Err(SealingKeyError::NoKeyring),
        keyring => keyring.map_err(refused)?,
    };
    keyring.ensure_unlocked().map_err(refused)?;
    let name = wallet.to_string();
    let label = format!("Latchkey: key of the wallet {}", &name[..8]);
    let secret = Zeroizing::new(hex::encode(key.bytes()));
    let item = keyring
        .create_item(
            &label,
            attributes(&name),
            secret.as_bytes(),
            true,
            "text/plain",
        )
        .map_err(refused)?;
    if key_of(&item)?.bytes() == key.bytes() {
        Ok(())
    } else {
        Err(SealingKeyError::Service(
            "it gave back another key than it was given".to_owned(),
        ))
    }
}

fn connect() -> Result<SecretService, SealingKeyError> {
    SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, PROMPT).map_err(refused)
}

fn attributes(wallet: &str) -> HashMap<&str, &str> {
    HashMap::from([SCHEMA, ("wallet", wallet)])
}

fn key_of(item: &Item<'_>) -> Result<SealingKey, SealingKeyError> {
    let secret = Zeroizing::new(item.get_secret().map_err(refused)?);
    read(&secret).ok_or_else(|| {
        SealingKeyError::Service("what it keeps for this wallet is not a sealing key".to_owned())
    })
}

fn failed(error: dbus::Error) -> SealingKeyError {
    SealingKeyError::Service(error.to_string())
}

fn refused(error: Error) -> SealingKeyError {
    match error {
        Error::Locked | Error::Prompt => SealingKeyError::KeyringLocked,
        error => SealingKeyError::Service(error.to_string()),
    }
}

/// A key as it is kept, in hex: text passes every service unchanged.
fn read(text: &[u8]) -> Option<SealingKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, &mut *bytes).ok()?;
    Some(SealingKey::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept in people's keyrings: it may never change.
    #[test]
    fn what_a_keyring_keeps_is_frozen() {
        let mut key = [0xab; 32];
        key[0] = 1;
        let kept = format!("01{}", "ab".repeat(31));
        assert_eq!(hex::encode(key), kept);
        let bytes = |text: &str| read(text.as_bytes()).map(|key| *key.bytes());
        assert_eq!(bytes(&kept), Some(key));
        for wrong in ["", "01", &"zz".repeat(32), &"ab".repeat(33)] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
