//! `GET /v1/guest/stream`

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::response::sse::{Event, Sse};
use futures_util::{Stream, stream};

use super::around::GoesOn;
use super::guest_pass::GuestToken;
use super::{Network, Problems, Shared};
use crate::fault::Fault;
use crate::listen::Peer;
use crate::model::guest;
use crate::room::Place;
use crate::slow::Progress;
use crate::store::{Listening, Wake};

/// An event says that the page should fetch its pass again; a comment that the line still stands.
const BEAT: Duration = Duration::from_secs(25);

/// Tells a guest's page of changes (server-sent events): fetch `/v1/guest/pass` at each message.
#[utoipa::path(get, path = "/v1/guest/stream", tag = "guest",
    responses((status = 200, content_type = "text/event-stream", description = "A message at each change"), Problems))]
pub(super) async fn guest_stream(
    State(app): State<Shared>,
    network: Network,
    line: Option<Extension<ConnectInfo<Peer>>>,
    token: GuestToken,
) -> Result<
    (
        Extension<GoesOn>,
        Sse<impl Stream<Item = Result<Event, Infallible>>>,
    ),
    Fault,
> {
    let place = app.waiting.take(Some(network.0))?;
    let property = app
        .store
        .read(move |tx| guest::property(tx, &token.0))
        .await?;
    let wakes = app.store.wakes(&[Wake::Guests(property)]);
    let open = Open {
        progress: line.map(|Extension(line)| line.0.progress),
        _place: place,
    };
    let state = (app, wakes, open);
    let events = stream::unfold(state, |(app, mut wakes, open)| async move {
        let event = next(&app, &mut wakes).await?;
        Some((Ok(event), (app, wakes, open)))
    });
    Ok((Extension(GoesOn), Sse::new(events)))
}

/// A stream that goes on. At its end its place is free, and its connection rests.
struct Open {
    progress: Option<Progress>,
    _place: Place,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.answered();
        }
    }
}

async fn next(app: &Shared, wakes: &mut Listening) -> Option<Event> {
    let news = latchkey_env::timeout(&*app.tools.clock, BEAT, async {
        tokio::select! {
            news = wakes.next() => news.is_some(),
            () = app.closed() => false,
        }
    });
    match news.await {
        Ok(true) => Some(Event::default().data("changed")),
        Ok(false) => None,
        Err(_) => Some(Event::default().comment("here")),
    }
}
