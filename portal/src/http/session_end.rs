//! `DELETE /v1/session`

use axum::extract::State;
use http::StatusCode;

use super::{Caller, Problems, Shared};
use crate::fault::Fault;
use crate::model::{credential, person, session};
use crate::store::{Scope, Tx};

/// Signs this device out: its tokens end, and what was issued to it is withdrawn.
#[utoipa::path(delete, path = "/v1/session", tag = "session",
    responses((status = 204, description = "Signed out"), Problems))]
pub(super) async fn session_end(
    State(app): State<Shared>,
    Caller(caller): Caller,
) -> Result<StatusCode, Fault> {
    let email = caller.email.clone();
    let properties = app
        .store
        .read(move |tx| person::properties_of(tx, &email).map_err(Fault::from))
        .await?;
    for (property, _) in properties {
        let tools = app.tools.clone();
        let work =
            move |tx: &mut dyn Tx| credential::withdraw_device(tx, &tools, property, caller.device);
        app.store.write(property, work).await?;
    }
    let now = app.tools.now();
    app.store
        .write(Scope::Portal, move |tx| {
            session::end(tx, caller.device, now).map_err(Fault::from)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
