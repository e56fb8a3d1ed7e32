//! A user device that speaks APDUs over TCP, each preceded by its length in two
//! bytes. See the README of the crate for its configuration.

#[path = "../shared/mod.rs"]
mod shared;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aliro::command::{Policy, Signaling};
use aliro::crypto::{PublicKey, RingEntropy, Secret};
use aliro::device::{
    Card, CardEvent, Credential, DeviceConfig, Disclosure, GroupBinding, Memory, Remembered, Trust,
};
use aliro::document::{DeviceRequest, DeviceResponse, RawDocument};
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::mailbox::{Content, Mailboxes, NotStored};
use serde_json::Value;
use shared::{Arguments, Outcome, Signer, bytes, exactly, from_hex, is_ble};

fn main() -> Outcome<()> {
    let arguments = Arguments::parse()?;
    let device = Device::new(&arguments.config)?;
    arguments.serve(|stream| {
        let mut card = device.card().map_err(std::io::Error::other)?;
        while let Some(apdu) = shared::receive(stream)? {
            let answer = device.answer(&mut card, &apdu);
            shared::send(stream, &answer)?;
        }
        Ok(())
    })
}

struct Device {
    key: Signer,
    config: DeviceConfig,
    documents: Vec<RawDocument>,
    disclosure: Disclosure,
    memory: Arc<KeysBySub>,
    mailbox: Option<Arc<OneMailbox>>,
}

impl Device {
    fn new(config: &Value) -> Outcome<Self> {
        let key = Signer::new(&exactly::<32>(config, "credential_priv")?)?;
        let groups = config["groups"].as_array().into_iter().flatten();
        let mut device = DeviceConfig::new(vec![Credential {
            public_key: key.public,
            groups: groups.map(group).collect::<Outcome<_>>()?,
        }]);
        device.interface = if is_ble(config) {
            Interface::BLE
        } else {
            Interface::NFC
        };
        let mut documents = Vec::new();
        let mut signed = [None, None];
        for (at, name) in ["access", "revocation"].into_iter().enumerate() {
            if let Some(document) = bytes(config, name)? {
                let document = RawDocument::decode(&document)?;
                signed[at] = Some(document.signed().to_bytes());
                documents.push(document);
            }
        }
        let mut disclosure = Disclosure::documents(signed[0], signed[1]);
        let mailbox = bytes(config, "mailbox")?;
        if let Some(content) = &mailbox {
            let rights = Signaling::MAILBOX_READABLE | Signaling::MAILBOX_WRITABLE;
            disclosure.signaling = disclosure.signaling | rights;
            if content.iter().any(|byte| *byte != 0) {
                disclosure.signaling = disclosure.signaling | Signaling::MAILBOX_NOT_EMPTY;
            }
        }
        Ok(Self {
            key,
            config: device,
            documents,
            disclosure,
            memory: Arc::new(KeysBySub::new(config, disclosure)?),
            mailbox: mailbox.map(|content| Arc::new(OneMailbox(Mutex::new(content)))),
        })
    }

    fn card(&self) -> Outcome<Card> {
        let memory: Arc<dyn Memory> = self.memory.clone();
        let mut card = Card::new(self.config.clone(), Some(memory), Arc::new(RingEntropy));
        if let Some(mailbox) = &self.mailbox {
            card = card.with_mailboxes(mailbox.clone());
        }
        match self.config.interface {
            Interface::BLE => Ok(card.selected()?),
            _ => Ok(card),
        }
    }

    /// Carries out what the card wants until it has an answer.
    fn answer(&self, card: &mut Card, apdu: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut events = card.on_apdu(apdu);
        while !events.is_empty() {
            let mut next = Vec::new();
            for event in events {
                let more = match event {
                    CardEvent::Send(apdu) => {
                        answer = apdu;
                        continue;
                    }
                    // Every reader that proves itself is the one that is meant.
                    CardEvent::ReaderAuthenticated(_) => card.approve(self.disclosure),
                    CardEvent::Sign { message, .. } => card.signed(self.key.sign(&message)),
                    CardEvent::DocumentsRequested(request) => {
                        card.documents(&self.response(&request))
                    }
                    CardEvent::ReaderStatus(status) => {
                        println!("reader status {:04x}", status.0);
                        continue;
                    }
                    CardEvent::Failed(failure) => {
                        println!("failed: {failure}");
                        continue;
                    }
                    CardEvent::Notified(_) => continue,
                };
                next.extend(more.unwrap_or_default());
            }
            events = next;
        }
        answer
    }

    /// What is held of what is asked for.
    fn response(&self, request: &[u8]) -> Vec<u8> {
        let Ok(request) = DeviceRequest::decode(request) else {
            let status = DeviceResponse::STATUS_CBOR_DECODING_ERROR;
            return DeviceResponse::of_status(status).encode();
        };
        let held = self.documents.iter().filter_map(|document| {
            let asked = match document.doc_type() {
                aliro::document::ACCESS => &request.access,
                _ => &request.revocation,
            };
            document.select(asked)
        });
        DeviceResponse {
            documents: held.collect(),
            status: DeviceResponse::STATUS_OK,
        }
        .encode()
    }
}

fn group(group: &Value) -> Outcome<GroupBinding> {
    let key = PublicKey::from_uncompressed(&exactly::<65>(group, "pub")?)?;
    Ok(GroupBinding {
        group: exactly(group, "id")?,
        trust: match group["kind"].as_str() {
            Some("key") => Trust::DirectKey(key),
            Some("ca") => Trust::IssuerCa(key),
            _ => return Err("kind is neither key nor ca".into()),
        },
    })
}

/// Persistent keys by sub-identifier, for the one credential.
struct KeysBySub {
    keys: Mutex<HashMap<[u8; 16], Secret>>,
    disclosure: Disclosure,
}

impl KeysBySub {
    fn new(config: &Value, disclosure: Disclosure) -> Outcome<Self> {
        let mut keys = HashMap::new();
        for (sub, key) in config["kpersistent"].as_object().into_iter().flatten() {
            let sub = <[u8; 16]>::try_from(hex::decode(sub)?).map_err(|_| "sub-identifier")?;
            let key = <[u8; 32]>::try_from(from_hex(key)?).map_err(|_| "persistent key")?;
            keys.insert(sub, Secret::new(key));
        }
        Ok(Self {
            keys: Mutex::new(keys),
            disclosure,
        })
    }
}

impl Memory for KeysBySub {
    fn recall(
        &self,
        _: &PublicKey,
        reader: &ReaderIdentifier,
        policy: Policy,
    ) -> Option<Remembered> {
        if policy == Policy::ForceUserAuthentication {
            return None;
        }
        let keys = self.keys.lock().ok()?;
        Some(Remembered {
            key: keys.get(&reader.sub)?.clone(),
            disclosure: self.disclosure,
        })
    }

    fn remember(&self, _: &PublicKey, reader: &ReaderIdentifier, what: Remembered) {
        if let Ok(mut keys) = self.keys.lock() {
            keys.insert(reader.sub, what.key);
        }
    }
}

struct OneMailbox(Mutex<Vec<u8>>);

impl Mailboxes for OneMailbox {
    fn load(&self, _: &PublicKey) -> Option<Content> {
        Some(Content {
            bytes: self.0.lock().ok()?.clone(),
            readable: true,
            writable: true,
        })
    }

    fn store(&self, _: &PublicKey, bytes: &[u8]) -> Result<(), NotStored> {
        *self.0.lock().map_err(|_| NotStored)? = bytes.to_vec();
        Ok(())
    }
}
