//! `GET /v1/properties/{property}/events`

use axum::Json;
use axum::extract::{Path, Query, State};
use latchkey_protocol::api::Page;
use latchkey_protocol::api::events::Event;
use latchkey_protocol::ids::PropertyId;

use super::people_list::Asked;
use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::{event, member};

/// What happened at the doors, in the order in which the portal heard of it.
#[utoipa::path(get, path = "/v1/properties/{property}/events", tag = "property",
    params(("property" = PropertyId, Path), Asked),
    responses((status = 200, body = Page<Event>, description = "A page of events"), Problems))]
pub(super) async fn events(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    Query(asked): Query<Asked>,
    Caller(caller): Caller,
) -> Result<Json<Page<Event>>, Fault> {
    app.store
        .read(move |tx| {
            let member = member::of(tx, &caller, property)?;
            Ok(Json(event::list(tx, &member, asked.cursor.as_deref())?))
        })
        .await
}
