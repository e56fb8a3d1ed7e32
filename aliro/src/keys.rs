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
        let prk = extract(self.salt(STANDARD), kdh);
        let [expedited_reader, expedited_device, step_up, ble, ranging] =
            expand(&prk, &self.info());
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
        let mut salt = self.salt(PERSISTENT);
        salt.update(credential.x());
        let [key] = expand(&extract(salt, kdh), &self.info());
        key
    }

    /// The keys of the fast phase.
    pub fn fast(&self, persistent: &Secret, credential: &PublicKey) -> FastKeys {
        self.search().candidate(persistent, credential).keys()
    }

    /// The keys of the fast phase, for a reader that does not know whose they
    /// are to be and tries what it remembers.
    pub fn search(&self) -> Search<'_> {
        Search {
            context: self,
            salt: self.salt(FAST),
        }
    }

    /// Sources disagree whether extensions enter with their header; they enter
    /// here as values, as the reference does.
    fn info(&self) -> [&[u8]; 3] {
        [
            self.device_point.x(),
            self.reader_extension.as_deref().unwrap_or_default(),
            self.device_extension.as_deref().unwrap_or_default(),
        ]
    }

    /// What enters the salt of a phase before the credential. It is longer than
    /// a block of SHA-256, so HMAC takes its hash for the key (RFC 2104, section
    /// 2), and all that is needed of it is that hash.
    fn salt(&self, label: &[u8; 12]) -> digest::Context {
        let mut out = digest::Context::new(&digest::SHA256);
        out.update(self.group_key.x());
        out.update(label);
        out.update(&self.reader.to_bytes());
        out.update(&[self.interface.0, 0x5c, 0x02]);
        out.update(&self.version.to_be_bytes());
        out.update(self.reader_point.x());
        out.update(&self.transaction);
        out.update(&self.flag);
        out.update(&self.proprietary);
        out
    }
}

/// A reader's search for the device that sent a cryptogram. What all candidates
/// have in common is computed once, and of each candidate's keys only the first.
pub struct Search<'a> {
    context: &'a KeyContext,
    salt: digest::Context,
}

impl Search<'_> {
    /// One that is remembered.
    pub fn candidate(&self, persistent: &Secret, credential: &PublicKey) -> Candidate<'_> {
        let mut salt = self.salt.clone();
        salt.update(credential.x());
        Candidate {
            context: self.context,
            prk: extract(salt, persistent),
        }
    }
}

/// A remembered device that may be the one.
pub struct Candidate<'a> {
    context: &'a KeyContext,
    prk: hkdf::Prk,
}

impl Candidate<'_> {
    /// The key that its cryptogram would have.
    pub fn cryptogram_key(&self) -> Secret {
        // A shorter output of HKDF is the beginning of a longer one.
        let [key] = expand(&self.prk, &self.context.info());
        key
    }

    /// All its keys.
    pub fn keys(&self) -> FastKeys {
        let [cryptogram, expedited_reader, expedited_device, ble, ranging] =
            expand(&self.prk, &self.context.info());
        FastKeys {
            cryptogram,
            expedited_reader,
            expedited_device,
            ble,
            ranging,
        }
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
    pair(step_up, &[], [b"SKReader", b"SKDevice"])
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
    pair(ble, &salt, [b"BleSKReader", b"BleSKDevice"])
}

/// A channel's keys: one extraction, an expansion for each side.
fn pair(secret: &Secret, salt: &[u8], sides: [&[u8]; 2]) -> [Secret; 2] {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret.expose());
    sides.map(|info| {
        let [key] = expand(&prk, &[info]);
        key
    })
}

/// HKDF-Extract (RFC 5869) with SHA-256 and a salt of more than 64 bytes.
fn extract(salt: digest::Context, secret: &Secret) -> hkdf::Prk {
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt.finish().as_ref()).extract(secret.expose())
}

/// HKDF-Expand, cut into keys of 32 bytes.
fn expand<const N: usize>(prk: &hkdf::Prk, info: &[&[u8]]) -> [Secret; N] {
    let mut out = Zeroizing::new([[0; 32]; N]);
    let filled = prk
        .expand(info, Length(32 * N))
        .and_then(|okm| okm.fill(out.as_flattened_mut()));
    // HKDF-SHA-256 gives up to 255 * 32 bytes; five keys are asked for at most.
    debug_assert!(filled.is_ok(), "HKDF refused a length within its limit");
    std::array::from_fn(|i| Secret::new(out[i]))
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
