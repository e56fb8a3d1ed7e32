//! Issues, verifies and evaluates documents for programs in other languages:
//! one JSON request a line on standard input, one JSON answer a line on
//! standard output. Byte strings are hex, times `YYYY-MM-DDTHH:MM:SSZ`.
//!
//! | request | answer |
//! |---|---|
//! | `{"issue": {issuer_priv, credential_pub, elements: {name: AccessData}, signed, valid_from, valid_until, iteration?, time_required, certificate?}}` | `{"document"}` |
//! | `{"verify": {document, issuer_pub?, authority_pub?, credential_pub, asked: [name], now?}}` | `{"elements": {name: AccessData}, "iteration"}` |
//! | `{"schedules": {element: AccessData, at: [seconds]}}` | `{"active": [[bool, one a schedule], one a moment]}` |
//!
//! What is refused answers `{"refused": reason}`, what is no request ends the
//! program. `tests/aliro_peers` drives it from Python.

use std::io::{self, BufRead, Write};

use aliro::crypto::{PublicKey, Signature};
use aliro::document::issuer::{AccessDocument, Element};
use aliro::document::{
    AccessData, IssuerName, Iterations, Now, RawDocument, Timestamp, TrustedIssuers, Validity,
    Verifier, VerifyContext,
};
use p256::ecdsa::{SigningKey, signature::Signer};
use serde_json::{Map, Value, json};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = answer(&serde_json::from_str(&line?)?)?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(request: &Value) -> Result<Value, Error> {
    let (operation, arguments) = request
        .as_object()
        .and_then(|request| request.iter().next())
        .ok_or("not a request")?;
    let arguments = Arguments(arguments);
    match operation.as_str() {
        "issue" => issue(&arguments),
        "verify" => verify(&arguments),
        "schedules" => schedules(&arguments),
        other => Err(format!("no such request: {other}").into()),
    }
}

fn issue(arguments: &Arguments<'_>) -> Result<Value, Error> {
    let signing = SigningKey::from_slice(&arguments.bytes("issuer_priv")?)?;
    let point = signing.verifying_key().to_sec1_point(false);
    let key_id = PublicKey::from_uncompressed(point.as_bytes())?.key_identifier();
    let mut elements = Vec::new();
    for (identifier, data) in arguments.object("elements")? {
        let data = AccessData::decode(&hex::decode(data.as_str().ok_or("not hex")?)?)?;
        // A fixed salt, so that peers can compare bytes; never do this at home.
        let salt = [0x5a; 16];
        elements.push(Element {
            identifier: identifier.clone(),
            salt,
            data,
        });
    }
    let document = AccessDocument {
        issuer: match arguments.has("certificate") {
            true => IssuerName::Certificate(arguments.bytes("certificate")?),
            false => IssuerName::KeyId(key_id),
        },
        device_key: arguments.key("credential_pub")?,
        validity: Validity {
            signed: arguments.time("signed")?,
            valid_from: arguments.time("valid_from")?,
            valid_until: arguments.time("valid_until")?,
            expected_update: None,
            iteration: arguments.0["iteration"].as_u64(),
        },
        time_required: arguments.0["time_required"].as_bool().unwrap_or(false),
        elements,
    };
    let unsigned = document.prepare()?;
    let signature: p256::ecdsa::Signature = signing.sign(&unsigned.to_be_signed());
    let document = unsigned.finish(Signature::from_slice(&signature.to_bytes())?)?;
    Ok(json!({ "document": hex::encode(document.as_bytes()) }))
}

fn verify(arguments: &Arguments<'_>) -> Result<Value, Error> {
    let document = match RawDocument::decode(&arguments.bytes("document")?) {
        Ok(document) => document,
        Err(error) => return Ok(json!({ "refused": error.to_string() })),
    };
    let mut trusted = TrustedIssuers::new();
    if arguments.has("issuer_pub") {
        trusted.add_issuer(arguments.key("issuer_pub")?);
    }
    if arguments.has("authority_pub") {
        trusted.add_authority(arguments.key("authority_pub")?);
    }
    let clock = match arguments.has("now") {
        true => {
            let utc = arguments.time("now")?.epoch();
            Some(Now { utc, local: utc })
        }
        false => None,
    };
    let context = VerifyContext {
        credential: &arguments.key("credential_pub")?,
        asked: &arguments.texts("asked")?,
        clock,
        iterations: &Iterations::new(),
        known_reader_rules: &|_| true,
        understands: &|_, _, _| true,
    };
    let verified = match Verifier::new(&trusted).access(&document, &context) {
        Ok(verified) => verified,
        Err(refusal) => return Ok(json!({ "refused": refusal.to_string() })),
    };
    let mut elements = Map::new();
    for (identifier, data) in verified.elements {
        elements.insert(identifier, hex::encode(data.encode()?).into());
    }
    Ok(json!({ "elements": elements, "iteration": verified.validity.iteration }))
}

fn schedules(arguments: &Arguments<'_>) -> Result<Value, Error> {
    let data = match AccessData::decode(&arguments.bytes("element")?) {
        Ok(data) => data,
        Err(error) => return Ok(json!({ "refused": error.to_string() })),
    };
    let mut active = Vec::new();
    for at in arguments.0["at"].as_array().ok_or("not a list: at")? {
        let seconds = at.as_i64().ok_or("not a number: at")?;
        let now = Now {
            utc: seconds,
            local: seconds,
        };
        let states: Vec<bool> = data
            .schedules
            .iter()
            .map(|schedule| schedule.is_active(now))
            .collect();
        active.push(states);
    }
    Ok(json!({ "active": active }))
}

/// The members of a request, each of the type that it must have.
struct Arguments<'a>(&'a Value);

impl<'a> Arguments<'a> {
    fn has(&self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    fn text(&self, name: &str) -> Result<&'a str, Error> {
        self.0[name]
            .as_str()
            .ok_or_else(|| format!("not a text: {name}").into())
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        Ok(hex::decode(self.text(name)?)?)
    }

    fn key(&self, name: &str) -> Result<PublicKey, Error> {
        Ok(PublicKey::from_uncompressed(&self.bytes(name)?)?)
    }

    fn time(&self, name: &str) -> Result<Timestamp, Error> {
        Ok(Timestamp::parse(self.text(name)?)?)
    }

    fn object(&self, name: &str) -> Result<&'a Map<String, Value>, Error> {
        self.0[name]
            .as_object()
            .ok_or_else(|| format!("not an object: {name}").into())
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        serde_json::from_value(self.0[name].clone()).map_err(Into::into)
    }
}
