//! Our extensions of access elements.

use std::num::NonZeroU32;

use aliro::document::{AccessData, AccessExtension, Extension, Extensions};

use super::element::{Shared, Times};
use super::{NotOurs, Rights};
use crate::cbor::{FormatError, Reader, Writer, array, array_of, inner};
use crate::ids::BudgetId;
use crate::rules::{LocalMoment, Range};
use crate::vendor::{
    ACCESS_EXTENSION, COUNTED_EXTENSION_VERSION, EXTENSION_VERSION, HOLIDAY_RULE, RANGE_EXTENSION,
    VENDOR_ID,
};

/// Most bytes of an extension's data.
const MAX_EXTENSION: usize = 2048;

/// `[1, number of uses or null, rights]`, or `[2, number of uses, rights, budget]`. Critical: whoever ignored it would
/// grant too much.
pub(super) fn access_extension(shared: &Shared) -> AccessExtension {
    let version = if shared.budget.is_some() {
        COUNTED_EXTENSION_VERSION
    } else {
        EXTENSION_VERSION
    };
    let mut data = array_of(version)
        .optional(shared.max_uses.map(NonZeroU32::get), Writer::uint)
        .uint(shared.rights.bits());
    if let Some(budget) = shared.budget {
        data = data.bytes(&budget.0);
    }
    AccessExtension {
        critical: true,
        id: ACCESS_EXTENSION,
        version,
        data: data.finish(),
    }
}

pub(super) fn read_shared(data: &AccessData) -> Result<Shared, NotOurs> {
    let closed_on_holidays = match data.reader_rules[..] {
        [] => false,
        [HOLIDAY_RULE] => true,
        _ => return Err(NotOurs),
    };
    let (max_uses, budget, rights) = match ours(
        &data.access_extensions,
        |extension| extension.id,
        ACCESS_EXTENSION,
    ) {
        None => (None, None, Rights::NONE),
        Some(extension) => {
            let read = || -> Result<_, FormatError> {
                let (version, mut reader) = Reader::up_to_version(
                    COUNTED_EXTENSION_VERSION,
                    &extension.data,
                    MAX_EXTENSION,
                )?;
                if version != extension.version {
                    return Err(FormatError::Malformed);
                }
                let uses = reader.optional(Reader::uint::<u32>)?;
                let rights = reader.uint()?;
                let budget = match (version, uses) {
                    (EXTENSION_VERSION, _) => None,
                    (_, None) => return Err(FormatError::Malformed),
                    (_, Some(_)) => Some(BudgetId(reader.exactly()?)),
                };
                reader.end()?;
                Ok((uses, budget, rights))
            };
            let (uses, budget, rights) = read().map_err(|_| NotOurs)?;
            let uses = uses.map(|uses| NonZeroU32::new(uses).ok_or(NotOurs));
            let rights = Rights::from_bits(rights).ok_or(NotOurs)?;
            (uses.transpose()?, budget, rights)
        }
    };
    Ok(Shared {
        closed_on_holidays,
        max_uses,
        budget,
        rights,
    })
}

/// `[1, [[from or null, until or null], …]]`, a range for each rule, in minutes of the wall clock
/// since 1970-01-01T00:00. Informational: the instants stand in the schedules.
pub(super) fn range_extension(keys: &[Times]) -> Extension {
    let minutes = |moment: Option<LocalMoment>| moment.map(LocalMoment::minutes);
    Extension {
        id: RANGE_EXTENSION,
        version: EXTENSION_VERSION,
        data: array()
            .list(keys.iter().map(|key| {
                inner()
                    .optional(minutes(key.range.from()), Writer::uint)
                    .optional(minutes(key.range.until()), Writer::uint)
            }))
            .finish(),
    }
}

pub(super) fn read_ranges(data: &AccessData) -> Result<Vec<Range>, NotOurs> {
    let Some(extension) = ours(
        &data.non_access_extensions,
        |extension| extension.id,
        RANGE_EXTENSION,
    ) else {
        return Ok(Vec::new());
    };
    let read = || -> Result<_, FormatError> {
        let mut reader = Reader::versioned(&extension.data, MAX_EXTENSION)?;
        let ranges = reader.list(data.rules.len(), |item| {
            let mut range = item.nested()?;
            let mut moment = || {
                let minutes = range.optional(Reader::uint)?;
                let moment = minutes.map(LocalMoment::from_minutes).transpose();
                moment.map_err(|_| FormatError::Malformed)
            };
            let read = Range::new(moment()?, moment()?).map_err(|_| FormatError::Malformed)?;
            range.end()?;
            Ok(read)
        })?;
        reader.end()?;
        Ok(ranges)
    };
    read().map_err(|_| NotOurs)
}

fn ours<E>(extensions: &Extensions<E>, id_of: impl Fn(&E) -> u64, id: u64) -> Option<&E> {
    extensions
        .get(&VENDOR_ID)?
        .iter()
        .find(|extension| id_of(extension) == id)
}
