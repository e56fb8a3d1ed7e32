//! A door's line from its sign-in to its end.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use latchkey_env::ticks;
use latchkey_protocol::doorlink::{FromDoor, FromPortal, close};

use super::hub::{Order, Registered};
use super::news::Told;
use super::push::{self, Progress};
use super::reports;
use super::sign_in::{self, SignedIn};
use super::uses::Uses;
use super::{Gone, Goodbye, REPLACED, send, send_text};
use crate::fault::Fault;
use crate::http::Shared;
use crate::issue::epoch;
use crate::model::event::Report;
use crate::model::line::{self, Line};
use crate::model::uses::Wanted;
use crate::model::{code_check, controller, door_state};
use crate::room::Place;
use crate::store::{Listening, Tx, Wake};

/// A ping goes out this often; one that is not answered by the next ends the line.
const BEAT: Duration = Duration::from_secs(20);

const PROTOCOL: Goodbye = Goodbye {
    code: close::PROTOCOL,
    reason: "a message does not read, or does not belong here",
};
const RESTART: Goodbye = Goodbye {
    code: close::RESTART,
    reason: "the portal goes down",
};
const SILENT: Goodbye = Goodbye {
    code: close::RESTART,
    reason: "no answer to a ping",
};

/// `place` is given back once it is known which door it is.
pub(super) async fn run(app: Shared, mut socket: WebSocket, place: Place) {
    let door = match sign_in::run(&app, &mut socket).await {
        Ok(door) => door,
        Err(goodbye) => {
            tracing::info!(reason = goodbye.reason, "a door was not let in");
            return super::close(socket, &goodbye).await;
        }
    };
    drop(place);
    // Before it is announced, so that nothing signed in between is missed.
    let wakes = app.store.wakes(&[
        Wake::IssuedTo(door.property, door.door),
        Wake::Uses(door.property),
        Wake::Line(door.property, door.door),
    ]);
    let line = app.doors.register(door.property, door.door);
    app.metrics.doors(app.doors.len());
    let begun = match begin_line(&app, door).await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::error!(%error, "a door's connection could not be noted");
            app.doors.remove(door.property, door.door, &line);
            return super::close(socket, &RESTART).await;
        }
    };
    tracing::info!(property = %door.property, door = %door.door, "a door is connected");
    let mut talk = Talk {
        app: app.clone(),
        door,
        begun,
        line,
        wakes,
        uses: Uses::new(door, begun.number),
        progress: None,
        pinged: false,
    };
    let end = talk.go_on(&mut socket).await;
    app.doors.remove(door.property, door.door, &talk.line);
    app.metrics.doors(app.doors.len());
    end_line(&app, door, begun).await;
    tracing::info!(property = %door.property, door = %door.door, ?end, "a door is gone");
    if let End::Goodbye(goodbye) = end {
        super::close(socket, &goodbye).await;
    }
}

async fn begin_line(app: &Shared, door: SignedIn) -> Result<Line, Fault> {
    let (instance, now) = (app.store.instance(), app.tools.now());
    let begin =
        move |tx: &mut dyn Tx| Ok(line::begin(tx, door.property, door.door, instance, now)?);
    app.store.write(door.property, begin).await
}

async fn end_line(app: &Shared, door: SignedIn, line: Line) {
    let now = app.tools.now();
    let end =
        move |tx: &mut dyn Tx| Ok::<_, Fault>(line::end(tx, door.property, door.door, line, now)?);
    if let Err(error) = app.store.write(door.property, end).await {
        tracing::error!(%error, "the end of a door's line could not be noted");
    }
}

#[derive(Debug)]
pub(super) enum End {
    Gone,
    Goodbye(Goodbye),
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

struct Talk {
    app: Shared,
    door: SignedIn,
    begun: Line,
    line: Registered,
    wakes: Listening,
    uses: Uses,
    /// None until the door has shown its state.
    progress: Option<Progress>,
    /// A ping has not been answered yet.
    pinged: bool,
}

/// What happens next on a line.
enum Next {
    Heard(Option<Result<Message, axum::Error>>),
    Order(Option<Order>),
    Woken(Option<Wake>),
    /// Something is new for all doors.
    News(Told),
    /// Somebody has waited long enough for a use.
    Patience,
    Beat,
    Closing,
}

impl Talk {
    async fn go_on(&mut self, socket: &mut WebSocket) -> End {
        match self.talk(socket).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> Result<std::convert::Infallible, End> {
        send(
            socket,
            &FromPortal::Welcome {
                version: self.door.version,
            },
        )
        .await?;
        let mut beat = ticks(self.app.tools.clock.clone(), BEAT);
        loop {
            let next = tokio::select! {
                heard = socket.recv() => Next::Heard(heard),
                order = self.line.orders.recv() => Next::Order(order),
                wake = self.wakes.next() => Next::Woken(wake),
                Ok(()) = self.line.news.changed() => {
                    Next::News(self.line.news.borrow_and_update().clone())
                }
                () = self.uses.patience(&self.app.tools) => Next::Patience,
                () = beat.tick() => Next::Beat,
                () = self.app.closed() => Next::Closing,
            };
            match next {
                Next::Heard(Some(Ok(Message::Text(text)))) => {
                    let message =
                        serde_json::from_str(&text).map_err(|_| End::Goodbye(PROTOCOL))?;
                    self.hear(socket, message).await?;
                }
                Next::Heard(Some(Ok(Message::Pong(_)))) => self.pinged = false,
                Next::Heard(Some(Ok(Message::Ping(_)))) => {}
                Next::Heard(Some(Ok(Message::Binary(_)))) => return Err(End::Goodbye(PROTOCOL)),
                Next::Heard(Some(Ok(Message::Close(_)) | Err(_)) | None) => return Err(End::Gone),
                Next::Order(Some(Order::Send(message))) => send(socket, &message).await?,
                Next::Order(Some(Order::End(goodbye))) => return Err(End::Goodbye(goodbye)),
                Next::Order(None) | Next::Closing | Next::Woken(None) => {
                    return Err(End::Goodbye(RESTART));
                }
                Next::Woken(Some(Wake::Line(..))) => self.look_at_line().await?,
                Next::Woken(Some(wake)) => {
                    if wake == Wake::Anything {
                        self.look_at_line().await?;
                    }
                    self.push(socket).await?;
                    self.uses.ask_again(&self.app, socket).await?;
                }
                Next::News(told) => self.take_news(socket, told).await?,
                Next::Patience => self.uses.ask_again(&self.app, socket).await?,
                Next::Beat if self.pinged => return Err(End::Goodbye(SILENT)),
                Next::Beat => {
                    self.pinged = true;
                    let ping = Message::Ping(bytes::Bytes::new());
                    socket.send(ping).await.map_err(|_| End::Gone)?;
                }
            }
        }
    }

    /// Lets the line go when the door has a newer one, at whichever instance; enters it again when it was taken for
    /// gone.
    async fn look_at_line(&self) -> Result<(), End> {
        let (door, own) = (self.door, self.begun);
        let look = move |tx: &mut dyn Tx| Ok::<_, Fault>(line::of(tx, door.property, door.door)?);
        let (number, holder) = self.app.store.read(look).await.map_err(refused)?;
        if number != own.number {
            return Err(End::Goodbye(REPLACED));
        }
        if holder.is_none() {
            let again = move |tx: &mut dyn Tx| {
                Ok::<_, Fault>(line::enter_again(tx, door.property, door.door, own)?)
            };
            let entered = self.app.store.write(door.property, again).await;
            entered.map_err(refused)?;
        }
        Ok(())
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: FromDoor) -> Result<(), End> {
        let SignedIn {
            property,
            door,
            generation,
            ..
        } = self.door;
        let tools = self.app.tools.clone();
        match message {
            FromDoor::SignIn { .. } => return Err(End::Goodbye(PROTOCOL)),
            FromDoor::State { state } => {
                let taken = move |tx: &mut dyn Tx| door_state::take(tx, &tools, property, &state.0);
                let state = self
                    .app
                    .store
                    .write(property, taken)
                    .await
                    .map_err(refused)?;
                if state.door != door {
                    return Err(End::Goodbye(PROTOCOL));
                }
                match &mut self.progress {
                    Some(progress) => progress.take(&state),
                    None => self.progress = Some(Progress::of(&state)),
                }
                self.push(socket).await?;
            }
            FromDoor::TimeChallenge { nonce } => {
                let nonce = nonce.to_array().map_err(|_| End::Goodbye(PROTOCOL))?;
                let answer =
                    move |tx: &mut dyn Tx| controller::time(tx, &tools, property, door, nonce);
                match self.app.store.write(property, answer).await {
                    Ok(answer) => {
                        let answer = answer.into();
                        send(socket, &FromPortal::Time { answer }).await?;
                    }
                    // The door asks again.
                    Err(error) => tracing::error!(%error, "a door got no time"),
                }
            }
            FromDoor::CodeCheck {
                request,
                pass,
                issued,
            } => {
                let now = tools.now();
                let check =
                    move |tx: &mut dyn Tx| code_check::check(tx, now, property, door, pass, issued);
                let denied = self
                    .app
                    .store
                    .write(property, check)
                    .await
                    .map_err(refused)?;
                send(socket, &FromPortal::CodeAnswer { request, denied }).await?;
            }
            FromDoor::UseWanted {
                request,
                budget,
                spent,
            } => {
                let wanted = Wanted { budget, spent };
                self.uses.ask(&self.app, socket, request, wanted).await?;
            }
            FromDoor::Events { events } => {
                let report = Report {
                    door,
                    generation,
                    events,
                };
                let up_to = report.up_to();
                let kept = reports::keep(&self.app, property, report).await;
                kept.map_err(refused)?;
                send(socket, &FromPortal::EventsKept { up_to }).await?;
            }
            FromDoor::List { document } => {
                let take =
                    move |tx: &mut dyn Tx| epoch::list_came(tx, &tools, property, &document.0);
                if let Err(error) = self.app.store.write(property, take).await {
                    // The door obeys it all the same, and hands it over on its next line.
                    tracing::error!(%error, "a door's list could not be taken");
                }
            }
            FromDoor::RelayData { channel, bytes } => self.line.relay_data(channel, bytes.0),
            FromDoor::RelayClose { channel } => self.line.relay_close(channel),
        }
        Ok(())
    }

    /// Sends the list, where that is all that the door has not heard.
    async fn take_news(&mut self, socket: &mut WebSocket, told: Told) -> Result<(), End> {
        let Some(progress) = &mut self.progress else {
            return Ok(());
        };
        match told {
            Some(news) if progress.has_statements(news.epoch, news.all) => {
                if progress.takes_list(news.list) {
                    send_text(socket, news.revocation.clone()).await?;
                }
                Ok(())
            }
            _ => self.push(socket).await,
        }
    }

    /// Sends all that the door has not heard.
    async fn push(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let Some(mut progress) = self.progress else {
            return Ok(());
        };
        loop {
            let SignedIn { property, door, .. } = self.door;
            let look = move |tx: &mut dyn Tx| push::missing(tx, property, door, progress);
            let (messages, next) = self.app.store.read(look).await.map_err(refused)?;
            if messages.is_empty() {
                self.progress = Some(next);
                return self.uses.push(&self.app, socket).await;
            }
            for message in &messages {
                send(socket, message).await?;
            }
            progress = next;
        }
    }
}

pub(super) fn refused(fault: Fault) -> End {
    tracing::warn!(error = %fault, "what a door said was refused");
    End::Goodbye(match fault {
        Fault::Refused { .. } => PROTOCOL,
        _ => RESTART,
    })
}
