//! `POST /v1/properties/{property}/people`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::people::{NewPerson, Person};
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::person;

/// Enters a person.
#[utoipa::path(post, path = "/v1/properties/{property}/people", tag = "people",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = NewPerson,
    responses((status = 201, body = Person, description = "The person"), Problems))]
pub(super) async fn people_create(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<NewPerson>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::CREATED,
        |tx, tools, member, new| person::create(tx, tools, member, &new),
    )
    .await
}
