//! A disk that is full, or fails to sync, under a real program: `disk.c` is loaded before the program's C library.
//! Linux alone has that way of loading in every machine that the tests run on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use latchkey_env::{SystemClock, sleep};
use tempfile::TempDir;

/// The pause between two questions whether something was refused.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(5);

/// The disk of the programs that are started on it. It is in order until it is told otherwise.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    library: PathBuf,
}

impl Disk {
    /// Makes one; it takes a C compiler.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/disk.c");
        let compiled = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .status();
        assert!(
            compiled.is_ok_and(|status| status.success()),
            "a C compiler"
        );
        Self { folder, library }
    }

    /// Lets a program that is to be started work on this disk.
    pub fn under<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("LATCHKEY_DISK", self.folder.path())
    }

    /// Takes all free space away, or gives it back.
    pub fn set_full(&self, full: bool) {
        self.set("full", full);
    }

    /// Lets every sync fail, or none.
    pub fn set_syncing(&self, syncs: bool) {
        self.set("no-sync", !syncs);
    }

    /// Lets the next sync fail, and no more.
    pub fn fail_one_sync(&self) {
        self.set("one-sync", true);
    }

    /// How much was refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        fs::metadata(self.path("refused")).map_or(0, |file| file.len())
    }

    /// Waits until more was refused than so much.
    pub async fn has_refused_more_than(&self, before: u64) {
        while self.refused() <= before {
            sleep(&SystemClock, AGAIN).await;
        }
    }

    fn set(&self, switch: &str, on: bool) {
        let path = self.path(switch);
        if on {
            fs::write(path, "").expect("a switch");
        } else {
            // It may be off already.
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a program can write so many kibibytes over a file and sync them.
    fn writes(disk: &Disk, file: &Path, kibibytes: u32) -> bool {
        let mut command = Command::new("dd");
        command.args(["if=/dev/zero", "bs=1k", "conv=notrunc,fsync", "status=none"]);
        command
            .arg(format!("count={kibibytes}"))
            .arg(format!("of={}", file.display()));
        disk.under(&mut command).status().unwrap().success()
    }

    #[test]
    fn a_full_disk_takes_what_it_has_room_for_and_one_that_does_not_sync_says_so() {
        let disk = Disk::make();
        let file = disk.path("file");
        assert!(writes(&disk, &file, 2));
        disk.set_full(true);
        assert!(writes(&disk, &file, 2) && !writes(&disk, &file, 3));
        assert_eq!(fs::metadata(&file).unwrap().len(), 2048);
        disk.set_full(false);
        disk.fail_one_sync();
        assert!(!writes(&disk, &file, 3) && writes(&disk, &file, 3));
        disk.set_syncing(false);
        assert!(!writes(&disk, &file, 3) && !writes(&disk, &file, 3));
        disk.set_syncing(true);
        assert!(writes(&disk, &file, 3));
        assert_eq!(disk.refused(), 4);
    }
}
