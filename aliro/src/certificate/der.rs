//! DER of profile 0000, both forms. The template is fixed, so it is written
//! out; what varies is a handful of fields.

use super::{
    Certificate, CertificateError, CertificateRequest, DEFAULT_ISSUER, DEFAULT_NOT_AFTER,
    DEFAULT_NOT_BEFORE, DEFAULT_SERIAL, DEFAULT_SUBJECT, check_name, check_serial, check_time,
};
use crate::crypto::PublicKey;
use crate::tlv::{self, Tag};

const SEQUENCE: Tag = 0x30;
const BIT_STRING: Tag = 0x03;
const OCTET_STRING: Tag = 0x04;
const OBJECT_IDENTIFIER: Tag = 0x06;

const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

const PROFILE: &[u8] = &[0, 0];

pub(super) fn certificate(
    content: &CertificateRequest,
    signature: &[u8],
    issuer_key: &PublicKey,
) -> Vec<u8> {
    sequence(&[
        to_be_signed(content, issuer_key),
        algorithm(),
        bit_string(0, signature),
    ])
}

pub(super) fn to_be_signed(content: &CertificateRequest, issuer_key: &PublicKey) -> Vec<u8> {
    sequence(&[
        object(0xa0, &object(0x02, &[2])),
        object(0x02, &content.serial),
        algorithm(),
        name(&content.issuer),
        sequence(&[time(&content.not_before), time(&content.not_after)]),
        name(&content.subject),
        sequence(&[
            sequence(&[
                object(OBJECT_IDENTIFIER, EC_PUBLIC_KEY),
                object(OBJECT_IDENTIFIER, PRIME256V1),
            ]),
            bit_string(0, content.subject_key.as_bytes()),
        ]),
        object(0xa3, &extensions(issuer_key)),
    ])
}

fn extensions(issuer_key: &PublicKey) -> Vec<u8> {
    let critical = || object(0x01, &[0xff]);
    let authority = sequence(&[object(0x80, &issuer_key.sha1())]);
    sequence(&[
        sequence(&[
            object(OBJECT_IDENTIFIER, AUTHORITY_KEY_IDENTIFIER),
            object(OCTET_STRING, &authority),
        ]),
        sequence(&[
            object(OBJECT_IDENTIFIER, BASIC_CONSTRAINTS),
            critical(),
            object(OCTET_STRING, &sequence(&[])),
        ]),
        sequence(&[
            object(OBJECT_IDENTIFIER, KEY_USAGE),
            critical(),
            // digitalSignature
            object(OCTET_STRING, &bit_string(7, &[0x80])),
        ]),
    ])
}

fn algorithm() -> Vec<u8> {
    sequence(&[object(OBJECT_IDENTIFIER, ECDSA_WITH_SHA256)])
}

fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[
        object(OBJECT_IDENTIFIER, COMMON_NAME),
        object(0x0c, common_name.as_bytes()),
    ]);
    sequence(&[object(0x31, &attribute)])
}

/// UTCTime for two digits of the year, GeneralizedTime for four. (Sources build
/// only the former, though they allow 13 to 15 characters.)
fn time(text: &str) -> Vec<u8> {
    let tag = if text.len() == 13 { 0x17 } else { 0x18 };
    object(tag, text.as_bytes())
}

fn bit_string(unused_bits: u8, bytes: &[u8]) -> Vec<u8> {
    object(BIT_STRING, &[&[unused_bits], bytes].concat())
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    object(SEQUENCE, &parts.concat())
}

fn object(tag: Tag, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 4);
    tlv::push(&mut out, tag, value);
    out
}

pub(super) fn compress(content: &CertificateRequest, signature: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (tag, value, default) in [
        (0x80, content.serial.as_slice(), DEFAULT_SERIAL),
        (0x81, content.issuer.as_bytes(), DEFAULT_ISSUER.as_bytes()),
        (
            0x82,
            content.not_before.as_bytes(),
            DEFAULT_NOT_BEFORE.as_bytes(),
        ),
        (
            0x83,
            content.not_after.as_bytes(),
            DEFAULT_NOT_AFTER.as_bytes(),
        ),
        (0x84, content.subject.as_bytes(), DEFAULT_SUBJECT.as_bytes()),
    ] {
        if value != default {
            tlv::push(&mut fields, tag, value);
        }
    }
    let key = [&[0], &content.subject_key.as_bytes()[..]].concat();
    tlv::push(&mut fields, 0x85, &key);
    tlv::push(&mut fields, 0x86, &[&[0], signature].concat());
    sequence(&[object(OCTET_STRING, PROFILE), object(SEQUENCE, &fields)])
}

pub(super) fn decompress(bytes: &[u8]) -> Result<Certificate, CertificateError> {
    let (outer, rest) = expect(SEQUENCE, bytes)?;
    let (profile, inner) = expect(OCTET_STRING, outer)?;
    if profile != PROFILE {
        return Err(CertificateError::Profile);
    }
    let (mut fields, after) = expect(SEQUENCE, inner)?;
    if !rest.is_empty() || !after.is_empty() {
        return Err(CertificateError::Malformed);
    }
    // This is DER, not TLV of a command: nothing is skipped.
    let mut field = |tag: Tag| -> Result<Option<&[u8]>, CertificateError> {
        match tlv::split_first(fields) {
            Ok((found, value, rest)) if found == tag => {
                fields = rest;
                Ok(Some(value))
            }
            Ok(_) => Ok(None),
            Err(_) if fields.is_empty() => Ok(None),
            Err(_) => Err(CertificateError::Malformed),
        }
    };
    let serial = field(0x80)?.unwrap_or(DEFAULT_SERIAL);
    check_serial(serial)?;
    let issuer = check_name(field(0x81)?.unwrap_or(DEFAULT_ISSUER.as_bytes()))?;
    let not_before = check_time(field(0x82)?.unwrap_or(DEFAULT_NOT_BEFORE.as_bytes()))?;
    let not_after = check_time(field(0x83)?.unwrap_or(DEFAULT_NOT_AFTER.as_bytes()))?;
    let subject = check_name(field(0x84)?.unwrap_or(DEFAULT_SUBJECT.as_bytes()))?;
    let key = whole_bytes(field(0x85)?)?;
    let signature = whole_bytes(field(0x86)?)?.to_vec();
    if !fields.is_empty() {
        return Err(CertificateError::Malformed);
    }
    let subject_key =
        PublicKey::from_uncompressed(key).map_err(|_| CertificateError::Field(0x85))?;
    Ok(Certificate {
        content: CertificateRequest {
            serial: serial.to_vec(),
            issuer,
            not_before,
            not_after,
            subject,
            subject_key,
        },
        signature,
    })
}

fn expect(tag: Tag, input: &[u8]) -> Result<(&[u8], &[u8]), CertificateError> {
    match tlv::split_first(input) {
        Ok((found, value, rest)) if found == tag => Ok((value, rest)),
        _ => Err(CertificateError::Malformed),
    }
}

/// A BIT STRING's content without unused bits.
fn whole_bytes(value: Option<&[u8]>) -> Result<&[u8], CertificateError> {
    match value {
        Some([0, bytes @ ..]) if !bytes.is_empty() && bytes.len() < 0x80 => Ok(bytes),
        _ => Err(CertificateError::Malformed),
    }
}

/// Unix seconds of `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`; `None` for any other
/// form and for dates that do not exist.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?.as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0i64, |n, digit| n * 10 + i64::from(digit - b'0'))
    };
    let (year, rest) = match digits.len() {
        12 => {
            // RFC 5280, section 4.1.2.5.1
            let year = number(&digits[..2]);
            (year + if year < 50 { 2000 } else { 1900 }, &digits[2..])
        }
        14 => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let mut parts = rest.chunks(2).map(number);
    let mut next = || parts.next().unwrap_or(-1);
    let (month, day, hour, minute, second) = (next(), next(), next(), next(), next());
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970, with years that begin in March so that a leap day is
    // the last day of its year.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era_days = y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let days = era_days + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}
