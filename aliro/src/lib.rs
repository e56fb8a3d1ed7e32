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
//! | | says | in clear |
//! |---|---|---|
//! | SELECT (NFC), *initiate* (BLE) | what the device supports | all |
//! | AUTH0 | fresh points; the reader's name, the transaction's number | all |
//! | LOAD CERT, or inside AUTH1 | why the reader's key is to be trusted | all |
//! | AUTH1 | the reader's signature; then the device's, and who it is | the reader's |
//! | ENVELOPE | what may be opened when, signed by the credential's issuer | nothing |
//! | EXCHANGE | mailbox, notifications, how it ended | nothing |
//!
//! A pair that has met may leave AUTH1 out (*fast phase*): the device answers
//! AUTH0 with a cryptogram under a key that both remember. Who does not remember
//! sees random bytes, and goes on with AUTH1.
//!
//! # A door that is touched
//!
//! Both sides over NFC, each with a caller that holds the keys (the README has
//! the same over BLE-style messages):
//!
//! ```
//! use std::sync::Arc;
//!
//! use aliro::command::ReaderStatus;
//! use aliro::crypto::{PublicKey, RingEntropy, Signature};
//! use aliro::device::{Card, CardEvent, Credential, DeviceConfig, Disclosure, GroupBinding, Trust};
//! use aliro::identifier::{Interface, ReaderIdentifier};
//! use aliro::reader::{ReaderConfig, ReaderKey, Terminal, TerminalEvent};
//! # use ring::{rand::SystemRandom, signature::{EcdsaKeyPair, ECDSA_P256_SHA256_FIXED_SIGNING as ES256, KeyPair}};
//! # fn key() -> EcdsaKeyPair {
//! #     let random = SystemRandom::new();
//! #     let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ES256, &random).unwrap();
//! #     EcdsaKeyPair::from_pkcs8(&ES256, pkcs8.as_ref(), &random).unwrap()
//! # }
//! # fn public(key: &EcdsaKeyPair) -> PublicKey {
//! #     PublicKey::from_uncompressed(key.public_key().as_ref()).unwrap()
//! # }
//! # fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Signature {
//! #     Signature::from_slice(key.sign(&SystemRandom::new(), message).unwrap().as_ref()).unwrap()
//! # }
//! let (door_key, phone_key) = (key(), key());
//!
//! let door = ReaderIdentifier::new([1; 16], [2; 16]);
//! let mut config = ReaderConfig::new(door, ReaderKey::Direct(public(&door_key)));
//! config.interface = Interface::NFC;
//! let mut terminal = Terminal::new(config, None, &RingEntropy::new())?;
//!
//! let mut config = DeviceConfig::new(vec![Credential {
//!     public_key: public(&phone_key),
//!     groups: vec![GroupBinding { group: [1; 16], trust: Trust::DirectKey(public(&door_key)) }],
//! }]);
//! config.interface = Interface::NFC;
//! let mut card = Card::new(config, None, Arc::new(RingEntropy::new()));
//!
//! let mut opened = false;
//! let mut to_do = terminal.start()?;
//! while let Some(event) = to_do.pop() {
//!     match event {
//!         TerminalEvent::Send(command) => {
//!             let mut answers = card.on_apdu(&command);
//!             while let Some(answer) = answers.pop() {
//!                 match answer {
//!                     CardEvent::Send(response) => to_do.extend(terminal.on_apdu(&response)),
//!                     CardEvent::ReaderAuthenticated(reader) => {
//!                         assert_eq!(reader.identifier, door);
//!                         answers.extend(card.approve(Disclosure::default())?);
//!                     }
//!                     CardEvent::Sign { message, .. } => {
//!                         answers.extend(card.signed(sign(&phone_key, &message))?);
//!                     }
//!                     CardEvent::ReaderStatus(status) => assert!(status.is_success()),
//!                     other => panic!("{other:?}"),
//!                 }
//!             }
//!         }
//!         TerminalEvent::Sign(message) => to_do.extend(terminal.signed(sign(&door_key, &message))?),
//!         TerminalEvent::Authenticated(who) => {
//!             // Is this key allowed to do anything here?
//!             assert_eq!(who.credential, public(&phone_key));
//!             to_do.extend(terminal.finish(ReaderStatus::UNSECURED)?);
//!         }
//!         TerminalEvent::Finished => opened = true,
//!         other => panic!("{other:?}"),
//!     }
//! }
//! assert!(opened);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
