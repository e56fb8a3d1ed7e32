//! What goes into a statement and comes out of it: the types that every dialect has.

use super::StoreError;

/// One value: a parameter, or a column of a row. Times are seconds since 1970 as integers (where a column's name
/// ends in `_ms`, milliseconds), booleans 0 and 1.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(String),
    /// BYTEA.
    Blob(Vec<u8>),
}

impl Value {
    /// PostgreSQL keeps no NUL in a text, so no database of ours does.
    pub(super) fn must_be_storable(params: &[Self]) -> Result<(), StoreError> {
        let bad = |value: &Self| matches!(value, Self::Text(text) if text.contains('\0'));
        if params.iter().any(bad) {
            return Err(StoreError::NotStorable);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Value {
    // Values may be secrets or names: a log gets their kind.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int",
            Self::Text(_) => "Text",
            Self::Blob(_) => "Blob",
        })
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl From<&Vec<u8>> for Value {
    fn from(value: &Vec<u8>) -> Self {
        Self::Blob(value.clone())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<chrono::DateTime<chrono::Utc>> for Value {
    fn from(value: chrono::DateTime<chrono::Utc>) -> Self {
        Self::Int(value.timestamp())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl From<latchkey_protocol::ids::$id> for Value {
            fn from(id: latchkey_protocol::ids::$id) -> Self {
                Self::Blob(id.0.to_vec())
            }
        }

        impl FromValue for latchkey_protocol::ids::$id {
            fn from_value(value: &Value) -> Option<Self> {
                let Value::Blob(bytes) = value else { return None };
                Self::from_slice(bytes).ok()
            }
        }
    )*};
}

ids!(
    PropertyId,
    DoorId,
    PersonId,
    KeyId,
    CredentialId,
    PassId,
    BudgetId,
    ElementId,
    EventId,
    AccountId,
    DeviceId,
    LinkId
);

impl From<super::Instance> for Value {
    fn from(instance: super::Instance) -> Self {
        Self::Blob(instance.0.to_vec())
    }
}

impl FromValue for super::Instance {
    fn from_value(value: &Value) -> Option<Self> {
        <[u8; 8]>::from_value(value).map(Self)
    }
}

/// What a column can be read as.
pub(crate) trait FromValue: Sized {
    /// The value, if it is one of this type.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }
}

macro_rules! narrow {
    ($($int:ty),*) => {$(
        impl FromValue for $int {
            fn from_value(value: &Value) -> Option<Self> {
                i64::from_value(value)?.try_into().ok()
            }
        }
    )*};
}

narrow!(u64, u32, u16, u8);

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|value| value != 0)
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Blob(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        }
    }
}

impl FromValue for chrono::DateTime<chrono::Utc> {
    fn from_value(value: &Value) -> Option<Self> {
        chrono::DateTime::from_timestamp(i64::from_value(value)?, 0)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// One row of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Row(pub(super) Vec<Value>);

impl Row {
    /// The column at this place, from 0.
    ///
    /// # Errors
    /// [`StoreError::Column`] when there is none, or it has another type: the query and its reader disagree.
    pub(crate) fn at<T: FromValue>(&self, index: usize) -> Result<T, StoreError> {
        self.0
            .get(index)
            .and_then(T::from_value)
            .ok_or(StoreError::Column { index })
    }
}
