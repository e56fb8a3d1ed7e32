//! The key schedule (sections 8.3.1.12 and 8.3.1.13): from one Diffie-Hellman
//! result to every key of a transaction.

use ring::{digest, hkdf};
use zeroize::Zeroizing;

use crate::crypto::{PublicKey, Secret};
use crate::identifier::{Interface, ReaderIdentifier, TransactionIdentifier, VERSION_1_0, Version};

const STANDARD: &[u8; 12] = b"Volatile****";
const PERSISTENT: &[u8; 12] = b"Persistent**";
const FAST: &[u8; 12] = b"VolatileFast";

/// Everything public that both sides must agree on for their keys to match.
#[derive(Debug, Clone)]
pub struct KeyContext {
    /// `reader_group_identifier_key`: the reader's own key or its issuer's.
    pub group_key: PublicKey,
    /// The reader's name.
    pub reader: ReaderIdentifier,
    /// Over what the messages travel.
    pub interface: Interface,
    /// The version chosen in AUTH0.
    pub version: Version,
    /// The reader's fresh point.
    pub reader_point: PublicKey,
    /// The device's fresh point.
    pub device_point: PublicKey,
    /// The transaction's number.
    pub transaction: TransactionIdentifier,
    /// `command_parameters || authentication_policy` of AUTH0.
    pub flag: [u8; 2],
    /// The device's A5 object as it was sent.
    pub proprietary: Vec<u8>,
    /// The reader's vendor extension (value of B1).
    pub reader_extension: Option<Vec<u8>>,
    /// The device's vendor extension (value of B2).
    pub device_extension: Option<Vec<u8>>,
}

/// The keys of the standard phase.
#[derive(Debug, Clone)]
pub struct StandardKeys {
    /// AUTH1 and EXCHANGE, from the reader.
    pub expedited_reader: Secret,
    /// AUTH1 and EXCHANGE, from the device.
    pub expedited_device: Secret,
    /// Step-up, not used itself.
    pub step_up: Secret,
    /// BLE messages, not used itself.
    pub ble: Secret,
    /// UWB ranging.
    pub ranging: Secret,
}

/// The keys of the fast phase.
#[derive(Debug, Clone)]
pub struct FastKeys {
    /// The cryptogram.
    pub cryptogram: Secret,
    /// EXCHANGE, from the reader.
    pub expedited_reader: Secret,
    /// EXCHANGE, from the device.
    pub expedited_device: Secret,
    /// BLE messages, not used itself.
    pub ble: Secret,
    /// UWB ranging.
    pub ranging: Secret,
}

impl KeyContext {
    /// The keys of the standard phase.
    pub fn standard(&self, kdh: &Secret) -> StandardKeys {
        let [expedited_reader, expedited_device, step_up, ble, ranging] =
            expand(kdh, &self.salt(STANDARD, None), &self.info());
        StandardKeys {
            expedited_reader,
            expedited_device,
            step_up,
            ble,
            ranging,
        }
    }

    /// The key that lets this device be recognised by this reader next time.
    pub fn persistent(&self, kdh: &Secret, credential: &PublicKey) -> Secret {
        let [key] = expand(kdh, &self.salt(PERSISTENT, Some(credential)), &self.info());
        key
    }

    /// The keys of the fast phase.
    pub fn fast(&self, persistent: &Secret, credential: &PublicKey) -> FastKeys {
        let salt = self.salt(FAST, Some(credential));
        let [cryptogram, expedited_reader, expedited_device, ble, ranging] =
            expand(persistent, &salt, &self.info());
        FastKeys {
            cryptogram,
            expedited_reader,
            expedited_device,
            ble,
            ranging,
        }
    }

    /// Sources disagree whether extensions enter with their header; they enter
    /// here as values, as the reference does.
    fn info(&self) -> Vec<u8> {
        let mut out = self.device_point.x().to_vec();
        out.extend(self.reader_extension.iter().flatten());
        out.extend(self.device_extension.iter().flatten());
        out
    }

    fn salt(&self, label: &[u8; 12], credential: Option<&PublicKey>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend(self.group_key.x());
        out.extend(label);
        out.extend(self.reader.to_bytes());
        out.push(self.interface.0);
        out.extend([0x5c, 0x02]);
        out.extend(self.version.to_be_bytes());
        out.extend(self.reader_point.x());
        out.extend(self.transaction);
        out.extend(self.flag);
        out.extend(&self.proprietary);
        out.extend(credential.iter().flat_map(|key| key.x()));
        out
    }
}

/// `Kdh`: one step of the X9.63 key derivation function over the x coordinate
/// of the shared point.
pub fn kdh(shared_x: &[u8; 32], transaction: &TransactionIdentifier) -> Secret {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(shared_x);
    context.update(&[0, 0, 0, 1]);
    context.update(transaction);
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.finish().as_ref());
    Secret::from(out)
}

/// The long-lived secret by which the fast phase recognises a device at a
/// reader, without a signature.
pub type PersistentKey = Secret;

/// The step-up channel's keys: reader's, device's.
pub fn step_up(step_up: &Secret) -> [Secret; 2] {
    [b"SKReader", b"SKDevice"].map(|info| {
        let [key] = expand(step_up, &[], info);
        key
    })
}

/// What was said about BLE protocol versions before the first message. It
/// enters the keys of BLE messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BleVersions {
    /// Every version that the reader offered, in its order.
    pub offered: Vec<Version>,
    /// The one that the device selected.
    pub selected: Version,
}

impl Default for BleVersions {
    /// 1.0 offered, 1.0 selected.
    fn default() -> Self {
        Self {
            offered: vec![VERSION_1_0],
            selected: VERSION_1_0,
        }
    }
}

/// The BLE message channel's keys: reader's, device's.
pub fn ble(ble: &Secret, versions: &BleVersions) -> [Secret; 2] {
    let salt: Vec<u8> = versions
        .offered
        .iter()
        .chain([&versions.selected])
        .flat_map(|version| version.to_be_bytes())
        .collect();
    [&b"BleSKReader"[..], b"BleSKDevice"].map(|info| {
        let [key] = expand(ble, &salt, info);
        key
    })
}

/// HKDF-SHA-256 (RFC 5869), cut into keys of 32 bytes.
fn expand<const N: usize>(key: &Secret, salt: &[u8], info: &[u8]) -> [Secret; N] {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key.expose());
    let mut out = Zeroizing::new(vec![0; 32 * N]);
    let filled = prk
        .expand(&[info], Length(32 * N))
        .and_then(|okm| okm.fill(&mut out));
    // HKDF-SHA-256 gives up to 255 * 32 bytes; five keys are asked for at most.
    debug_assert!(filled.is_ok(), "HKDF refused a length within its limit");
    std::array::from_fn(|i| {
        let mut piece = Zeroizing::new([0; 32]);
        piece.copy_from_slice(&out[32 * i..32 * (i + 1)]);
        Secret::from(piece)
    })
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
