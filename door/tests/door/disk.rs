//! A full disk, and one that does not sync, under the real program: the door says that it is out of order, opens for
//! nobody whom it could not store, spends nothing, and works again by itself.

use std::time::Duration;

use aliro::message::ReaderState;
use chrono::TimeDelta;
use latchkey_env::{Clock as _, SystemClock};
use latchkey_test_faults::{Dice, Disk, Process, kills};
use serde_json::Value;
use tempfile::TempDir;

use crate::guest::Guest;
use crate::phone::Phone;
use crate::program::{DOOR, hear, listening, package, program};
use crate::property::Property;

/// A door on a disk of its own, and a guest before it.
struct Lock {
    folder: TempDir,
    disk: Disk,
    property: Property,
    begun: Duration,
    guest: Guest,
    codes: u32,
    door: Process,
    addr: String,
}

impl Lock {
    fn build() -> Self {
        let folder = TempDir::new().unwrap();
        let disk = Disk::make();
        let place = folder.path().join("lock");
        assert!(
            program(&["init"], &place)
                .output()
                .unwrap()
                .status
                .success()
        );
        let property = Property::new();
        let begun = SystemClock.monotonic();
        let mut door =
            Process::start(disk.under(&mut program(&["run", "--listen", "127.0.0.1:0"], &place)));
        let offer = hear(&door, "offer");
        door.say(&package(&property, &offer));
        hear(&door, "installed");
        let addr = listening(&door);
        Self {
            guest: Guest::new(&property, "{}"),
            folder,
            disk,
            property,
            begun,
            codes: 0,
            door,
            addr,
        }
    }

    /// The next code, which is newer than any other.
    fn code(&mut self) -> String {
        self.codes += 1;
        let passed = TimeDelta::from_std(SystemClock.monotonic() - self.begun).unwrap();
        let apart = TimeDelta::milliseconds(10 * i64::from(self.codes));
        self.guest.long(self.property.now() + passed + apart)
    }

    /// What the door says to a code.
    fn hold_up(&mut self, code: &str) -> Value {
        self.door.say(code);
        let line = self.door.line().expect("it goes on");
        serde_json::from_str(&line).unwrap()
    }

    /// Holds up new codes until one meets a door that is out of order; that code, and why.
    fn until_out_of_order(&mut self) -> (String, Value) {
        loop {
            let code = self.code();
            let said = self.hold_up(&code);
            if said["type"] == "out_of_order" {
                assert_eq!(said["means"], "code");
                return (code, said["why"].clone());
            }
            assert_eq!(said["type"], "opened", "{said}");
        }
    }

    /// A code that met a door out of order opens it now, and once.
    fn opens_once(&mut self, code: &str) {
        let said = self.hold_up(code);
        assert_eq!(said["type"], "opened", "{said}");
        assert_eq!(self.hold_up(code)["reason"], "code_used_before");
    }

    /// The power goes and comes back, when the disk is in order again.
    fn restart(self) -> Self {
        self.door.kill();
        self.disk.set_full(false);
        self.disk.set_syncing(true);
        let place = self.folder.path().join("lock");
        let arguments = ["run", "--listen", "127.0.0.1:0", "--battery-clock"];
        let door = Process::start(self.disk.under(&mut program(&arguments, &place)));
        let addr = listening(&door);
        Self { door, addr, ..self }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_with_a_full_disk_is_out_of_order_and_opens_when_there_is_room() {
    let dice = Dice::throw();
    let mut lock = Lock::build();
    let phone = Phone::resident(&lock.property, "{}");
    let opened = async |addr: &str, phone: &Phone| {
        let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        phone.speak(DOOR, stream).await
    };
    assert!(opened(&lock.addr, &phone).await.record.is_some());
    hear(&lock.door, "opened");
    let times = kills();
    for round in 0..times {
        for _ in 0..dice.below(6) {
            let code = lock.code();
            assert_eq!(lock.hold_up(&code)["type"], "opened");
        }
        lock.disk.set_full(true);
        let (code, why) = lock.until_out_of_order();
        assert_eq!(why, "disk_full");
        if round % 2 == 0 {
            lock = lock.restart();
        }
        lock.disk.set_full(false);
        lock.opens_once(&code);
    }
    // Whoever stands there with a phone hears that the lock does not move, and may try again with the same gesture.
    lock.disk.set_full(true);
    let (code, _) = lock.until_out_of_order();
    let second = phone.gesture(2);
    let visit = opened(&lock.addr, &second).await;
    assert_eq!(visit.lock, Some(ReaderState::Jammed));
    assert!(visit.record.is_none());
    assert_eq!(hear(&lock.door, "out_of_order")["means"], "stream");
    lock.disk.set_full(false);
    assert!(opened(&lock.addr, &second).await.record.is_some());
    hear(&lock.door, "opened");
    lock.opens_once(&code);
    println!("{times} times, {} answers kept", lock.codes);
}

#[test]
fn a_door_whose_disk_does_not_sync_opens_for_nobody_whom_it_has_not_stored() {
    let dice = Dice::throw();
    let mut lock = Lock::build();
    let times = kills();
    for round in 0..times {
        for _ in 0..dice.below(6) {
            let code = lock.code();
            assert_eq!(lock.hold_up(&code)["type"], "opened");
        }
        if dice.below(2) == 0 {
            lock.disk.fail_one_sync();
        } else {
            lock.disk.set_syncing(false);
        }
        let (code, why) = lock.until_out_of_order();
        assert_eq!(why, "store");
        if round % 2 == 0 {
            lock = lock.restart();
        }
        lock.disk.set_syncing(true);
        lock.opens_once(&code);
    }
    println!("{times} times, {} answers kept", lock.codes);
}
