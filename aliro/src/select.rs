//! SELECT over NFC: the two applications and what a device answers.

use crate::proprietary::ProprietaryInformation;
use crate::tlv::{self, Tag, TlvError};

/// The application of AUTH0, AUTH1 and EXCHANGE.
pub const EXPEDITED: [u8; 9] = [0xa0, 0x00, 0x00, 0x09, 0x09, 0xac, 0xce, 0x55, 0x01];

/// The application of ENVELOPE.
pub const STEP_UP: [u8; 9] = [0xa0, 0x00, 0x00, 0x09, 0x09, 0xac, 0xce, 0x55, 0x02];

const FILE_CONTROL: Tag = 0x6f;
const APPLICATION: Tag = 0x84;
const PROPRIETARY: Tag = 0xa5;

/// The answer's data (file control information).
pub fn file_control(application: &[u8; 9], proprietary: &ProprietaryInformation) -> Vec<u8> {
    let mut inner = Vec::new();
    tlv::push(&mut inner, APPLICATION, application);
    inner.extend(proprietary.as_bytes());
    let mut out = Vec::new();
    tlv::push(&mut out, FILE_CONTROL, &inner);
    out
}

/// Reads the answer's data: the A5 object in it. What follows the file control
/// information (a device descriptor) is skipped.
///
/// # Errors
/// [`TlvError`], also for another application.
pub fn parse_file_control(
    data: &[u8],
    application: &[u8; 9],
) -> Result<ProprietaryInformation, TlvError> {
    let content = proprietary_of(data, application)?;
    let content = content.ok_or(TlvError::Missing(PROPRIETARY))?;
    // Lengths have one form only, so writing the header again gives the bytes
    // that were sent.
    let mut whole = Vec::with_capacity(content.len() + 3);
    tlv::push(&mut whole, PROPRIETARY, content);
    ProprietaryInformation::parse(&whole)
}

/// Whether the answer's data are those of this application, whatever it
/// supports: what the step-up application says of versions does not count.
///
/// # Errors
/// As [`parse_file_control`].
pub fn check_application(data: &[u8], application: &[u8; 9]) -> Result<(), TlvError> {
    proprietary_of(data, application).map(|_| ())
}

fn proprietary_of<'a>(data: &'a [u8], application: &[u8; 9]) -> Result<Option<&'a [u8]>, TlvError> {
    let [inner] = tlv::pick(data, [FILE_CONTROL])?;
    let inner = inner.ok_or(TlvError::Missing(FILE_CONTROL))?;
    let [name, proprietary] = tlv::pick(inner, [APPLICATION, PROPRIETARY])?;
    if name != Some(application) {
        return Err(TlvError::Missing(APPLICATION));
    }
    Ok(proprietary)
}
