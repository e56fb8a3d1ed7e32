//! `POST /v1/properties/{property}/revocation-lists`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::doors::CarriedList;
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::issue::epoch;

/// A phone hands over the list that it held before a new epoch.
#[utoipa::path(post, path = "/v1/properties/{property}/revocation-lists", tag = "doors",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = CarriedList,
    responses((status = 204, description = "Taken"), Problems))]
pub(super) async fn revocation_lists(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<CarriedList>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::NO_CONTENT,
        |tx, tools, member, carried| {
            epoch::list_came(tx, tools, member.property, &carried.document.0)
        },
    )
    .await
}
