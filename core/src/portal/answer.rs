//! What a portal, or what stands before it, answers.

use std::time::Duration;

use http::StatusCode;
use latchkey_protocol::api::problem::Problem;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// What came back.
pub struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    /// From the request's first byte to the answer's last.
    pub round_trip: Duration,
}

impl Answer {
    /// An answer as it came.
    #[must_use]
    pub fn new(status: StatusCode, body: Vec<u8>, round_trip: Duration) -> Self {
        Self {
            status,
            body,
            round_trip,
        }
    }

    /// The body as JSON; nothing reads as `null`.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] when it does not read.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let body: &[u8] = if self.body.is_empty() {
            b"null"
        } else {
            &self.body
        };
        serde_json::from_slice(body).map_err(|error| Error::BadAnswer(error.to_string()))
    }

    /// The problem, when this is not a success.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        if self.status.is_success() {
            return None;
        }
        Some(serde_json::from_slice(&self.body).unwrap_or_else(|_| {
            Problem {
                // A proxy in between speaks for itself.
                kind: "about:blank".to_owned(),
                title: self
                    .status
                    .canonical_reason()
                    .unwrap_or("an error")
                    .to_owned(),
                status: self.status.as_u16(),
                detail: None,
                instance: None,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::new(status, body.to_vec(), Duration::ZERO)
    }

    #[test]
    fn a_proxys_own_words_become_a_problem_of_its_status() {
        let problem = answer(502, b"<html>").problem().unwrap();
        assert_eq!(
            (problem.status, problem.title.as_str()),
            (502, "Bad Gateway")
        );
        assert!(answer(204, b"").problem().is_none());
        assert!(answer(204, b"").json::<()>().is_ok());
        assert!(answer(200, b"<html>").json::<serde_json::Value>().is_err());
    }

    proptest! {
        #[test]
        fn every_refusal_is_a_problem(
            status in 100_u16..1000,
            body in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let answer = answer(status, &body);
            prop_assert_eq!(answer.problem().is_none(), (200..300).contains(&status));
        }
    }
}
