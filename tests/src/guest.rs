//! A guest's browser, played: it says to the portal what the page says, and makes codes as the page
//! does. The page itself is tested in a real browser (`tests/browser`).

use aliro::crypto::{PublicKey, Signature};
use anyhow::{Context as _, Result};
use latchkey_env::{Clock, SharedClock};
use latchkey_protocol::api::links::{BindLink, GuestPass, LinkPreview, PreviewLink};
use latchkey_protocol::code::{Code, IssueTime};
use latchkey_protocol::pass::SignedPass;
use latchkey_protocol::proof::{CredentialProof, KeyKind, Registrant};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

/// A browser that has bound a link.
pub struct Browser {
    /// What the page holds.
    pub pass: GuestPass,
    key: EcdsaKeyPair,
    clock: SharedClock,
    http: reqwest::Client,
    /// Where the pass is asked for, and what the portal knows this browser by.
    portal: String,
    cookie: String,
}

impl Browser {
    /// Opens a link and taps "Use on this phone".
    ///
    /// # Errors
    /// When the portal refuses.
    pub async fn open(link: &str, clock: SharedClock) -> Result<Self> {
        // The whole process's; another test may have set it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        let (page, token) = link.split_once('#').context("the link has no token")?;
        let portal = page.trim_end_matches("/g/");
        let look = PreviewLink {
            token: token.to_owned(),
        };
        let preview = http.post(format!("{portal}/v1/links/preview")).json(&look);
        let preview: LinkPreview = preview.send().await?.error_for_status()?.json().await?;
        let key = make_key()?;
        let proof = CredentialProof {
            property: preview.property,
            kind: KeyKind::CodeKey,
            registrant: Registrant::Link(preview.link),
            nonce: preview.nonce.to_array()?,
            key: PublicKey::from_uncompressed(key.public_key().as_ref())?,
        };
        let bind = BindLink {
            token: token.to_owned(),
            public_key: key.public_key().as_ref().into(),
            nonce: preview.nonce,
            signature: sign(&key, &proof.to_be_signed())?.0.as_slice().into(),
        };
        let bound = http.post(format!("{portal}/v1/links/bind")).json(&bind);
        let bound = bound.send().await?.error_for_status()?;
        let cookie = bound.headers().get("set-cookie").context("a cookie")?;
        let cookie = cookie.to_str()?.split(';').next().unwrap_or_default();
        Ok(Self {
            cookie: cookie.to_owned(),
            pass: bound.json().await?,
            key,
            clock,
            http,
            portal: portal.to_owned(),
        })
    }

    /// Asks for the pass as it is now.
    ///
    /// # Errors
    /// When the portal has none for it any more.
    pub async fn look(&mut self) -> Result<()> {
        let pass = self.http.get(format!("{}/v1/guest/pass", self.portal));
        let pass = pass.header("cookie", &self.cookie).send().await?;
        self.pass = pass.error_for_status()?.json().await?;
        Ok(())
    }

    /// What the page would show now: short, or with the pass's statement behind it.
    ///
    /// # Errors
    /// When what the portal said does not read.
    pub fn code(&self, long: bool) -> Result<String> {
        let issued = IssueTime::from_unix_ms(self.clock.now().timestamp_millis().try_into()?);
        let signed = Code::to_be_signed(self.pass.property, self.pass.pass, issued);
        let statement = long
            .then(|| SignedPass::from_bytes(self.pass.statement.as_ref()))
            .transpose()?;
        let code = Code {
            pass: self.pass.pass,
            issued,
            signature: sign(&self.key, &signed)?,
            statement,
        };
        Ok(code.to_text())
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser")
            .field("pass", &self.pass.pass)
            .finish_non_exhaustive()
    }
}

fn make_key() -> Result<EcdsaKeyPair> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .map_err(|_| anyhow::anyhow!("no key could be made"))?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .map_err(|_| anyhow::anyhow!("the new key does not read"))
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Result<Signature> {
    let signature = key
        .sign(&SystemRandom::new(), message)
        .map_err(|_| anyhow::anyhow!("the key did not sign"))?;
    Ok(Signature::from_slice(signature.as_ref())?)
}
