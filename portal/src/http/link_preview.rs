//! `POST /v1/links/preview`

use axum::Json;
use axum::extract::State;
use latchkey_protocol::api::links::{LinkPreview, PreviewLink};

use super::{Body, Problems, Shared};
use crate::fault::Fault;
use crate::model::link;
use crate::store::Tx;

/// What a link is for. Binds nothing.
#[utoipa::path(post, path = "/v1/links/preview", tag = "guest", request_body = PreviewLink,
    responses((status = 200, body = LinkPreview, description = "What it is for"), Problems))]
pub(super) async fn link_preview(
    State(app): State<Shared>,
    Body(request): Body<PreviewLink>,
) -> Result<Json<LinkPreview>, Fault> {
    let (tools, token) = (app.tools.clone(), request.token.clone());
    let property = app.store.read(move |tx| link::property_of(tx, &token));
    let work = move |tx: &mut dyn Tx| link::preview(tx, &tools, &request.token);
    app.store.write(property.await?, work).await.map(Json)
}
