//! Who sits between a phone and a door: changes bytes, or leads the phone to another door.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it, in its helpers too"
)]

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aliro::command::ins;
use latchkey_core::error::Error;
use latchkey_core::unlock::CarrierKind;
use latchkey_env::chrono::TimeDelta;
use latchkey_env::{SeededRandom, SystemRandom, random_array};
use latchkey_tests::gate::Gate;
use latchkey_tests::house::{hurried, unlock};
use latchkey_tests::scene::Scene;
use latchkey_tests::wire::{Way, Wire};

/// A way, a place in its bytes, and the bit to change there.
type Place = (Way, usize, u8);

const RITA: &str = "rita@example.com";

/// How many places are tried, unless `LATCHKEY_WHOLE` asks for every byte.
const SAMPLE: usize = 150;

/// One byte is changed anywhere between a phone and a door that never met: hellos, lengths,
/// certificate, signatures, the grant, the commit. Where the door had opened by then, rightly, nothing
/// opens a second time. A stranger's cryptogram alone is random bytes, of which others are as good.
#[tokio::test(flavor = "multi_thread")]
async fn no_changed_byte_opens() {
    change_bytes(false).await;
}

/// The same between a phone and a door that have met. What is changed in the cryptogram makes the phone a
/// stranger, who signs.
#[tokio::test(flavor = "multi_thread")]
async fn no_changed_byte_of_a_phone_that_comes_again_opens() {
    change_bytes(true).await;
}

async fn change_bytes(have_met: bool) {
    let scene = Scene::set().await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    // The wire that phones know, and the store of a door that knows nobody yet, or this phone alone.
    let (wire, store) = (cellar.on_the_spot.clone(), cellar.folder.clone());
    if have_met {
        unlock(&rita, "Cellar", CarrierKind::Stream).await.unwrap();
    }
    cellar.shutdown().await;
    // Every visit begins with her wallet, as with the door's store, as it is now.
    drop(rita);
    let wallet = scene.house.wallet_folder(RITA);
    assert_eq!(remembered(&wallet), u32::from(have_met));

    let control = visit(&scene, &wallet, &wire, &store, None).await;
    assert_eq!(control.openings(), 1, "the control opens");
    let carried = wire.carried();
    let cryptogram = cryptogram(&carried.out);
    let has_signed = contains(&carried.back, &[0x80, ins::AUTH1, 0, 0]);
    assert_eq!(has_signed, !have_met);
    control.shutdown().await;

    let (mut changed, mut late) = (0, 0);
    for place in places(carried.out.len(), carried.back.len()) {
        let door = visit(&scene, &wallet, &wire, &store, Some(place)).await;
        for opening in door.lock.openings() {
            // What comes after the opening can no longer prevent it.
            let harmless = place.0 == Way::Out && cryptogram.contains(&place.1);
            assert!(
                !opening.altered || harmless,
                "opened after {place:?} was changed"
            );
            late += 1;
        }
        assert!(door.openings() <= 1, "opened twice when {place:?} changed");
        changed += usize::from(door.on_the_spot.is_altered());
        door.shutdown().await;
    }
    assert!(
        changed > 0 && late < changed,
        "{changed} changed, {late} late"
    );

    let control = visit(&scene, &wallet, &wire, &store, None).await;
    assert_eq!(control.openings(), 1, "the phone still opens");
}

/// How many doors a wallet remembers.
fn remembered(wallet: &Path) -> u32 {
    let wallet = rusqlite::Connection::open(wallet.join("wallet.db")).unwrap();
    let count = wallet.query_row("SELECT count(*) FROM readers", [], |row| row.get(0));
    count.unwrap()
}

/// Where the cryptogram stands in what a phone sent: behind its fresh point, in the answer to AUTH0.
fn cryptogram(out: &[u8]) -> Range<usize> {
    let answer = [0x86, 0x41, 0x04];
    let at = out.windows(3).position(|bytes| bytes == answer);
    let at = at.expect("AUTH0 is answered") + 2 + 65;
    assert_eq!(out[at..at + 2], [0x9d, 0x40]);
    at + 2..at + 2 + 64
}

/// Every byte, or a sample whose seed is printed.
fn places(out: usize, back: usize) -> Vec<Place> {
    let bit = |at: usize| 1 << (at % 8);
    let out = (0..out).map(|at| (Way::Out, at, bit(at)));
    let all: Vec<Place> = out
        .chain((0..back).map(|at| (Way::Back, at, bit(at))))
        .collect();
    if std::env::var_os("LATCHKEY_WHOLE").is_some() {
        return all;
    }
    let seed = match std::env::var("LATCHKEY_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => u64::from_le_bytes(random_array(&SystemRandom)),
    };
    println!("LATCHKEY_SEED={seed}, {SAMPLE} of {} bytes", all.len());
    let random = SeededRandom::new(seed);
    let any = || {
        let number = u64::from_le_bytes(random_array(&random));
        usize::try_from(number % all.len() as u64).unwrap()
    };
    (0..SAMPLE).map(|_| all[any()]).collect()
}

/// A visit to the door with a copy of this store, with a copy of this wallet, a byte changed on the way.
async fn visit(
    scene: &Scene,
    wallet: &Path,
    wire: &Arc<Wire>,
    store: &Path,
    place: Option<Place>,
) -> Gate {
    let door = scene.house.again(copy(store)).await.unwrap();
    // The lock asks the wire that the phone uses.
    door.on_the_spot.tamper(place.map(|(way, at, bit)| {
        let tamper: latchkey_tests::wire::Tamper = Arc::new(move |to, start, bytes: &mut [u8]| {
            let byte = at.checked_sub(start).and_then(|at| bytes.get_mut(at));
            match byte {
                Some(byte) if to == way => {
                    *byte ^= bit;
                    true
                }
                _ => false,
            }
        });
        tamper
    }));
    wire.lead_to(door.on_the_spot.addr());
    let wallet = copy(wallet);
    let rita = scene.house.phone_with(&wallet, RITA, TimeDelta::zero());
    let rita = rita.unwrap();
    let unlocking = unlock(&rita, "Cellar", CarrierKind::Stream);
    let outcome = hurried(&scene.house.time, &door.on_the_spot, unlocking).await;
    assert!(
        place.is_some() || outcome.is_ok(),
        "an untouched visit opens: {outcome:?}"
    );
    door
}

/// A copy beside it, under a name of its own.
fn copy(store: &Path) -> PathBuf {
    let to = tempfile::tempdir_in(store.parent().unwrap())
        .unwrap()
        .keep();
    for file in std::fs::read_dir(store).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    to
}

/// The cellar's place is taken by the gate's own controller, which the property has certified: it can
/// read all that is encrypted to it, so what counts is that neither the bytes on the wire nor anything
/// that it keeps or tells names the phone.
#[tokio::test(flavor = "multi_thread")]
async fn another_doors_certificate_learns_nothing() {
    let scene = Scene::set().await.unwrap();
    let cellar = scene.offline("Cellar").await.unwrap();
    let gate = scene.online("Gate").await.unwrap();
    let (rita, _) = scene.resident(TimeDelta::zero()).await.unwrap();
    let secrets = of_ritas_phone(&scene);

    // Her phone has been at the cellar before, and says so to nobody else.
    unlock(&rita, "Cellar", CarrierKind::Stream).await.unwrap();
    cellar
        .on_the_spot
        .lead_to(gate.running.stream_addr().unwrap());
    let outcome = unlock(&rita, "Cellar", CarrierKind::Stream).await;
    assert!(matches!(outcome, Err(Error::WrongDoor)), "{outcome:?}");
    let carried = cellar.on_the_spot.carried();
    assert!(!carried.back.is_empty(), "the gate has spoken");
    for secret in &secrets {
        assert!(!contains(&carried.out, secret));
        assert!(!contains(&kept(&gate.folder), secret));
    }
    assert_eq!((gate.openings(), cellar.openings()), (0, 1));

    // The same search finds them at the door that she chose.
    unlock(&rita, "Gate", CarrierKind::Stream).await.unwrap();
    let kept = kept(&gate.folder);
    assert!(secrets.iter().any(|secret| contains(&kept, secret)));
}

/// The public key of her phone's credential, and each part of her grant.
fn of_ritas_phone(scene: &Scene) -> Vec<Vec<u8>> {
    let all = |query: &str| scene.house.stored(query).unwrap();
    let keys = all(
        "SELECT public_key FROM credential WHERE usage = 'access' AND person IN \
         (SELECT person FROM key_person)",
    );
    // The x coordinate, which every form of the key holds.
    let keys = keys.into_iter().map(|key| key[1..33].to_vec());
    let elements = all("SELECT id FROM element");
    let secrets: Vec<Vec<u8>> = keys.chain(elements).collect();
    assert!(secrets.len() >= 2, "a key and an element");
    secrets
}

/// All that a door keeps.
fn kept(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap();
    let contents = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    contents.collect::<Vec<_>>().concat()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let starts = haystack
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == needle[0]);
    let mut starts = starts.map(|(start, _)| &haystack[start..]);
    starts.any(|rest| rest.starts_with(needle))
}
