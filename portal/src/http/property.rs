//! `GET /v1/properties/{property}`

use axum::Json;
use axum::extract::{Path, State};
use latchkey_protocol::api::property::Property;
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::{member, property};

/// The property's settings.
#[utoipa::path(get, path = "/v1/properties/{property}", tag = "property",
    params(("property" = PropertyId, Path)),
    responses((status = 200, body = Property, description = "The settings"), Problems))]
pub(super) async fn property(
    State(app): State<Shared>,
    Path(id): Path<PropertyId>,
    Caller(caller): Caller,
) -> Result<Json<Property>, Fault> {
    app.store
        .read(move |tx| {
            let member = member::of(tx, &caller, id)?;
            Ok(Json(property::load(tx, id)?.view(&member)))
        })
        .await
}
