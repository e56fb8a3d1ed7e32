//! The signer itself: within the portal's process, or within one of its own ([`service`](super::service)).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aliro::certificate::CertificateRequest;
use aliro::crypto::{PublicKey, Signature};
use aliro::document::issuer::{SALT_LEN, Unsigned};
use aliro::document::{DocumentError, Timestamp};
use chrono::DateTime;
use latchkey_env::{SharedClock, SharedRandom, random_array};
use latchkey_protocol::bundle::{Draft, Header, SignedHeader};
use latchkey_protocol::clock::{SignedTimeAnswer, TimeAnswer};
use latchkey_protocol::commissioning::certificate_subject;
use latchkey_protocol::doorlog::{Receipt, SignedReceipt};
use latchkey_protocol::doorstate::{BundleNumber, ListNumber};
use latchkey_protocol::grant::{self, GrantError, GrantRequest, Lifetime};
use latchkey_protocol::ids::{DoorId, Generation, PropertyId};
use latchkey_protocol::pass::{Pass, SignedPass};
use latchkey_protocol::revocation::{RevocationList, Revocations};
use latchkey_protocol::statement::{Addressee, Body, SignedStatement, Statement};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::checks::{self, Meter, Rate};
use super::files::Files;
use super::state::State;
use super::steady::SteadyClock;
use super::{
    Begun, BundleDraft, GrantDraft, PublicKeys, Series, SignedBundle, SignedDocument, SignedGrant,
    Signer, SignerError, Standing,
};

const ISSUER: &str = "issuer.pk8";
const READER_CA: &str = "reader-ca.pk8";
const STATE: &str = "state.json";
/// The newest list that is committed.
const LIST: &str = "list.cbor";

/// Keys and state of all properties, in a folder of its own beside the database. Instances of one portal share the
/// folder: keys never change, and the state is read and changed where it lies, under a lock.
pub(crate) struct EmbeddedSigner {
    files: Files,
    clock: SteadyClock,
    random: SharedRandom,
    meter: Meter,
    keys: Mutex<HashMap<PropertyId, Arc<Keys>>>,
}

struct Keys {
    issuer: Key,
    reader_ca: Key,
}

struct Key {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl Key {
    fn read(pkcs8: &[u8]) -> Result<Self, SignerError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|error| SignerError::Files(format!("a key does not read: {error}")))?;
        let public = PublicKey::from_uncompressed(pair.public_key().as_ref())
            .map_err(|error| SignerError::Files(error.to_string()))?;
        Ok(Self { pair, public })
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| SignerError::NotSignable("no randomness".to_owned()))?;
        Signature::from_slice(signature.as_ref()).map_err(not_signable)
    }
}

fn not_signable(error: impl std::fmt::Display) -> SignerError {
    SignerError::NotSignable(error.to_string())
}

fn list_not_signable(error: DocumentError) -> SignerError {
    match error {
        DocumentError::TooLarge | DocumentError::TooComplex => SignerError::ListTooLong,
        error => not_signable(error),
    }
}

impl EmbeddedSigner {
    /// Opens the signer's folder, or makes it.
    pub(crate) fn open(
        folder: &Path,
        rate: Rate,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, SignerError> {
        let signer = Self {
            files: Files::open(folder)?,
            meter: Meter::new(rate, Arc::clone(&clock)),
            clock: SteadyClock::new(clock),
            random,
            keys: Mutex::default(),
        };
        for id in signer.files.properties()? {
            match signer.keys(id) {
                // It is just being made, or was never finished.
                Ok(_) | Err(SignerError::UnknownProperty) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(signer)
    }

    /// A property's keys. `property create` may have made them beside a running portal.
    fn keys(&self, id: PropertyId) -> Result<Arc<Keys>, SignerError> {
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = known.get(&id) {
            return Ok(Arc::clone(keys));
        }
        // Without it, a folder is no property's.
        self.state(id)?;
        let keys = Arc::new(Keys {
            issuer: Key::read(&self.files.read(id, ISSUER)?)?,
            reader_ca: Key::read(&self.files.read(id, READER_CA)?)?,
        });
        known.insert(id, Arc::clone(&keys));
        Ok(keys)
    }

    fn state(&self, id: PropertyId) -> Result<State, SignerError> {
        let state = self
            .files
            .read(id, STATE)
            .map_err(|_| SignerError::UnknownProperty)?;
        serde_json::from_slice(&state)
            .map_err(|error| SignerError::Files(format!("{STATE}: {error}")))
    }

    /// Changes the state, no other instance at the same time, and keeps it when the change says that there is
    /// something to keep. The answer is the state as it is then.
    fn change(
        &self,
        id: PropertyId,
        change: impl FnOnce(&mut State) -> bool,
    ) -> Result<State, SignerError> {
        // A property that is not here has no folder for a lock.
        self.state(id)?;
        let _lock = self.files.lock(id)?;
        let mut state = self.state(id)?;
        if change(&mut state) {
            self.keep(id, &state)?;
        }
        Ok(state)
    }

    fn keep(&self, id: PropertyId, state: &State) -> Result<(), SignerError> {
        let bytes = serde_json::to_vec_pretty(state).map_err(not_signable)?;
        self.files.write(id, STATE, &bytes)
    }

    fn new_key(&self, id: PropertyId, name: &str) -> Result<Key, SignerError> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| SignerError::Files("no randomness for a key".to_owned()))?;
        self.files.write(id, name, pkcs8.as_ref())?;
        Key::read(pkcs8.as_ref())
    }

    fn signed_time(&self, after: Option<i64>) -> Result<Timestamp, SignerError> {
        timestamp(checks::signed_at(after, self.clock.now()?))
    }

    /// The keys of a property for so many signatures on what opens doors.
    fn keys_to_open(&self, id: PropertyId, signatures: usize) -> Result<Arc<Keys>, SignerError> {
        let keys = self.keys(id)?;
        self.meter.take(id, signatures)?;
        Ok(keys)
    }
}

fn finish(unsigned: Unsigned, signature: Signature) -> Result<Vec<u8>, SignerError> {
    let document = unsigned.finish(signature).map_err(not_signable)?;
    Ok(document.as_bytes().to_vec())
}

fn timestamp(seconds: i64) -> Result<Timestamp, SignerError> {
    Timestamp::from_epoch(seconds).ok_or_else(|| not_signable("a time out of reach"))
}

impl Signer for EmbeddedSigner {
    fn create(&self, property: PropertyId) -> Result<PublicKeys, SignerError> {
        // Fails where there is one: keys are made once, and memory begins once.
        self.files.make(property)?;
        let issuer = self.new_key(property, ISSUER)?;
        let reader_ca = self.new_key(property, READER_CA)?;
        let keys = PublicKeys {
            issuer: issuer.public,
            reader_ca: reader_ca.public,
        };
        let state = State::new(self.clock.now()?);
        // Last: a folder without it is not a property's.
        self.keep(property, &state)?;
        Ok(keys)
    }

    fn standing(&self, property: PropertyId) -> Result<Standing, SignerError> {
        let keeps_list = self.files.has(property, LIST)?;
        Ok(self.state(property)?.standing(keeps_list))
    }

    fn begin_epoch(&self, property: PropertyId) -> Result<Begun, SignerError> {
        let state = self.change(property, |state| {
            state.begin_epoch();
            true
        })?;
        let list = match self.files.has(property, LIST)? {
            true => Some(self.files.read(property, LIST)?),
            false => None,
        };
        Ok(Begun {
            epoch: state.epoch,
            list,
        })
    }

    fn statement(
        &self,
        property: PropertyId,
        addressee: Addressee,
        number: u64,
        body: Body,
    ) -> Result<Vec<u8>, SignerError> {
        self.clock.now()?;
        checks::statement(&body)?;
        let (keys, state) = (self.keys_to_open(property, 1)?, self.state(property)?);
        state.check(Series::Statements(addressee), number)?;
        let payload = Statement {
            property,
            addressee,
            epoch: state.epoch,
            number,
            body,
        }
        .payload();
        let signature = keys.issuer.sign(&Statement::to_be_signed(&payload))?;
        Ok(SignedStatement::new(payload, signature).to_bytes())
    }

    fn pass(&self, property: PropertyId, pass: &Pass) -> Result<Vec<u8>, SignerError> {
        let pass = Pass {
            until: checks::pass_until(pass.until, self.clock.now()?),
            ..pass.clone()
        };
        let payload = pass.payload().map_err(not_signable)?;
        let keys = self.keys_to_open(property, 1)?;
        let signature = keys.issuer.sign(&Pass::to_be_signed(property, &payload))?;
        Ok(SignedPass::new(payload, signature).to_bytes())
    }

    fn time(
        &self,
        property: PropertyId,
        door: DoorId,
        nonce: [u8; 16],
    ) -> Result<Vec<u8>, SignerError> {
        let now = self.clock.now()?.timestamp_millis();
        let unix_ms = u64::try_from(now).map_err(not_signable)?;
        let keys = self.keys(property)?;
        let payload = TimeAnswer {
            property,
            door,
            nonce,
            unix_ms,
        }
        .payload();
        let signature = keys.issuer.sign(&TimeAnswer::to_be_signed(&payload))?;
        Ok(SignedTimeAnswer::new(payload, signature).to_bytes())
    }

    fn grant(&self, property: PropertyId, draft: GrantDraft) -> Result<SignedGrant, SignerError> {
        checks::lifetime(draft.lifetime)?;
        let now = self.clock.now()?;
        let signed = self.signed_time(draft.signed_after)?.epoch();
        let keys = self.keys(property)?;
        let mut state = self.state(property)?;
        // Mostly it is no news.
        if state.note_grant(draft.lifetime, now) {
            state = self.change(property, |state| state.note_grant(draft.lifetime, now))?;
        }
        let request = GrantRequest {
            issuer: &keys.issuer.public,
            holder: &draft.holder,
            keys: &draft.keys,
            offsets: &draft.offsets,
            lifetime: Lifetime {
                signed,
                seconds: draft.lifetime,
                iteration: state.iteration,
            },
        };
        let salt = || random_array::<SALT_LEN>(&*self.random);
        let grant = grant::prepare(&request, salt).map_err(|error| match error {
            GrantError::TooManyKeys(_) => SignerError::TooManyKeys,
            error => not_signable(error),
        })?;
        self.meter.take(property, grant.documents.len())?;
        let documents = grant.documents.into_iter().map(|document| {
            let signature = keys.issuer.sign(&document.unsigned.to_be_signed())?;
            let valid_until = DateTime::from_timestamp(document.valid_until, 0);
            Ok(SignedDocument {
                doors: document.doors,
                keys: document.keys,
                document: finish(document.unsigned, signature)?,
                valid_until: valid_until.ok_or_else(|| not_signable("a time out of reach"))?,
            })
        });
        Ok(SignedGrant {
            documents: documents.collect::<Result<_, SignerError>>()?,
            elements: grant.elements,
            signed,
        })
    }

    fn revocation_list(
        &self,
        property: PropertyId,
        version: u64,
        list: Revocations,
        signed_after: Option<i64>,
    ) -> Result<(ListNumber, i64, Vec<u8>), SignerError> {
        let signed = self.signed_time(signed_after)?;
        let (keys, state) = (self.keys(property)?, self.state(property)?);
        state.check(Series::Lists, version)?;
        let number = ListNumber {
            epoch: state.epoch,
            version,
        };
        let list = Revocations { number, ..list };
        let unsigned = list
            .prepare(&keys.issuer.public, signed, random_array(&*self.random))
            .map_err(list_not_signable)?;
        let signature = keys.issuer.sign(&unsigned.to_be_signed())?;
        let document = unsigned.finish(signature).map_err(list_not_signable)?;
        Ok((number, signed.epoch(), document.as_bytes().to_vec()))
    }

    fn bundle(
        &self,
        property: PropertyId,
        draft: BundleDraft,
    ) -> Result<SignedBundle, SignerError> {
        self.clock.now()?;
        let seed = random_array(&*self.random);
        let (keys, state) = (self.keys_to_open(property, 1)?, self.state(property)?);
        state.check(Series::Bundles(draft.door), draft.number)?;
        let recipient = draft.sealing_key;
        let draft = Draft {
            property,
            door: draft.door,
            generation: draft.generation,
            number: BundleNumber {
                epoch: state.epoch,
                number: draft.number,
            },
            all: draft.all,
            own: draft.own,
            content: draft.content,
        };
        let sealed = draft.seal(&recipient, seed).map_err(not_signable)?;
        let payload = sealed.header.payload();
        let signature = keys.issuer.sign(&Header::to_be_signed(&payload))?;
        Ok(SignedBundle {
            header: SignedHeader::new(payload, signature).to_bytes(),
            body: sealed.body,
        })
    }

    fn log_receipt(&self, receipt: &Receipt) -> Result<Vec<u8>, SignerError> {
        let payload = receipt.payload();
        let keys = self.keys(receipt.property)?;
        let signature = keys.issuer.sign(&Receipt::to_be_signed(&payload))?;
        Ok(SignedReceipt::new(payload, signature).to_bytes())
    }

    fn certificate(
        &self,
        property: PropertyId,
        door: DoorId,
        generation: Generation,
        reader_key: PublicKey,
    ) -> Result<Vec<u8>, SignerError> {
        let mut serial: [u8; 8] = random_array(&*self.random);
        // A positive number without leading zeros (RFC 5280, section 4.1.2.2).
        serial[0] = serial[0] & 0x7f | 0x40;
        let (keys, state) = (self.keys_to_open(property, 1)?, self.state(property)?);
        state.check(Series::Controllers(door), generation.0.into())?;
        let request = CertificateRequest::new(reader_key)
            .subject(&certificate_subject(door, generation))
            .and_then(|request| request.serial(&serial))
            .map_err(not_signable)?;
        let signature = keys
            .reader_ca
            .sign(&request.to_be_signed(&keys.reader_ca.public))?;
        Ok(request.assemble(&signature).compress().as_bytes().to_vec())
    }

    fn confirm(
        &self,
        property: PropertyId,
        series: Series,
        number: u64,
    ) -> Result<(), SignerError> {
        let mut state = self.state(property)?;
        checks::confirms(&state, series, number)?;
        // Mostly it is no news.
        if state.confirm(series, number) {
            self.change(property, |state| state.confirm(series, number))?;
        }
        Ok(())
    }

    fn keep_list(&self, property: PropertyId, document: &[u8]) -> Result<(), SignerError> {
        let keys = self.keys(property)?;
        let list = RevocationList::verify(document, &keys.issuer.public).map_err(not_signable)?;
        let number = list.number();
        let _lock = self.files.lock(property)?;
        let mut state = self.state(property)?;
        // Of an epoch that has passed: what the new one contains is settled by now.
        if number.epoch != state.epoch {
            return Ok(());
        }
        let news = state.confirm(Series::Lists, number.version);
        if news || !self.files.has(property, LIST)? {
            // Before its number counts as given out: the list of a number that does is never missing.
            self.files.write(property, LIST, document)?;
        }
        if news {
            self.keep(property, &state)?;
        }
        Ok(())
    }
}
