//! This phone's keys at a property: made, proved and registered once, the access credential and the code
//! key apart.

use ::http::Method;
use aliro::crypto::PublicKey;
use latchkey_protocol::api::auth::{
    CredentialChallenge, CredentialUse, RegisterCredential, RegisteredCredential,
};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::PropertyId;
use latchkey_protocol::proof::{CredentialProof, KeyKind, Registrant};

use crate::context::Context;
use crate::error::Error;
use crate::keys::{KeyUse, Protection};
use crate::portal::{Call, PortalClient};
use crate::sign_in::{json, label_of};
use crate::wallet::CredentialRecord;

/// Sees to it that both keys are registered.
pub(crate) async fn register(
    context: &Context,
    portal: &PortalClient,
    property: PropertyId,
) -> Result<(), Error> {
    for usage in [CredentialUse::Access, CredentialUse::Code] {
        ensure(context, portal, property, usage).await?;
    }
    Ok(())
}

async fn ensure(
    context: &Context,
    portal: &PortalClient,
    property: PropertyId,
    usage: CredentialUse,
) -> Result<(), Error> {
    let (row, record) = context
        .shared
        .wallet
        .read(|tx| Ok::<_, Error>((tx.property_id(property), tx.credential(property, usage)?)))?;
    let (word, key_use) = match usage {
        CredentialUse::Access => ("access", KeyUse::Access),
        CredentialUse::Code => ("code", KeyUse::Code),
    };
    let label = label_of(word, &row);
    let keys = &context.shared.keys;
    let held = keys.public_key(&label).await?;
    if let (Some(record), Some(held)) = (&record, &held)
        && record.public_key.0 == held
    {
        return Ok(());
    }
    let public = match held {
        Some(held) => held,
        None => keys.create(&label, key_use).await?,
    };
    let registered = match prove(context, portal, property, usage, &label, &public).await {
        Err(Error::Refused(problem)) if problem.problem_type() == Some(ProblemType::Conflict) => {
            // Registered before, and the answer was lost, or somebody else's: a fresh key is neither.
            let public = keys.create(&label, key_use).await?;
            let registered = prove(context, portal, property, usage, &label, &public).await?;
            (registered, public)
        }
        registered => (registered?, public),
    };
    let record = CredentialRecord {
        credential: registered.0.credential,
        label,
        public_key: Base64(registered.1.to_vec()),
    };
    context.shared.wallet.write(|tx| {
        if usage == CredentialUse::Access {
            // Doors knew the phone by the credential before.
            tx.delete_readers(property)?;
        }
        Ok(tx.put_credential(property, usage, &record)?)
    })
}

async fn prove(
    context: &Context,
    portal: &PortalClient,
    property: PropertyId,
    usage: CredentialUse,
    label: &str,
    public: &[u8; 65],
) -> Result<RegisteredCredential, Error> {
    let path = format!("/v1/properties/{property}/credentials");
    let challenge: CredentialChallenge = portal
        .call(&Call::write(
            Method::POST,
            format!("{path}/challenge"),
            None,
            portal.idempotency_key(),
        ))
        .await?;
    let unreadable = |error: &dyn std::fmt::Display| Error::BadAnswer(error.to_string());
    let proof = CredentialProof {
        property,
        kind: match usage {
            CredentialUse::Access => KeyKind::AccessCredential,
            CredentialUse::Code => KeyKind::CodeKey,
        },
        registrant: Registrant::Account(portal.account()?),
        nonce: challenge.nonce.to_array().map_err(|e| unreadable(&e))?,
        key: PublicKey::from_uncompressed(public).map_err(|e| unreadable(&e))?,
    };
    let keys = &context.shared.keys;
    let signature = keys.sign(label, &proof.to_be_signed()).await?;
    let request = RegisterCredential {
        usage,
        public_key: Base64(public.to_vec()),
        nonce: challenge.nonce,
        signature: Base64(signature.to_vec()),
        hardware: keys.protection() == Protection::Hardware,
    };
    portal
        .call(&Call::write(
            Method::POST,
            path,
            Some(json(&request)?),
            portal.idempotency_key(),
        ))
        .await
}
