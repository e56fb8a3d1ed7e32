//! Tokens: kept in the wallet, renewed before they end, one renewal at a time.

use chrono::TimeDelta;
use latchkey_protocol::api::auth::{RefreshRequest, Tokens};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::AccountId;

use super::{Call, PortalClient};
use crate::error::Error;
use crate::wallet::TokenRecord;

/// A token that ends sooner than this is renewed first, so that it does not end on the way.
const EARLY: TimeDelta = TimeDelta::seconds(30);

impl PortalClient {
    /// An access token that counts, as far as this phone can tell.
    pub(super) async fn access_token(&self) -> Result<String, Error> {
        let tokens = self.tokens()?;
        if tokens.expires_at - self.clock.now() > EARLY {
            return Ok(tokens.access_token);
        }
        self.refreshed_token(&tokens.access_token).await
    }

    /// Another access token than this one, which no longer counts.
    ///
    /// The answer may be lost: the old refresh token then serves this key again until the new one is
    /// used, so nothing is kept before the answer is there.
    pub(super) async fn refreshed_token(&self, ended: &str) -> Result<String, Error> {
        let _one_of_this_phone = self.refreshing.lock().await;
        let _one_of_this_wallet = self.shared.wallet.renewal().await?;
        let tokens = self.tokens()?;
        if tokens.access_token != ended {
            return Ok(tokens.access_token);
        }
        let request = RefreshRequest {
            refresh_token: tokens.refresh_token,
        };
        let body = serde_json::to_value(&request).map_err(|e| Error::BadAnswer(e.to_string()))?;
        let call = Call::write(
            ::http::Method::POST,
            "/v1/token",
            Some(body),
            self.idempotency_key(),
        )
        .by_proof();
        match self.send_as(&call, None).await {
            Ok(answer) => {
                let tokens: Tokens = answer.json()?;
                let access_token = tokens.access_token.clone();
                self.keep_tokens(Some(tokens))?;
                Ok(access_token)
            }
            Err(Error::Refused(problem)) if ends_the_sign_in(problem.problem_type()) => {
                self.keep_tokens(None)?;
                Err(Error::NotSignedIn)
            }
            Err(error) => Err(error),
        }
    }

    /// Whose sign-in this is.
    pub(crate) fn account(&self) -> Result<AccountId, Error> {
        Ok(self.tokens()?.account)
    }

    /// Keeps new tokens, or that there are none any more.
    pub(crate) fn keep_tokens(&self, tokens: Option<Tokens>) -> Result<(), Error> {
        let tokens = tokens.map(|tokens| TokenRecord {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_at: self.clock.now() + TimeDelta::seconds(i64::from(tokens.expires_in)),
            account: tokens.account,
            device: tokens.device,
        });
        self.shared.wallet.write(|tx| {
            let mut record = tx.portal(self.id)?.ok_or(Error::NotSignedIn)?;
            record.tokens = tokens;
            tx.put_portal(&record)?;
            Ok(())
        })
    }

    fn tokens(&self) -> Result<TokenRecord, Error> {
        self.shared
            .wallet
            .read(|tx| tx.portal(self.id))?
            .and_then(|record| record.tokens)
            .ok_or(Error::NotSignedIn)
    }
}

fn ends_the_sign_in(problem: Option<ProblemType>) -> bool {
    matches!(
        problem,
        Some(ProblemType::NotSignedIn | ProblemType::TokenReused | ProblemType::BadProof)
    )
}
