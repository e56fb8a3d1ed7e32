//! A server that does nothing but send on to all its WebSockets what one of them says.

use std::process::ExitCode;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// Where its sockets are.
pub(super) const PATH: &str = "/socket";

type All = broadcast::Sender<Utf8Bytes>;

/// Serves until it is killed.
pub(crate) fn serve() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        println!(
            "listening on http://{}",
            listener.local_addr().expect("an address")
        );
        let app = Router::new().route(PATH, get(socket));
        let app = app.with_state(broadcast::channel(16).0);
        axum::serve(listener, app).await.expect("served");
    });
    ExitCode::SUCCESS
}

async fn socket(State(all): State<All>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| talk(socket, all))
}

async fn talk(mut socket: WebSocket, all: All) {
    let mut said = all.subscribe();
    loop {
        tokio::select! {
            text = said.recv() => {
                let text = text.expect("nobody falls behind");
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
            heard = socket.recv() => match heard {
                Some(Ok(Message::Text(text))) => drop(all.send(text)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}
