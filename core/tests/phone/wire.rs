//! A portal's wire in a test's hand: real HTTP, proofs of possession really checked, tokens that rotate,
//! answers that get lost where the test says so.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_env::{Clock as _, VirtualClock};
use latchkey_protocol::api::auth::{
    CredentialChallenge, CredentialUse, Me, Membership, RegisterCredential, RegisteredCredential,
    SignInStarted, Tokens,
};
use latchkey_protocol::api::problem::{MEDIA_TYPE, Problem, ProblemType};
use latchkey_protocol::api::sync::{Change, SyncPage};
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::ids::{AccountId, CredentialId, DeviceId, PropertyId};
use latchkey_protocol::proof::{CredentialProof, KeyKind, Registrant};
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const ACCOUNT: AccountId = AccountId([0xAC; 16]);
pub(crate) const CODE: &str = "314159";

/// Something that happens to a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is carried out, and the answer gets lost on the way back.
    AnswerLost,
    /// It never gets there: whoever stands before the portal says that it is down.
    Down,
    /// The portal refuses.
    Refuse(ProblemType),
    /// The answer is this body in this encoding.
    Say(Option<&'static str>, Vec<u8>),
}

pub(crate) struct State {
    clock: VirtualClock,
    base: String,
    pub(crate) nonce: u32,
    jtis: HashSet<String>,
    thumbprint: Option<String>,
    pub(crate) access: Option<String>,
    /// The refresh token that counts, and the one before while the new one was not used.
    refresh: (String, Option<String>),
    minted: u32,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) registered: Vec<RegisterCredential>,
    nonces: HashSet<Vec<u8>>,
    /// Pages by property and cursor; what was asked with another cursor is stale.
    pub(crate) pages: HashMap<(PropertyId, String), SyncPage>,
    /// What happens to the next requests whose path ends like this.
    pub(crate) faults: VecDeque<(&'static str, Fault)>,
    /// Writes that were carried out: method, path, body.
    pub(crate) done: Vec<(String, String, Value)>,
    answered: HashMap<String, (u16, Value)>,
    /// What to answer to writes: by path, the last part.
    pub(crate) answers: HashMap<String, Value>,
    /// All requests as they came: method and path.
    pub(crate) log: Vec<(String, String)>,
}

pub(crate) struct Wire {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

impl Wire {
    pub(crate) async fn new(clock: VirtualClock) -> Self {
        // Not from wiremock's pool, whose servers live on after they are dropped.
        let server = MockServer::builder().start().await;
        let state = Arc::new(Mutex::new(State {
            clock,
            base: server.uri(),
            nonce: 1,
            jtis: HashSet::new(),
            thumbprint: None,
            access: None,
            refresh: (String::new(), None),
            minted: 0,
            memberships: Vec::new(),
            registered: Vec::new(),
            nonces: HashSet::new(),
            pages: HashMap::new(),
            faults: VecDeque::new(),
            done: Vec::new(),
            answered: HashMap::new(),
            answers: HashMap::new(),
            log: Vec::new(),
        }));
        let responder = Responder(state.clone());
        Mock::given(any())
            .respond_with(responder)
            .mount(&server)
            .await;
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.uri()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many requests came whose path ends like this.
    pub(crate) fn count(&self, ending: &str) -> usize {
        let state = self.state();
        let log = state.log.iter();
        log.filter(|(_, path)| path.ends_with(ending)).count()
    }
}

impl State {
    /// The whole of a property in one page, then nothing more.
    pub(crate) fn serve(&mut self, property: PropertyId, changes: Vec<Change>) {
        let now = self.clock.now();
        let page = |changes, cursor: &str| SyncPage {
            changes,
            cursor: cursor.to_owned(),
            more: false,
            server_time: now,
        };
        self.pages
            .insert((property, String::new()), page(changes, "c1"));
        self.pages
            .insert((property, "c1".to_owned()), page(Vec::new(), "c1"));
    }

    /// Phones reach it at this address.
    pub(crate) fn known_as(&mut self, url: &str) {
        url.clone_into(&mut self.base);
    }

    pub(crate) fn fault(&mut self, ending: &'static str, fault: Fault) {
        self.faults.push_back((ending, fault));
    }

    /// The access token ends early, as when the portal has restarted its clock.
    pub(crate) fn end_access(&mut self) {
        self.access = None;
    }
}

struct Responder(Arc<Mutex<State>>);

impl Respond for Responder {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        let path = request.url.path().to_owned();
        state.log.push((request.method.to_string(), path.clone()));
        let fault = match state.faults.front() {
            Some((ending, _)) if path.ends_with(ending) => state.faults.pop_front(),
            _ => None,
        };
        let nonce = format!("nonce-{}", state.nonce);
        let answer = match fault.map(|(_, fault)| fault) {
            Some(Fault::Down) => return ResponseTemplate::new(503),
            Some(Fault::Refuse(kind)) => Err(kind),
            Some(Fault::Say(encoding, body)) => {
                let said = ResponseTemplate::new(200).set_body_raw(body, "application/json");
                return match encoding {
                    Some(encoding) => said.append_header("Content-Encoding", encoding),
                    None => said,
                };
            }
            Some(Fault::AnswerLost) => {
                state.answer(request).unwrap_or_else(|kind| {
                    panic!("{path}: an answer was to be lost, and was {kind:?}")
                });
                return ResponseTemplate::new(502);
            }
            None => state.answer(request),
        };
        match answer {
            Ok((status, body)) => ResponseTemplate::new(status).set_body_json(body),
            Err(kind) => ResponseTemplate::new(kind.status())
                .set_body_raw(serde_json::to_vec(&Problem::new(kind)).unwrap(), MEDIA_TYPE),
        }
        .append_header("DPoP-Nonce", nonce.as_str())
    }
}

type Answer = Result<(u16, Value), ProblemType>;

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let path = request.url.path().to_owned();
        let method = request.method.as_str();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if method != "GET" {
            let key = header(&request.headers, "idempotency-key")
                .ok_or(ProblemType::IdempotencyMissing)?;
            if parts[1..] == ["sign-in"] {
                return Ok((202, json!(self.started())));
            }
            self.prove(request, !matches!(parts[1], "sign-in" | "token"))?;
            if let Some(answered) = self.answered.get(&key) {
                return Ok(answered.clone());
            }
            let answer = self.write(method, &parts, &path, request)?;
            self.answered.insert(key, answer.clone());
            return Ok(answer);
        }
        self.prove(request, true)?;
        match parts[1..] {
            ["me"] => Ok((
                200,
                json!(Me {
                    account: ACCOUNT,
                    email: "rita@example.com".to_owned(),
                    memberships: self.memberships.clone(),
                }),
            )),
            ["properties", property, "sync"] => self.sync(property, request),
            _ => Err(ProblemType::NotFound),
        }
    }

    fn write(&mut self, method: &str, parts: &[&str], path: &str, request: &Request) -> Answer {
        let body: Value = match request.body.as_slice() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).map_err(|_| ProblemType::BadRequest)?,
        };
        match parts[1..] {
            ["sign-in", _] if body["code"] != CODE => Err(ProblemType::WrongCode),
            ["sign-in", _] => Ok((200, json!(self.mint()))),
            ["token"] => self.refresh(&body),
            ["session"] => {
                self.access = None;
                Ok((200, Value::Null))
            }
            ["properties", _, "credentials", "challenge"] => {
                self.minted += 1;
                let nonce = digest(&SHA256, &self.minted.to_be_bytes())
                    .as_ref()
                    .to_vec();
                self.nonces.insert(nonce.clone());
                let expires_at = self.clock.now() + chrono::TimeDelta::minutes(5);
                let nonce = Base64(nonce);
                Ok((200, json!(CredentialChallenge { nonce, expires_at })))
            }
            ["properties", property, "credentials"] => {
                self.register(property.parse().unwrap(), body)
            }
            _ => {
                let last = parts.last().unwrap();
                let answer = self.answers.get(*last).cloned().unwrap_or(Value::Null);
                self.done.push((method.to_owned(), path.to_owned(), body));
                Ok((200, answer))
            }
        }
    }

    fn started(&self) -> SignInStarted {
        SignInStarted {
            sign_in: "s1".to_owned(),
            expires_at: self.clock.now() + chrono::TimeDelta::minutes(10),
        }
    }

    fn mint(&mut self) -> Tokens {
        self.minted += 1;
        let old = std::mem::replace(&mut self.refresh.0, format!("refresh-{}", self.minted));
        self.refresh.1 = Some(old);
        self.access = Some(format!("access-{}", self.minted));
        Tokens {
            access_token: self.access.clone().unwrap(),
            token_type: "DPoP".to_owned(),
            expires_in: 300,
            refresh_token: self.refresh.0.clone(),
            account: ACCOUNT,
            device: DeviceId([1; 16]),
        }
    }

    fn refresh(&mut self, body: &Value) -> Answer {
        let token = body["refresh_token"].as_str().unwrap_or_default();
        if token == self.refresh.0 {
            Ok((200, json!(self.mint())))
        } else if self.refresh.1.as_deref() == Some(token) {
            // The reply was lost: the same key gets another successor.
            self.refresh.0 = token.to_owned();
            Ok((200, json!(self.mint())))
        } else {
            Err(ProblemType::TokenReused)
        }
    }

    fn register(&mut self, property: PropertyId, body: Value) -> Answer {
        let request: RegisterCredential =
            serde_json::from_value(body).map_err(|_| ProblemType::BadRequest)?;
        if !self.nonces.remove(&request.nonce.0) {
            return Err(ProblemType::BadRequest);
        }
        let key = aliro::crypto::PublicKey::from_uncompressed(&request.public_key.0).unwrap();
        CredentialProof {
            property,
            kind: match request.usage {
                CredentialUse::Access => KeyKind::AccessCredential,
                CredentialUse::Code => KeyKind::CodeKey,
            },
            registrant: Registrant::Account(ACCOUNT),
            nonce: request.nonce.to_array().unwrap(),
            key,
        }
        .verify(&aliro::crypto::Signature(
            request.signature.to_array().unwrap(),
        ))
        .map_err(|_| ProblemType::BadProof)?;
        if self
            .registered
            .iter()
            .any(|r| r.public_key == request.public_key)
        {
            return Err(ProblemType::Conflict);
        }
        let credential = credential_id(request.usage);
        self.registered.push(request);
        let passes = Vec::new();
        Ok((201, json!(RegisteredCredential { credential, passes })))
    }

    fn sync(&self, property: &str, request: &Request) -> Answer {
        let property = property.parse().unwrap();
        let cursor = request.url.query_pairs().find(|(name, _)| name == "cursor");
        let cursor = cursor
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        let page = self.pages.get(&(property, cursor));
        let mut page = page.cloned().ok_or(ProblemType::CursorStale)?;
        page.server_time = self.clock.now();
        Ok((200, json!(page)))
    }

    fn prove(&mut self, request: &Request, with_token: bool) -> Result<(), ProblemType> {
        let (method, path) = (request.method.as_str(), request.url.path());
        self.check(method, path, &request.headers, with_token)
    }

    /// For a request that did not come through wiremock.
    pub(crate) fn prove_headers(
        &mut self,
        method: &str,
        path: &str,
        headers: &http::HeaderMap,
    ) -> Result<(), ProblemType> {
        self.check(method, path, headers, true)
    }

    /// RFC 9449, section 4.3.
    fn check(
        &mut self,
        method: &str,
        path: &str,
        headers: &http::HeaderMap,
        with_token: bool,
    ) -> Result<(), ProblemType> {
        let bad = ProblemType::BadProof;
        let proof = header(headers, "dpop").ok_or(bad)?;
        let [head, claims, signature] =
            <[&str; 3]>::try_from(proof.split('.').collect::<Vec<_>>()).map_err(|_| bad)?;
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let (header_part, body) = (read(head), read(claims));
        assert_eq!(
            (&header_part["typ"], &header_part["alg"]),
            (&json!("dpop+jwt"), &json!("ES256"))
        );
        let (key, thumbprint) = jwk(&header_part["jwk"]);
        let signed = format!("{head}.{claims}");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(
                signed.as_bytes(),
                &URL_SAFE_NO_PAD.decode(signature).unwrap(),
            )
            .map_err(|_| bad)?;
        let url = format!("{}{path}", self.base);
        if body["htm"] != method || body["htu"] != url.as_str() {
            return Err(bad);
        }
        if body["nonce"] != format!("nonce-{}", self.nonce).as_str() {
            return Err(ProblemType::UseDpopNonce);
        }
        assert!(
            self.jtis.insert(body["jti"].as_str().unwrap().to_owned()),
            "a proof twice"
        );
        if self.thumbprint.get_or_insert_with(|| thumbprint.clone()) != &thumbprint {
            return Err(bad);
        }
        if !with_token {
            assert!(body.get("ath").is_none());
            return Ok(());
        }
        let token = header(headers, "authorization");
        let token = token.as_deref().and_then(|t| t.strip_prefix("DPoP "));
        let token = token.ok_or(ProblemType::NotSignedIn)?;
        if self.access.as_deref() != Some(token) {
            return Err(ProblemType::NotSignedIn);
        }
        // The successor is used: the one before is dead.
        self.refresh.1 = None;
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
        if body["ath"] != hash.as_str() {
            Err(bad)
        } else {
            Ok(())
        }
    }
}

pub(crate) fn credential_id(usage: CredentialUse) -> CredentialId {
    match usage {
        CredentialUse::Access => CredentialId([0xA0; 16]),
        CredentialUse::Code => CredentialId([0xC0; 16]),
    }
}

fn header(headers: &http::HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

fn jwk(jwk: &Value) -> (Vec<u8>, String) {
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let key = [vec![4], coordinate("x"), coordinate("y")].concat();
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &key));
    (key, thumbprint)
}
