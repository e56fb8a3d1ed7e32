//! What of a target's inputs is kept in the repository: few and small ones that together reach most.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{Targets, seeds};
use crate::process::run;

/// Most that is kept of a target.
const FILES: usize = 64;
const BYTES: u64 = 65_536;

/// Begins the names of kept inputs that mutation found; others were chosen by somebody, and stay.
const FOUND: &str = "found-";

/// An input, and which edges of the program it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Input {
    path: PathBuf,
    bytes: u64,
    reaches: BTreeSet<u64>,
}

impl Targets {
    /// Puts in `fuzz/seeds` what of the target's corpus reaches most, beside what somebody chose.
    pub(super) fn keep(&self, name: &str) -> Result<()> {
        let seeds = seeds(name);
        std::fs::create_dir_all(&seeds)?;
        let (chosen, found) = self
            .inputs(name, &seeds)?
            .into_iter()
            .partition(|input| input.path.starts_with(&seeds) && !is_found(&input.path));
        let mut kept = BTreeMap::new();
        for input in most_reaching(chosen, found) {
            kept.insert(name_of(&input.path)?, std::fs::read(&input.path)?);
        }
        for entry in std::fs::read_dir(&seeds)? {
            let path = entry?.path();
            if is_found(&path) {
                std::fs::remove_file(path)?;
            }
        }
        for (name, content) in &kept {
            std::fs::write(seeds.join(name), content)?;
        }
        println!("{name}: {} found inputs kept", kept.len());
        Ok(())
    }

    /// Every input of the corpus and of the kept ones, with what it reaches: libFuzzer writes that
    /// down while it merges folders.
    fn inputs(&self, name: &str, seeds: &Path) -> Result<Vec<Input>> {
        let merged = self.folder.join("merged").join(name);
        if merged.exists() {
            std::fs::remove_dir_all(&merged)?;
        }
        std::fs::create_dir_all(&merged)?;
        std::fs::create_dir_all(self.corpus(name))?;
        let notes = self.folder.join("merged").join(format!("{name}.txt"));
        if notes.exists() {
            std::fs::remove_file(&notes)?;
        }
        run(self
            .program(name)
            .args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"])
            .arg(format!("-merge_control_file={}", notes.display()))
            .args([merged.as_path(), &self.corpus(name), seeds]))?;
        read(&std::fs::read_to_string(notes)?)
    }
}

fn is_found(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(FOUND)
}

/// libFuzzer names an input of its corpus by the SHA-1 of its content.
fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().context("an input has a name")?;
    let name = name.to_string_lossy();
    let digest = name.strip_prefix(FOUND).unwrap_or(&name);
    Ok(format!("{FOUND}{}", &digest[..digest.len().min(16)]))
}

/// Of the found inputs, one after the other the one that reaches most beyond those before it and
/// the chosen ones; of several the smallest.
fn most_reaching(chosen: Vec<Input>, mut found: Vec<Input>) -> Vec<Input> {
    let (mut files, mut bytes) = (FILES, BYTES);
    let mut reached = BTreeSet::<u64>::new();
    for input in &chosen {
        reached.extend(&input.reaches);
        files = files.saturating_sub(1);
        bytes = bytes.saturating_sub(input.bytes);
    }
    found.sort_by_key(|input| (input.bytes, input.path.clone()));
    let mut kept = Vec::new();
    while kept.len() < files {
        for input in &mut found {
            input.reaches.retain(|edge| !reached.contains(edge));
        }
        found.retain(|input| !input.reaches.is_empty() && input.bytes <= bytes);
        // The first of equals is the smallest.
        let best = found.iter().rev().max_by_key(|input| input.reaches.len());
        let Some(best) = best.cloned() else {
            break;
        };
        reached.extend(&best.reaches);
        bytes -= best.bytes;
        kept.push(best);
    }
    kept
}

/// Reads libFuzzer's notes: how many inputs, how many of them in the first folder, their paths;
/// then for each `STARTED number bytes`, `FT number edge…` and more.
fn read(notes: &str) -> Result<Vec<Input>> {
    let mut lines = notes.lines();
    let count: usize = lines.next().context("no count of inputs")?.parse()?;
    let mut inputs: Vec<Input> = lines
        .by_ref()
        .skip(1)
        .take(count)
        .map(|path| Input {
            path: path.into(),
            bytes: 0,
            reaches: BTreeSet::new(),
        })
        .collect();
    let mut ran = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let (Some(marker), Some(number)) = (words.next(), words.next()) else {
            continue;
        };
        let input = inputs.get_mut(number.parse::<usize>()?);
        let input = input.context("a number without an input")?;
        let mut numbers = words.map(str::parse::<u64>);
        match marker {
            "STARTED" => input.bytes = numbers.next().context("no size")??,
            "FT" => {
                ran += 1;
                input.reaches = numbers.collect::<Result<_, _>>()?;
            }
            _ => {}
        }
    }
    ensure!(
        ran == count,
        "{} inputs bring their target down",
        count - ran
    );
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, bytes: u64, reaches: &[u64]) -> Input {
        Input {
            path: name.into(),
            bytes,
            reaches: reaches.iter().copied().collect(),
        }
    }

    #[test]
    fn the_notes_of_a_merge_are_read() {
        let notes =
            "2\n0\ncorpus/a\nseeds/b\nSTARTED 0 17\nFT 0 3 9\nCOV 0 1\nSTARTED 1 4\nFT 1\nCOV 1\n";
        let expected = vec![input("corpus/a", 17, &[3, 9]), input("seeds/b", 4, &[])];
        assert_eq!(read(notes).expect("notes"), expected);
        let crashed = "1\n0\ncorpus/a\nSTARTED 0 17\n";
        assert!(read(crashed).is_err());
    }

    #[test]
    fn few_inputs_that_reach_most_are_kept() {
        let chosen = vec![input("seeds/chosen", 9, &[1])];
        let found = vec![
            input("a", 5, &[1]),
            input("b", 5, &[2, 3]),
            input("c", 4, &[2, 3]),
            input("d", 50, &[1, 2, 3, 4]),
            input("e", BYTES, &[5, 6, 7, 8, 9]),
        ];
        let kept: Vec<_> = most_reaching(chosen, found)
            .into_iter()
            .map(|input| input.path.display().to_string())
            .collect();
        assert_eq!(
            kept,
            ["d"],
            "the rest reaches nothing more, or is too large"
        );
    }

    #[test]
    fn no_more_files_than_the_bound() {
        let found: Vec<_> = (0..100)
            .map(|number| input(&number.to_string(), 1, &[number]))
            .collect();
        assert_eq!(most_reaching(Vec::new(), found).len(), FILES);
    }
}
