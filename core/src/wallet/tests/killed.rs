//! Killed anywhere, by a signal that nothing can catch: the wallet opens, all that was said to be kept is
//! there, and nothing is there by half. `LATCHKEY_KILLS` says how often.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use latchkey_env::{SecureRandom, SeededRandom, random_array};

use super::earlier::{Beside, earlier, everything};
use super::filled::{HARBOUR, fill};
use super::{Place, from_env, random, seed};
use crate::wallet::{FileSealingKey, SealingKeyStore, Wallet, WalletError};

const KILLS: u64 = 6;

/// Says to a child in which folder it works.
const FOLDER: &str = "LATCHKEY_TEST_WALLET";

#[test]
fn killed_while_it_writes_everything_that_was_said_to_be_kept_is_there_and_nothing_by_half() {
    if let Some(place) = child() {
        let wallet = open(&place, &keys(&place)).unwrap();
        for number in kept(&wallet) + 1.. {
            fill(&wallet, number).unwrap();
            println!("\nkept {number}");
        }
    }
    let random = SeededRandom::new(seed());
    let place = Place::new();
    let path = place.dir.path();
    let mut acknowledged = 0;
    for _ in 0..from_env("LATCHKEY_KILLS").unwrap_or(KILLS) {
        let mut child = spawn(
            "killed_while_it_writes_everything_that_was_said_to_be_kept_is_there_and_nothing_by_half",
            path,
        );
        let enough = below(&random, 8);
        let said = kill_after(&mut child, enough, below(&random, 100_000));
        let mut last = said.iter().filter_map(|line| line.strip_prefix("kept "));
        acknowledged = last
            .next_back()
            .map_or(acknowledged, |it| it.parse().unwrap());
        let found = kept(&open(path, &keys(path)).unwrap());
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "said {acknowledged}, found {found}"
        );
        acknowledged = found;
    }
    println!("{acknowledged} transactions");
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
    let random = SeededRandom::new(seed());
    let whole = everything(&earlier(2)).unwrap();
    let kills = from_env("LATCHKEY_KILLS").unwrap_or(KILLS);
    // As long as it takes here to be about as often too late as not.
    let (mut interrupted, mut moment) = (0, 1_000_000);
    while interrupted < kills {
        let place = earlier(2);
        let mut child = spawn(
            "killed_while_a_wallet_of_an_earlier_version_is_brought_up_to_date_it_loses_nothing",
            place.dir.path(),
        );
        let said = kill_after(&mut child, 1, below(&random, moment));
        if said.contains(&"opened".to_owned()) {
            moment = moment / 2 + 1;
        } else {
            moment += moment / 4;
            interrupted += 1;
        }
        assert!(everything(&place).unwrap() == whole);
    }
}

/// Runs the test of this name as a child.
fn spawn(test: &str, folder: &Path) -> Child {
    let name = format!("wallet::tests::killed::{test}");
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In the child: where it works.
fn child() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os(FOLDER)?))
}

/// Kills a child once it has said something so many times, and a moment later; all that it said.
fn kill_after(child: &mut Child, enough: u64, moment: u64) -> Vec<String> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while said.len() < usize::try_from(enough).unwrap() {
        let Some(line) = lines.next() else { break };
        said.extend(Some(line.unwrap()).filter(|it| it.starts_with("kept ") || it == "opening"));
    }
    for _ in 0..moment {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A line that was cut off was not said.
    said.extend(lines.map_while(Result::ok));
    said
}

fn below(random: &dyn SecureRandom, bound: u64) -> u64 {
    u64::from_be_bytes(random_array(random)) % bound
}

fn keys(place: &Path) -> FileSealingKey {
    FileSealingKey::new(place.join("keys"), random())
}

fn open(place: &Path, keys: &dyn SealingKeyStore) -> Result<Arc<Wallet>, WalletError> {
    Wallet::open(&place.join("wallet"), keys, random())
}
