//! What people do for their guests, from the terminal.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use latchkey_core::host::HostDesk;
use latchkey_core::phone::Phone;
use latchkey_protocol::api::keys::{Key, KeyDraft, KeyKind};
use serde_json::json;

use super::staff::{doors_called, rules, said};
use super::{Answer, named, show};

/// What people do for their guests.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// The guest keys that one has granted
    List,
    /// Grant one from a key of one's own
    Grant {
        /// The key of one's own
        #[arg(long)]
        key: String,
        /// What the guest sees
        #[arg(long)]
        name: String,
        /// What it opens; again for more doors, all that the key opens when missing
        #[arg(long = "door", value_name = "DOOR")]
        doors: Vec<String>,
        /// The first day, YYYY-MM-DD
        #[arg(long)]
        from: Option<String>,
        /// The last day, YYYY-MM-DD
        #[arg(long)]
        until: Option<String>,
    },
    /// Make a new link for a guest's key; the one before ends
    Share {
        /// The guest key's name
        key: String,
    },
    /// Withdraw a guest key
    Withdraw {
        /// The guest key's name
        key: String,
    },
}

pub(crate) async fn run(phone: &Phone, command: Command) -> Result<Answer> {
    // Lists are the wallet's; news first, where there is a network.
    let _ = phone.sync().await;
    let properties = phone.properties()?;
    let property = properties
        .first()
        .context("sign in first: `phone sign-in EMAIL`")?;
    let desk = phone.host(property.id)?;
    match command {
        Command::List => {
            let keys = desk.guest_keys()?;
            let lines = keys.iter().map(|key| {
                let link = match &key.link {
                    None => "not shared",
                    Some(link) if link.bound_at.is_none() => "shared, not opened",
                    Some(_) => "in a guest's browser",
                };
                format!("{:<28} {:<10} {link}", key.name, show::status(key.status))
            });
            Ok(Answer {
                text: lines.collect::<Vec<_>>().join("\n"),
                json: json!(keys),
            })
        }
        Command::Grant {
            key,
            name,
            doors,
            from,
            until,
        } => {
            let parent = named(phone.keys()?, &key, "key", |key| &key.name)?;
            let known = phone.doors()?.into_iter();
            let known = known.map(|door| (door.name, door.at.door)).collect();
            let draft = KeyDraft {
                name,
                kind: KeyKind::Qr,
                persons: Vec::new(),
                doors: doors_called(known, &doors)?,
                rules: rules(from, until)?,
            };
            said(desk.grant(parent.at.key, &draft).await?, |key| {
                format!("Granted {:?} from {:?}.", key.name, parent.name)
            })
        }
        Command::Share { key } => {
            let key = key_called(&desk, &key)?;
            said(desk.share(key.id).await?, |link| {
                format!("Hand this to the guest; it is shown once:\n{}", link.url)
            })
        }
        Command::Withdraw { key } => {
            let key = key_called(&desk, &key)?;
            said(desk.withdraw(key.id).await?, |_| {
                format!("Withdrew {:?}.", key.name)
            })
        }
    }
}

fn key_called(desk: &HostDesk, name: &str) -> Result<Key> {
    let alive = desk.guest_keys()?.into_iter();
    let alive = alive.filter(|key| key.withdrawal.is_none()).collect();
    named(alive, name, "guest key", |key| &key.name)
}
