//! Rotating codes from the wallet: signed on the phone, with no signal anywhere.

use chrono::{DateTime, Utc};
use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::api::sync::PassEntity;
use latchkey_protocol::code::{Code, ISSUE_EVERY_SECONDS, IssueTime};
use latchkey_protocol::ids::PassId;
use latchkey_protocol::pass::SignedPass;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

use aliro::crypto::Signature;

use crate::context::Context;
use crate::error::{Error, Invalid};
use crate::views::{DoorRef, Holdings, KeyRef, opens};

/// A code to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeView {
    /// The text of the symbol.
    pub text: String,
    /// The symbol, drawn: an SVG of dark modules on white, quiet zone included.
    pub svg: String,
    /// When it was issued, by the portal's clock.
    pub issued_at: DateTime<Utc>,
    /// When the next one is due; sooner when the sync tells that a door accepted this one.
    pub next_at: DateTime<Utc>,
    /// Whether it brings its pass's statement along, for doors that may not know the pass.
    pub long: bool,
}

/// The code of this moment for a key. With a door, a short code where that door is proved to know the
/// pass; without, where all of the key's doors are.
///
/// Asked again within the same 15 seconds, it is the same code, unless a door has accepted it meanwhile.
pub(crate) async fn current(
    context: &Context,
    at: KeyRef,
    door: Option<DoorRef>,
) -> Result<CodeView, Error> {
    let (held, credential) = context.shared.wallet.read(|tx| {
        let record = tx.property(at.property)?.ok_or(Invalid::Property)?;
        let held = Holdings::of(context, tx, record)?.ok_or(Invalid::Key)?;
        let credential = tx.credential(at.property, CredentialUse::Code)?;
        Ok::<_, Error>((held, credential.ok_or(Invalid::NoCode)?))
    })?;
    let key = held.own_keys().find(|key| key.id == at.key);
    let key = key.ok_or(Invalid::Key)?;
    let of_this_phone = |pass: &&PassEntity| {
        pass.key == at.key && pass.credential == credential.credential && pass.until > held.now
    };
    let pass = held
        .passes
        .iter()
        .filter(of_this_phone)
        .max_by_key(|p| p.until);
    let pass = pass.ok_or(Invalid::NoCode)?;
    let known = {
        let mut doors = held
            .doors
            .iter()
            .filter(|d| door.is_none_or(|door| door.door == d.id))
            .filter(|d| opens(key, d.id))
            .peekable();
        doors.peek().is_some() && doors.all(|door| pass.known_at.contains(&door.id))
    };
    let (issued, next_at) = issue_time(held.now, pass.last_used);
    let message = Code::to_be_signed(at.property, pass.pass, issued);
    let signature = context
        .codes
        .signature(pass.pass, issued, || {
            context.shared.keys.sign(&credential.label, &message)
        })
        .await?;
    let statement = SignedPass::from_bytes(&pass.statement.0)
        .map_err(|error| Error::BadAnswer(error.to_string()))?;
    let long = !known && statement.fits_in_code();
    let text = Code {
        pass: pass.pass,
        issued,
        signature: Signature(signature),
        statement: long.then_some(statement),
    }
    .to_text();
    Ok(CodeView {
        svg: drawn(&text)?,
        text,
        issued_at: instant(issued)?,
        next_at,
        long,
    })
}

/// Codes are issued on a grid of 15 seconds; one that a door has accepted is followed at once by a newer
/// one.
fn issue_time(now: DateTime<Utc>, last_used: Option<u64>) -> (IssueTime, DateTime<Utc>) {
    let period = ISSUE_EVERY_SECONDS.cast_signed();
    let begun = now.timestamp() - now.timestamp().rem_euclid(period);
    let on_grid = IssueTime::from_unix_ms((begun * 1000).max(0).cast_unsigned());
    let used = last_used.map(|hundredths| IssueTime::from_unix_ms(hundredths.saturating_mul(10)));
    let issued = match used {
        // One step behind it, so that it stays the same for the rest of the 15 seconds; also when a clock
        // was corrected backwards since.
        Some(used) if used >= on_grid => used.next(),
        _ => on_grid,
    };
    let next = DateTime::from_timestamp(begun + period, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
    (issued, next)
}

fn instant(issued: IssueTime) -> Result<DateTime<Utc>, Error> {
    i64::try_from(issued.unix_ms())
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .ok_or_else(|| Error::BadAnswer("an issue time beyond all calendars".to_owned()))
}

fn drawn(text: &str) -> Result<String, Error> {
    // Read off a lit screen: low correction keeps the modules large.
    let symbol = QrCode::with_error_correction_level(text, EcLevel::L)
        .map_err(|error| Error::BadAnswer(error.to_string()))?;
    Ok(symbol
        .render::<svg::Color<'_>>()
        .min_dimensions(320, 320)
        .build())
}

/// The last signature of each pass: a screen is drawn more often than a code changes, and a keystore
/// takes its time.
#[derive(Debug, Default)]
pub(crate) struct SignedCodes(tokio::sync::Mutex<Vec<(PassId, IssueTime, [u8; 64])>>);

impl SignedCodes {
    async fn signature<F, E>(
        &self,
        pass: PassId,
        issued: IssueTime,
        sign: impl FnOnce() -> F,
    ) -> Result<[u8; 64], E>
    where
        F: Future<Output = Result<[u8; 64], E>>,
    {
        let mut kept = self.0.lock().await;
        let same = |(p, i, _): &&(PassId, IssueTime, [u8; 64])| *p == pass && *i == issued;
        if let Some((_, _, signature)) = kept.iter().find(same) {
            return Ok(*signature);
        }
        let signature = sign().await?;
        kept.retain(|(other, ..)| *other != pass);
        kept.push((pass, issued, signature));
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ms(text: &str) -> u64 {
        at(text).timestamp_millis().cast_unsigned()
    }

    #[test]
    fn codes_stand_on_a_grid_of_fifteen_seconds() {
        let (issued, next) = issue_time(at("2026-11-24T09:00:44.9Z"), None);
        assert_eq!(issued.unix_ms(), ms("2026-11-24T09:00:30Z"));
        assert_eq!(next, at("2026-11-24T09:00:45Z"));
    }

    #[test]
    fn an_accepted_code_is_followed_at_once_by_a_newer_one() {
        let used = ms("2026-11-24T09:00:30Z") / 10;
        let (issued, _) = issue_time(at("2026-11-24T09:00:36.5Z"), Some(used));
        assert_eq!(issued.unix_ms(), ms("2026-11-24T09:00:30Z") + 10);
        let (issued, _) = issue_time(at("2026-11-24T09:00:46Z"), Some(used));
        assert_eq!(issued.unix_ms(), ms("2026-11-24T09:00:45Z"));
    }

    #[test]
    fn a_clock_that_was_corrected_backwards_still_gives_newer_codes() {
        let used = ms("2026-11-24T09:00:50Z") / 10;
        let (issued, _) = issue_time(at("2026-11-24T09:00:46Z"), Some(used));
        assert_eq!(issued.unix_ms(), ms("2026-11-24T09:00:50Z") + 10);
    }
}
