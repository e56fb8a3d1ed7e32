//! The server's nonces for DPoP (RFC 9449, section 8): `time (8, big-endian) || HMAC-SHA-256 (16)`, so that every
//! instance that shares the key accepts them and nothing is stored. They stand in for the proof's own time: a phone
//! with a wrong clock gets in, and is corrected.

use chrono::{DateTime, Utc};
use latchkey_protocol::bytes::Base64;
use ring::hmac;

/// How long a nonce is good for, in seconds.
pub const LIFE: i64 = 300;
/// How far another instance's clock may be ahead, in seconds.
const AHEAD: i64 = 60;
const TAG: usize = 16;

/// Makes and knows nonces.
pub struct Nonces(hmac::Key);

impl Nonces {
    /// With this key, which all instances share.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A new one.
    #[must_use]
    pub fn make(&self, now: DateTime<Utc>) -> String {
        let time = now.timestamp().to_be_bytes();
        let tag = hmac::sign(&self.0, &time);
        Base64([&time, &tag.as_ref()[..TAG]].concat()).to_text()
    }

    /// Until when a proof with this nonce could come again; `None` when it is none of ours, or too old.
    #[must_use]
    pub fn good_until(&self, nonce: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let bytes = Base64::from_text(nonce).ok()?;
        let (time, tag) = bytes.0.split_first_chunk::<8>()?;
        let right = hmac::sign(&self.0, time);
        if !super::secret::same(&right.as_ref()[..TAG], tag) {
            return None;
        }
        let made = DateTime::from_timestamp(i64::from_be_bytes(*time), 0)?;
        let until = made + chrono::TimeDelta::seconds(LIFE);
        (now < until && (made - now).num_seconds() <= AHEAD).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_five_minutes_and_only_with_its_key() {
        let now: DateTime<Utc> = "2026-11-24T09:00:00Z".parse().unwrap();
        let nonces = Nonces::new(&[1; 32]);
        let nonce = nonces.make(now);
        let after = |seconds| now + chrono::TimeDelta::seconds(seconds);
        assert!(nonces.good_until(&nonce, now).is_some());
        assert!(nonces.good_until(&nonce, after(299)).is_some());
        assert!(nonces.good_until(&nonce, after(300)).is_none());
        assert!(nonces.good_until(&nonce, after(-61)).is_none());
        assert!(Nonces::new(&[2; 32]).good_until(&nonce, now).is_none());
        assert!(nonces.good_until("", now).is_none());
    }
}
