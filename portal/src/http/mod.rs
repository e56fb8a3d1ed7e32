//! The HTTP face: one file an endpoint. Handlers take a request apart, call one operation and put the answer together;
//! they hold no rules.

mod around;
mod body;
mod caller;
mod network;
mod packed;
mod problem;
mod write;

mod commissioning;
mod credential_challenge;
mod credential_register;
mod door_controllers;
mod door_create;
mod door_list;
mod door_logs;
mod door_states;
mod door_time;
mod events;
mod guest_key_create;
mod guest_page;
mod guest_pass;
mod guest_stream;
mod health;
mod key_create;
mod key_edit;
mod key_link;
mod key_list;
mod key_show;
mod key_withdraw;
mod key_write_off;
mod link_bind;
mod link_preview;
mod me;
mod people_create;
mod people_list;
mod problems;
mod property;
mod revocation_lists;
mod session_end;
mod sign_in;
mod sign_in_confirm;
mod sync;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use around::RequestId;
pub(crate) use body::Body;
pub(crate) use caller::{Caller, Proven};
pub(crate) use network::Network;
pub(crate) use problem::Problems;
pub(crate) use write::{Write, once};

use crate::app::App;

/// What every handler is given.
pub(crate) type Shared = Arc<App>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Latchkey portal",
        description = "The server that keys are issued from. Errors are problem details (RFC 9457) of the types under \
                       /problems; tokens are bound to the device's key (DPoP, RFC 9449); every write under \
                       /v1/properties takes an Idempotency-Key header.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(latchkey_protocol::api::problem::Problem)),
    tags(
        (name = "session", description = "Signing in and out"),
        (name = "property", description = "A property and what changes there"),
        (name = "doors", description = "Doors, controllers and their WebSocket"),
        (name = "people", description = "People of a property"),
        (name = "keys", description = "Keys and their links"),
        (name = "guest", description = "What a guest's page asks"),
        (name = "portal", description = "The portal itself"),
    )
)]
struct Description;

/// Every route with its description.
fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in_confirm::sign_in_confirm))
        .routes(routes!(token::token))
        .routes(routes!(session_end::session_end))
        .routes(routes!(me::me))
        .routes(routes!(property::property))
        .routes(routes!(sync::sync))
        .routes(routes!(credential_challenge::credential_challenge))
        .routes(routes!(credential_register::credential_register))
        .routes(routes!(door_list::door_list, door_create::door_create))
        .routes(routes!(door_controllers::door_controllers))
        .routes(routes!(door_states::door_states))
        .routes(routes!(revocation_lists::revocation_lists))
        .routes(routes!(door_logs::door_logs))
        .routes(routes!(door_time::door_time))
        .routes(routes!(
            people_list::people_list,
            people_create::people_create
        ))
        .routes(routes!(key_list::key_list, key_create::key_create))
        .routes(routes!(
            key_show::key_show,
            key_edit::key_edit,
            key_withdraw::key_withdraw
        ))
        .routes(routes!(key_link::key_link))
        .routes(routes!(guest_key_create::guest_key_create))
        .routes(routes!(key_write_off::key_write_off))
        .routes(routes!(events::events))
        .routes(routes!(commissioning::offer))
        .routes(routes!(commissioning::collect))
        .routes(routes!(link_preview::link_preview))
        .routes(routes!(link_bind::link_bind))
        .routes(routes!(guest_pass::guest_pass))
        .routes(routes!(guest_stream::guest_stream))
        .routes(routes!(crate::door_socket::door_socket))
        .routes(routes!(crate::relay::relay))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(problems::problem_page))
}

/// What is counted, apart from the API.
pub(crate) fn metrics_router(app: Shared) -> Router {
    let routes = Router::new().route("/metrics", get(health::metrics));
    routes.with_state(app)
}

/// The whole portal as a service.
pub(crate) fn router(app: Shared) -> Router {
    let (routes, description) = described().split_for_parts();
    let document = description
        .to_pretty_json()
        .map_err(|error| error.to_string());
    let document: Arc<str> = document
        .unwrap_or_else(|error| format!("{{\"error\":{error:?}}}"))
        .into();
    routes
        .route(
            "/openapi.json",
            get(move || async move {
                (
                    [(http::header::CONTENT_TYPE, "application/json")],
                    document.to_string(),
                )
            }),
        )
        .merge(guest_page::router())
        .layer(from_fn(around::one_problem_for_a_panic))
        .layer(from_fn_with_state(Arc::clone(&app), around::around))
        .with_state(app)
}
