//! Documents that no sound issuer would make, signed nonetheless.

use aliro::document::RawDocument;
use ciborium::value::Value;

use super::Key;

/// A document taken apart.
pub struct Parts {
    pub doc_type: Value,
    pub namespace: Value,
    /// IssuerSignedItems, without their tagged byte strings.
    pub items: Vec<Value>,
    pub mso: Value,
    pub protected: Vec<u8>,
    pub unprotected: Value,
    /// Whether digests follow the items when it is put together again.
    pub fresh_digests: bool,
}

/// Takes a document apart, lets `edit` at it, and signs what comes of it.
pub fn forge(document: &RawDocument, issuer: &Key, edit: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::of(document);
    edit(&mut parts);
    parts.signed_by(issuer)
}

impl Parts {
    pub fn of(document: &RawDocument) -> Self {
        let mut document = decode(document.as_bytes());
        let issuer_signed = member(&mut document, "1");
        let (namespace, items) = match member(issuer_signed, "1") {
            Value::Map(namespaces) => namespaces.remove(0),
            other => panic!("no namespaces: {other:?}"),
        };
        let Value::Array(sign1) = member(issuer_signed, "2").clone() else {
            panic!("no signature");
        };
        let [protected, unprotected, payload, _] =
            <[Value; 4]>::try_from(sign1).expect("four parts");
        let payload = payload.into_bytes().expect("bytes");
        Self {
            doc_type: member(&mut document, "5").clone(),
            namespace,
            items: items
                .into_array()
                .expect("a list")
                .into_iter()
                .map(untagged)
                .collect(),
            mso: untagged(decode(&payload)),
            protected: protected.into_bytes().expect("bytes"),
            unprotected,
            fresh_digests: true,
        }
    }

    pub fn signed_by(mut self, issuer: &Key) -> Vec<u8> {
        let items: Vec<Value> = self.items.iter().map(tagged).collect();
        if self.fresh_digests {
            let digests = self.items.iter().zip(&items).filter_map(|(item, tagged)| {
                let members = item.as_map()?;
                let (_, id) = members.iter().find(|(name, _)| *name == Value::from("1"))?;
                Some((id.clone(), Value::Bytes(super::sha256(&encode(tagged)))))
            });
            let digests = Value::Map(digests.collect());
            *member(&mut self.mso, "3") = Value::Map(vec![(self.namespace.clone(), digests)]);
        }
        let payload = encode(&tagged(&self.mso));
        let to_be_signed = encode(&Value::Array(vec![
            Value::from("Signature1"),
            Value::Bytes(self.protected.clone()),
            Value::Bytes(Vec::new()),
            Value::Bytes(payload.clone()),
        ]));
        let sign1 = Value::Array(vec![
            Value::Bytes(self.protected),
            self.unprotected,
            Value::Bytes(payload),
            Value::Bytes(issuer.sign(&to_be_signed).0.to_vec()),
        ]);
        let namespaces = Value::Map(vec![(self.namespace, Value::Array(items))]);
        encode(&map([
            ("1", map([("1", namespaces), ("2", sign1)])),
            ("5", self.doc_type),
        ]))
    }
}

/// A member of a map with text keys.
pub fn member<'a>(map: &'a mut Value, key: &str) -> &'a mut Value {
    let members = map.as_map_mut().expect("a map");
    let found = members
        .iter_mut()
        .find(|(name, _)| *name == Value::from(key));
    &mut found.expect("the member").1
}

/// Puts a member of a map with text keys, or replaces it.
pub fn put(map: &mut Value, key: &str, value: Value) {
    remove(map, key);
    map.as_map_mut()
        .expect("a map")
        .push((Value::from(key), value));
}

pub fn remove(map: &mut Value, key: &str) {
    map.as_map_mut()
        .expect("a map")
        .retain(|(name, _)| *name != Value::from(key));
}

pub fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(key, value)| (Value::from(key), value))
            .collect(),
    )
}

pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing to memory");
    bytes
}

pub fn decode(bytes: &[u8]) -> Value {
    ciborium::from_reader(bytes).expect("CBOR")
}

fn tagged(content: &Value) -> Value {
    Value::Tag(24, Box::new(Value::Bytes(encode(content))))
}

fn untagged(value: Value) -> Value {
    match value {
        Value::Tag(24, inner) => decode(&inner.into_bytes().expect("bytes")),
        other => panic!("not tagged: {other:?}"),
    }
}
