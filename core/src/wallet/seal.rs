//! How a cell of the wallet is sealed.
//!
//! Three keys come out of the data key by HKDF (RFC 5869): one seals cells with AES-256-GCM, one makes row
//! ids, so that neither a value nor a name of a row stands in the clear, and one is the tally's.
//! A cell is
//!
//! ```text
//! format (1 byte) || nonce (12, random) || ciphertext || tag (16)
//! ```
//!
//! and its associated data names the format, the wallet, the table, the row and the column, so that a
//! cell that was moved or swapped does not open. Format 02 is of a wallet with a tally, format 01 of one
//! from before: neither passes for the other, so that nobody can make a wallet look older than it is to have
//! what it holds taken on trust.

use latchkey_env::{SecureRandom, random_array};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::WalletError;
use super::sealing_key::{SealingKey, WalletId};

/// The first byte of every cell, and of the sealed data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// From before the tally: a row could be set back alone.
    Untallied = 1,
    /// Every row counts in the tally.
    Tallied = 2,
}

impl Format {
    fn of(sealed: &[u8]) -> Option<Self> {
        match sealed.first()? {
            1 => Some(Self::Untallied),
            2 => Some(Self::Tallied),
            _ => None,
        }
    }
}

/// Where a cell stands. `row` holds all columns of the row that are in the clear, ids first.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The table.
    pub table: &'static str,
    /// The row's columns in the clear.
    pub row: &'a [u8],
    /// The column.
    pub column: &'static str,
}

/// The wallet's keys, opened.
pub struct DataKey {
    wallet: WalletId,
    cells: LessSafeKey,
    rows: hmac::Key,
    tally: hmac::Key,
}

/// A row's id: 16 bytes that say nothing to whoever lacks the data key.
pub type RowId = [u8; 16];

impl DataKey {
    /// Draws a data key and seals it with the wallet's sealing key.
    ///
    /// # Errors
    /// [`WalletError::Cryptography`] when ring fails.
    pub fn create(
        wallet: WalletId,
        sealing: &SealingKey,
        random: &dyn SecureRandom,
    ) -> Result<(Self, Vec<u8>), WalletError> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(bytes.as_mut_slice());
        let sealed = seal_data_key(wallet, sealing, &bytes, random)?;
        Ok((Self::from_bytes(wallet, &bytes)?, sealed))
    }

    /// Opens a sealed data key, and says of which format it is.
    ///
    /// # Errors
    /// [`WalletError::SealingKeyWrong`] when it does not open.
    pub fn open(
        wallet: WalletId,
        sealing: &SealingKey,
        sealed: &[u8],
    ) -> Result<(Self, Format), WalletError> {
        let (bytes, format) = open_data_key(wallet, sealing, sealed)?;
        Ok((Self::from_bytes(wallet, &bytes)?, format))
    }

    /// Seals a data key of any format anew, in that of a wallet with a tally.
    ///
    /// # Errors
    /// [`WalletError::SealingKeyWrong`] when it does not open.
    pub fn renew(
        wallet: WalletId,
        sealing: &SealingKey,
        sealed: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, WalletError> {
        let (bytes, _) = open_data_key(wallet, sealing, sealed)?;
        seal_data_key(wallet, sealing, &bytes, random)
    }

    fn from_bytes(wallet: WalletId, bytes: &[u8; 32]) -> Result<Self, WalletError> {
        let cells = derived(bytes, b"latchkey/wallet/cells")?;
        let rows = derived(bytes, b"latchkey/wallet/rows")?;
        let tally = derived(bytes, b"latchkey/wallet/tally")?;
        Ok(Self {
            wallet,
            cells: aead_key(&cells)?,
            rows: hmac::Key::new(hmac::HMAC_SHA256, rows.as_slice()),
            tally: hmac::Key::new(hmac::HMAC_SHA256, tally.as_slice()),
        })
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    /// [`WalletError::Cryptography`] when ring fails.
    pub fn seal_cell(
        &self,
        cell: Cell<'_>,
        value: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, WalletError> {
        let format = Format::Tallied;
        let aad = self.cell_aad(format, cell);
        seal(&self.cells, format, &aad, value, random)
    }

    /// Opens a value in its place.
    ///
    /// # Errors
    /// [`WalletError::Tampered`] when it was not sealed for it.
    pub fn open_cell(
        &self,
        cell: Cell<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, WalletError> {
        self.open_cell_of(Format::Tallied, cell, sealed)
    }

    /// Seals a cell from before the tally anew.
    ///
    /// # Errors
    /// [`WalletError::Tampered`] when it does not open.
    pub fn renew_cell(
        &self,
        cell: Cell<'_>,
        sealed: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, WalletError> {
        let plain = self.open_cell_of(Format::Untallied, cell, sealed)?;
        self.seal_cell(cell, &plain, random)
    }

    /// The key of the [tally](super::tally).
    pub(super) fn tally(&self) -> &hmac::Key {
        &self.tally
    }

    /// The id of the row that `parts` name in `table`.
    #[must_use]
    pub fn row_id(&self, table: &'static str, parts: &[&[u8]]) -> RowId {
        let mut context = hmac::Context::with_key(&self.rows);
        for part in [table.as_bytes()].iter().chain(parts) {
            context.update(&length(part));
            context.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&context.sign().as_ref()[..16]);
        id
    }

    fn open_cell_of(
        &self,
        format: Format,
        cell: Cell<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, WalletError> {
        let aad = self.cell_aad(format, cell);
        open(&self.cells, format, &aad, sealed).ok_or(WalletError::Tampered {
            table: cell.table,
            column: cell.column,
        })
    }

    fn cell_aad(&self, format: Format, cell: Cell<'_>) -> Vec<u8> {
        let mut aad = b"latchkey/wallet/cell\0".to_vec();
        aad.push(format as u8);
        aad.extend_from_slice(&self.wallet.0);
        for part in [cell.table.as_bytes(), cell.row, cell.column.as_bytes()] {
            aad.extend_from_slice(&length(part));
            aad.extend_from_slice(part);
        }
        aad
    }
}

fn seal_data_key(
    wallet: WalletId,
    sealing: &SealingKey,
    bytes: &[u8; 32],
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, WalletError> {
    let format = Format::Tallied;
    let aad = data_key_aad(format, wallet);
    seal(&aead_key(sealing.bytes())?, format, &aad, bytes, random)
}

fn open_data_key(
    wallet: WalletId,
    sealing: &SealingKey,
    sealed: &[u8],
) -> Result<(Zeroizing<[u8; 32]>, Format), WalletError> {
    let format = Format::of(sealed).ok_or(WalletError::SealingKeyWrong)?;
    let aad = data_key_aad(format, wallet);
    let opened = open(&aead_key(sealing.bytes())?, format, &aad, sealed)
        .ok_or(WalletError::SealingKeyWrong)?;
    let bytes = opened
        .as_slice()
        .try_into()
        .map_err(|_| WalletError::SealingKeyWrong)?;
    Ok((Zeroizing::new(bytes), format))
}

fn data_key_aad(format: Format, wallet: WalletId) -> Vec<u8> {
    let mut aad = b"latchkey/wallet/data-key\0".to_vec();
    aad.push(format as u8);
    aad.extend_from_slice(&wallet.0);
    aad
}

fn length(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_be_bytes()
}

fn derived(bytes: &[u8; 32], purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, WalletError> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(bytes)
        .expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .map_err(|_| WalletError::Cryptography)?;
    Ok(out)
}

fn aead_key(bytes: &[u8; 32]) -> Result<LessSafeKey, WalletError> {
    UnboundKey::new(&AES_256_GCM, bytes)
        .map(LessSafeKey::new)
        .map_err(|_| WalletError::Cryptography)
}

fn seal(
    key: &LessSafeKey,
    format: Format,
    aad: &[u8],
    value: &[u8],
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, WalletError> {
    let nonce: [u8; NONCE_LEN] = random_array(random);
    // Reserved to the end at once: growing would leave copies of the value behind in memory.
    let mut out = Vec::with_capacity(1 + NONCE_LEN + value.len() + AES_256_GCM.tag_len());
    out.push(format as u8);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(value);
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut out[1 + NONCE_LEN..],
        )
        .map_err(|_| WalletError::Cryptography)?;
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

fn open(
    key: &LessSafeKey,
    format: Format,
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (&first, rest) = sealed.split_first()?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
    if first != format as u8 {
        return None;
    }
    let mut value = Zeroizing::new(ciphertext.to_vec());
    let opened = key
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(aad),
            value.as_mut_slice(),
        )
        .ok()?
        .len();
    value.truncate(opened);
    Some(value)
}

#[cfg(test)]
mod tests {
    use latchkey_env::SystemRandom;

    use super::*;

    const HERE: Cell<'static> = Cell {
        table: "entities",
        row: b"one",
        column: "value",
    };

    fn key(wallet: u8) -> DataKey {
        DataKey::from_bytes(WalletId([wallet; 16]), &[7; 32]).unwrap()
    }

    #[test]
    fn a_cell_that_was_moved_altered_or_made_older_does_not_open() {
        let sealed = key(1).seal_cell(HERE, b"plain", &SystemRandom).unwrap();
        assert_eq!(*key(1).open_cell(HERE, &sealed).unwrap(), b"plain");
        let elsewhere = [
            Cell {
                table: "readers",
                ..HERE
            },
            Cell {
                row: b"two",
                ..HERE
            },
            Cell {
                column: "record",
                ..HERE
            },
            // Told apart by more than what they are together.
            Cell {
                table: "entitieso",
                row: b"ne",
                ..HERE
            },
        ];
        for cell in elsewhere {
            assert!(key(1).open_cell(cell, &sealed).is_err(), "{cell:?}");
        }
        assert!(key(2).open_cell(HERE, &sealed).is_err(), "another wallet");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 3;
            assert!(key(1).open_cell(HERE, &altered).is_err(), "byte {at}");
            assert!(key(1).open_cell(HERE, &sealed[..at]).is_err(), "cut {at}");
            let renewed = key(1).renew_cell(HERE, &altered, &SystemRandom);
            assert!(renewed.is_err(), "as one of before, byte {at}");
        }
    }
}
