//! The wallet against whoever writes its file, and against its own end at any moment.

mod changed;
mod earlier;
mod filled;
mod killed;
mod running;

use std::path::PathBuf;
use std::sync::Arc;

use latchkey_env::{SharedRandom, SystemRandom};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{FileSealingKey, Wallet, WalletError};

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

    fn folder(&self) -> PathBuf {
        self.dir.path().join("wallet")
    }

    fn keys(&self) -> FileSealingKey {
        FileSealingKey::new(self.dir.path().join("keys"), random())
    }

    fn open(&self) -> Result<Arc<Wallet>, WalletError> {
        Wallet::open(&self.folder(), &self.keys(), random())
    }

    /// A connection of somebody else's.
    fn sql(&self) -> Connection {
        let sql = Connection::open(self.folder().join("wallet.db")).unwrap();
        let off = [
            "foreign_keys = OFF",
            "synchronous = OFF",
            "ignore_check_constraints = ON",
        ];
        for pragma in off {
            sql.execute_batch(&format!("PRAGMA {pragma}")).unwrap();
        }
        sql
    }

    /// The file, when nobody has it open.
    fn bytes(&self) -> Vec<u8> {
        assert!(!self.folder().join("wallet.db-wal").exists());
        std::fs::read(self.folder().join("wallet.db")).unwrap()
    }

    /// Opens a copy of the file to which something was done.
    fn open_altered(
        &self,
        file: &[u8],
        alter: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Arc<Wallet>, WalletError> {
        let copy = Self::new();
        std::fs::create_dir(copy.folder()).unwrap();
        std::fs::write(copy.folder().join("wallet.db"), file).unwrap();
        alter(&copy.sql()).unwrap();
        Wallet::open(&copy.folder(), &self.keys(), random())
    }
}
