//! A wallet that is open while somebody else writes, and the tally through all that a transaction can do.

use latchkey_protocol::ids::PropertyId;
use proptest::collection::vec;
use proptest::prelude::*;

use super::filled::{
    HARBOUR, MILL, attempt_of, fill, put_entity, put_portal, put_property, put_reader, request,
};
use super::{Place, WalletError};
use crate::wallet::entities::DELETE_STALE;
use crate::wallet::{Tx, Wallet, schema, tally};

#[test]
fn a_row_set_back_under_a_running_wallet_is_noticed_before_anything_is_read() {
    let place = Place::new();
    let wallet = place.open().unwrap();
    fill(&wallet, 1).unwrap();
    let sql = place.sql();
    let old: Vec<u8> = sql
        .query_row("SELECT value FROM entities WHERE rowid = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    fill(&wallet, 2).unwrap();
    sql.execute("UPDATE entities SET value = ?1 WHERE rowid = 1", [old])
        .unwrap();
    for _ in 0..2 {
        let read = wallet.read(|tx| tx.portals());
        assert!(matches!(read, Err(WalletError::Changed)));
        assert!(matches!(fill(&wallet, 3), Err(WalletError::Changed)));
    }
    assert!(matches!(place.open(), Err(WalletError::Changed)));
}

#[test]
fn the_whole_of_before_under_a_running_wallet_is_noticed() {
    let place = Place::new();
    let wallet = place.open().unwrap();
    fill(&wallet, 1).unwrap();
    let sql = place.sql();
    sql.execute_batch(
        "CREATE TEMP TABLE old AS SELECT * FROM portals;
         CREATE TEMP TABLE old_tally AS SELECT * FROM tally;",
    )
    .unwrap();
    wallet
        .write(|tx| put_portal(tx, "https://mill.example", 2))
        .unwrap();
    sql.execute_batch(
        "UPDATE portals SET record = (SELECT record FROM old WHERE old.id = portals.id);
         UPDATE tally SET record = (SELECT record FROM old_tally);",
    )
    .unwrap();
    let read = wallet.read(|tx| tx.portals());
    assert!(matches!(read, Err(WalletError::Changed)));
    // That it was ahead is not known to anybody who opens it now.
    place.open().unwrap();
}

#[test]
fn two_that_write_to_the_same_wallet_in_turn_agree() {
    let place = Place::new();
    let (one, other) = (place.open().unwrap(), place.open().unwrap());
    for number in 0..3 {
        fill(&one, 2 * number + 1).unwrap();
        fill(&other, 2 * number + 2).unwrap();
    }
    assert_eq!(generation(&one), generation(&other));
    place.open().unwrap();
}

#[test]
fn the_generation_goes_up_with_every_commit_that_changes_something_and_with_no_other() {
    let place = Place::new();
    let wallet = place.open().unwrap();
    let begun = generation(&wallet);
    fill(&wallet, 1).unwrap();
    assert_eq!(generation(&wallet), begun + 1);
    wallet.read(|tx| tx.outbox()).unwrap();
    wallet.write(|tx| tx.delete_outbox(1000)).unwrap();
    let failed = wallet.write(|tx| {
        put_portal(tx, "https://harbour.example", 5)?;
        Err::<(), _>(WalletError::Cryptography)
    });
    assert!(failed.is_err());
    assert_eq!(generation(&wallet), begun + 1);
    drop(wallet);
    let wallet = place.open().unwrap();
    assert_eq!(generation(&wallet), begun + 1);
    fill(&wallet, 2).unwrap();
    assert_eq!(generation(&wallet), begun + 2);
}

#[test]
fn rows_that_a_replace_takes_away_count_no_more() {
    let place = Place::new();
    let wallet = place.open().unwrap();
    fill(&wallet, 1).unwrap();
    wallet
        .write(|tx| {
            tx.sql.execute(
                "REPLACE INTO device_keys (id, pkcs8) SELECT id, x'00' FROM device_keys",
                [],
            )?;
            tx.sql.execute("DELETE FROM attempts", [])?;
            Ok::<_, WalletError>(())
        })
        .unwrap();
    generation(&wallet);
}

/// It ends every sync: with thousands of keys it must not look at each.
#[test]
fn what_is_stale_is_found_by_its_index() {
    let place = Place::new();
    let wallet = place.open().unwrap();
    let plan = wallet.read(|tx| {
        let explained = format!("EXPLAIN QUERY PLAN {DELETE_STALE}");
        let plan = tx
            .sql
            .query_row(&explained, [[0; 16]], |row| row.get::<_, String>("detail"));
        Ok::<_, WalletError>(plan?)
    });
    let plan = plan.unwrap();
    assert!(plan.contains("INDEX entities_stale"), "{plan}");
}

fn generation(wallet: &Wallet) -> u64 {
    let checked = wallet.read(|tx| tally::check(tx.sql, tx.key, schema::NEWEST));
    checked.unwrap()
}

/// Something that a transaction does; some of it fails in the middle.
fn act(tx: &Tx<'_>, what: u8, number: u32) -> Result<(), WalletError> {
    let property = [HARBOUR, MILL][usize::from(what % 2)];
    let portal = || tx.property(property).map(|found| found.map(|it| it.portal));
    match what % 14 {
        0 | 1 => {
            let portal = put_portal(tx, &format!("https://{}.example", what % 2), number)?;
            put_property(tx, property, portal, number)?;
        }
        2 | 3 => tx.delete_property(property)?,
        4 => {
            let Some((id, _)) = tx.portals()?.pop() else {
                return Ok(());
            };
            tx.delete_portal(id)?;
        }
        5 => put_entity(tx, property, "more", number)?,
        6 => tx.mark_entities_stale(property)?,
        7 => drop(tx.delete_stale_entities(property)?),
        8 => tx.put_attempt(property, &attempt_of(property, 7, number))?,
        9 => put_reader(tx, property, 9, number)?,
        10 => {
            if let Some(portal) = portal()? {
                tx.push_outbox(portal, &request(number))?;
            }
        }
        11 => {
            if let Some((seq, ..)) = tx.outbox()?.pop() {
                tx.delete_outbox(seq)?;
            }
        }
        12 => tx.put_device_key("a", &number.to_be_bytes())?,
        // A statement that fails at its last row, having changed the others.
        _ => {
            let failed = "INSERT INTO device_keys (id, pkcs8)
                 SELECT randomblob(16), x'01' UNION ALL SELECT randomblob(16), NULL";
            assert!(tx.sql.execute(failed, []).is_err());
            let lost = tx.put_attempt(PropertyId([9; 16]), &attempt_of(property, 8, 1));
            assert!(lost.is_err());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_transactions_do_and_however_they_end_the_tally_agrees(
        transactions in vec((vec(any::<u8>(), 0..8), any::<bool>()), 1..12),
    ) {
        let place = Place::new();
        let wallet = place.open().unwrap();
        let mut number = 0;
        for (acts, commit) in transactions {
            let ended = wallet.write(|tx| {
                for act_number in acts {
                    number += 1;
                    // Who goes on after an error commits what was before it.
                    let _ = act(tx, act_number, number);
                }
                commit.then_some(()).ok_or(WalletError::Cryptography)
            });
            prop_assert_eq!(ended.is_ok(), commit);
            generation(&wallet);
        }
        drop(wallet);
        place.open().unwrap();
    }
}
