//! `GET /v1/properties/{property}/doors`

use axum::Json;
use axum::extract::{Path, Query, State};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::doors::Door;
use latchkey_protocol::ids::PropertyId;

use super::people_list::Asked;
use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::{door, member};

/// The doors that the caller may see.
#[utoipa::path(get, path = "/v1/properties/{property}/doors", tag = "doors",
    params(("property" = PropertyId, Path), Asked),
    responses((status = 200, body = Page<Door>, description = "A page of doors"), Problems))]
pub(super) async fn door_list(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    Query(asked): Query<Asked>,
    Caller(caller): Caller,
) -> Result<Json<Page<Door>>, Fault> {
    app.store
        .read(move |tx| {
            let member = member::of(tx, &caller, property)?;
            Ok(Json(door::list(tx, &member, asked.cursor.as_deref())?))
        })
        .await
}
