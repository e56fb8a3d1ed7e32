//! What people do with their own keys.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use latchkey_core::codes::CodeView;
use latchkey_core::phone::Phone;
use latchkey_core::unlock::{CarrierKind, UnlockEvent, UnlockOptions};
use latchkey_core::views::{DoorRef, KeyRef};
use latchkey_env::Clock as _;
use latchkey_env::SystemClock;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};

use super::{Answer, Command, named, show};

/// A way to a door.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Way {
    /// Straight to the door, on the spot
    Stream,
    /// Over the network, carried by the portal
    Relay,
}

pub(crate) async fn run(phone: &Phone, command: Command, json: bool) -> Result<Answer> {
    match command {
        Command::List => show::keys(&phone.keys()?, &phone.properties()?),
        Command::Doors => show::doors(&phone.doors()?, &phone.properties()?),
        Command::Unlock { door, by } => unlock(phone, &door, by, json).await,
        Command::Code { key, door, watch } => code(phone, &key, door.as_deref(), watch, json).await,
        Command::Sync => {
            let report = phone.sync().await?;
            if let Some(failure) = report.failures.into_iter().next() {
                return Err(failure.error.into());
            }
            let text = match report.changes {
                0 => "Nothing new.".to_owned(),
                1 => "One change.".to_owned(),
                changes => format!("{changes} changes."),
            };
            Ok(Answer {
                text,
                json: json!({ "changes": report.changes }),
            })
        }
        Command::Outbox => show::outbox(&phone.outbox()?),
        Command::SignOut => {
            let mut portals: Vec<_> = phone
                .properties()?
                .into_iter()
                .map(|property| property.portal_url)
                .collect();
            portals.dedup();
            for portal in &portals {
                phone.sign_out(portal).await?;
            }
            Ok(Answer {
                text: "Signed out.".to_owned(),
                json: json!({ "signed_out": portals }),
            })
        }
        Command::SignIn { .. }
        | Command::Where
        | Command::Seal
        | Command::Guests(_)
        | Command::Staff(_) => unreachable!("answered before"),
    }
}

async fn unlock(phone: &Phone, door: &str, by: Option<Way>, json: bool) -> Result<Answer> {
    // News of keys first, where there is a network; without one the wallet does.
    let _ = phone.sync().await;
    let door = named(phone.doors()?, door, "door", |door| &door.name)?;
    let mut options = UnlockOptions::default();
    match by {
        Some(Way::Stream) => options.carriers = vec![CarrierKind::Stream],
        Some(Way::Relay) => options.carriers = vec![CarrierKind::Relay],
        None => {}
    }
    let begun = SystemClock.monotonic();
    let progress = |event: UnlockEvent| {
        if !json && let Some(text) = show::progress(&event) {
            let _ = writeln!(anstream::stderr(), "  {text}");
        }
    };
    let opened = phone
        .unlock(door.at, &options, &progress)
        .await
        .with_context(|| door.name.clone())?;
    let milliseconds = SystemClock.monotonic().saturating_sub(begun).as_millis();
    // The door's signed state goes home when there is a network.
    let _ = phone.sync().await;
    let until = opened
        .until
        .map(|until| show::at(until, &phone.properties().unwrap_or_default()))
        .map(|at| format!(" Your key opens it until {at}."));
    Ok(Answer {
        text: format!(
            "{} is open ({milliseconds} ms).{}",
            door.name,
            until.unwrap_or_default()
        ),
        json: json!({ "door": door.at.door, "opened": true, "until": opened.until, "milliseconds": milliseconds as u64 }),
    })
}

async fn code(
    phone: &Phone,
    key: &str,
    door: Option<&str>,
    watch: bool,
    json: bool,
) -> Result<Answer> {
    let key = named(phone.keys()?, key, "key", |key| &key.name)?.at;
    let door = match door {
        Some(door) => Some(named(phone.doors()?, door, "door", |door| &door.name)?.at),
        None => None,
    };
    if watch {
        return watch_code(phone, key, door, json).await;
    }
    let view = phone.current_code(key, door).await?;
    Ok(Answer {
        text: drawn(&view)?,
        json: as_json(&view),
    })
}

/// Shows each next code until Ctrl-C.
async fn watch_code(
    phone: &Phone,
    key: KeyRef,
    door: Option<DoorRef>,
    json: bool,
) -> Result<Answer> {
    let mut follow = phone.follow()?;
    let mut shown = String::new();
    loop {
        let view = phone.current_code(key, door).await?;
        if view.text != shown {
            let text = if json {
                as_json(&view).to_string()
            } else {
                format!("\x1b[2J\x1b[H{}", drawn(&view)?)
            };
            writeln!(std::io::stdout(), "{text}").context("nobody reads any more")?;
            shown.clone_from(&view.text);
        }
        tokio::select! {
            () = latchkey_env::sleep(&SystemClock, std::time::Duration::from_millis(500)) => {}
            _ = follow.next() => {}
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                return Ok(Answer { text: String::new(), json: Value::Null });
            }
        }
    }
}

/// Half blocks, two modules a character. Dark on light whatever the terminal's colours, since many readers cannot take
/// it inverted.
fn drawn(view: &CodeView) -> Result<String> {
    let symbol = QrCode::with_error_correction_level(&view.text, EcLevel::L)
        .context("the code does not fit a symbol")?;
    let symbol = symbol
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light)
        .build();
    let lines = symbol
        .lines()
        .map(|line| format!("\x1b[38;2;255;255;255;48;2;0;0;0m{line}\x1b[0m"));
    let symbol = lines.collect::<Vec<_>>().join("\n");
    let kind = if view.long {
        "\nWorks at every door of the key, even one that has never heard of it."
    } else {
        ""
    };
    Ok(format!(
        "{symbol}\nGood once, for about 20 seconds. The next one comes at {}.{kind}\n{}",
        view.next_at.format("%H:%M:%S UTC"),
        view.text
    ))
}

fn as_json(view: &CodeView) -> Value {
    json!({ "text": view.text, "issued_at": view.issued_at, "next_at": view.next_at, "long": view.long })
}
