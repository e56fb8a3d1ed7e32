//! X.509 certificates put together byte by byte, so that they can be broken.

use super::{Key, NOW};

/// What goes into a certificate.
pub struct Template {
    pub public_key: Vec<u8>,
    pub not_before: i64,
    pub not_after: i64,
    /// Encoded extensions, each a SEQUENCE.
    pub extensions: Vec<Vec<u8>>,
    /// Bodies of the OIDs of key type and curve.
    pub key_type: [&'static [u8]; 2],
    /// Bodies of the OIDs of the signature algorithm, within and beside what
    /// is signed.
    pub algorithms: [&'static [u8]; 2],
}

pub const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
pub const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// ecdsa-with-SHA384; as the OID of anything else, simply another one.
pub const ANOTHER: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];

impl Template {
    /// A certificate for a key that holds for a year around now.
    pub fn of(key: &Key) -> Self {
        Self {
            public_key: key.public().as_bytes().to_vec(),
            not_before: NOW - 180 * 86_400,
            not_after: NOW + 180 * 86_400,
            extensions: Vec::new(),
            key_type: [EC_PUBLIC_KEY, P256],
            algorithms: [ECDSA_WITH_SHA256; 2],
        }
    }

    /// Signed by this CA.
    pub fn signed_by(&self, authority: &Key) -> Vec<u8> {
        let signature = authority.sign(&self.tbs()).to_der();
        self.with_signature(&signature)
    }

    /// With any bytes for a signature.
    pub fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        let algorithm = sequence(&[oid(self.algorithms[1])]);
        sequence(&[self.tbs(), algorithm, bit_string(signature)])
    }

    pub fn tbs(&self) -> Vec<u8> {
        let spki = sequence(&[
            sequence(&self.key_type.map(oid)),
            bit_string(&self.public_key),
        ]);
        let mut parts = vec![
            tlv(0xa0, &tlv(0x02, &[2])),
            tlv(0x02, &[1]),
            sequence(&[oid(self.algorithms[0])]),
            name("issuer CA"),
            sequence(&[time(self.not_before), time(self.not_after)]),
            name("issuer"),
            spki,
        ];
        if !self.extensions.is_empty() {
            parts.push(tlv(0xa3, &sequence(&self.extensions)));
        }
        sequence(&parts)
    }
}

/// An extension of the arc 2.5.29.
pub fn extension(last_arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(&[0x55, 0x1d, last_arc])];
    if critical {
        parts.push(tlv(0x01, &[0xff]));
    }
    parts.push(tlv(0x04, value));
    sequence(&parts)
}

pub const KEY_USAGE: u8 = 15;
pub const BASIC_CONSTRAINTS: u8 = 19;
pub const EXTENDED_KEY_USAGE: u8 = 37;
pub const NAME_CONSTRAINTS: u8 = 30;
/// BIT STRING with digitalSignature.
pub const DIGITAL_SIGNATURE: [u8; 4] = [0x03, 0x02, 0x07, 0x80];
/// BIT STRING with keyEncipherment.
pub const KEY_ENCIPHERMENT: [u8; 4] = [0x03, 0x02, 0x05, 0x20];

fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[oid(&[0x55, 0x04, 0x03]), tlv(0x0c, common_name.as_bytes())]);
    sequence(&[tlv(0x31, &attribute)])
}

fn time(seconds: i64) -> Vec<u8> {
    let text = super::at(seconds).to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    tlv(0x17, format!("{}Z", &digits[2..]).as_bytes())
}

fn bit_string(bits: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bits].concat())
}

fn oid(body: &[u8]) -> Vec<u8> {
    tlv(0x06, body)
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        len @ 0..0x80 => out.push(len as u8),
        len @ 0x80..0x100 => out.extend([0x81, len as u8]),
        len => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend_from_slice(value);
    out
}
