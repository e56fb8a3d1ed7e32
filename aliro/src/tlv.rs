//! BER-TLV as Aliro uses it: tags of one or two bytes, lengths below 65536 in
//! their shortest form.

/// A tag as a number: `0x5c`, `0x7f66`.
pub type Tag = u16;

/// What can be wrong with a TLV string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// It ends inside a tag, a length or a value.
    #[error("a TLV object is cut off")]
    Truncated,
    /// A tag of three or more bytes, or a length that is not in its shortest
    /// form, or one above 65535.
    #[error("a TLV header is malformed")]
    Header,
    /// A known tag stands before one that it must follow, or twice.
    #[error("tag {0:#x} is out of order")]
    Order(Tag),
    /// A known tag has not the length that it must have.
    #[error("tag {0:#x} has a wrong length")]
    Length(Tag),
    /// A mandatory tag is absent.
    #[error("tag {0:#x} is missing")]
    Missing(Tag),
}

/// Reads one object off the front: tag, value, and what follows.
///
/// # Errors
/// [`TlvError::Truncated`] and [`TlvError::Header`].
pub fn split_first(input: &[u8]) -> Result<(Tag, &[u8], &[u8]), TlvError> {
    let (&first, mut rest) = input.split_first().ok_or(TlvError::Truncated)?;
    let mut tag = Tag::from(first);
    if first & 0x1f == 0x1f {
        let (&second, after) = rest.split_first().ok_or(TlvError::Truncated)?;
        if second & 0x80 != 0 {
            return Err(TlvError::Header);
        }
        (tag, rest) = (tag << 8 | Tag::from(second), after);
    }
    let (length, rest) = split_length(rest)?;
    let (value, rest) = rest.split_at_checked(length).ok_or(TlvError::Truncated)?;
    Ok((tag, value, rest))
}

fn split_length(input: &[u8]) -> Result<(usize, &[u8]), TlvError> {
    let (length, shortest, rest) = match input {
        [] | [0x81] | [0x82] | [0x82, _] => return Err(TlvError::Truncated),
        [short @ ..=0x7f, rest @ ..] => (usize::from(*short), 0, rest),
        [0x81, length, rest @ ..] => (usize::from(*length), 0x80, rest),
        [0x82, high, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), 0x100, rest)
        }
        _ => return Err(TlvError::Header),
    };
    if length < shortest {
        return Err(TlvError::Header);
    }
    Ok((length, rest))
}

/// Picks the values of the `known` tags, which must stand in that order, each
/// at most once. Unknown tags are skipped wherever they stand.
///
/// # Errors
/// Any [`TlvError`] but `Missing` and `Length`, which are the caller's to find.
pub fn pick<const N: usize>(
    mut input: &[u8],
    known: [Tag; N],
) -> Result<[Option<&[u8]>; N], TlvError> {
    let mut found = [None; N];
    let mut next = 0;
    while !input.is_empty() {
        let (tag, value, rest) = split_first(input)?;
        input = rest;
        let Some(position) = known.iter().position(|candidate| *candidate == tag) else {
            continue;
        };
        if position < next {
            return Err(TlvError::Order(tag));
        }
        found[position] = Some(value);
        next = position + 1;
    }
    Ok(found)
}

/// A mandatory value of exactly `N` bytes.
///
/// # Errors
/// [`TlvError::Missing`], [`TlvError::Length`].
pub fn exactly<const N: usize>(tag: Tag, value: Option<&[u8]>) -> Result<[u8; N], TlvError> {
    value
        .ok_or(TlvError::Missing(tag))?
        .try_into()
        .map_err(|_| TlvError::Length(tag))
}

/// An optional value of exactly `N` bytes.
///
/// # Errors
/// [`TlvError::Length`].
pub fn optional<const N: usize>(
    tag: Tag,
    value: Option<&[u8]>,
) -> Result<Option<[u8; N]>, TlvError> {
    value.map(|value| exactly(tag, Some(value))).transpose()
}

/// An optional value of at most `max` bytes.
///
/// # Errors
/// [`TlvError::Length`].
pub fn at_most(tag: Tag, value: Option<&[u8]>, max: usize) -> Result<Option<&[u8]>, TlvError> {
    match value {
        Some(value) if value.len() > max => Err(TlvError::Length(tag)),
        other => Ok(other),
    }
}

/// Appends one object. Values are at most 65535 bytes long: everything that is
/// written here is far below.
pub fn push(out: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    debug_assert!(
        value.len() <= 0xffff,
        "a TLV value of {} bytes",
        value.len()
    );
    if tag > 0xff {
        out.push((tag >> 8) as u8);
    }
    out.push(tag as u8);
    push_length(out, value.len());
    out.extend_from_slice(value);
}

/// Appends a BER length in its shortest form (below 65536).
pub fn push_length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unknown_tags_are_skipped_and_known_ones_keep_their_order() {
        let input = [0x41, 1, 7, 0x9f, 0x20, 0, 0x42, 1, 8];
        assert_eq!(
            pick(&input, [0x41, 0x42, 0x43]),
            Ok([Some(&[7][..]), Some(&[8][..]), None])
        );
        assert_eq!(pick(&input, [0x42, 0x41]), Err(TlvError::Order(0x42)));
        assert_eq!(
            pick(&[0x41, 0, 0x41, 0], [0x41]),
            Err(TlvError::Order(0x41))
        );
    }

    #[test]
    fn lengths_are_in_their_shortest_form() {
        assert_eq!(split_first(&[0x41, 0x81, 1, 0]), Err(TlvError::Header));
        assert_eq!(split_first(&[0x41, 0x82, 0, 0x80]), Err(TlvError::Header));
        assert_eq!(split_first(&[0x41, 0x80]), Err(TlvError::Header));
        assert_eq!(split_first(&[0x41, 0x83, 0, 1, 0]), Err(TlvError::Header));
        assert_eq!(split_first(&[0x5f, 0x81, 1, 0]), Err(TlvError::Header));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            tag in prop_oneof![Just(0x41u16), Just(0x7f66), Just(0x5e)],
            length in prop_oneof![0usize..300, 65530usize..=65535],
            tail in any::<Vec<u8>>(),
        ) {
            let value = vec![0xa5; length];
            let mut out = Vec::new();
            push(&mut out, tag, &value);
            out.extend(&tail);
            prop_assert_eq!(split_first(&out), Ok((tag, &value[..], &tail[..])));
        }

        #[test]
        fn never_panics(input in any::<Vec<u8>>()) {
            let _ = pick(&input, [0x41, 0x7f66]);
        }
    }
}
