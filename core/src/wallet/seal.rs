//! How a cell of the wallet is sealed.
//!
//! Two keys come out of the data key by HKDF (RFC 5869): one seals cells with AES-256-GCM, the other
//! makes row ids, so that neither a value nor a name of a row stands in the clear. A cell is
//!
//! ```text
//! format (1 byte, 01) || nonce (12, random) || ciphertext || tag (16)
//! ```
//!
//! and its associated data names the format, the wallet, the table, the row and the column, so that a
//! cell that was moved or swapped does not open. A later format can add what it needs (a generation
//! counter over the whole wallet) and still read this one.

use latchkey_env::{SecureRandom, random_array};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::WalletError;
use super::sealing_key::{SealingKey, WalletId};

/// The first byte of every cell.
const FORMAT: u8 = 1;

/// Where a cell stands. `row` holds all columns of the row that are in the clear, ids first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a [u8],
    pub(super) column: &'static str,
}

/// The wallet's keys, opened.
pub(super) struct DataKey {
    wallet: WalletId,
    cells: LessSafeKey,
    rows: hmac::Key,
}

/// A row's id: 16 bytes that say nothing to whoever lacks the data key.
pub(crate) type RowId = [u8; 16];

impl DataKey {
    /// Draws a data key and seals it with the wallet's sealing key.
    pub(super) fn create(
        wallet: WalletId,
        sealing: &SealingKey,
        random: &dyn SecureRandom,
    ) -> Result<(Self, Vec<u8>), WalletError> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(bytes.as_mut_slice());
        let sealed = seal(
            &aead_key(sealing.bytes())?,
            &data_key_aad(wallet),
            bytes.as_slice(),
            random,
        )?;
        Ok((Self::from_bytes(wallet, &bytes)?, sealed))
    }

    /// Opens a sealed data key.
    pub(super) fn open(
        wallet: WalletId,
        sealing: &SealingKey,
        sealed: &[u8],
    ) -> Result<Self, WalletError> {
        let bytes = open(&aead_key(sealing.bytes())?, &data_key_aad(wallet), sealed)
            .ok_or(WalletError::SealingKeyWrong)?;
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(
            bytes
                .as_slice()
                .try_into()
                .map_err(|_| WalletError::SealingKeyWrong)?,
        );
        Self::from_bytes(wallet, &bytes)
    }

    fn from_bytes(wallet: WalletId, bytes: &[u8; 32]) -> Result<Self, WalletError> {
        let cells = derived(bytes, b"latchkey/wallet/cells")?;
        let rows = derived(bytes, b"latchkey/wallet/rows")?;
        Ok(Self {
            wallet,
            cells: aead_key(&cells)?,
            rows: hmac::Key::new(hmac::HMAC_SHA256, rows.as_slice()),
        })
    }

    pub(super) fn seal_cell(
        &self,
        cell: Cell<'_>,
        value: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, WalletError> {
        seal(&self.cells, &self.cell_aad(cell), value, random)
    }

    pub(super) fn open_cell(
        &self,
        cell: Cell<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, WalletError> {
        open(&self.cells, &self.cell_aad(cell), sealed).ok_or(WalletError::Tampered {
            table: cell.table,
            column: cell.column,
        })
    }

    /// The id of the row that `parts` name in `table`.
    pub(super) fn row_id(&self, table: &'static str, parts: &[&[u8]]) -> RowId {
        let mut context = hmac::Context::with_key(&self.rows);
        for part in [table.as_bytes()].iter().chain(parts) {
            context.update(&length(part));
            context.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&context.sign().as_ref()[..16]);
        id
    }

    fn cell_aad(&self, cell: Cell<'_>) -> Vec<u8> {
        let mut aad = b"latchkey/wallet/cell\0".to_vec();
        aad.push(FORMAT);
        aad.extend_from_slice(&self.wallet.0);
        for part in [cell.table.as_bytes(), cell.row, cell.column.as_bytes()] {
            aad.extend_from_slice(&length(part));
            aad.extend_from_slice(part);
        }
        aad
    }
}

fn data_key_aad(wallet: WalletId) -> Vec<u8> {
    let mut aad = b"latchkey/wallet/data-key\0".to_vec();
    aad.push(FORMAT);
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
    aad: &[u8],
    value: &[u8],
    random: &dyn SecureRandom,
) -> Result<Vec<u8>, WalletError> {
    let nonce: [u8; NONCE_LEN] = random_array(random);
    // Reserved to the end at once: growing would leave copies of the value behind in memory.
    let mut out = Vec::with_capacity(1 + NONCE_LEN + value.len() + AES_256_GCM.tag_len());
    out.push(FORMAT);
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

fn open(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (&format, rest) = sealed.split_first()?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
    if format != FORMAT {
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
