//! A full disk and one that does not sync, with everybody at work: what cannot be kept is refused in words, what was
//! acknowledged stays, and the portal goes on by itself once the disk does. Of SQLite's own files: the suite `postgres`
//! leaves them out.

use std::time::Duration;

use latchkey_test_faults::{Dice, Disk, kills};

use crate::load::{Load, Told};
use crate::program::{Serving, Site};
use crate::world::FILE;

/// How much is acknowledged at most before the moment comes.
const MOST: u64 = 24;
const LONGEST: Duration = Duration::from_millis(20);

/// With everybody at work the disk makes trouble, again and again; what was acknowledged is there whenever that ends.
async fn endure(trouble: impl AsyncFn(&Dice, &Disk, &Told), end: impl Fn(&Disk), said: &str) {
    let dice = Dice::throw();
    let (site, disk) = (Site::with(FILE), Disk::make());
    let mut serving = Serving::start(disk.under(&mut site.server()));
    let mut load = Load::prepare(&serving).await;
    let told = load.told();
    let times = kills();
    for round in 0..times {
        let url = serving.url.clone();
        load.drive(&url, trouble(&dice, &disk, &told)).await;
        // Every second time it is killed in the midst of it, and starts afterwards.
        if round % 2 == 0 {
            serving.process.kill();
            end(&disk);
            serving = Serving::start(disk.under(&mut site.server()));
        }
        end(&disk);
        let url = serving.url.clone();
        load.check(&url).await;
        load.drive(&url, told.more(4)).await;
    }
    assert!(told.was_refused_with(said));
    assert!(disk.refused() > 0);
    load.check_all(&serving.url).await;
    println!("{times} times, {} answers kept", *told.count.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_in_words_and_loses_nothing_that_was_acknowledged() {
    let filled = async |dice: &Dice, disk: &Disk, told: &Told| {
        told.more(dice.below(MOST)).await;
        disk.set_full(true);
        told.more_refused(8).await;
    };
    endure(filled, |disk| disk.set_full(false), "disk is full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_is_no_acknowledgement_and_the_next_one_counts() {
    let failed = async |dice: &Dice, disk: &Disk, told: &Told| {
        told.more(dice.below(MOST)).await;
        dice.moment(LONGEST).await;
        let before = disk.refused();
        disk.fail_one_sync();
        disk.has_refused_more_than(before).await;
        told.more(4).await;
        disk.set_syncing(false);
        told.more_refused(8).await;
    };
    let said = "not known whether this was kept";
    endure(failed, |disk| disk.set_syncing(true), said).await;
}
