//! The key that seals a wallet's data key, and where it is kept: never in the wallet's folder.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use latchkey_env::{SecureRandom, SharedRandom};
use zeroize::Zeroizing;

/// Names a wallet. Random, not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WalletId(pub [u8; 16]);

impl std::fmt::Display for WalletId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// 32 bytes that seal one wallet's data key. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Takes the bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Draws one.
    pub(super) fn random(random: &dyn SecureRandom) -> Self {
        let mut key = Self::new([0; 32]);
        random.fill(key.0.as_mut_slice());
        key
    }

    /// The bytes, for a store that keeps them.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(secret)")
    }
}

/// Why a store gave no sealing key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealingKeyError {
    /// The platform refused: locked, no authentication, damaged. The text is for a log.
    #[error("the keystore refused: {0}")]
    Refused(String),
    /// The keyring stayed locked: nobody unlocked it, or there was nobody to ask.
    #[error(
        "the keyring is locked, and the prompt for it was dismissed or could not be shown: unlock it and try again"
    )]
    KeyringLocked,
    /// The Secret Service has nowhere to keep a key.
    #[error(
        "the Secret Service has no default keyring: make one in the desktop's password manager and try again"
    )]
    NoKeyring,
    /// A key that is in no file can only be in the Secret Service, and there is none.
    #[error(
        "the wallet's key is not in {}, and this session has no Secret Service to ask for it: start the desktop's \
         keyring, or bring the key file back",
        .0.display()
    )]
    NoService(PathBuf),
    /// The Secret Service failed, or went away. The text is for a log.
    #[error("the Secret Service failed: {0}")]
    Service(String),
    /// A key file that others may read is no secret.
    #[error("{} may be read by others: its mode must be 0600", .0.display())]
    Exposed(PathBuf),
    /// A key file is not 32 bytes long.
    #[error("{} is not a sealing key", .0.display())]
    NotAKey(PathBuf),
    /// The file system failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// How.
        #[source]
        error: std::io::Error,
    },
}

/// Where a wallet's sealing key is kept. An app says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealingPlace {
    /// The platform's keystore.
    Platform,
    /// The Secret Service of a desktop's session.
    SecretService,
    /// A file, readable by its owner alone.
    File(PathBuf),
}

/// Keeps the sealing keys of wallets.
///
/// Backed by the Android keystore or the iOS keychain on phones, by
/// [`DeskSealingKeys`](super::DeskSealingKeys) on a desk. Called while a wallet opens, at most three times,
/// from the opening thread; never re-entered. May block: a keystore takes tens of milliseconds, a locked
/// keyring for as long as its person is asked.
pub trait SealingKeyStore: Send + Sync {
    /// The key of this wallet; none when this store has never made it or has lost it.
    ///
    /// # Errors
    /// When the store could not look.
    fn load(&self, wallet: WalletId) -> Result<Option<SealingKey>, SealingKeyError>;

    /// Makes a key for a new wallet and keeps it durably before it returns.
    ///
    /// # Errors
    /// When the store could not keep it.
    fn create(&self, wallet: WalletId) -> Result<SealingKey, SealingKeyError>;

    /// The folder in which keys lie, for a store of files: a wallet refuses one inside its own folder.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// Where the key of this wallet, which it has, is kept.
    ///
    /// # Errors
    /// When the store could not look.
    fn place(&self, _: WalletId) -> Result<SealingPlace, SealingKeyError> {
        Ok(SealingPlace::Platform)
    }
}

/// Keeps sealing keys as files `<wallet id>.sealing-key` of 32 bytes, mode 0600, in a folder of its own.
///
/// Protects a wallet whose folder is copied, backed up or synchronised without this one. It does not
/// protect against whoever reads both as this user.
#[derive(Clone)]
pub struct FileSealingKey {
    folder: PathBuf,
    random: SharedRandom,
}

impl FileSealingKey {
    /// Keys lie in `folder`, which is made when it is first needed.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, random: SharedRandom) -> Self {
        Self {
            folder: folder.into(),
            random,
        }
    }

    fn path(&self, wallet: WalletId) -> PathBuf {
        self.folder.join(format!("{wallet}.sealing-key"))
    }

    /// Takes a key's file away, for good when this returns.
    pub(super) fn remove(&self, wallet: WalletId) -> Result<(), SealingKeyError> {
        let path = self.path(wallet);
        let removed = fs::remove_file(&path).and_then(|()| flush(&self.folder));
        removed.map_err(|error| SealingKeyError::Io { path, error })
    }
}

impl std::fmt::Debug for FileSealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileSealingKey").field(&self.folder).finish()
    }
}

impl SealingKeyStore for FileSealingKey {
    fn load(&self, wallet: WalletId) -> Result<Option<SealingKey>, SealingKeyError> {
        let path = self.path(wallet);
        let io = |error| SealingKeyError::Io {
            path: path.clone(),
            error,
        };
        let mut file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let metadata = file.metadata().map_err(io)?;
        if read_by_others(&metadata) {
            return Err(SealingKeyError::Exposed(path));
        }
        if metadata.len() != 32 {
            return Err(SealingKeyError::NotAKey(path));
        }
        let mut key = SealingKey::new([0; 32]);
        file.read_exact(key.0.as_mut_slice()).map_err(io)?;
        Ok(Some(key))
    }

    fn create(&self, wallet: WalletId) -> Result<SealingKey, SealingKeyError> {
        let path = self.path(wallet);
        let io = |error| SealingKeyError::Io {
            path: path.clone(),
            error,
        };
        make_private_folder(&self.folder).map_err(io)?;
        let key = SealingKey::random(&*self.random);
        write_private_file(&self.folder, &path, key.bytes()).map_err(io)?;
        Ok(key)
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    fn place(&self, wallet: WalletId) -> Result<SealingPlace, SealingKeyError> {
        Ok(SealingPlace::File(self.path(wallet)))
    }
}

/// Whole or not at all, and durable: written beside, flushed, renamed, and the folder flushed.
fn write_private_file(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("part");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    flush(folder)
}

/// What was put into a folder, or taken out of it, is so after a power cut, too.
fn flush(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Makes a folder, and its parents, that only this user may enter.
pub(super) fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(unix)]
fn read_by_others(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0
}

#[cfg(not(unix))]
fn read_by_others(_: &fs::Metadata) -> bool {
    false
}
