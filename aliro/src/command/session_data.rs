//! ENVELOPE's wrapper: a TLV of tag 53 around the CBOR map `{"data": bstr}`
//! (ISO 18013-5 session data). It is the only CBOR outside documents, small
//! enough to be read by hand.

use crate::tlv;

const ENVELOPE: tlv::Tag = 0x53;

/// The wrapper is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("session data is malformed")]
pub struct SessionDataError;

/// Wraps ciphertext and tag.
pub fn session_data(encrypted: &[u8]) -> Vec<u8> {
    let mut map = vec![0xa1, 0x64];
    map.extend(b"data");
    match encrypted.len() {
        length @ 0..24 => map.push(0x40 | length as u8),
        length @ 24..0x100 => map.extend([0x58, length as u8]),
        length @ 0x100..0x10000 => map.extend([0x59, (length >> 8) as u8, length as u8]),
        length => {
            map.push(0x5a);
            map.extend((length as u32).to_be_bytes());
        }
    }
    map.extend(encrypted);
    let mut out = Vec::with_capacity(map.len() + 4);
    tlv::push(&mut out, ENVELOPE, &map);
    out
}

/// Unwraps ciphertext and tag. A `"status"` member may stand beside.
///
/// # Errors
/// [`SessionDataError`] for anything else.
pub fn parse_session_data(data: &[u8]) -> Result<&[u8], SessionDataError> {
    let (tag, map, rest) = tlv::split_first(data).map_err(|_| SessionDataError)?;
    if tag != ENVELOPE || !rest.is_empty() {
        return Err(SessionDataError);
    }
    let (members, mut rest) = head(map, 5)?;
    let mut found = None;
    for _ in 0..members {
        let (name, after) = string(rest, 3)?;
        rest = match name {
            b"data" if found.is_none() => {
                let (value, after) = string(after, 2)?;
                found = Some(value);
                after
            }
            b"status" => head(after, 0)?.1,
            _ => return Err(SessionDataError),
        };
    }
    match found {
        Some(found) if rest.is_empty() => Ok(found),
        _ => Err(SessionDataError),
    }
}

/// A head of the given major type: its argument and what follows.
fn head(input: &[u8], major: u8) -> Result<(usize, &[u8]), SessionDataError> {
    let (&first, rest) = input.split_first().ok_or(SessionDataError)?;
    if first >> 5 != major {
        return Err(SessionDataError);
    }
    let width = match first & 0x1f {
        direct @ 0..24 => return Ok((usize::from(direct), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        _ => return Err(SessionDataError),
    };
    let (digits, rest) = rest.split_at_checked(width).ok_or(SessionDataError)?;
    let value = digits
        .iter()
        .fold(0, |value, digit| value << 8 | usize::from(*digit));
    Ok((value, rest))
}

fn string(input: &[u8], major: u8) -> Result<(&[u8], &[u8]), SessionDataError> {
    let (length, rest) = head(input, major)?;
    rest.split_at_checked(length).ok_or(SessionDataError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_wrapped_is_unwrapped(length in prop_oneof![0usize..300, 60000usize..65000]) {
            let data = vec![7; length];
            let wrapped = session_data(&data);
            prop_assert_eq!(parse_session_data(&wrapped), Ok(&data[..]));
        }

        #[test]
        fn never_panics(input in any::<Vec<u8>>()) {
            let _ = parse_session_data(&input);
            let mut inside = Vec::new();
            tlv::push(&mut inside, ENVELOPE, &input);
            let _ = parse_session_data(&inside);
        }
    }

    #[test]
    fn a_status_may_stand_beside_and_nothing_else() {
        let with_status = hex::decode("5310a26464617461414166737461747573 14".replace(' ', ""));
        let with_status = with_status.unwrap();
        assert_eq!(parse_session_data(&with_status), Ok(&b"A"[..]));
        let doubled = hex::decode("530fa26464617461414164646174614142").unwrap();
        assert_eq!(parse_session_data(&doubled), Err(SessionDataError));
    }
}
