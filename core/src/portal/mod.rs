//! Talking to a portal over HTTP.
//!
//! Each request carries a DPoP proof by the account key; the portal's nonce comes with its answers. A
//! request that changes something carries an idempotency key and may so be repeated when its answer was
//! lost; nothing else is. Time limits run on the clock that is passed in.

pub mod address;
pub mod answer;
pub mod clock;
mod dpop;
mod http;
mod tokens;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, Method};
use latchkey_env::{Backoff, Clock as _, SharedClock, SharedRandom, random_array, sleep, timeout};
use latchkey_protocol::api::IDEMPOTENCY_KEY;
use latchkey_protocol::api::problem::{Problem, ProblemType};
use latchkey_protocol::bytes::Base64;
use serde::de::DeserializeOwned;

pub(crate) use address::PortalAddress;
use answer::Answer;
pub(crate) use clock::PortalClock;
use dpop::Proof;
pub(crate) use http::{client as http_client, tls_config};

use crate::error::Error;
use crate::keys::DeviceKeys;
use crate::wallet::{RowId, Wallet};

/// For an answer that the portal does not hold back on purpose.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of an answer, unpacked. A page of the sync has at most 200 changes, or bundles of together four megabytes.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;

/// How often a request that may be repeated is sent in all.
const ATTEMPTS: u32 = 3;

/// What every portal's client shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) keys: Arc<dyn DeviceKeys>,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
    pub(crate) http: reqwest::Client,
}

/// A client of one portal.
pub(crate) struct PortalClient {
    pub(crate) id: RowId,
    pub(crate) address: PortalAddress,
    pub(crate) clock: PortalClock,
    shared: Shared,
    account_label: String,
    nonce: Mutex<Option<String>>,
    refreshing: tokio::sync::Mutex<()>,
}

/// How a request says who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// Not at all.
    Nobody,
    /// By a proof of the account key.
    Proof,
    /// By an access token, and a proof of the key that it is bound to.
    Token,
}

/// A request.
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Option<serde_json::Value>,
    idempotency_key: Option<String>,
    identity: Identity,
    patience: Duration,
}

impl Call {
    /// Reads something below the portal's address.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            idempotency_key: None,
            identity: Identity::Token,
            patience: PATIENCE,
        }
    }

    /// Changes something, once however often it is sent with this key.
    pub(crate) fn write(
        method: Method,
        path: impl Into<String>,
        body: Option<serde_json::Value>,
        idempotency_key: String,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            body,
            idempotency_key: Some(idempotency_key),
            identity: Identity::Token,
            patience: PATIENCE,
        }
    }

    /// Without a sign-in.
    pub(crate) fn by_nobody(mut self) -> Self {
        self.identity = Identity::Nobody;
        self
    }

    /// With the account key's proof alone.
    pub(crate) fn by_proof(mut self) -> Self {
        self.identity = Identity::Proof;
        self
    }

    /// For an answer that the portal may hold back this long.
    pub(crate) fn held_back(mut self, wait: Duration) -> Self {
        self.patience += wait;
        self
    }

    /// Whether sending it twice does no more than sending it once.
    fn may_be_repeated(&self) -> bool {
        self.method.is_safe() || self.idempotency_key.is_some()
    }
}

impl PortalClient {
    pub(crate) fn new(
        shared: Shared,
        id: RowId,
        address: PortalAddress,
        account_label: String,
        clock_offset: chrono::TimeDelta,
    ) -> Self {
        Self {
            id,
            address,
            clock: PortalClock::new(shared.clock.clone(), clock_offset),
            shared,
            account_label,
            nonce: Mutex::new(None),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    /// A new idempotency key.
    pub(crate) fn idempotency_key(&self) -> String {
        Base64(random_array::<16>(&*self.shared.random).to_vec()).to_text()
    }

    /// Sends a request and reads the answer's JSON.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        self.send(call).await?.json()
    }

    /// Sends a request, with a token that counts where it needs one.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        if call.identity != Identity::Token {
            return self.send_as(call, None).await;
        }
        let token = self.access_token().await?;
        match self.send_as(call, Some(&token)).await {
            Err(Error::Refused(problem))
                if problem.problem_type() == Some(ProblemType::NotSignedIn) =>
            {
                let token = self.refreshed_token(&token).await?;
                match self.send_as(call, Some(&token)).await {
                    Err(Error::Refused(problem))
                        if problem.problem_type() == Some(ProblemType::NotSignedIn) =>
                    {
                        Err(Error::NotSignedIn)
                    }
                    other => other,
                }
            }
            other => other,
        }
    }

    /// Headers for an upgrade to a WebSocket, where a lost answer is simply tried again by the caller.
    pub(crate) async fn upgrade_headers(&self, path: &str) -> Result<HeaderMap, Error> {
        let token = self.access_token().await?;
        self.headers(&Call::get(path), Some(&token)).await
    }

    /// Keeps the nonce that came with an answer.
    pub(crate) fn keep_nonce(&self, headers: &HeaderMap) {
        let nonce = headers.get("dpop-nonce").and_then(|n| n.to_str().ok());
        if let Some(nonce) = nonce {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.to_owned());
        }
    }

    /// Sends a request until it is answered for good: again at once with the portal's nonce, again after a
    /// while when it got lost and may be repeated.
    async fn send_as(&self, call: &Call, token: Option<&str>) -> Result<Answer, Error> {
        let mut backoff = Backoff::new(Duration::from_millis(300), Duration::from_secs(3));
        let mut proved_again = false;
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(call, token).await;
            let lost = match outcome {
                Ok(answer) => match answer.problem() {
                    None => return Ok(answer),
                    Some(problem) if !proved_again && wants_new_proof(&problem) => {
                        proved_again = true;
                        continue;
                    }
                    Some(problem) if is_passing(&problem) => Lost::Refused(problem),
                    Some(problem) => return Err(Error::Refused(problem)),
                },
                Err(lost) => lost,
            };
            let repeat = matches!(lost, Lost::Answer(_) | Lost::Refused(_))
                && call.may_be_repeated()
                && attempt < ATTEMPTS;
            if !repeat {
                return Err(lost.into());
            }
            tracing::debug!(
                path = call.path,
                attempt,
                "no answer that counts, sent again"
            );
            attempt += 1;
            sleep(&*self.shared.clock, backoff.next_wait(&*self.shared.random)).await;
        }
    }

    async fn attempt(&self, call: &Call, token: Option<&str>) -> Result<Answer, Lost> {
        let headers = self.headers(call, token).await.map_err(Lost::Local)?;
        let mut request = self
            .shared
            .http
            .request(
                call.method.clone(),
                format!("{}{}", self.address.as_str(), call.path),
            )
            .headers(headers);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let sent_at = self.shared.clock.monotonic();
        let answer = timeout(&*self.shared.clock, call.patience, async {
            let response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = whole(response).await?;
            Ok::<_, reqwest::Error>((status, headers, body))
        })
        .await;
        let (status, headers, body) = match answer {
            Ok(Ok((status, headers, Some(body)))) => (status, headers, body),
            Ok(Ok((_, _, None))) => {
                let too_long = format!("more than {LONGEST_ANSWER} bytes");
                return Err(Lost::Local(Error::BadAnswer(too_long)));
            }
            Ok(Err(error)) if error.is_connect() => return Err(Lost::Request(cause(&error))),
            Ok(Err(error)) => return Err(Lost::Answer(cause(&error))),
            Err(elapsed) => return Err(Lost::Answer(elapsed.to_string())),
        };
        self.keep_nonce(&headers);
        let round_trip = self.shared.clock.monotonic().saturating_sub(sent_at);
        Ok(Answer::new(status, body, round_trip))
    }

    async fn headers(&self, call: &Call, token: Option<&str>) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: String| {
            let value = value
                .parse()
                .map_err(|_| Error::BadAnswer(format!("{name} cannot be sent")))?;
            headers.insert(name, value);
            Ok::<_, Error>(())
        };
        if let Some(key) = &call.idempotency_key {
            put(IDEMPOTENCY_KEY, key.clone())?;
        }
        if call.identity == Identity::Nobody {
            return Ok(headers);
        }
        if let Some(token) = token {
            put("authorization", format!("DPoP {token}"))?;
        }
        let path = call.path.split('?').next().unwrap_or_default();
        let nonce = self
            .nonce
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let proof = Proof {
            method: call.method.as_str(),
            url: &format!("{}{path}", self.address.as_str()),
            access_token: token,
            nonce: nonce.as_deref(),
            id: random_array(&*self.shared.random),
            at: self.clock.now(),
        };
        put(
            "dpop",
            proof.sign(&*self.shared.keys, &self.account_label).await?,
        )?;
        Ok(headers)
    }
}

/// Why a request has no answer that counts.
enum Lost {
    /// It never reached the portal.
    Request(String),
    /// It may have reached the portal.
    Answer(String),
    /// The portal, or what stands before it, is not well at the moment.
    Refused(Problem),
    /// It was never sent, or has an answer that sending it again does not better.
    Local(Error),
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Request(cause) | Lost::Answer(cause) => Self::Offline(cause),
            Lost::Refused(problem) if problem.problem_type().is_none() => {
                Self::Offline(problem.title)
            }
            Lost::Refused(problem) => Self::Refused(problem),
            Lost::Local(error) => error,
        }
    }
}

/// The body, unpacked piece by piece; none when it is longer than any answer of a portal, which may have come in a few
/// packed bytes.
async fn whole(mut response: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

/// Whether the same request with a new proof may be accepted.
fn wants_new_proof(problem: &Problem) -> bool {
    problem.problem_type() == Some(ProblemType::UseDpopNonce)
}

/// Whether the same request may be accepted a little later.
fn is_passing(problem: &Problem) -> bool {
    match problem.problem_type() {
        Some(
            ProblemType::SignerUnavailable | ProblemType::StoreUnavailable | ProblemType::Full,
        ) => true,
        // The portal has spoken.
        Some(_) => false,
        None => matches!(problem.status, 502..=504),
    }
}

/// The innermost cause: reqwest's own text names the address only.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
