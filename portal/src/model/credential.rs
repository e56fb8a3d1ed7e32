//! Keys that phones hold: access credentials and code keys. Each belongs to one person and one device.

use aliro::crypto::{PublicKey, Signature};
use latchkey_protocol::api::auth::{CredentialUse, RegisterCredential, RegisteredCredential};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::{CredentialId, DeviceId, PersonId, PropertyId};
use latchkey_protocol::proof::{CredentialProof, KeyKind, Registrant};

use super::member::Member;
use super::{audit, challenge, person};
use crate::auth::secret;
use crate::fault::Fault;
use crate::issue::Round;
use crate::store::{Row, StoreError, Tx, params};
use crate::tools::Tools;

/// A registered key as it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) id: CredentialId,
    pub(crate) person: PersonId,
    pub(crate) device: DeviceId,
    pub(crate) public_key: PublicKey,
}

impl Record {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.at(0)?,
            person: row.at(1)?,
            device: row.at(2)?,
            public_key: PublicKey::from_uncompressed(&row.at::<Vec<u8>>(3)?)
                .map_err(|_| StoreError::Unreadable("public key"))?,
        })
    }
}

/// Registers a key that the caller's device has proved to hold. A newer one of the same use takes the place of the
/// device's older one.
pub(crate) fn register(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    request: &RegisterCredential,
) -> Result<RegisteredCredential, Fault> {
    let key = public_key(&request.public_key.0)?;
    let nonce = challenge::use_up(
        tx,
        member.property,
        &member.device.0,
        &request.nonce,
        tools.now(),
    )?;
    let proof = CredentialProof {
        property: member.property,
        kind: match request.usage {
            CredentialUse::Access => KeyKind::AccessCredential,
            CredentialUse::Code => KeyKind::CodeKey,
        },
        registrant: Registrant::Account(member.account),
        nonce,
        key,
    };
    must_hold(&proof, &request.signature.0)?;

    let replaced = tx.query(
        "SELECT id, person, device, public_key FROM credential
         WHERE property = ?1 AND device = ?2 AND usage = ?3 AND withdrawn_at IS NULL",
        params![member.property, member.device, usage_name(request.usage)],
    )?;
    let mut round = Round::begin(tx, tools, member.property)?;
    for row in replaced {
        let old = Record::from_row(&row)?;
        if old.public_key == key {
            return Err(Fault::conflict("this key is registered already"));
        }
        withdraw(tx, tools, &mut round, member.property, &old)?;
    }
    let id = CredentialId(tools.random());
    tx.execute(
        "INSERT INTO credential
             (property, id, person, device, usage, public_key, key_hash, hardware, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            member.property,
            id,
            member.person,
            member.device,
            usage_name(request.usage),
            *key.as_bytes(),
            secret::hash(key.as_bytes()),
            request.hardware,
            tools.now()
        ],
    )
    .map_err(|error| match error {
        StoreError::Duplicate => Fault::conflict("this key is registered already"),
        error => error.into(),
    })?;
    audit::write(
        tx,
        tools,
        member.property,
        Some(member.person),
        "credential.register",
        &format!("{id} {}", usage_name(request.usage)),
    )?;
    person::tell(tx, member.property, member.person)?;
    let record = Record {
        id,
        person: member.person,
        device: member.device,
        public_key: key,
    };
    let passes = match request.usage {
        CredentialUse::Access => {
            round.grants_of(tx, &record)?;
            Vec::new()
        }
        CredentialUse::Code => round.passes_of(tx, &record)?,
    };
    round.finish(tx)?;
    Ok(RegisteredCredential {
        credential: id,
        passes,
    })
}

/// A P-256 key from outside.
pub(crate) fn public_key(bytes: &[u8]) -> Result<PublicKey, Fault> {
    PublicKey::from_uncompressed(bytes)
        .map_err(|_| Fault::invalid("`public_key` must be a P-256 point, 65 bytes uncompressed"))
}

/// Refuses a proof that the key did not make.
pub(crate) fn must_hold(proof: &CredentialProof, signature: &[u8]) -> Result<(), Fault> {
    Signature::from_slice(signature)
        .ok()
        .and_then(|signature| proof.verify(&signature).ok())
        .ok_or_else(|| Fault::because(ProblemType::BadProof, "the key did not make this signature"))
}

/// The standing keys of this use that a person's devices hold.
pub(crate) fn of_person(
    tx: &mut dyn Tx,
    property: PropertyId,
    person: PersonId,
    usage: CredentialUse,
) -> Result<Vec<Record>, StoreError> {
    tx.query(
        "SELECT id, person, device, public_key FROM credential
         WHERE property = ?1 AND person = ?2 AND usage = ?3 AND withdrawn_at IS NULL
         ORDER BY created_at, id",
        params![property, person, usage_name(usage)],
    )?
    .iter()
    .map(Record::from_row)
    .collect()
}

/// The key of this id, unless it was withdrawn.
pub(crate) fn load(
    tx: &mut dyn Tx,
    property: PropertyId,
    id: CredentialId,
) -> Result<Option<Record>, StoreError> {
    tx.first(
        "SELECT id, person, device, public_key FROM credential
         WHERE property = ?1 AND id = ?2 AND withdrawn_at IS NULL",
        params![property, id],
    )?
    .map(|row| Record::from_row(&row))
    .transpose()
}

/// Withdraws all that a device holds at this property: it has signed out.
pub(crate) fn withdraw_device(
    tx: &mut dyn Tx,
    tools: &Tools,
    property: PropertyId,
    device: DeviceId,
) -> Result<(), Fault> {
    let held = tx.query(
        "SELECT id, person, device, public_key FROM credential
         WHERE property = ?1 AND device = ?2 AND withdrawn_at IS NULL",
        params![property, device],
    )?;
    let mut round = Round::begin(tx, tools, property)?;
    for row in held {
        let record = Record::from_row(&row)?;
        withdraw(tx, tools, &mut round, property, &record)?;
        person::tell(tx, property, record.person)?;
    }
    round.finish(tx)
}

fn withdraw(
    tx: &mut dyn Tx,
    tools: &Tools,
    round: &mut Round,
    property: PropertyId,
    record: &Record,
) -> Result<(), Fault> {
    tx.execute(
        "UPDATE credential SET withdrawn_at = ?3 WHERE property = ?1 AND id = ?2",
        params![property, record.id, tools.now()],
    )?;
    audit::write(
        tx,
        tools,
        property,
        Some(record.person),
        "credential.withdraw",
        &record.id.to_string(),
    )?;
    round.credential_ended(tx, record)
}

const fn usage_name(usage: CredentialUse) -> &'static str {
    match usage {
        CredentialUse::Access => "access",
        CredentialUse::Code => "code",
    }
}
