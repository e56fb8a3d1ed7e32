//! A phone in the terminal: `latchkey phone …`. Two names are two people, each with a wallet of its own on disk.

mod host;
mod own;
mod show;
mod staff;

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use latchkey_core::error::Error;
use latchkey_core::phone::{Phone, PhoneConfig};
use latchkey_core::wallet::{DeskSealingKeys, SealingPlace};
use latchkey_env::{SystemClock, SystemRandom};
use serde_json::{Value, json};

/// Where a running demo leaves its portal's address, in its folder.
pub(crate) const PORTAL_URL: &str = "portal-url";

/// A phone in the terminal, with a wallet of its own on disk.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose phone; each name is another wallet
    // Not `name`: a global argument fills every one of its id, `staff issue --name` too.
    #[arg(long = "as", value_name = "NAME", default_value = "me", global = true)]
    whose: String,
    /// Where the phones' folders are
    #[arg(long, value_name = "FOLDER", default_value = "data", global = true)]
    home: PathBuf,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign in with a code that the portal mails
    SignIn {
        /// The address that the property registered
        email: String,
        /// The portal; the one of the running demo unless another is named
        #[arg(long)]
        portal: Option<String>,
    },
    /// Keys, and what they open at this moment
    List,
    /// Doors that this phone knows
    Doors,
    /// Open a door
    Unlock {
        /// The door's name
        door: String,
        /// The way to it: nearest first unless one is named
        #[arg(long, value_enum)]
        by: Option<own::Way>,
    },
    /// Show a rotating code as a QR in the terminal
    Code {
        /// The key's name
        key: String,
        /// The code for one door; short where that door knows the pass
        #[arg(long)]
        door: Option<String>,
        /// Show the next one whenever it is due, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Get what is new, and send what waits
    Sync,
    /// What waits to be sent, and what became of what was
    Outbox,
    /// Where the wallet and the key that seals it are kept
    Where,
    /// Move the key that seals the wallet from its file into the desktop's keyring
    Seal,
    /// Forget the portal and all that came from it
    SignOut,
    /// Guest keys, from keys of one's own
    #[command(subcommand)]
    Guests(host::Command),
    /// What staff do
    #[command(subcommand)]
    Staff(staff::Command),
}

/// What a command has to say: for people, and for programs.
struct Answer {
    text: String,
    json: Value,
}

/// Runs a command. Errors go to standard error, in JSON too when asked.
pub(crate) async fn run(args: Args) -> ExitCode {
    let as_json = args.json;
    match answer(args).await {
        Ok(answer) => {
            let text = if as_json {
                answer.json.to_string()
            } else {
                answer.text
            };
            // A reader that has gone away is no fault of the command's.
            let _ = writeln!(anstream::stdout(), "{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            if as_json {
                eprintln!(
                    "{}",
                    json!({ "error": show::kind(&error), "message": show::what(&error) })
                );
            } else {
                eprintln!("error: {}", show::what(&error));
            }
            ExitCode::FAILURE
        }
    }
}

async fn answer(args: Args) -> Result<Answer> {
    let place = Place::of(&args)?;
    let phone = place.phone()?;
    match args.command {
        Command::Where => Ok(place.told(phone.sealed_by())),
        Command::Seal => place.seal(&phone),
        Command::SignIn { email, portal } => {
            let portal = match portal {
                Some(portal) => portal,
                None => place.demo_portal(&phone, &args.home).await?,
            };
            sign_in(&phone, &email, &portal, args.json).await
        }
        Command::Guests(command) => host::run(&phone, command).await,
        Command::Staff(command) => staff::run(&phone, command).await,
        command => own::run(&phone, command, args.json).await,
    }
}

/// Where a phone's things are.
struct Place {
    wallet: PathBuf,
    sealing: PathBuf,
    /// The demo's portal that the phone signed in at last: each start of the demo is another property.
    demo: PathBuf,
}

impl Place {
    fn of(args: &Args) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if args.whose.is_empty() || !args.whose.chars().all(plain) {
            bail!("--as takes letters, digits, - and _");
        }
        Ok(Self {
            wallet: args.home.join("phones").join(&args.whose),
            sealing: args.home.join("sealing-keys").join(&args.whose),
            demo: args
                .home
                .join("phones")
                .join(format!("{}.demo", args.whose)),
        })
    }

    fn phone(&self) -> Result<Arc<Phone>> {
        let random = Arc::new(SystemRandom);
        Ok(Phone::open(PhoneConfig {
            folder: self.wallet.clone(),
            sealing: Arc::new(self.keys()),
            keys: None,
            clock: Arc::new(SystemClock),
            random,
        })?)
    }

    /// A new wallet's key goes to the desktop's keyring, where there is one.
    fn keys(&self) -> DeskSealingKeys {
        DeskSealingKeys::new(&self.sealing, Arc::new(SystemRandom))
    }

    fn seal(&self, phone: &Phone) -> Result<Answer> {
        self.keys().move_to_service(phone.wallet())?;
        Ok(self.told(&SealingPlace::SecretService))
    }

    /// The running demo's portal. A phone that knows an earlier one forgets it: that property is gone for good.
    async fn demo_portal(&self, phone: &Phone, home: &Path) -> Result<String> {
        let running = running_portal(home)?;
        match std::fs::read_to_string(&self.demo) {
            Ok(earlier) if earlier != running => phone.sign_out(&earlier).await?,
            _ => {}
        }
        std::fs::write(&self.demo, &running)?;
        Ok(running)
    }

    fn told(&self, sealed_by: &SealingPlace) -> Answer {
        let wallet = self.wallet.display();
        let (key, reader, kind, file) = match sealed_by {
            SealingPlace::File(file) => (
                format!("{}   (a file that only you may read)", file.display()),
                "reads both",
                "file",
                Some(file),
            ),
            SealingPlace::SecretService | SealingPlace::Platform => (
                "in the desktop's keyring   (Secret Service)".to_owned(),
                "reads the folder and is let into the keyring",
                "secret_service",
                None,
            ),
        };
        Answer {
            text: format!(
                "wallet       {wallet}   (sealed)\nsealing key  {key}\n\n\
                 Long-term keys are in software on this machine, sealed in the wallet. Whoever {reader} reads the wallet."
            ),
            json: json!({
                "wallet": self.wallet, "sealed_by": kind, "sealing_key": file, "keys": "software",
            }),
        }
    }
}

async fn sign_in(phone: &Phone, email: &str, portal: &str, json: bool) -> Result<Answer> {
    let pending = phone.sign_in_start(portal, email).await?;
    let code = ask(json)?;
    let report = phone.sign_in_finish(&pending, &code, "Terminal").await?;
    // Another portal's trouble is no trouble of this sign-in.
    let same = |url: &str| url.trim_end_matches('/') == portal.trim_end_matches('/');
    let mut failures = report.failures.into_iter();
    if let Some(failure) = failures.find(|failure| same(&failure.portal_url)) {
        return Err(failure.error).context("signed in, but the first sync failed; run `sync`");
    }
    let properties = phone.properties()?;
    let lines = properties.iter().map(|p| {
        format!(
            "Signed in as {} at {}, {}.",
            p.person_name,
            p.name,
            p.role.name()
        )
    });
    let text = match lines.collect::<Vec<_>>().join("\n") {
        text if text.is_empty() => "Signed in, but no property knows this address.".to_owned(),
        text => text,
    };
    let json = properties.iter().map(
        |p| json!({ "property": p.id, "name": p.name, "person": p.person_name, "role": p.role }),
    );
    Ok(Answer {
        text,
        json: json.collect(),
    })
}

fn ask(json: bool) -> Result<String> {
    if !json {
        print!("The portal has sent a code. Six digits: ");
        std::io::stdout().flush()?;
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("no code was typed")?;
    let code = line.trim().to_owned();
    anyhow::ensure!(
        !code.is_empty(),
        "no code was typed; run it again and type the six digits, or pipe them in"
    );
    Ok(code)
}

fn running_portal(home: &Path) -> Result<String> {
    let file = home.join("demo").join(PORTAL_URL);
    let url = std::fs::read_to_string(&file).map_err(|_| {
        anyhow::anyhow!(
            "no demo runs from this folder: start `cargo run` in another terminal, or name a portal with --portal"
        )
    })?;
    Ok(url.trim().to_owned())
}

/// How many names an error lists.
const NAMED_AT_MOST: usize = 12;

/// The one thing of this name, whatever its case.
fn named<T>(things: Vec<T>, name: &str, what: &str, name_of: impl Fn(&T) -> &str) -> Result<T> {
    let mut names: Vec<String> = things
        .iter()
        .map(|thing| name_of(thing).to_owned())
        .collect();
    match things
        .into_iter()
        .find(|thing| name_of(thing).eq_ignore_ascii_case(name))
    {
        Some(thing) => Ok(thing),
        None => {
            names.sort();
            names.dedup();
            let known = if names.is_empty() {
                "this phone knows none: sign in, or ask staff for a key".to_owned()
            } else {
                let more = names.len().saturating_sub(NAMED_AT_MOST);
                names.truncate(NAMED_AT_MOST);
                let rest = if more == 0 {
                    String::new()
                } else {
                    format!(" and {more} more")
                };
                format!("there are: {}{rest}", names.join(", "))
            };
            bail!("no {what} is called {name:?}; {known}")
        }
    }
}

/// The library's error, when it is one.
fn of_core(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}
