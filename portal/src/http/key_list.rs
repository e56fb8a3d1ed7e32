//! `GET /v1/properties/{property}/keys`

use axum::Json;
use axum::extract::{Path, Query, State};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::keys::Key;
use latchkey_protocol::ids::{PersonId, PropertyId};
use latchkey_protocol::rules::Status;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::key::{self, Filter};
use crate::model::member;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// From the page before.
    cursor: Option<String>,
    /// Keys that this person holds or has granted alone.
    person: Option<PersonId>,
    /// Keys of this status alone.
    status: Option<Status>,
}

/// The keys that the caller may see.
#[utoipa::path(get, path = "/v1/properties/{property}/keys", tag = "keys",
    params(("property" = PropertyId, Path), Asked),
    responses((status = 200, body = Page<Key>, description = "A page of keys"), Problems))]
pub(super) async fn key_list(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    Query(asked): Query<Asked>,
    Caller(caller): Caller,
) -> Result<Json<Page<Key>>, Fault> {
    let now = app.tools.now();
    app.store
        .read(move |tx| {
            let member = member::of(tx, &caller, property)?;
            let filter = Filter {
                person: asked.person,
                status: asked.status,
            };
            Ok(Json(key::list(
                tx,
                &member,
                filter,
                asked.cursor.as_deref(),
                now,
            )?))
        })
        .await
}
