//! Wallets of earlier versions, as `core/tests/fixtures` keeps them: brought up to date once, and never taken
//! on trust again.

use std::path::Path;

use rusqlite::types::Value;

use super::{Place, WalletError, random};
use crate::wallet::{
    OutboxRecord, PortalRecord, PropertyRecord, RowId, SealingKey, SealingKeyError,
    SealingKeyStore, Wallet, WalletId,
};

/// A copy of a fixture.
pub(super) fn earlier(version: u32) -> Place {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(format!("wallet-{version}"));
    let place = Place::new();
    std::fs::create_dir(place.folder()).unwrap();
    let copies = [
        ("wallet.db", place.folder()),
        ("sealing-key", place.dir.path().to_owned()),
    ];
    for (name, to) in copies {
        std::fs::copy(fixture.join(name), to.join(name)).unwrap();
    }
    place
}

pub(super) type Everything = (
    Vec<(RowId, PortalRecord)>,
    Vec<PropertyRecord>,
    Vec<(i64, RowId, OutboxRecord)>,
);

pub(super) fn everything(place: &Place) -> Result<Everything, WalletError> {
    let keys = Beside::of(place.dir.path());
    let wallet = Wallet::open(&place.folder(), &keys, random())?;
    wallet.read(|tx| Ok((tx.portals()?, tx.properties()?, tx.outbox()?)))
}

/// The sealing key of a fixture, which lies beside it.
pub(super) struct Beside([u8; 32]);

impl Beside {
    pub(super) fn of(place: &Path) -> Self {
        let key = std::fs::read(place.join("sealing-key")).unwrap();
        Self(key.try_into().unwrap())
    }
}

impl SealingKeyStore for Beside {
    fn load(&self, _: WalletId) -> Result<Option<SealingKey>, SealingKeyError> {
        Ok(Some(SealingKey::new(self.0)))
    }

    fn create(&self, _: WalletId) -> Result<SealingKey, SealingKeyError> {
        Err(SealingKeyError::Refused("it is there".to_owned()))
    }
}

#[test]
fn a_wallet_from_before_the_tally_is_sealed_anew_and_taken_on_trust_once() {
    for version in [1, 2] {
        let place = earlier(version);
        let row = |what: &str| -> Value {
            let row = format!("SELECT {what} LIMIT 1");
            place.sql().query_row(&row, [], |row| row.get(0)).unwrap()
        };
        let (old_key, old_cell) = (row("data_key FROM wallet"), row("record FROM portals"));
        let before = everything(&place).unwrap();
        assert!(everything(&place).unwrap() == before);
        let unsealed = "(SELECT count(*) FROM entities WHERE substr(value, 1, 1) <> x'02')";
        assert_eq!(row(unsealed), Value::Integer(0));

        let alter = |statements: &[(&str, Option<&Value>)]| {
            let file = place.bytes();
            let sql = place.sql();
            for (statement, value) in statements {
                sql.execute(statement, rusqlite::params_from_iter(*value))
                    .unwrap();
            }
            drop(sql);
            let opened = everything(&place);
            std::fs::write(place.folder().join("wallet.db"), file).unwrap();
            opened
        };
        let put_cell = ("UPDATE portals SET record = ?1", Some(&old_cell));
        let put_key = ("UPDATE wallet SET data_key = ?1", Some(&old_key));
        let look_old = [
            ("DROP INDEX entities_stale", None),
            ("DROP TABLE tally", None),
            ("PRAGMA user_version = 2", None),
        ];
        let opened = alter(&[put_cell]);
        assert!(matches!(opened, Err(WalletError::Changed)), "a cell");
        let opened = alter(&[put_key]);
        assert!(matches!(opened, Err(WalletError::Changed)), "the key");
        let opened = alter(&look_old);
        assert!(matches!(opened, Err(WalletError::Changed)), "no tally");
        // All that says how old it is, and the rows of today.
        let opened = alter(&[look_old[0], look_old[1], look_old[2], put_key]);
        assert!(matches!(opened, Err(WalletError::Tampered { .. })));
        assert!(everything(&place).unwrap() == before);
    }
}
