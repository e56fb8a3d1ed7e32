//! How a controller with a network joins a property: it lays its offer before the portal and waits
//! until an installer, who has scanned its code, has installed it.

use std::time::Duration;

use latchkey_env::{Backoff, sleep, timeout};
use latchkey_protocol::api::doors::{ControllerOffer, InstalledController};
use latchkey_protocol::bytes::Base64;
use reqwest::StatusCode;
use url::Url;

use crate::controller::{Controller, InstallError, Installation};
use crate::door::DoorError;
use crate::env::Env;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often the portal is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// After so many questions the offer is laid before the portal again, which forgets it in an hour.
const ASKS_AN_OFFER: u32 = 600;

/// The longest wait while the portal cannot be reached.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why waiting for an installer came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// TLS could not be set up.
    #[error("TLS")]
    Tls(#[from] rustls::Error),
    /// The portal's address is none.
    #[error("the portal's address")]
    Address(#[from] url::ParseError),
    /// The HTTP client could not be made.
    #[error("HTTP")]
    Http(#[from] reqwest::Error),
    /// The portal refused the offer.
    #[error("the portal refuses this controller's offer ({0})")]
    Refused(StatusCode),
    /// What came is no package for this controller.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The controller itself failed.
    #[error(transparent)]
    Door(#[from] DoorError),
}

/// Offers the controller and waits, for as long as it takes, until it is installed.
///
/// # Errors
/// [`WaitError`]; a portal out of reach is none.
pub async fn wait_for_installer(
    controller: &mut Controller,
    portal: &Url,
) -> Result<Installation, WaitError> {
    let env = controller.env().clone();
    let portal = Portal::new(portal)?;
    let mut backoff = Backoff::new(ASK_EVERY, LONGEST_WAIT);
    loop {
        let offer = controller.offer()?.to_bytes();
        match portal.offer(&env, offer).await? {
            Answer::Yes(()) => {}
            Answer::NotYet => {
                sleep(&env.clock, backoff.next_wait(&env.random)).await;
                continue;
            }
        }
        backoff.reset();
        for _ in 0..ASKS_AN_OFFER {
            if let Answer::Yes(package) =
                portal.package(&env, &controller.code().to_string()).await?
            {
                return Ok(controller.install(&package)?);
            }
            sleep(&env.clock, ASK_EVERY).await;
        }
    }
}

enum Answer<T> {
    Yes(T),
    NotYet,
}

struct Portal {
    client: reqwest::Client,
    commissioning: Url,
}

impl Portal {
    fn new(portal: &Url) -> Result<Self, WaitError> {
        let tls = crate::link::tls()?;
        Ok(Self {
            client: reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .build()?,
            commissioning: portal.join("/v1/commissioning")?,
        })
    }

    async fn offer(&self, env: &Env, offer: Vec<u8>) -> Result<Answer<()>, WaitError> {
        let request = self
            .client
            .post(self.commissioning.clone())
            // The same controller's offer, again or anew: the portal keeps the latest.
            .header("idempotency-key", hex::encode(env.random::<16>()))
            .json(&ControllerOffer {
                offer: Base64(offer),
            });
        match timeout(&env.clock, PATIENCE, request.send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(Answer::Yes(())),
            Ok(Ok(answer)) if answer.status().is_client_error() && !is_passing(answer.status()) => {
                Err(WaitError::Refused(answer.status()))
            }
            _ => Ok(Answer::NotYet),
        }
    }

    async fn package(&self, env: &Env, code: &str) -> Result<Answer<String>, WaitError> {
        let mut address = self.commissioning.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.push(code);
        }
        let work = async {
            let answer = self.client.get(address).send().await?;
            if !answer.status().is_success() {
                return Ok(None);
            }
            answer.json::<InstalledController>().await.map(Some)
        };
        Ok(match timeout(&env.clock, PATIENCE, work).await {
            Ok(Ok(Some(installed))) => Answer::Yes(installed.package.to_string()),
            Ok(Ok(None)) | Err(_) => Answer::NotYet,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the portal did not answer");
                Answer::NotYet
            }
        })
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    )
}
