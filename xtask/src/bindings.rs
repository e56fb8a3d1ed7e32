//! Kotlin and Swift from the library's metadata.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use crate::process::run;
use crate::workspace::{cargo, command, root, target};

/// A language that the library is called from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Package `app.latchkey.sdk`, the variant that runs on any JVM
    Kotlin,
    /// Module `Latchkey` over the C module `LatchkeyFFI`
    Swift,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::Kotlin, Self::Swift];

    fn name(self) -> &'static str {
        match self {
            Self::Kotlin => "kotlin",
            Self::Swift => "swift",
        }
    }

    /// Where the generated files go.
    pub(crate) fn folder(self) -> PathBuf {
        target().join("bindings").join(self.name())
    }
}

/// Builds the library and generates the given languages from it. The library must be the unstripped
/// one: its metadata are symbols.
pub(crate) fn generate(languages: &[Language]) -> Result<()> {
    // The whole workspace: one package alone would have other features of its dependencies, and all of
    // them be built once more.
    run(cargo()
        .args(["build", "--locked", "--workspace"])
        .args(["--features", "latchkey-bindings/bindgen"]))?;
    for language in languages {
        let folder = language.folder();
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        run(command(built(&format!(
            "uniffi-bindgen{}",
            std::env::consts::EXE_SUFFIX
        )))
        .arg("generate")
        .arg(library())
        .args(["--language", language.name(), "--no-format", "--out-dir"])
        .arg(&folder)
        .arg("--config")
        .arg(root().join("uniffi.toml")))?;
        println!("{}: {}", language.name(), folder.display());
    }
    Ok(())
}

fn library() -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    built(&format!("{DLL_PREFIX}latchkey{DLL_SUFFIX}"))
}

fn built(name: &str) -> PathBuf {
    target().join("debug").join(name)
}
