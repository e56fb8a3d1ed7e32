//! What the reader knows and what it decides by.

use std::sync::{Arc, Mutex};

use aliro::crypto::{PublicKey, Secret};
use aliro::document::{
    ACCESS, Capabilities, DeviceRequest, DeviceResponse, Iterations, Now, REVOCATION,
    RevocationContext, RevocationEntry, RevocationList, Timestamp, TrustedIssuers, Verifier,
    VerifyContext,
};
use aliro::keys::PersistentKey;
use aliro::reader::Memory;
use serde_json::{Map, Value, json};

use super::shared::{Outcome, from_hex};

/// Everything that outlives a run.
pub(crate) struct Knowledge {
    pub(crate) known: Vec<PublicKey>,
    pub(crate) memory: Arc<KeysByCredential>,
    trusted: TrustedIssuers,
    issuers: Vec<PublicKey>,
    elements: Vec<String>,
    clock: Option<Now>,
    revoked: RevocationList,
    access_iterations: Iterations,
    revocation_iterations: Iterations,
}

impl Knowledge {
    pub(crate) fn new(config: &Value) -> Outcome<Self> {
        let known = keys(config, "known")?;
        let issuers = keys(config, "document_issuers")?;
        let mut trusted = TrustedIssuers::new();
        for issuer in &issuers {
            trusted.add_issuer(*issuer);
            trusted.add_authority(*issuer);
        }
        let elements = config["elements"].as_array().into_iter().flatten();
        let now = config["now"].as_str().map(Timestamp::parse).transpose()?;
        let mut iterations = Iterations::new();
        for issuer in &issuers {
            iterations.raise(issuer.key_identifier(), config["iteration"].as_u64());
        }
        let revoked = RevocationList::restore(entries(&config["revoked"])?, None);
        let memory = KeysByCredential::new(config, &known)?;
        memory.forget_if(|credential| revoked.revokes_key(credential));
        Ok(Self {
            memory: Arc::new(memory),
            known,
            trusted,
            issuers,
            elements: elements
                .filter_map(|element| element.as_str().map(str::to_owned))
                .collect(),
            clock: now.map(|now| Now {
                utc: now.epoch(),
                local: now.epoch(),
            }),
            revoked,
            access_iterations: iterations.clone(),
            revocation_iterations: iterations,
        })
    }

    /// The documents to ask for: the elements, of both types.
    pub(crate) fn request(&self) -> Vec<u8> {
        DeviceRequest {
            access: self.elements.clone(),
            revocation: self.elements.clone(),
        }
        .encode()
    }

    /// A credential that is known and not withdrawn needs no document.
    pub(crate) fn is_known(&self, credential: &PublicKey) -> bool {
        self.known.contains(credential) && !self.revoked.revokes_key(credential)
    }

    pub(crate) fn is_revoked(&self, credential: &PublicKey) -> bool {
        self.revoked.revokes_key(credential)
    }

    /// Takes the documents in: the revocations first, then the decision.
    ///
    /// # Errors
    /// Why the credential may not open.
    pub(crate) fn decide(
        &mut self,
        credential: &PublicKey,
        response: &[u8],
    ) -> Outcome<Vec<String>> {
        let response = DeviceResponse::decode(response)?;
        let verifier = Verifier::new(&self.trusted);
        if let Some(document) = response.document(REVOCATION) {
            let context = RevocationContext {
                asked: &self.elements,
                clock: self.clock,
                iterations: &self.revocation_iterations,
            };
            let verified = verifier.revocation(document, &context)?;
            self.revocation_iterations
                .raise(verified.issuer, verified.validity.iteration);
            self.revoked.take(&verified)?;
            self.memory
                .forget_if(|known| self.revoked.revokes_key(known));
        }
        let document = response
            .document(ACCESS)
            .or(response.documents.first())
            .ok_or("no document")?;
        let context = VerifyContext {
            credential,
            asked: &self.elements,
            clock: self.clock,
            iterations: &self.access_iterations,
            known_reader_rules: &|_| false,
            understands: &|_, _, _| false,
        };
        let verified = verifier.access(document, &context)?;
        if self.revoked.revokes_key(credential) {
            return Err("revoked".into());
        }
        verified.allows(
            Capabilities::UNSECURE,
            self.clock,
            credential,
            &self.revoked,
        )?;
        self.access_iterations
            .raise(verified.issuer, verified.validity.iteration);
        let elements = verified.elements.into_iter();
        Ok(elements.map(|(identifier, _)| identifier).collect())
    }

    /// `revoked`, as it may be given back.
    pub(crate) fn revoked(&self) -> Value {
        let (mut keys, mut ids) = (Vec::new(), Vec::new());
        for entry in self.revoked.iter() {
            keys.extend(entry.key_hash.map(hex::encode));
            if !entry.id.is_empty() {
                ids.push(hex::encode(entry.id));
            }
        }
        json!({ "keys": keys, "ids": ids })
    }

    /// `iteration`, as it may be given back: the highest seen in either type of
    /// document.
    pub(crate) fn iteration(&self) -> Value {
        let highest = self.issuers.iter().flat_map(|issuer| {
            let issuer = issuer.key_identifier();
            let access = self.access_iterations.highest(issuer);
            [access, self.revocation_iterations.highest(issuer)]
        });
        json!(highest.flatten().max())
    }
}

/// The public keys in a list.
fn keys(config: &Value, name: &str) -> Outcome<Vec<PublicKey>> {
    let list = config[name].as_array().into_iter().flatten();
    list.map(|key| Ok(PublicKey::from_uncompressed(&from_hex(key)?)?))
        .collect()
}

fn entries(revoked: &Value) -> Outcome<Vec<RevocationEntry>> {
    let mut out = Vec::new();
    for key in revoked["keys"].as_array().into_iter().flatten() {
        let hash = <[u8; 32]>::try_from(from_hex(key)?).map_err(|_| "not a key's hash")?;
        out.push(RevocationEntry {
            key_hash: Some(hash),
            id: Vec::new(),
            expiry: None,
        });
    }
    for id in revoked["ids"].as_array().into_iter().flatten() {
        out.push(RevocationEntry {
            key_hash: None,
            id: from_hex(id)?,
            expiry: None,
        });
    }
    Ok(out)
}

/// Persistent keys. A hit counts for known credentials alone.
pub(crate) struct KeysByCredential {
    keys: Mutex<Vec<(PublicKey, PersistentKey)>>,
    known: Vec<PublicKey>,
}

impl KeysByCredential {
    fn new(config: &Value, known: &[PublicKey]) -> Outcome<Self> {
        let mut keys = Vec::new();
        for (credential, key) in config["kpersistent"].as_object().into_iter().flatten() {
            let credential = PublicKey::from_uncompressed(&hex::decode(credential)?)?;
            let key = <[u8; 32]>::try_from(from_hex(key)?).map_err(|_| "persistent key")?;
            keys.push((credential, Secret::new(key)));
        }
        Ok(Self {
            keys: Mutex::new(keys),
            known: known.to_vec(),
        })
    }

    /// As it may be given back.
    pub(crate) fn to_json(&self) -> Value {
        let mut out = Map::new();
        if let Ok(keys) = self.keys.lock() {
            for (credential, key) in keys.iter() {
                let name = hex::encode(credential.as_bytes());
                out.insert(name, json!(hex::encode(key.expose())));
            }
        }
        Value::Object(out)
    }

    pub(crate) fn forget_if(&self, withdrawn: impl Fn(&PublicKey) -> bool) {
        if let Ok(mut keys) = self.keys.lock() {
            keys.retain(|(credential, _)| !withdrawn(credential));
        }
    }
}

impl Memory for KeysByCredential {
    fn search(&self, is_it: &mut dyn FnMut(&PublicKey, &PersistentKey) -> bool) {
        if let Ok(keys) = self.keys.lock() {
            let mut known = keys
                .iter()
                .filter(|(credential, _)| self.known.contains(credential));
            let _ = known.any(|(credential, key)| is_it(credential, key));
        }
    }

    fn remember(&self, credential: &PublicKey, key: PersistentKey) {
        self.forget_if(|known| known == credential);
        if let Ok(mut keys) = self.keys.lock() {
            keys.push((*credential, key));
        }
    }
}
