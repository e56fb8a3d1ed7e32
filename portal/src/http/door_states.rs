//! `POST /v1/properties/{property}/door-states`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::doors::CarriedDoorState;
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::door_state;

/// A phone hands over a door's signed state, unopened.
#[utoipa::path(post, path = "/v1/properties/{property}/door-states", tag = "doors",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = CarriedDoorState,
    responses((status = 204, description = "Taken"), Problems))]
pub(super) async fn door_states(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<CarriedDoorState>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::NO_CONTENT,
        |tx, tools, member, carried| {
            door_state::take(tx, tools, member.property, &carried.state.0)?;
            Ok(())
        },
    )
    .await
}
