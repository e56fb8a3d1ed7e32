//! Generates Kotlin and Swift from the built library: `cargo xtask bindings`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
