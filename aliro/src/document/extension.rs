//! Vendor extensions of access and revocation elements.

use std::collections::BTreeMap;

use ciborium::value::Value;

use super::cbor;
use super::error::DocumentError;
use super::fields::{self, Fields};
use super::policy::{CRITICAL, MAX_EXTENSIONS, NOT_CRITICAL};

/// Something a vendor adds that does not change who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Chosen by the vendor.
    pub id: u64,
    /// Chosen by the vendor.
    pub version: u64,
    /// CBOR of the vendor's own making.
    pub data: Vec<u8>,
}

/// Something a vendor adds to the conditions of access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessExtension {
    /// Whether a reader that does not know it must refuse the element. Mark an
    /// extension so if ignoring it would grant too much.
    pub critical: bool,
    /// Chosen by the vendor.
    pub id: u64,
    /// Chosen by the vendor.
    pub version: u64,
    /// CBOR of the vendor's own making.
    pub data: Vec<u8>,
}

/// Extensions by registered vendor id, which is never 0.
pub type Extensions<E> = BTreeMap<u64, Vec<E>>;

/// An extension on the wire: an array that ends in id, version and data.
pub(crate) trait Wire: Sized {
    fn from_array(array: Vec<Value>) -> Result<Self, DocumentError>;
    fn to_array(&self) -> Vec<Value>;
}

const WHAT: &str = "extension";
const MALFORMED: DocumentError = DocumentError::Malformed(WHAT);

impl Wire for Extension {
    fn from_array(array: Vec<Value>) -> Result<Self, DocumentError> {
        let [id, version, data] = <[Value; 3]>::try_from(array).map_err(|_| MALFORMED)?;
        Ok(Self {
            id: fields::uint(&id, WHAT)?,
            version: fields::uint(&version, WHAT)?,
            data: data_from(data)?,
        })
    }

    fn to_array(&self) -> Vec<Value> {
        vec![
            Value::from(self.id),
            Value::from(self.version),
            Value::Bytes(self.data.clone()),
        ]
    }
}

impl Wire for AccessExtension {
    fn from_array(array: Vec<Value>) -> Result<Self, DocumentError> {
        let [criticality, id, version, data] =
            <[Value; 4]>::try_from(array).map_err(|_| MALFORMED)?;
        let critical = match fields::uint(&criticality, WHAT)? {
            CRITICAL => true,
            NOT_CRITICAL => false,
            _ => return Err(MALFORMED),
        };
        Ok(Self {
            critical,
            id: fields::uint(&id, WHAT)?,
            version: fields::uint(&version, WHAT)?,
            data: data_from(data)?,
        })
    }

    fn to_array(&self) -> Vec<Value> {
        vec![
            Value::from(if self.critical {
                CRITICAL
            } else {
                NOT_CRITICAL
            }),
            Value::from(self.id),
            Value::from(self.version),
            Value::Bytes(self.data.clone()),
        ]
    }
}

/// CBOR in a byte string; older issuers put the CBOR itself there.
fn data_from(value: Value) -> Result<Vec<u8>, DocumentError> {
    match value {
        Value::Bytes(data) => Ok(data),
        map @ Value::Map(_) => Ok(cbor::encode(&map)),
        _ => Err(MALFORMED),
    }
}

pub(crate) fn decode<E: Wire>(value: Option<Value>) -> Result<Extensions<E>, DocumentError> {
    let Some(value) = value else {
        return Ok(BTreeMap::new());
    };
    let mut extensions = BTreeMap::new();
    for (vendor, list) in Fields::new(value, WHAT)?.into_entries() {
        let list = fields::array(list, WHAT)?
            .into_iter()
            .map(|extension| E::from_array(fields::array(extension, WHAT)?))
            .collect::<Result<Vec<E>, _>>()?;
        extensions.insert(fields::uint(&vendor, WHAT)?, list);
    }
    check(&extensions)?;
    Ok(extensions)
}

pub(crate) fn encode<E: Wire>(extensions: &Extensions<E>) -> Value {
    let by_vendor = extensions
        .iter()
        .map(|(vendor, list)| {
            let list = list
                .iter()
                .map(|extension| Value::Array(extension.to_array()))
                .collect();
            (Value::from(*vendor), Value::Array(list))
        })
        .collect();
    Value::Map(by_vendor)
}

pub(crate) fn check<E>(extensions: &Extensions<E>) -> Result<(), DocumentError> {
    let count: usize = extensions.values().map(Vec::len).sum();
    if count > MAX_EXTENSIONS || extensions.len() > MAX_EXTENSIONS {
        return Err(DocumentError::TooComplex);
    }
    if extensions.contains_key(&0) {
        return Err(MALFORMED);
    }
    Ok(())
}
