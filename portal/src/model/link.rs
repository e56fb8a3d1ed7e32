//! Guest links: a secret in an address's fragment, shown once and kept as a hash, that binds a QR key to one browser.

use latchkey_protocol::api::keys::{KeyDoors, KeyKind, LinkState};
use latchkey_protocol::api::links::{BindLink, GuestPass, LinkPreview};
use latchkey_protocol::api::problem::ProblemType;
use latchkey_protocol::ids::{KeyId, LinkId, PropertyId};
use latchkey_protocol::proof::{CredentialProof, KeyKind as ProofKind, Registrant};
use latchkey_protocol::roles::Action;

use chrono::{DateTime, Utc};

use super::key::{self, Record as Key};
use super::key_write;
use super::member::Member;
use super::rate::{self, Limit};
use super::{audit, challenge, credential, door, guest, property};
use crate::auth::secret;
use crate::fault::Fault;
use crate::issue::{Round, passes};
use crate::store::{StoreError, Tx, params};
use crate::tools::Tools;

/// A token cannot be guessed, and many guests may come from one address: what is limited is the use of one link.
const A_LINK: Limit = Limit {
    most: 120,
    seconds: 600,
};

/// Makes a new link and ends the one before, with its passes. The answer is the token.
pub(crate) fn share(
    tx: &mut dyn Tx,
    tools: &Tools,
    member: &Member,
    id: KeyId,
) -> Result<String, Fault> {
    let key = key_write::standing(tx, member, id)?;
    if key.kind != KeyKind::Qr {
        return Err(Fault::conflict("only a qr key has a link"));
    }
    let nobody = Default::default();
    key_write::must(tx, tools, member, Action::EditKey, &key, &nobody)?;
    let property = member.property;
    let mut round = Round::begin(tx, tools, property)?;
    if !key.is_alive(&round.property.calendar(), tools.now()) {
        return Err(Fault::conflict(
            "this key is over: give it a later end first",
        ));
    }
    end_all(tx, property, id, tools.now())?;
    passes::end_of_key(&mut round, tx, id)?;
    round.finish(tx)?;
    let link = LinkId(tools.random());
    let (token, hash) = secret::token(tools.random());
    tx.execute(
        "INSERT INTO link (property, id, key_id, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![property, link, id, tools.now()],
    )?;
    tx.execute(
        "INSERT INTO link_token (hash, property, link) VALUES (?1, ?2, ?3)",
        params![hash, property, link],
    )?;
    audit::write(
        tx,
        tools,
        property,
        Some(member.person),
        "link.share",
        &format!("{link} {id}"),
    )?;
    key_write::tell(tx, property, id, &Default::default())?;
    Ok(token)
}

/// Ends a key's links.
pub(crate) fn end_all(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE link SET ended_at = ?3 WHERE property = ?1 AND key_id = ?2 AND ended_at IS NULL",
        params![property, key, now],
    )?;
    Ok(())
}

/// What became of a key's link, if it has one.
pub(crate) fn state(
    tx: &mut dyn Tx,
    property: PropertyId,
    key: KeyId,
) -> Result<Option<LinkState>, StoreError> {
    tx.first(
        "SELECT created_at, bound_at FROM link
         WHERE property = ?1 AND key_id = ?2 AND ended_at IS NULL",
        params![property, key],
    )?
    .map(|row| {
        Ok(LinkState {
            made_at: row.at(0)?,
            bound_at: row.at(1)?,
        })
    })
    .transpose()
}

/// What a link is for. Binds nothing.
pub(crate) fn preview(tx: &mut dyn Tx, tools: &Tools, token: &str) -> Result<LinkPreview, Fault> {
    let (property, link, bound, key) = open(tx, tools, token)?;
    let (nonce, _) = challenge::make(tx, tools, property.id, &link.0, challenge::OF_A_LINK)?;
    Ok(LinkPreview {
        link,
        property: property.id,
        doors: door_names(tx, property.id, &key)?,
        property_name: property.name,
        key_name: key.name,
        bound,
        nonce: nonce[..].into(),
    })
}

/// Binds a link to the browser that holds this code key. The answer is the guest's cookie and all that the page needs.
/// The same browser may ask again: its answer may have been lost.
pub(crate) fn bind(
    tx: &mut dyn Tx,
    tools: &Tools,
    request: &BindLink,
) -> Result<(String, GuestPass), Fault> {
    let (property, link, bound, key) = open(tx, tools, &request.token)?;
    let public_key = credential::public_key(&request.public_key.0)?;
    let nonce = challenge::use_up(tx, property.id, &link.0, &request.nonce, tools.now())?;
    let proof = CredentialProof {
        property: property.id,
        kind: ProofKind::CodeKey,
        registrant: Registrant::Link(link),
        nonce,
        key: public_key,
    };
    credential::must_hold(&proof, &request.signature.0)?;
    if bound {
        let standing = guest::pass_of_link(tx, property.id, link)?;
        if standing.is_none_or(|pass| pass.public_key != public_key.as_bytes()) {
            return Err(Fault::because(
                ProblemType::LinkEnded,
                "this link is in use on another phone: ask for a new one",
            ));
        }
    } else {
        tx.execute(
            "UPDATE link SET bound_at = ?3 WHERE property = ?1 AND id = ?2",
            params![property.id, link, tools.now()],
        )?;
        let mut round = Round::begin(tx, tools, property.id)?;
        passes::make_for_link(&mut round, tx, &key, link, public_key.as_bytes())?;
        round.finish(tx)?;
        audit::write(tx, tools, property.id, None, "link.bind", &link.to_string())?;
        key_write::tell(tx, property.id, key.id, &Default::default())?;
    }
    let (cookie, hash) = secret::token(tools.random());
    tx.execute(
        "INSERT INTO guest_session (hash, property, link, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![hash, property.id, link, tools.now()],
    )?;
    let pass = guest::show(tx, tools, &cookie)?;
    Ok((cookie, pass))
}

/// The property of a link's token, over or not.
pub(crate) fn property_of(tx: &mut dyn Tx, token: &str) -> Result<PropertyId, Fault> {
    of_token(tx, token).map(|(property, _)| property)
}

fn of_token(tx: &mut dyn Tx, token: &str) -> Result<(PropertyId, LinkId), Fault> {
    let row = tx.first(
        "SELECT property, link FROM link_token WHERE hash = ?1",
        params![secret::hash(token.as_bytes())],
    )?;
    let row = row.ok_or_else(Fault::not_found)?;
    Ok((row.at(0)?, row.at(1)?))
}

/// The link of a token while it is good, whether it is bound, and its key.
fn open(
    tx: &mut dyn Tx,
    tools: &Tools,
    token: &str,
) -> Result<(property::Record, LinkId, bool, Key), Fault> {
    let now = tools.now();
    let (id, link) = of_token(tx, token)?;
    rate::count(tx, &format!("link:{link}"), A_LINK, now)?;
    let row = tx
        .first(
            "SELECT key_id, bound_at, ended_at FROM link WHERE property = ?1 AND id = ?2",
            params![id, link],
        )?
        .ok_or(StoreError::Unreadable("link"))?;
    let bound: Option<DateTime<Utc>> = row.at(1)?;
    let ended: Option<DateTime<Utc>> = row.at(2)?;
    let key = key::load(tx, id, row.at(0)?)?.ok_or(StoreError::Unreadable("link"))?;
    let property = property::load(tx, id)?;
    if ended.is_some() || !key.is_alive(&property.calendar(), now) {
        return Err(Fault::new(ProblemType::LinkEnded));
    }
    Ok((property, link, bound.is_some(), key))
}

fn door_names(tx: &mut dyn Tx, property: PropertyId, key: &Key) -> Result<Vec<String>, StoreError> {
    let doors = key::doors(tx, property, key)?;
    let all = door::all(tx, property)?;
    Ok(all
        .into_iter()
        .filter(|door| match &doors {
            KeyDoors::All => true,
            KeyDoors::Some(doors) => doors.contains(&door.id),
        })
        .map(|door| door.name)
        .collect())
}
