//! The uniffi facade over `latchkey-core`: objects, records, errors and foreign traits, for Kotlin
//! and Swift. It holds no rules: each method hands over to `core` and translates.

uniffi::setup_scaffolding!();

/// The version of this library, as `major.minor.patch`.
#[uniffi::export]
#[must_use]
pub fn library_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
