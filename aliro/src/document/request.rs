//! DeviceRequest: what a reader asks for.

use super::cbor::{Reader, Writer};
use super::error::DocumentError;
use super::{ACCESS, REVOCATION};

/// Which elements of which documents a reader asks for, by identifier.
///
/// An identifier is an opaque text agreed between issuer and reader, such as
/// `floor1`. An empty list leaves that document out of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Element identifiers wanted from the Access Document.
    pub access: Vec<String>,
    /// Element identifiers wanted from the Revocation Document.
    pub revocation: Vec<String>,
}

/// Most identifiers that one request may name.
pub const MAX_ASKED: usize = 256;

const VERSION: &str = "1.0";

impl DeviceRequest {
    /// The CBOR of the request, ready for the step-up channel.
    ///
    /// `intentToRetain` is false for access and true for revocation: a reader
    /// keeps the revocation list, and needs the rest once.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let asked: Vec<_> = [
            (ACCESS, &self.access, false),
            (REVOCATION, &self.revocation, true),
        ]
        .into_iter()
        .filter(|(_, identifiers, _)| !identifiers.is_empty())
        .collect();
        let mut out = Writer::default();
        out.map(2).text("1").text(VERSION).text("2");
        out.array(asked.len());
        for (doc_type, identifiers, retain) in asked {
            let mut items = Writer::default();
            items.map(2).text("1").map(1).text(doc_type);
            items.map(identifiers.len());
            for identifier in identifiers {
                items.text(identifier).boolean(retain);
            }
            items.text("5").text(doc_type);
            out.map(1).text("1").embedded(&items.into_bytes());
        }
        out.into_bytes()
    }

    /// Reads a request, members in any order.
    ///
    /// Document types that this standard does not have are skipped: their
    /// documents cannot be held, so there is nothing to say about them.
    ///
    /// # Errors
    /// [`DocumentError`] when it is not a version-1.0 DeviceRequest.
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        const WHAT: &str = "DeviceRequest";
        let mut reader = Reader::new(bytes)?;
        let mut request = Self::default();
        let (mut version, mut documents) = (false, false);
        for _ in 0..reader.map(WHAT)? {
            match reader.text(WHAT)? {
                "1" if !version => {
                    if reader.text(WHAT)? != VERSION {
                        return Err(DocumentError::Malformed(WHAT));
                    }
                    version = true;
                }
                "2" if !documents => {
                    for _ in 0..reader.array(WHAT)? {
                        request.read_doc_request(&mut reader)?;
                    }
                    documents = true;
                }
                "1" | "2" => return Err(DocumentError::Malformed(WHAT)),
                _ => {
                    reader.item()?;
                }
            }
        }
        reader.end()?;
        if version && documents {
            Ok(request)
        } else {
            Err(DocumentError::Malformed(WHAT))
        }
    }

    fn read_doc_request(&mut self, reader: &mut Reader<'_>) -> Result<(), DocumentError> {
        const WHAT: &str = "DocRequest";
        let mut items = None;
        for _ in 0..reader.map(WHAT)? {
            if reader.text(WHAT)? == "1" {
                let content = reader.embedded(WHAT)?;
                if items.replace(content).is_some() {
                    return Err(DocumentError::Malformed(WHAT));
                }
            } else {
                reader.item()?;
            }
        }
        self.read_items_request(items.ok_or(DocumentError::Malformed(WHAT))?)
    }

    fn read_items_request(&mut self, bytes: &[u8]) -> Result<(), DocumentError> {
        const WHAT: &str = "ItemsRequest";
        const MALFORMED: DocumentError = DocumentError::Malformed(WHAT);
        let mut reader = Reader::new(bytes)?;
        let (mut asked, mut doc_type) = (None, None);
        for _ in 0..reader.map(WHAT)? {
            let earlier = match reader.text(WHAT)? {
                "1" => asked.replace(read_namespaces(&mut reader)?).is_some(),
                "5" => doc_type.replace(reader.text(WHAT)?).is_some(),
                _ => {
                    reader.item()?;
                    false
                }
            };
            if earlier {
                return Err(MALFORMED);
            }
        }
        reader.end()?;
        let (asked, doc_type) = (asked.ok_or(MALFORMED)?, doc_type.ok_or(MALFORMED)?);
        let wanted = match doc_type {
            ACCESS => &mut self.access,
            REVOCATION => &mut self.revocation,
            _ => return Ok(()),
        };
        for (namespace, identifier) in asked {
            if namespace == doc_type && !wanted.contains(&identifier) {
                wanted.push(identifier);
            }
        }
        if wanted.len() > MAX_ASKED {
            return Err(DocumentError::TooComplex);
        }
        Ok(())
    }
}

/// Pairs of namespace and identifier, in the order given.
fn read_namespaces(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, DocumentError> {
    const WHAT: &str = "ItemsRequest namespaces";
    let mut asked = Vec::new();
    for _ in 0..reader.map(WHAT)? {
        let namespace = reader.text(WHAT)?;
        for _ in 0..reader.map(WHAT)? {
            let identifier = reader.text(WHAT)?;
            reader.boolean(WHAT)?;
            if asked.len() == 2 * MAX_ASKED {
                return Err(DocumentError::TooComplex);
            }
            asked.push((namespace.to_owned(), identifier.to_owned()));
        }
    }
    Ok(asked)
}
