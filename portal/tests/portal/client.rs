//! A phone as the portal sees it: an account key, DPoP proofs, tokens.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_env::{SystemRandom, random_array};
use latchkey_protocol::api::auth::{CredentialChallenge, Me, RegisteredCredential};
use latchkey_protocol::api::problem::Problem;
use latchkey_protocol::api::sync::SyncPage;
use latchkey_protocol::ids::{AccountId, CredentialId, PropertyId};
use latchkey_protocol::proof::{CredentialProof, KeyKind, Registrant};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::World;

/// A P-256 key in software.
pub(crate) struct Key(EcdsaKeyPair);

impl Key {
    pub(crate) fn new() -> Self {
        let random = ring::rand::SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    pub(crate) fn public(&self) -> [u8; 65] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    pub(crate) fn point(&self) -> aliro::crypto::PublicKey {
        aliro::crypto::PublicKey::from_uncompressed(&self.public()).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self
            .0
            .sign(&ring::rand::SystemRandom::new(), message)
            .unwrap();
        signature.as_ref().try_into().unwrap()
    }
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok<T: DeserializeOwned>(&self) -> T {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The slug of the problem that it must be.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert!(!self.status.is_success(), "no problem: {}", self.text());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status.as_u16());
        assert!(problem.problem_type().is_some(), "{}", problem.kind);
        problem.kind.rsplit('/').next().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A phone.
pub(crate) struct Device {
    http: reqwest::Client,
    base: String,
    pub(crate) key: Key,
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) account: AccountId,
    nonce: Mutex<Option<String>>,
    counter: AtomicU64,
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Device {
    pub(crate) fn new(base: &str) -> Self {
        Self {
            http: http(),
            base: base.to_owned(),
            key: Key::new(),
            access: String::new(),
            refresh: String::new(),
            account: AccountId([0; 16]),
            nonce: Mutex::new(None),
            counter: AtomicU64::new(0),
        }
    }

    /// One that comes from another address of this machine.
    #[cfg(target_os = "linux")]
    pub(crate) fn from_address(base: &str, address: [u8; 4]) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .local_address(std::net::IpAddr::from(address))
            .build();
        Self {
            http: http.unwrap(),
            ..Self::new(base)
        }
    }

    pub(crate) fn move_to(&mut self, base: &str) {
        self.base = base.to_owned();
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) async fn sign_in(&mut self, world: &World, email: &str) {
        let seen = world.mail.len();
        let id = self.ask_for_code(email).await;
        let code = code_in(&world.mail.next_to(email, seen).await.body);
        let answer = self.confirm(&id, &code).await;
        self.take(&answer);
    }

    pub(crate) async fn ask_for_code(&self, email: &str) -> String {
        let answer = self
            .bare(Method::POST, "/v1/sign-in", Some(json!({ "email": email })))
            .await;
        answer.ok::<Value>()["sign_in"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn confirm(&self, id: &str, code: &str) -> Answer {
        let body = json!({ "code": code, "device_name": "Test phone" });
        self.proven(Method::POST, &format!("/v1/sign-in/{id}"), body)
            .await
    }

    pub(crate) async fn refresh_with(&self, token: &str) -> Answer {
        self.try_refresh_with(token).await.unwrap()
    }

    /// The same at a portal that may be gone before it answers.
    pub(crate) async fn try_refresh_with(&self, token: &str) -> Option<Answer> {
        self.try_proven(Method::POST, "/v1/token", json!({ "refresh_token": token }))
            .await
    }

    /// Keeps the tokens of an answer.
    #[track_caller]
    pub(crate) fn take(&mut self, answer: &Answer) {
        let tokens: Value = answer.ok();
        self.access = tokens["access_token"].as_str().unwrap().to_owned();
        self.refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
        self.account = tokens["account"].as_str().unwrap().parse().unwrap();
    }

    /// A request without any sign of who asks.
    pub(crate) async fn bare(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, body, HeaderMap::new()).await
    }

    /// A request with the key's proof alone.
    async fn proven(&self, method: Method, path: &str, body: Value) -> Answer {
        self.try_proven(method, path, body).await.unwrap()
    }

    async fn try_proven(&self, method: Method, path: &str, body: Value) -> Option<Answer> {
        loop {
            let headers = self.proof_headers(&method, path, None);
            let answer = self
                .try_send(method.clone(), path, Some(body.clone()), headers)
                .await?;
            if answer.status != StatusCode::UNAUTHORIZED || answer.problem() != "use-dpop-nonce" {
                return Some(answer);
            }
        }
    }

    /// A signed-in request; a write gets an idempotency key of its own.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let key = format!("test-{}", hex::encode(random_array::<8>(&SystemRandom)));
        self.call_with_key(method, path, body, Some(&key)).await
    }

    pub(crate) async fn call_with_key(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Answer {
        self.try_call_with_key(method, path, body, key)
            .await
            .unwrap()
    }

    /// The same at a portal that may be gone before it answers.
    pub(crate) async fn try_call_with_key(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Option<Answer> {
        loop {
            let mut headers = self.proof_headers(&method, path, Some(&self.access));
            if let Some(key) = key.filter(|_| method != Method::GET) {
                headers.insert("idempotency-key", key.parse().unwrap());
            }
            let answer = self
                .try_send(method.clone(), path, body.clone(), headers)
                .await?;
            if answer.status != StatusCode::UNAUTHORIZED || answer.problem() != "use-dpop-nonce" {
                return Some(answer);
            }
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: HeaderMap,
    ) -> Answer {
        self.try_send(method, path, body, headers).await.unwrap()
    }

    /// None when no whole answer comes.
    async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: HeaderMap,
    ) -> Option<Answer> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .headers(headers);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(nonce) = headers.get("dpop-nonce") {
            *self.nonce.lock().unwrap() = Some(nonce.to_str().unwrap().to_owned());
        }
        Some(Answer {
            status,
            headers,
            body: response.bytes().await.ok()?.to_vec(),
        })
    }

    /// Authorization and DPoP for a request, with the latest nonce.
    pub(crate) fn proof_headers(
        &self,
        method: &Method,
        path: &str,
        token: Option<&str>,
    ) -> HeaderMap {
        let nonce = self.nonce.lock().unwrap().clone();
        let path = path.split('?').next().unwrap();
        let url = format!("{}{path}", self.base);
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert("authorization", format!("DPoP {token}").parse().unwrap());
        }
        let proof = self.proof(&claims(
            method.as_str(),
            &url,
            token,
            nonce.as_deref(),
            &self.id(),
        ));
        headers.insert("dpop", proof.parse().unwrap());
        headers
    }

    fn id(&self) -> String {
        format!("proof-{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// A proof with these claims.
    pub(crate) fn proof(&self, claims: &Value) -> String {
        let public = self.key.public();
        let jwk = json!({
            "kty": "EC",
            "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(&public[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&public[33..]),
        });
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()))
        )
    }

    pub(crate) fn nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap().clone()
    }

    /// Registers a key of this kind at the property.
    pub(crate) async fn register(
        &self,
        world: &World,
        kind: KeyKind,
        key: &Key,
    ) -> RegisteredCredential {
        let request = self.registration(world, kind, key).await;
        self.post(&world.path("/credentials"), request).await.ok()
    }

    /// A registration's body with a fresh nonce and a right signature.
    pub(crate) async fn registration(&self, world: &World, kind: KeyKind, key: &Key) -> Value {
        self.registration_at(world.property, kind, key).await
    }

    pub(crate) async fn registration_at(
        &self,
        property: PropertyId,
        kind: KeyKind,
        key: &Key,
    ) -> Value {
        let path = format!("/v1/properties/{property}/credentials/challenge");
        let challenge: CredentialChallenge = self.call(Method::POST, &path, None).await.ok();
        let proof = CredentialProof {
            property,
            kind,
            registrant: Registrant::Account(self.account),
            nonce: challenge.nonce.to_array().unwrap(),
            key: key.point(),
        };
        json!({
            "use": match kind { KeyKind::AccessCredential => "access", KeyKind::CodeKey => "code" },
            "public_key": URL_SAFE_NO_PAD.encode(key.public()),
            "nonce": challenge.nonce,
            "signature": URL_SAFE_NO_PAD.encode(key.sign(&proof.to_be_signed())),
            "hardware": false,
        })
    }

    pub(crate) async fn me(&self) -> Me {
        self.get("/v1/me").await.ok()
    }

    /// Everything from this cursor on, over all pages.
    pub(crate) async fn sync(&self, world: &World, cursor: Option<&str>) -> SyncPage {
        self.sync_at(world.property, cursor).await
    }

    pub(crate) async fn sync_at(&self, property: PropertyId, cursor: Option<&str>) -> SyncPage {
        let mut all: Option<SyncPage> = None;
        let mut cursor = cursor.map(str::to_owned);
        loop {
            let query = cursor.map_or_else(String::new, |cursor| format!("?cursor={cursor}"));
            let page: SyncPage = self
                .get(&format!("/v1/properties/{property}/sync{query}"))
                .await
                .ok();
            let more = page.more;
            cursor = Some(page.cursor.clone());
            match &mut all {
                Some(all) => {
                    all.changes.extend(page.changes);
                    all.cursor = page.cursor;
                    all.more = more;
                }
                None => all = Some(page),
            }
            if !more {
                return all.unwrap();
            }
        }
    }
}

pub(crate) fn claims(
    method: &str,
    url: &str,
    token: Option<&str>,
    nonce: Option<&str>,
    id: &str,
) -> Value {
    let mut claims = json!({ "jti": id, "htm": method, "htu": url, "iat": 1 });
    if let Some(token) = token {
        let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
        claims["ath"] = URL_SAFE_NO_PAD.encode(hash).into();
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    claims
}

/// The six digits of a letter.
pub(crate) fn code_in(body: &str) -> String {
    body.rsplit(' ').next().unwrap().to_owned()
}

/// A credential's id as the change log writes it.
pub(crate) fn grant_id(credential: CredentialId, index: u16) -> String {
    format!("{credential}.{index}")
}
