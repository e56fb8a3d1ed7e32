//! What a door asks of a phone that has proved its credential, and what it makes of the answers.

use std::sync::Arc;

use aliro::command::Signaling;
use aliro::crypto::PublicKey;
use aliro::document::{
    ACCESS, DeviceRequest, DeviceResponse, RawDocument, Refusal, Timestamp, VerifiedAccess,
    key_hash,
};
use aliro::keys::PersistentKey;
use aliro::reader::Authenticated;
use latchkey_protocol::api::events::Means;
use latchkey_protocol::doorlink::Subject;
use latchkey_protocol::grant::asked_elements;
use latchkey_protocol::ids::AttemptId;
use latchkey_protocol::private::Wants;
use latchkey_protocol::rules::Reason;

use super::gesture::Ruling;
use super::known::Acquaintance;
use super::{Door, DoorError, Gesture, Inner, Settled, raise_bound};
use crate::engine::{self, GrantFacts, Granted, UsesOfTurn};
use crate::store::{
    CachedDocument, cached_document, forget_document, forget_phone, keep_document, keep_iterations,
    save_clock,
};

/// A phone's commit: its holder wants in.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// The credential that was proved.
    pub(crate) credential: PublicKey,
    /// The gesture.
    pub(crate) attempt: AttemptId,
    /// Unanswered ones that it takes the place of.
    pub(crate) replaces: Vec<AttemptId>,
    /// What carries it.
    pub(crate) means: Means,
    /// Why the document that the phone gave is not believed, if it gave one.
    pub(crate) refusal: Option<Reason>,
    /// By what it may be known next time, if it has signed.
    pub(crate) fresh: Option<PersistentKey>,
}

impl Door {
    /// The DeviceRequest to send: when the credential is not known here, or the phone holds a newer
    /// document than the door does.
    pub(crate) async fn asks_for_document(
        self: &Arc<Self>,
        device: &Authenticated,
    ) -> Result<Option<Vec<u8>>, DoorError> {
        let device = device.clone();
        self.run(move |door| {
            let inner = door.lock();
            let known = cached_document(inner.store.read(), &key_hash(&device.credential))?;
            Ok(holds_newer(&device, known.as_ref()).then(|| {
                DeviceRequest {
                    access: asked_elements(door.installed.number),
                    revocation: Vec::new(),
                }
                .encode()
            }))
        })
        .await
    }

    /// Whether a phone that the fast phase knows need not sign: its newest document is kept here and stands
    /// at this moment, and nothing of what it says about this door is withdrawn. What that opens is decided at
    /// the commit, as for everybody.
    pub(crate) async fn vouches_for(
        self: &Arc<Self>,
        device: &Authenticated,
    ) -> Result<bool, DoorError> {
        let device = device.clone();
        self.run(move |door| {
            let mut inner = door.lock();
            let credential = key_hash(&device.credential);
            let known = cached_document(inner.store.read(), &credential)?;
            if holds_newer(&device, known.as_ref()) {
                return Ok(false);
            }
            let document = known.and_then(|known| RawDocument::decode(&known.document).ok());
            let granted =
                document.map(|d| door.judge(&inner, &device.credential, &d, UsesOfTurn::default()));
            let stands = match granted {
                None | Some(Err(_)) => false,
                Some(Ok(granted)) => !matches!(
                    granted.counted.decision.reason(),
                    Some(Reason::Revoked | Reason::KeyChanged)
                ),
            };
            if !stands {
                inner
                    .store
                    .write(|tx| Ok::<_, DoorError>(forget_phone(tx, &credential)?))?;
                door.phones_changed(&inner)?;
            }
            Ok(stands)
        })
        .await
    }

    /// Whether this credential has shown a grant here before, and it still stands in the store.
    pub(crate) async fn remembers(
        self: &Arc<Self>,
        credential: PublicKey,
    ) -> Result<bool, DoorError> {
        self.run(move |door| {
            let inner = door.lock();
            Ok(cached_document(inner.store.read(), &key_hash(&credential))?.is_some())
        })
        .await
    }

    /// Takes what the phone answered. A document that holds together is kept in place of an older
    /// one; else the reason why it is not believed.
    pub(crate) async fn take_documents(
        self: &Arc<Self>,
        credential: PublicKey,
        response: Vec<u8>,
    ) -> Result<Option<Reason>, DoorError> {
        self.run(move |door| {
            let Ok(response) = DeviceResponse::decode(&response) else {
                return Ok(Some(Reason::Unknown));
            };
            let Some(document) = response.document(ACCESS) else {
                // Nothing of what this door asked for.
                return Ok(Some(Reason::WrongDoor));
            };
            let mut inner = door.lock();
            match door.verify(&inner, &credential, document) {
                Ok(verified) => {
                    door.keep(&mut inner, &credential, document, &verified)?;
                    Ok(None)
                }
                Err(refusal) => {
                    tracing::info!(%refusal, "a document that is not believed");
                    Ok(Some(engine::reason_of(refusal)))
                }
            }
        })
        .await
    }

    /// Decides a commit and carries it out.
    pub(crate) async fn commit(self: &Arc<Self>, commit: Commit) -> Result<Settled, DoorError> {
        let credential = key_hash(&commit.credential);
        let gesture = Gesture {
            attempt: Some(commit.attempt),
            replaces: commit.replaces.clone(),
            means: commit.means,
            owner: credential.to_vec(),
            answers_again: true,
        };
        self.settle_with_uses(gesture, self.patience(), move |door, inner, turn| {
            door.rule_phone(inner, &commit, credential, turn)
        })
        .await
    }

    /// What a phone may bring.
    pub(crate) fn wants(&self) -> Wants {
        let inner = self.lock();
        Wants {
            list_after: inner.knowledge.list(),
            statements_after: inner.knowledge.numbers,
        }
    }

    fn rule_phone(
        &self,
        inner: &Inner,
        commit: &Commit,
        credential: [u8; 32],
        turn: UsesOfTurn,
    ) -> Result<Ruling, DoorError> {
        let document = cached_document(inner.store.read(), &credential)?
            .and_then(|cached| RawDocument::decode(&cached.document).ok());
        let granted = match document {
            None if inner
                .knowledge
                .revoked
                .revokes_credential(&commit.credential) =>
            {
                Granted::denied(Reason::Revoked)
            }
            None => Granted::denied(commit.refusal.unwrap_or(Reason::Unknown)),
            Some(document) => self
                .judge(inner, &commit.credential, &document, turn)
                .unwrap_or_else(|refusal| Granted::denied(engine::reason_of(refusal))),
        };
        let remembers = match (&commit.fresh, granted.element) {
            (Some(key), Some(element)) if granted.counted.decision.is_allowed() => {
                Some(Acquaintance {
                    credential: commit.credential,
                    key: key.clone(),
                    element,
                })
            }
            _ => None,
        };
        Ok(Ruling {
            decision: granted.counted.decision,
            subject: Subject::Credential {
                key_hash: credential.to_vec().into(),
                element: granted.element,
            },
            spends: None,
            remembers,
            spends_use: granted.counted.spends,
            lacks_use: granted.counted.lacks,
        })
    }

    /// What the rules say of whoever holds this document, now.
    fn judge(
        &self,
        inner: &Inner,
        credential: &PublicKey,
        document: &RawDocument,
        turn: UsesOfTurn,
    ) -> Result<Granted, Refusal> {
        let access = &self.verify(inner, credential, document)?;
        let facts = GrantFacts { credential, access };
        Ok(engine::decide_grant(&facts, &inner.world(self, turn)))
    }

    fn verify(
        &self,
        inner: &Inner,
        credential: &PublicKey,
        document: &RawDocument,
    ) -> Result<VerifiedAccess, Refusal> {
        engine::verify(
            document,
            credential,
            &inner.knowledge.trusted,
            &inner.knowledge.iterations,
            &inner.world(self, UsesOfTurn::default()),
        )
    }

    fn keep(
        &self,
        inner: &mut Inner,
        credential: &PublicKey,
        document: &RawDocument,
        verified: &VerifiedAccess,
    ) -> Result<(), DoorError> {
        let cached = CachedDocument {
            signed: verified.validity.signed.epoch(),
            valid_until: verified.validity.valid_until.epoch(),
            document: document.as_bytes().to_vec(),
        };
        let hash = key_hash(credential);
        let revoked = inner.knowledge.revoked.revokes_credential(credential);
        let mut iterations = inner.knowledge.iterations.clone();
        let raised = iterations.raise(verified.issuer, verified.validity.iteration);
        raise_bound(
            &mut inner.clock,
            &self.env,
            verified.validity.signed.epoch(),
        );
        let clock = inner.clock_to_save(&self.env);
        inner.store.write(|tx| {
            if revoked {
                forget_document(tx, &hash)?;
            } else {
                keep_document(tx, &hash, &cached)?;
            }
            keep_iterations(tx, &iterations)?;
            save_clock(tx, &clock)?;
            Ok::<_, DoorError>(())
        })?;
        inner.knowledge.iterations = iterations;
        self.phones_changed(inner)?;
        if raised {
            self.state_changed();
        }
        Ok(())
    }
}

/// Whether the phone says that it has a document which is newer than the one that is kept here.
fn holds_newer(device: &Authenticated, known: Option<&CachedDocument>) -> bool {
    if !device.signaling.contains(Signaling::ACCESS_DOCUMENT) {
        return false;
    }
    let held = device.access_signed.and_then(|signed| timestamp(&signed));
    match (known, held) {
        (Some(known), Some(held)) => known.signed < held.epoch(),
        _ => true,
    }
}

fn timestamp(text: &[u8]) -> Option<Timestamp> {
    Timestamp::parse(std::str::from_utf8(text).ok()?).ok()
}
