//! The power goes between any two steps of an opening.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_door::{Controller, Jammed, Release, RunConfig, Strike};
use latchkey_protocol::private::Outcome;
use latchkey_protocol::rules::Reason;
use latchkey_protocol::statement::Body;
use tempfile::TempDir;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::property::{Door, Property, Recorder, env};

/// At the moment at which the relay is told to close, takes a picture of the disk: what a power cut
/// would leave. Then the lock does not move.
pub(crate) struct PowerCut {
    folder: PathBuf,
    picture: Mutex<Option<TempDir>>,
}

impl PowerCut {
    pub(crate) fn picture(&self) -> TempDir {
        self.picture.lock().unwrap().take().expect("a release")
    }
}

impl Strike for PowerCut {
    fn release(&self, _: &Release) -> Result<(), Jammed> {
        let picture = TempDir::new().unwrap();
        copy(&self.folder, picture.path());
        *self.picture.lock().unwrap() = Some(picture);
        Err(Jammed)
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The door, about to lose its power at the next release.
pub(crate) async fn about_to_fail(property: &Property, door: Door) -> (Door, Arc<PowerCut>) {
    let Door {
        running, folder, ..
    } = door;
    running.shutdown().await;
    let cut = Arc::new(PowerCut {
        folder: folder.path().to_owned(),
        picture: Mutex::new(None),
    });
    let controller = Controller::open_with_battery_clock(folder.path(), env(&door.clock)).unwrap();
    let running = controller
        .start(RunConfig {
            strike: cut.clone(),
            ..RunConfig::default()
        })
        .await
        .unwrap();
    let _ = property;
    (
        Door {
            running,
            folder,
            ..door
        },
        cut,
    )
}

/// The same door, from the picture.
pub(crate) async fn after(door: Door, picture: TempDir) -> Door {
    let strike = Arc::new(Recorder::default());
    let controller = Controller::open_with_battery_clock(picture.path(), env(&door.clock)).unwrap();
    let running = controller
        .start(RunConfig {
            strike: strike.clone(),
            ..RunConfig::default()
        })
        .await
        .unwrap();
    Door {
        folder: picture,
        strike,
        running,
        ..door
    }
}

#[tokio::test]
async fn an_attempt_is_spent_before_the_lock_moves_and_then_moves_once_more_at_no_cost() {
    let property = Property::new();
    let (door, cut) = about_to_fail(&property, Door::new(&property).await).await;
    let phone = Phone::resident(&property, "{}");
    let visit = phone.visit(&door).await;
    assert!(
        visit.record.is_none(),
        "a door whose lock did not move answers nothing"
    );

    let door = after(door, cut.picture()).await;
    let status = door.running.status().await.unwrap();
    assert_eq!(
        (status.events, status.unreported),
        (1, 1),
        "the event was stored before"
    );
    let again = phone.visit(&door).await.record.unwrap();
    assert!(matches!(again.outcome, Outcome::Opened { .. }));
    assert_eq!(door.strike.count(), 1);
    let status = door.running.status().await.unwrap();
    assert_eq!(status.events, 1, "one gesture, one event");
    let third = phone.visit(&door).await.record.unwrap();
    assert_eq!(third.event, again.event);
    assert_eq!(door.strike.count(), 1, "and no second movement");
}

#[tokio::test]
async fn a_gesture_is_over_after_thirty_seconds() {
    let property = Property::new();
    let (door, cut) = about_to_fail(&property, Door::new(&property).await).await;
    let phone = Phone::resident(&property, "{}");
    phone.visit(&door).await;
    property.clock.advance(Duration::from_secs(31));
    let door = after(door, cut.picture()).await;
    let late = phone.visit(&door).await.record.unwrap();
    assert!(matches!(
        late.outcome,
        Outcome::Denied {
            reason: Reason::CodeUsedBefore,
            ..
        }
    ));
    assert_eq!(door.strike.count(), 0);
}

#[tokio::test]
async fn a_code_is_spent_before_the_lock_moves_and_then_moves_it_once() {
    let mut property = Property::new();
    let guest = Guest::new(&property, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let (door, cut) = about_to_fail(&property, Door::new(&property).await).await;
    let code = guest.short(property.now());
    let answer = door.running.scan(&code).await.unwrap();
    assert!(!answer.opened && answer.reason.is_none(), "jammed");

    let door = after(door, cut.picture()).await;
    assert!(door.running.scan(&code).await.unwrap().opened);
    let again = door.running.scan(&code).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore));
    assert_eq!(door.strike.count(), 1);
}

#[tokio::test]
async fn a_jammed_lock_costs_nothing() {
    let property = Property::new();
    let door = Door::new(&property).await;
    let phone = Phone::resident(&property, "{}");
    door.strike.jam(true);
    let visit = phone.visit(&door).await;
    assert_eq!(visit.lock, Some(aliro::message::ReaderState::Jammed));
    door.strike.jam(false);
    phone.visit(&door).await;
    assert_eq!(door.strike.count(), 1);
    assert_eq!(door.running.status().await.unwrap().events, 1);
}

#[tokio::test]
async fn that_the_lock_has_moved_counts_where_it_cannot_be_stored() {
    let mut property = Property::new();
    let guest = Guest::new(&property, "{}");
    property.state(Body::Pass(guest.signed.clone()));
    let door = Door::new(&property).await;
    let file = door.folder.path().join("controller.sqlite");
    let store = rusqlite::Connection::open(file).unwrap();
    let no_room = "CREATE TRIGGER no_room BEFORE UPDATE ON attempts WHEN NEW.state = 2
                   BEGIN SELECT RAISE(ABORT, 'no room'); END";
    store.execute_batch(no_room).unwrap();
    let code = guest.short(property.now());
    assert!(door.running.scan(&code).await.unwrap().opened);
    let again = door.running.scan(&code).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore));
    let phone = Phone::resident(&property, "{}");
    let first = phone.visit(&door).await.record.unwrap();
    let again = phone.visit(&door).await.record.unwrap();
    assert_eq!(first.event, again.event);
    assert_eq!(door.strike.count(), 2, "one for each");

    // It is stored as soon as there is room.
    store.execute_batch("DROP TRIGGER no_room").unwrap();
    let door = door.restart(true, RunConfig::default()).await;
    let again = door.running.scan(&code).await.unwrap();
    assert_eq!(again.reason, Some(Reason::CodeUsedBefore));
    assert_eq!(door.strike.count(), 2);
}
