//! What both examples need: arguments, JSON with hex, APDUs over TCP, keys.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use aliro::crypto::{PublicKey, Signature};
use p256::elliptic_curve::sec1::ToSec1Point;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::Value;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// `--listen [[HOST:]PORT]` or `--connect HOST:PORT`, `--config FILE`,
/// `--once`.
pub(crate) struct Arguments {
    pub(crate) endpoint: Endpoint,
    pub(crate) config: Value,
    pub(crate) once: bool,
}

pub(crate) enum Endpoint {
    Listen(String),
    Connect(String),
}

impl Arguments {
    pub(crate) fn parse() -> Outcome<Self> {
        let (mut endpoint, mut config, mut once) = (None, None, false);
        let mut arguments = std::env::args().skip(1).peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--listen" => {
                    let given = arguments.next_if(|next| !next.starts_with("--"));
                    let port = given.unwrap_or_else(|| "0".to_owned());
                    endpoint = Some(Endpoint::Listen(match port.contains(':') {
                        true => port,
                        false => format!("127.0.0.1:{port}"),
                    }));
                }
                "--connect" => endpoint = arguments.next().map(Endpoint::Connect),
                "--config" => config = arguments.next(),
                "--once" => once = true,
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        let config = std::fs::read_to_string(config.ok_or("--config FILE is missing")?)?;
        Ok(Self {
            endpoint: endpoint.ok_or("--listen or --connect HOST:PORT is missing")?,
            config: serde_json::from_str(&config)?,
            once,
        })
    }

    /// Serves each connection: one when it is made from here or with `--once`,
    /// else for ever.
    pub(crate) fn serve(
        &self,
        mut each: impl FnMut(&mut TcpStream) -> io::Result<()>,
    ) -> Outcome<()> {
        match &self.endpoint {
            Endpoint::Connect(address) => Ok(each(&mut TcpStream::connect(address)?)?),
            Endpoint::Listen(address) => {
                let listener = TcpListener::bind(address)?;
                println!("listening on port {}", listener.local_addr()?.port());
                loop {
                    let (mut stream, _) = listener.accept()?;
                    let outcome = each(&mut stream);
                    if self.once {
                        return Ok(outcome?);
                    }
                }
            }
        }
    }
}

/// One APDU, preceded by its length in two bytes; `None` at the end of the
/// stream.
pub(crate) fn receive(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut apdu = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut apdu)?;
    Ok(Some(apdu))
}

pub(crate) fn send(stream: &mut TcpStream, apdu: &[u8]) -> io::Result<()> {
    let length = u16::try_from(apdu.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], apdu].concat())
}

/// A long-term key from its 32 bytes.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    pub(crate) public: PublicKey,
}

impl Signer {
    pub(crate) fn new(private: &[u8]) -> Outcome<Self> {
        let secret = p256::SecretKey::from_slice(private).map_err(|_| "not a private key")?;
        let point = secret.public_key().to_sec1_point(false);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private,
            point.as_bytes(),
            &SystemRandom::new(),
        );
        Ok(Self {
            pair: pair.map_err(|_| "not a private key")?,
            public: PublicKey::from_uncompressed(point.as_bytes())?,
        })
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signed = self.pair.sign(&SystemRandom::new(), message);
        let signed = signed.expect("the system has randomness");
        Signature::from_slice(signed.as_ref()).expect("fixed signatures have 64 bytes")
    }
}

/// A member of the configuration, in hex, if it is there.
pub(crate) fn bytes(config: &Value, name: &str) -> Outcome<Option<Vec<u8>>> {
    match &config[name] {
        Value::Null => Ok(None),
        value => Ok(Some(
            from_hex(value).map_err(|error| format!("{name}: {error}"))?,
        )),
    }
}

/// A member that must be there, of exactly `N` bytes.
pub(crate) fn exactly<const N: usize>(config: &Value, name: &str) -> Outcome<[u8; N]> {
    let value = bytes(config, name)?.ok_or_else(|| format!("{name} is missing"))?;
    <[u8; N]>::try_from(value).map_err(|_| format!("{name} has not {N} bytes").into())
}

pub(crate) fn from_hex(value: &Value) -> Outcome<Vec<u8>> {
    Ok(hex::decode(value.as_str().ok_or("not a string")?)?)
}

/// Whether the messages run as over BLE, without SELECT.
pub(crate) fn is_ble(config: &Value) -> bool {
    config["interface"]
        .as_str()
        .is_some_and(|byte| byte.eq_ignore_ascii_case("c3"))
}
