//! Aliro 1.0, the access protocol of the Connectivity Standards Alliance: both
//! the **reader** (a lock) and the **user device** (a phone), without I/O.
//!
//! Bytes go in, bytes and events come out. The crate opens no socket, reads no
//! clock, starts no thread and never holds a long-term private key: where one
//! must sign, an engine says *sign this* and goes on with the answer, because
//! hardware keys and fingerprints take their time.
//!
//! # The transaction in one paragraph
//!
//! The device opens (over BLE) by sending what it supports. The reader answers
//! with AUTH0: a fresh point, a transaction number and its own name. The device
//! answers with a fresh point. The reader signs both and, where its key is
//! certified, shows the certificate (AUTH1); only when that verifies does the
//! device sign in turn and send, encrypted, who it is. From there both share
//! keys: the reader may ask for documents (*step-up*), sends *access protocol
//! completed*, and the device says what it wants done (a *remote keyless entry*
//! request).
//!
//! # Where to start
//!
//! * [`reader::Session`] and [`device::Session`]: the lock's and the phone's side
//!   over BLE-style messages.
//! * [`reader::Terminal`] and [`device::Card`]: the same over bare APDUs, as NFC
//!   has them.
//! * [`message::MessageBuffer`]: cuts a byte stream into messages.
//! * [`certificate`]: reader certificates, issued and checked.
//!
//! Section numbers in the docs are those of the sources that cite Aliro 1.0
//! (for example 8.3.1.13, the key schedule); `README.md` lists where sources
//! disagree and what this crate does.
#![forbid(unsafe_code)]

pub mod advertisement;
pub mod apdu;
pub mod certificate;
pub mod channel;
pub mod command;
pub mod crypto;
pub mod device;
pub mod document;
pub mod identifier;
pub mod keys;
pub mod mailbox;
pub mod message;
pub mod proprietary;
pub mod reader;
pub mod select;
pub mod tlv;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
