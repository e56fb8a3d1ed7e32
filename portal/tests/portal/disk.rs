//! A full disk and one that does not sync, with everybody at work: what cannot be kept is refused in words, what was
//! acknowledged stays, and the portal goes on by itself once the disk does.

use std::time::Duration;

use latchkey_test_faults::{Dice, Disk, kills};

use crate::load::Load;
use crate::program::{Serving, Site};
use crate::world::FILE;

/// How much is acknowledged at most before the moment comes.
const MOST: u64 = 24;
const LONGEST: Duration = Duration::from_millis(20);

/// A site whose disk is in the test's hand; none where a PostgreSQL keeps the data.
fn site() -> Option<(Site, Disk)> {
    let site = Site::with(FILE);
    site.place.address.is_none().then(|| (site, Disk::make()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_in_words_and_loses_nothing_that_was_acknowledged() {
    let dice = Dice::throw();
    let Some((site, disk)) = site() else { return };
    let mut serving = Serving::start(disk.under(&mut site.server()));
    let mut load = Load::prepare(&serving).await;
    let told = load.told();
    let times = kills();
    for round in 0..times {
        let url = serving.url.clone();
        let filled = async {
            told.more(dice.below(MOST)).await;
            disk.set_full(true);
            told.more_refused(8).await;
        };
        load.drive(&url, filled).await;
        // Every second time it is killed while the disk is full, and starts when there is room.
        if round % 2 == 0 {
            serving.process.kill();
            disk.set_full(false);
            serving = Serving::start(disk.under(&mut site.server()));
        }
        disk.set_full(false);
        let url = serving.url.clone();
        load.check(&url).await;
        load.drive(&url, told.more(4)).await;
    }
    assert!(told.was_refused_with("disk is full"));
    assert!(disk.refused() > 0);
    load.check_all(&serving.url).await;
    println!("{times} times, {} answers kept", *told.count.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_is_no_acknowledgement_and_the_next_one_counts() {
    let dice = Dice::throw();
    let Some((site, disk)) = site() else { return };
    let mut serving = Serving::start(disk.under(&mut site.server()));
    let mut load = Load::prepare(&serving).await;
    let told = load.told();
    let times = kills();
    for round in 0..times {
        let url = serving.url.clone();
        let failed = async {
            told.more(dice.below(MOST)).await;
            dice.moment(LONGEST).await;
            let before = disk.refused();
            disk.fail_one_sync();
            disk.has_refused_more_than(before).await;
            told.more(4).await;
            disk.set_syncing(false);
            told.more_refused(8).await;
        };
        load.drive(&url, failed).await;
        if round % 2 == 0 {
            serving.process.kill();
            disk.set_syncing(true);
            serving = Serving::start(disk.under(&mut site.server()));
        }
        disk.set_syncing(true);
        let url = serving.url.clone();
        load.check(&url).await;
        load.drive(&url, told.more(4)).await;
    }
    assert!(told.was_refused_with("not known whether this was kept"));
    load.check_all(&serving.url).await;
    println!("{times} times, {} answers kept", *told.count.borrow());
}
