//! The quick tests in one program, which is built and linked once: for
//! `cargo mutants`, which does so for every change. `cargo test` runs them as
//! programs of their own.

#[path = "certification_ble.rs"]
mod certification_ble;
#[path = "certification_device.rs"]
mod certification_device;
#[path = "certification_documents.rs"]
mod certification_documents;
#[path = "certification_reader.rs"]
mod certification_reader;
#[path = "device_refusals.rs"]
mod device_refusals;
#[path = "document_properties.rs"]
mod document_properties;
#[path = "document_refusals.rs"]
mod document_refusals;
#[path = "document_shapes.rs"]
mod document_shapes;
#[path = "document_vectors.rs"]
mod document_vectors;
#[path = "exchange_messages.rs"]
mod exchange_messages;
#[path = "fast.rs"]
mod fast;
#[path = "field.rs"]
mod field;
#[path = "privacy.rs"]
mod privacy;
#[path = "session.rs"]
mod session;
#[path = "session_turns.rs"]
mod session_turns;
#[path = "states/main.rs"]
mod states;
#[path = "vectors.rs"]
mod vectors;
