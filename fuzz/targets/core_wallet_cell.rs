//! A wallet's file, that somebody has written in: a cell opens only as it was sealed, where it was sealed.
#![no_main]

use std::sync::LazyLock;

use latchkey_core::wallet::seal::{Cell, DataKey, Format};
use latchkey_core::wallet::{SealingKey, WalletId};
use latchkey_env::{SecureRandom, SeededRandom};
use latchkey_fuzz::Script;

const WALLET: WalletId = WalletId([1; 16]);
const OTHER: WalletId = WalletId([2; 16]);
const TABLES: [&str; 3] = ["entities", "entitieso", "readers"];
const COLUMNS: [&str; 2] = ["value", "record"];

/// The data key, and how it is sealed.
static KEY: LazyLock<(DataKey, Vec<u8>)> =
    LazyLock::new(|| DataKey::create(WALLET, &sealing(), &SeededRandom::new(1)).expect("a key"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (key, sealed_key) = &*KEY;
    let mut script = Script::new(bytes);
    if script.byte() % 8 == 0 {
        data_key(sealed_key, &mut script);
        return;
    }
    let row = script.piece();
    let cell = place(row, &mut script);
    let value = script.piece();
    let random = Drawn(script.byte());
    let sealed = key.seal_cell(cell, value, &random).expect("sealed");
    assert_eq!(key.open_cell(cell, &sealed).expect("as sealed")[..], *value);

    let row = if script.byte() % 2 == 0 {
        row
    } else {
        script.piece()
    };
    let elsewhere = place(row, &mut script);
    let moved =
        (elsewhere.table, elsewhere.row, elsewhere.column) != (cell.table, cell.row, cell.column);
    assert_eq!(key.open_cell(elsewhere, &sealed).is_ok(), !moved);
    let changed = spoiled(&sealed, &mut script);
    assert_eq!(key.open_cell(cell, &changed).is_ok(), changed == sealed);
    let renewed = key.renew_cell(cell, &changed, &random);
    assert!(renewed.is_err(), "it is not from before the tally");
});

fn data_key(sealed: &[u8], script: &mut Script<'_>) {
    let changed = spoiled(sealed, script);
    let wallet = if script.byte() % 2 == 0 {
        WALLET
    } else {
        OTHER
    };
    let opened = DataKey::open(wallet, &sealing(), &changed);
    let genuine = changed == sealed && wallet == WALLET;
    let format = opened.ok().map(|(_, format)| format);
    assert_eq!(format, genuine.then_some(Format::Tallied));
    let renewed = DataKey::renew(wallet, &sealing(), &changed, &Drawn(0));
    assert_eq!(renewed.is_ok(), genuine);
}

fn sealing() -> SealingKey {
    SealingKey::new([9; 32])
}

fn place<'a>(row: &'a [u8], script: &mut Script<'_>) -> Cell<'a> {
    Cell {
        table: TABLES[usize::from(script.byte()) % TABLES.len()],
        row,
        column: COLUMNS[usize::from(script.byte()) % COLUMNS.len()],
    }
}

/// Changed, cut or grown, as the script says.
fn spoiled(sealed: &[u8], script: &mut Script<'_>) -> Vec<u8> {
    let mut changed = sealed.to_vec();
    match script.byte() % 4 {
        0 => {}
        1 => script.spoil(&mut changed),
        2 => changed.truncate(script.byte().into()),
        _ => changed.extend(script.piece()),
    }
    changed
}

/// Nonces that the script chooses.
struct Drawn(u8);

impl SecureRandom for Drawn {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}
