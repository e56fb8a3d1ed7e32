//! Killed anywhere, by a signal that nothing can catch: the wallet opens, all that was said to be kept is
//! there, and nothing is there by half. `LATCHKEY_KILLS` says how often.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use latchkey_test_faults::{Dice, Process, kills};

use super::earlier::{Beside, earlier, everything};
use super::filled::{HARBOUR, fill};
use super::{Place, random};
use crate::wallet::{FileSealingKey, SealingKeyStore, Wallet, WalletError};

/// Says to a child in which folder it works.
const FOLDER: &str = "LATCHKEY_TEST_WALLET";

#[test]
fn killed_while_it_writes_everything_that_was_said_to_be_kept_is_there_and_nothing_by_half() {
    if let Some(place) = child() {
        write(&place);
    }
    let dice = Dice::throw();
    let place = Place::new();
    let path = place.dir.path();
    let mut acknowledged = 0;
    let kills = kills();
    for _ in 0..kills {
        let child = Process::start(&mut test(
            "killed_while_it_writes_everything_that_was_said_to_be_kept_is_there_and_nothing_by_half",
            path,
        ));
        let said = kill_after(child, dice.below(8), dice.below(100_000));
        acknowledged = last_kept(&said).unwrap_or(acknowledged);
        acknowledged = still_there(path, acknowledged);
    }
    println!("{kills} times, {acknowledged} answers kept");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_or_a_sync_that_fails_refuses_a_write_and_loses_nothing() {
    if let Some(place) = child() {
        write(&place);
    }
    let dice = Dice::throw();
    let disk = latchkey_test_faults::Disk::make();
    let place = Place::new();
    let path = place.dir.path();
    let mut acknowledged = 0;
    let times = kills();
    for round in 0..times {
        let mut test = test(
            "a_full_disk_or_a_sync_that_fails_refuses_a_write_and_loses_nothing",
            path,
        );
        let child = Process::start(disk.under(&mut test));
        // The first says that it is open.
        for _ in 0..=dice.below(4) {
            child.line_after("kept ");
        }
        disk.set_full(true);
        child.line_after("refused: the device has no room left");
        disk.set_full(false);
        child.line_after("kept ");
        disk.fail_one_sync();
        child.line_after("refused: ");
        acknowledged = child.line_after("kept ").parse().unwrap();
        // And killed with the fault, whichever it is.
        if round % 2 == 0 {
            disk.set_full(true);
        } else {
            disk.set_syncing(false);
        }
        let said = kill_after(child, dice.below(4), dice.below(100_000));
        disk.set_full(false);
        disk.set_syncing(true);
        acknowledged = last_kept(&said).unwrap_or(acknowledged);
        acknowledged = still_there(path, acknowledged);
    }
    println!("{times} times, {acknowledged} answers kept");
}

/// In the child: writes again and again, and says what was kept and what was not.
fn write(place: &Path) -> ! {
    let wallet = open(place, &keys(place)).unwrap();
    loop {
        let number = kept(&wallet) + 1;
        match fill(&wallet, number) {
            Ok(()) => println!("\nkept {number}"),
            Err(error @ (WalletError::Full | WalletError::Sqlite(_))) => {
                println!("\nrefused: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn last_kept(said: &[String]) -> Option<u32> {
    let mut numbers = said.iter().filter_map(|line| line.strip_prefix("kept "));
    Some(numbers.next_back()?.parse().unwrap())
}

/// What was said to be kept is; the next one may be. How far it is then.
fn still_there(place: &Path, acknowledged: u32) -> u32 {
    let found = kept(&open(place, &keys(place)).unwrap());
    assert!(
        found == acknowledged || found == acknowledged + 1,
        "said {acknowledged}, found {found}"
    );
    found
}

/// The number with which the wallet was last filled, the same everywhere; 0 if never.
fn kept(wallet: &Wallet) -> u32 {
    let (portals, properties, outbox, readers, attempts, key) = wallet
        .read(|tx| {
            Ok::<_, WalletError>((
                tx.portals()?,
                tx.properties()?,
                tx.outbox()?,
                tx.readers(HARBOUR)?,
                tx.unanswered_attempts(HARBOUR)?,
                tx.device_key("access")?,
            ))
        })
        .unwrap();
    let Some(key) = key else {
        assert!(portals.is_empty() && properties.is_empty() && outbox.is_empty());
        return 0;
    };
    let number = u32::from_be_bytes(key.as_slice().try_into().unwrap());
    // The first has a portal more, which every later one takes away again.
    let sizes = (portals.len(), properties.len(), outbox.len());
    assert_eq!(sizes, if number == 1 { (3, 3, 4) } else { (2, 2, 3) });
    assert_eq!((readers.len(), attempts.len()), (2, 2));
    let text = number.to_string();
    let same = [
        portals
            .iter()
            .all(|(_, it)| it.clock_offset_ms == i64::from(number)),
        properties
            .iter()
            .all(|it| it.membership.person_name == text),
        properties
            .iter()
            .all(|it| it.cursor.as_ref() == Some(&text)),
        outbox.iter().all(|(.., it)| it.idempotency_key == text),
        readers.iter().all(|it| it.generation.0 == number),
        attempts
            .iter()
            .all(|it| it.made_at.timestamp() == i64::from(number)),
    ];
    assert_eq!(same, [true; 6], "of {number}");
    number
}

#[test]
fn killed_while_a_wallet_of_an_earlier_version_is_brought_up_to_date_it_loses_nothing() {
    if let Some(place) = child() {
        println!("\nopening");
        open(&place, &Beside::of(&place)).unwrap();
        println!("\nopened");
        return;
    }
    let dice = Dice::throw();
    let whole = everything(&earlier(2)).unwrap();
    let kills = kills();
    // As long as it takes here to be about as often too late as not.
    let (mut interrupted, mut moment) = (0, 1_000_000);
    while interrupted < kills {
        let place = earlier(2);
        let child = Process::start(&mut test(
            "killed_while_a_wallet_of_an_earlier_version_is_brought_up_to_date_it_loses_nothing",
            place.dir.path(),
        ));
        let said = kill_after(child, 1, dice.below(moment));
        if said.contains(&"opened".to_owned()) {
            moment = moment / 2 + 1;
        } else {
            moment += moment / 4;
            interrupted += 1;
        }
        assert!(everything(&place).unwrap() == whole);
    }
    println!("{kills} times, all answers kept");
}

/// The test of this name, to be run as a child.
fn test(name: &str, folder: &Path) -> Command {
    let name = format!("wallet::tests::killed::{name}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &name, "--nocapture"]);
    command.env(FOLDER, folder);
    command
}

/// In the child: where it works.
fn child() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os(FOLDER)?))
}

/// Kills a child once it has said something so many times, and a moment later; all that it said.
fn kill_after(child: Process, enough: u64, moment: u64) -> Vec<String> {
    let mut said = Vec::new();
    while said.len() < usize::try_from(enough).unwrap() {
        let Some(line) = child.line() else { break };
        let counts = ["kept ", "refused: ", "opening"];
        said.extend(Some(line).filter(|it| counts.iter().any(|begin| it.starts_with(begin))));
    }
    for _ in 0..moment {
        std::hint::spin_loop();
    }
    said.extend(child.end());
    said
}

fn keys(place: &Path) -> FileSealingKey {
    FileSealingKey::new(place.join("keys"), random())
}

fn open(place: &Path, keys: &dyn SealingKeyStore) -> Result<Arc<Wallet>, WalletError> {
    Wallet::open(&place.join("wallet"), keys, random())
}
