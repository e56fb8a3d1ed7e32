//! The wallet: what its folder shows, what altering it does, and what it says when it cannot open.

use std::path::Path;
use std::sync::Arc;

use latchkey_core::keys::{DeviceKeys, KeyUse, SoftwareKeys};
use latchkey_core::wallet::{
    FileSealingKey, SealingKey, SealingKeyError, SealingKeyStore, Wallet, WalletError, WalletId,
};
use latchkey_env::{SharedRandom, SystemRandom};
use tempfile::TempDir;

fn random() -> SharedRandom {
    Arc::new(SystemRandom)
}

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join("wallet")
    }

    fn keys(&self) -> FileSealingKey {
        FileSealingKey::new(self.dir.path().join("keys"), random())
    }

    fn open(&self) -> Result<Arc<Wallet>, WalletError> {
        Wallet::open(&self.folder(), &self.keys(), random())
    }

    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder().join("wallet.db")).unwrap()
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn keys_stay_over_a_restart_and_sign() {
    let place = Place::new();
    let public = {
        let keys = SoftwareKeys::new(place.open().unwrap());
        keys.create("a", KeyUse::Access).await.unwrap()
    };
    let keys = SoftwareKeys::new(place.open().unwrap());
    assert_eq!(keys.public_key("a").await.unwrap(), Some(public));
    let signature = keys.sign("a", b"message").await.unwrap();
    ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, public)
        .verify(b"message", &signature)
        .unwrap();
    keys.delete("a").await.unwrap();
    assert_eq!(keys.public_key("a").await.unwrap(), None);
    assert!(keys.sign("a", b"message").await.is_err());
}

#[test]
fn a_missing_or_foreign_sealing_key_is_said_and_the_wallet_stays_whole() {
    let place = Place::new();
    let id = place.open().unwrap().id();
    let elsewhere = FileSealingKey::new(place.dir.path().join("other"), random());
    let error = Wallet::open(&place.folder(), &elsewhere, random()).unwrap_err();
    assert!(matches!(error, WalletError::SealingKeyMissing(missing) if missing == id));

    struct Foreign;
    impl SealingKeyStore for Foreign {
        fn load(&self, _: WalletId) -> Result<Option<SealingKey>, SealingKeyError> {
            Ok(Some(SealingKey::new([7; 32])))
        }
        fn create(&self, _: WalletId) -> Result<SealingKey, SealingKeyError> {
            Err(SealingKeyError::Refused("there is a wallet".to_owned()))
        }
    }
    let error = Wallet::open(&place.folder(), &Foreign, random()).unwrap_err();
    assert!(matches!(error, WalletError::SealingKeyWrong));
    assert_eq!(place.open().unwrap().id(), id);
}

#[test]
fn a_sealing_key_inside_the_wallets_folder_is_refused() {
    let place = Place::new();
    let inside = [
        place.folder(),
        place.folder().join("keys"),
        place.dir.path().join("x/../wallet/keys"),
    ];
    std::fs::create_dir(place.dir.path().join("x")).unwrap();
    for folder in inside {
        let keys = FileSealingKey::new(&folder, random());
        let error = Wallet::open(&place.folder(), &keys, random()).unwrap_err();
        assert!(
            matches!(error, WalletError::SealingKeyInside(_)),
            "{folder:?}"
        );
    }
    assert_eq!(files(&place.folder()), Vec::<std::path::PathBuf>::new());
}

#[cfg(unix)]
#[test]
fn sealing_keys_are_for_their_user_alone() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let place = Place::new();
    place.open().unwrap();
    let key = &files(&place.dir.path().join("keys"))[0];
    assert_eq!(std::fs::metadata(key).unwrap().mode() & 0o777, 0o600);
    assert_eq!(
        std::fs::metadata(place.folder()).unwrap().mode() & 0o777,
        0o700
    );
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = place.open().unwrap_err();
    assert!(matches!(
        error,
        WalletError::SealingKey(SealingKeyError::Exposed(_))
    ));
}

#[test]
fn a_wallet_of_a_newer_version_is_left_alone() {
    let place = Place::new();
    place.open().unwrap();
    place
        .sql()
        .pragma_update(None, "user_version", 1000)
        .unwrap();
    assert!(matches!(place.open().unwrap_err(), WalletError::TooNew));
}

#[test]
fn two_that_open_a_new_wallet_at_once_open_the_same() {
    let place = Place::new();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let open = || place.open().unwrap().id();
        let threads = [scope.spawn(open), scope.spawn(open), scope.spawn(open)];
        threads.map(|thread| thread.join().unwrap()).to_vec()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}
