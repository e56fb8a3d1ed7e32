//! Signing in at a portal, and out again.

use std::sync::Arc;

use ::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use latchkey_protocol::api::auth::{SignInConfirm, SignInRequest, SignInStarted, Tokens};
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::keys::KeyUse;
use crate::portal::{Call, PortalAddress, PortalClient};
use crate::wallet::PortalRecord;

/// A sign-in that waits for the code from the e-mail. Not secret; may be kept over a restart of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSignIn {
    /// Where.
    pub portal_url: String,
    /// Who.
    pub email: String,
    /// The portal's name for it.
    pub sign_in: String,
    /// When the code stops counting, by the portal's clock.
    pub expires_at: DateTime<Utc>,
}

/// Asks the portal to send a code.
pub(crate) async fn start(
    context: &Context,
    portal_url: &str,
    email: &str,
) -> Result<PendingSignIn, Error> {
    let address = PortalAddress::parse(portal_url)?;
    let client = client_at(context, &address)?;
    let request = SignInRequest {
        email: email.trim().to_owned(),
    };
    let call = Call::write(
        Method::POST,
        "/v1/sign-in",
        Some(json(&request)?),
        client.idempotency_key(),
    )
    .by_nobody();
    let started: SignInStarted = client.call(&call).await?;
    Ok(PendingSignIn {
        portal_url: address.as_str().to_owned(),
        email: request.email,
        sign_in: started.sign_in,
        expires_at: started.expires_at,
    })
}

/// Hands in the code, registers this device, and keeps the tokens.
pub(crate) async fn finish(
    context: &Context,
    pending: &PendingSignIn,
    code: &str,
    device_name: &str,
) -> Result<Arc<PortalClient>, Error> {
    let address = PortalAddress::parse(&pending.portal_url)?;
    let client = client_at(context, &address)?;
    let keys = &context.shared.keys;
    let label = account_label(&client);
    if keys.public_key(&label).await?.is_none() {
        keys.create(&label, KeyUse::Account).await?;
    }
    let confirm = SignInConfirm {
        code: code.trim().to_owned(),
        device_name: device_name.to_owned(),
    };
    let call = Call::write(
        Method::POST,
        format!("/v1/sign-in/{}", pending.sign_in),
        Some(json(&confirm)?),
        client.idempotency_key(),
    )
    .by_proof();
    let tokens: Tokens = client.call(&call).await?;
    context.shared.wallet.write(|tx| {
        let known = tx.portal(client.id)?;
        let before = known.as_ref().and_then(|record| record.tokens.as_ref());
        let same_account = before.is_some_and(|before| before.account == tokens.account);
        let same_email = known.as_ref().is_some_and(|r| r.email == pending.email);
        if known.is_some() && !same_account && !same_email {
            // Somebody else signs in: what the one before held is not theirs.
            tx.delete_portal(client.id)?;
        }
        tx.put_portal(&PortalRecord {
            url: address.as_str().to_owned(),
            email: pending.email.clone(),
            account_label: label.clone(),
            tokens: None,
            clock_offset_ms: known.map_or(0, |record| record.clock_offset_ms),
        })?;
        Ok::<_, Error>(())
    })?;
    client.keep_tokens(Some(tokens))?;
    context.adopt(client.clone());
    Ok(client)
}

/// Forgets a portal: tokens, keys, and all that came from it. The device's keys go from the keystore; the
/// portal is told when it can be reached. Grants that doors may still honour are of no use without the
/// keys.
pub(crate) async fn sign_out(context: &Context, portal_url: &str) -> Result<(), Error> {
    let address = PortalAddress::parse(portal_url)?;
    let client = client_at(context, &address)?;
    let end = Call::write(
        Method::DELETE,
        "/v1/session",
        None,
        client.idempotency_key(),
    );
    if let Err(error) = client.send(&end).await {
        tracing::debug!(%error, "signed out here without the portal");
    }
    let wallet = &context.shared.wallet;
    let labels = wallet.read(|tx| {
        let id = tx.portal_id(address.as_str());
        let record = tx.portal(id)?.ok_or(Error::NotSignedIn)?;
        let mut labels = vec![record.account_label];
        for property in tx.properties()? {
            if property.portal == id {
                labels.extend(tx.credential_labels(property.membership.property)?);
            }
        }
        Ok::<_, Error>(labels)
    })?;
    let id = wallet.write(|tx| {
        let id = tx.portal_id(address.as_str());
        tx.delete_portal(id)?;
        Ok::<_, Error>(id)
    })?;
    context.forget(id);
    for label in labels {
        context.shared.keys.delete(&label).await?;
    }
    Ok(())
}

fn client_at(context: &Context, address: &PortalAddress) -> Result<Arc<PortalClient>, Error> {
    let (id, record) = context.shared.wallet.read(|tx| {
        let id = tx.portal_id(address.as_str());
        Ok::<_, Error>((id, tx.portal(id)?))
    })?;
    if record.is_some() {
        return context.portal(id);
    }
    let client = PortalClient::new(
        context.shared.clone(),
        id,
        address.clone(),
        label_of("account", &id),
        TimeDelta::zero(),
    );
    Ok(Arc::new(client))
}

fn account_label(client: &PortalClient) -> String {
    label_of("account", &client.id)
}

/// A key's name in the keystore: the row's id, so that the keystore's list of names says nothing.
pub(crate) fn label_of(usage: &str, row: &crate::wallet::RowId) -> String {
    format!("latchkey.{usage}.{}", hex::encode(row))
}

pub(crate) fn json(value: &impl Serialize) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::BadAnswer(error.to_string()))
}
