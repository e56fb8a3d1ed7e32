//! Killed at any moment, by a signal that nothing can catch, with everybody at work: it starts again by itself, all that
//! was acknowledged is there, and nothing is there twice or by half. `LATCHKEY_KILLS` says how often.

use std::time::Duration;

use latchkey_test_faults::{Dice, Process, kills};

use crate::load::Load;
use crate::program::{Serving, Site};
use crate::world::FILE;

/// How much is acknowledged at most before the moment comes.
const MOST: u64 = 24;
/// A few writes long, and about as long as it takes to start.
const LONGEST: Duration = Duration::from_millis(40);
const START: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_starts_by_itself_and_all_that_it_acknowledged_is_there_once() {
    let dice = Dice::throw();
    let site = Site::with(FILE);
    let mut serving = Serving::start(&mut site.server());
    let mut load = Load::prepare(&serving).await;
    let told = load.told();
    let kills = kills();
    for _ in 0..kills {
        let url = serving.url.clone();
        let killing = async {
            told.more(dice.below(MOST)).await;
            dice.moment(LONGEST).await;
            serving.process.kill();
        };
        load.drive(&url, killing).await;
        // Sometimes it is no more than about to start.
        if dice.below(4) == 0 {
            let starting = Process::start(&mut site.server());
            dice.moment(START).await;
            starting.kill();
        }
        serving = Serving::start(&mut site.server());
        load.check(&serving.url).await;
    }
    let url = serving.url.clone();
    // What was not answered is asked for once more.
    load.drive(&url, told.more(MOST)).await;
    load.check_all(&url).await;
    drop(serving);
    let audit = site.audit();
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(said.contains("the audit chain holds"), "{said}");
    println!("{kills} times, {} answers kept", *told.count.borrow());
}
