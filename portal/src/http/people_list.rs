//! `GET /v1/properties/{property}/people`

use axum::Json;
use axum::extract::{Path, Query, State};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::people::Person;
use latchkey_protocol::ids::PropertyId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::{member, person};

/// Which page of a list is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// From the page before.
    pub(super) cursor: Option<String>,
}

/// The people, in the order in which they were entered.
#[utoipa::path(get, path = "/v1/properties/{property}/people", tag = "people",
    params(("property" = PropertyId, Path), Asked),
    responses((status = 200, body = Page<Person>, description = "A page of people"), Problems))]
pub(super) async fn people_list(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    Query(asked): Query<Asked>,
    Caller(caller): Caller,
) -> Result<Json<Page<Person>>, Fault> {
    app.store
        .read(move |tx| {
            let member = member::of(tx, &caller, property)?;
            Ok(Json(person::list(tx, &member, asked.cursor.as_deref())?))
        })
        .await
}
