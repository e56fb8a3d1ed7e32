//! The code that a controller shows.

use aliro::crypto::PublicKey;
use ring::digest::{SHA256, digest};

const PREFIX: &[u8] = b"latchkey/1/commissioning-code\0";

/// Crockford's base 32: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 20;
const GROUP: usize = 5;

/// 100 bits of SHA-256 over `prefix || reader key (65) || sealing key (65)`: nobody finds other keys with
/// the same code, so a picture of it, or a piece of paper, vouches for the keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommissioningCode([u8; CHARACTERS]);

/// The text is no commissioning code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a commissioning code: 20 letters and digits are wanted")]
pub struct NotACommissioningCode;

impl CommissioningCode {
    /// The code of these keys.
    #[must_use]
    pub fn of(reader_key: &PublicKey, sealing_key: &PublicKey) -> Self {
        let parts = [PREFIX, reader_key.as_bytes(), sealing_key.as_bytes()].concat();
        let hash = digest(&SHA256, &parts);
        let bit = |at: usize| hash.as_ref()[at / 8] >> (7 - at % 8) & 1;
        let mut characters = [0; CHARACTERS];
        for (at, character) in characters.iter_mut().enumerate() {
            let value = (0..5).fold(0, |value, n| value << 1 | usize::from(bit(at * 5 + n)));
            *character = ALPHABET[value];
        }
        Self(characters)
    }
}

/// Four groups of five, `ABCDE-FGHJK-MNPQR-STVWX`.
impl std::fmt::Display for CommissioningCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, group) in self.0.chunks(GROUP).enumerate() {
            let separator = if at == 0 { "" } else { "-" };
            write!(f, "{separator}{}", group.escape_ascii())?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for CommissioningCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommissioningCode({self})")
    }
}

/// As people type it: small letters, spaces or no dashes, O for 0, I and L for 1.
impl std::str::FromStr for CommissioningCode {
    type Err = NotACommissioningCode;

    fn from_str(text: &str) -> Result<Self, NotACommissioningCode> {
        let mut characters = [0; CHARACTERS];
        let mut length = 0;
        for character in text
            .chars()
            .filter(|c| *c != '-' && !c.is_ascii_whitespace())
        {
            let character = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let byte = u8::try_from(character).map_err(|_| NotACommissioningCode)?;
            if !ALPHABET.contains(&byte) {
                return Err(NotACommissioningCode);
            }
            *characters.get_mut(length).ok_or(NotACommissioningCode)? = byte;
            length += 1;
        }
        if length == CHARACTERS {
            Ok(Self(characters))
        } else {
            Err(NotACommissioningCode)
        }
    }
}
