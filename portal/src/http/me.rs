//! `GET /v1/me`

use axum::Json;
use axum::extract::State;
use latchkey_protocol::api::auth::{Me, Membership};

use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::{person, property};

/// The account, and where its address is known.
#[utoipa::path(get, path = "/v1/me", tag = "session",
    responses((status = 200, body = Me, description = "The account"), Problems))]
pub(super) async fn me(
    State(app): State<Shared>,
    Caller(caller): Caller,
) -> Result<Json<Me>, Fault> {
    let email = caller.email.clone();
    let known = app
        .store
        .read(move |tx| person::properties_of(tx, &email).map_err(Fault::from))
        .await?;
    let mut memberships = Vec::with_capacity(known.len());
    for (property, id) in known {
        let found = app
            .store
            .read(move |tx| {
                let record = property::load(tx, property)?;
                let person = person::load(tx, property, id)?;
                Ok::<_, Fault>(person.map(|person| Membership {
                    property,
                    property_name: record.name,
                    person: id,
                    person_name: person.name,
                    role: person.role,
                }))
            })
            .await?;
        memberships.extend(found);
    }
    Ok(Json(Me {
        account: caller.account,
        email: caller.email,
        memberships,
    }))
}
