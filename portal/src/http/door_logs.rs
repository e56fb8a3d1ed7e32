//! `POST /v1/properties/{property}/door-logs`

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use latchkey_protocol::api::doors::{CarriedLog, LogKept};
use latchkey_protocol::ids::PropertyId;

use super::{Caller, Problems, Shared, Write, once};
use crate::fault::Fault;
use crate::model::door_log;

/// A phone hands over a part of a door's log, which it cannot open.
#[utoipa::path(post, path = "/v1/properties/{property}/door-logs", tag = "doors",
    params(("property" = PropertyId, Path), ("Idempotency-Key" = String, Header)),
    request_body = CarriedLog,
    responses((status = 200, body = LogKept, description = "What is kept of it now"), Problems))]
pub(super) async fn door_logs(
    State(app): State<Shared>,
    Path(property): Path<PropertyId>,
    caller: Caller,
    write: Write<CarriedLog>,
) -> Result<Response, Fault> {
    once(
        &app,
        caller,
        property,
        write,
        StatusCode::OK,
        |tx, tools, member, carried| door_log::take(tx, tools, member, &carried),
    )
    .await
}
