//! The property's page: draws the board, and passes on what a visitor does to it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, StreamExt as _, stream};
use latchkey_protocol::ids::DoorId;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::board::Board;
use crate::estate::Estate;

const PAGE: &str = include_str!("../page/dist/page.html");

/// Serves the page until the task is dropped; answers with where.
pub(crate) async fn serve(
    estate: Arc<Estate>,
) -> Result<(SocketAddr, impl Future<Output = std::io::Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let router = Router::new()
        .route(
            "/",
            get(|| async { ([(CONTENT_TYPE, "text/html; charset=utf-8")], PAGE) }),
        )
        .route("/board", get(board))
        .route("/live", get(live))
        .route("/switch", post(switch))
        .route("/scan", post(scan))
        .route("/unlock", post(unlock))
        .route("/invite", post(invite))
        .layer(middleware::from_fn(only_this_page))
        .with_state(estate);
    Ok((addr, axum::serve(listener, router).into_future()))
}

/// No other site may open doors here through a visitor's browser: writes come from this page, and the name in the
/// address is this machine's, so that no foreign name can be pointed at it.
async fn only_this_page(request: axum::extract::Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    let local = host.starts_with("127.0.0.1:") || host.starts_with("localhost:");
    let same = text(ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    if local && same {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

/// What went wrong, in words for the feed.
struct Fault(anyhow::Error);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (StatusCode::CONFLICT, format!("{:#}", self.0)).into_response()
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

async fn board(State(estate): State<Arc<Estate>>) -> Json<Board> {
    Json(estate.board().follow().0)
}

async fn live(
    State(estate): State<Arc<Estate>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (_, live) = estate.board().follow();
    let events = stream::unfold(live, |mut live| async {
        loop {
            match live.recv().await {
                Ok(news) => return Some((news, live)),
                // A page that was too slow goes on with what comes next.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
    .map(|news| Ok(Event::default().json_data(news).unwrap_or_default()));
    Sse::new(events).keep_alive(KeepAlive::default())
}

#[derive(Deserialize)]
struct SwitchBody {
    id: String,
    failing: bool,
}

async fn switch(
    State(estate): State<Arc<Estate>>,
    Json(body): Json<SwitchBody>,
) -> Result<StatusCode, Fault> {
    estate.set_failing(&body.id, body.failing).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct ScanBody {
    door: DoorId,
    text: String,
}

async fn scan(
    State(estate): State<Arc<Estate>>,
    Json(body): Json<ScanBody>,
) -> Result<StatusCode, Fault> {
    estate.show_code(body.door, &body.text).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct UnlockBody {
    phone: String,
    door: DoorId,
}

async fn unlock(
    State(estate): State<Arc<Estate>>,
    Json(body): Json<UnlockBody>,
) -> Result<StatusCode, Fault> {
    estate.hold_phone_to(&body.phone, body.door).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
struct Invitation {
    url: String,
}

async fn invite(State(estate): State<Arc<Estate>>) -> Result<Json<Invitation>, Fault> {
    Ok(Json(Invitation {
        url: estate.invite_guest().await?,
    }))
}
