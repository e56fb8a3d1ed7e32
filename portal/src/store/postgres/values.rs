//! Values and statements in PostgreSQL's terms.

use std::error::Error;

use bytes::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::store::{Row, Value};

/// `?N` as PostgreSQL writes it, `$N`; what stands between quotes stays.
pub(super) fn dollars(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let (mut quoted, mut rest) = (false, sql.chars().peekable());
    while let Some(c) = rest.next() {
        quoted ^= c == '\'';
        let is_parameter = c == '?' && !quoted && rest.peek().is_some_and(char::is_ascii_digit);
        out.push(if is_parameter { '$' } else { c });
    }
    out
}

/// A row with all its columns.
pub(super) fn row(row: &postgres::Row) -> Result<Row, postgres::Error> {
    let columns = (0..row.len()).map(|index| row.try_get::<_, Value>(index));
    columns.collect::<Result<_, _>>().map(Row)
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => match *ty {
                Type::INT8 => value.to_sql(ty, out),
                Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
                Type::INT2 => i16::try_from(*value)?.to_sql(ty, out),
                Type::BOOL => (*value != 0).to_sql(ty, out),
                _ => Err(format!("a number where {ty} is wanted").into()),
            },
            Self::Text(text) if <&str as ToSql>::accepts(ty) => text.as_str().to_sql(ty, out),
            Self::Text(_) => Err(format!("a text where {ty} is wanted").into()),
            Self::Blob(bytes) if *ty == Type::BYTEA => bytes.as_slice().to_sql(ty, out),
            Self::Blob(_) => Err(format!("bytes where {ty} is wanted").into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        is_number(ty) || <&str as ToSql>::accepts(ty) || *ty == Type::BYTEA
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Self::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Int(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Self::Blob(raw.to_vec()),
            _ => Self::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        is_number(ty) || <String as FromSql<'_>>::accepts(ty) || *ty == Type::BYTEA
    }
}

fn is_number(ty: &Type) -> bool {
    matches!(*ty, Type::INT8 | Type::INT4 | Type::INT2 | Type::BOOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_with_dollars_and_texts_stay() {
        assert_eq!(
            dollars("SELECT '?1', 'it''s ?2' FROM t WHERE a = ?1 AND b < ?12 AND c ? d"),
            "SELECT '?1', 'it''s ?2' FROM t WHERE a = $1 AND b < $12 AND c ? d"
        );
    }
}
