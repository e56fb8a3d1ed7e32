//! The reader's BLE advertisement: by it a device knows, before it connects,
//! that a reader belongs to a group that it has a key for.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::identifier::ReaderIdentifier;

/// The 7 bytes that prove membership of a group: the start of AES-128 over
/// `000000000000 || address || expiry` under the group resolving key. `address`
/// is the advertising address in printed order; `expiry` is in Unix seconds,
/// `u32::MAX` for a reader without a clock.
pub fn dynamic_tag(group_resolving_key: &[u8; 16], address: &[u8; 6], expiry: u32) -> [u8; 7] {
    let mut block = [0; 16];
    block[6..12].copy_from_slice(address);
    block[12..].copy_from_slice(&expiry.to_be_bytes());
    let mut block = block.into();
    Aes128::new(group_resolving_key.into()).encrypt_block(&mut block);
    let mut tag = [0; 7];
    tag.copy_from_slice(&block[..7]);
    tag
}

/// What a reader advertises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// Whether it does the remote keyless flow.
    pub remote_keyless: bool,
    /// Whether it does UWB.
    pub ranging: bool,
    /// Transmission power, dBm.
    pub tx_power: i8,
    /// The first 8 bytes of the group.
    pub group: [u8; 8],
    /// The first 2 bytes of the reader's sub-identifier.
    pub sub: [u8; 2],
    /// When the tag stops to count, Unix seconds; `u32::MAX`: never.
    pub expiry: u32,
    /// See [`dynamic_tag`].
    pub tag: [u8; 7],
}

/// Length of the advertisement's service data (UUID 0xFFF2) without the UUID.
pub const SERVICE_DATA_LENGTH: usize = 24;

impl Advertisement {
    /// For a reader of the remote keyless flow alone.
    pub fn remote_keyless(
        reader: &ReaderIdentifier,
        tx_power: i8,
        group_resolving_key: &[u8; 16],
        address: &[u8; 6],
        expiry: u32,
    ) -> Self {
        let mut advertisement = Self {
            remote_keyless: true,
            ranging: false,
            tx_power,
            group: [0; 8],
            sub: [0; 2],
            expiry,
            tag: dynamic_tag(group_resolving_key, address, expiry),
        };
        advertisement.group.copy_from_slice(&reader.group[..8]);
        advertisement.sub.copy_from_slice(&reader.sub[..2]);
        advertisement
    }

    /// The service data.
    pub fn encode(&self) -> [u8; SERVICE_DATA_LENGTH] {
        let mut out = [0; SERVICE_DATA_LENGTH];
        out[0] = u8::from(self.remote_keyless) << 6 | u8::from(self.ranging) << 7;
        out[1] = self.tx_power.to_be_bytes()[0];
        out[2..10].copy_from_slice(&self.group);
        out[10..12].copy_from_slice(&self.sub);
        out[12..16].copy_from_slice(&self.expiry.to_be_bytes());
        out[17..].copy_from_slice(&self.tag);
        out
    }

    /// Reads service data. `None` for another length, another version than 0,
    /// or a reader that does neither flow: a device must not go on.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let data: &[u8; SERVICE_DATA_LENGTH] = data.try_into().ok()?;
        let flags = data[0];
        if flags & 0x07 != 0 || flags & 0xc0 == 0 {
            return None;
        }
        let mut out = Self {
            remote_keyless: flags & 0x40 != 0,
            ranging: flags & 0x80 != 0,
            tx_power: i8::from_be_bytes([data[1]]),
            group: [0; 8],
            sub: [data[10], data[11]],
            expiry: u32::from_be_bytes([data[12], data[13], data[14], data[15]]),
            tag: [0; 7],
        };
        out.group.copy_from_slice(&data[2..10]);
        out.tag.copy_from_slice(&data[17..]);
        Some(out)
    }

    /// Whether the tag was made with the group's key by a reader at `address`,
    /// and has not expired at `now` (Unix seconds).
    pub fn is_of_group(&self, group_resolving_key: &[u8; 16], address: &[u8; 6], now: i64) -> bool {
        (self.expiry == u32::MAX || now <= i64::from(self.expiry))
            && dynamic_tag(group_resolving_key, address, self.expiry) == self.tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text.replace(':', ""))
            .unwrap()
            .try_into()
            .unwrap()
    }

    #[test]
    fn published_tags() {
        for (key, address, tag) in [
            (
                "f5b165224a58b791df6af1d8303e61cd",
                "c4:bb:86:c3:27:10",
                "7b7f4a82557990",
            ),
            (
                "3c344c4189eb2f1e7bd5d47e446fcec2",
                "a3:d8:11:73:e5:78",
                "ef67e4681a7783",
            ),
            (
                "1bcccea696762e6116c6e9c92d99bf35",
                "8c:2e:07:18:e4:7c",
                "d4dd12a45037ba",
            ),
        ] {
            let made = dynamic_tag(&bytes(key), &bytes(address), 0x7a4b_8500);
            assert_eq!(hex::encode(made), tag);
        }
    }

    #[test]
    fn an_advertisement_reads_as_it_was_written_and_expires() {
        let reader = ReaderIdentifier::new([7; 16], [9; 16]);
        let made = Advertisement::remote_keyless(&reader, -4, &[1; 16], &[2; 6], 1000);
        let read = Advertisement::parse(&made.encode()).unwrap();
        assert_eq!(read, made);
        assert!(read.is_of_group(&[1; 16], &[2; 6], 1000));
        assert!(!read.is_of_group(&[1; 16], &[2; 6], 1001));
        assert!(!read.is_of_group(&[3; 16], &[2; 6], 1000));
        let mut neither = made.encode();
        neither[0] = 0;
        assert_eq!(Advertisement::parse(&neither), None);
    }
}
