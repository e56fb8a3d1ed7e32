//! The command line: what an installer and a service manager need of a controller.

mod run;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use url::Url;

use crate::commissioning::wait_for_installer;
use crate::controller::{Controller, Installation};
use crate::env::Env;
use crate::status::Status;

/// `latchkey-door …`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new controller with keys of its own; prints the code that it shows, and its offer.
    Init {
        /// Where it keeps what it knows; made if it is not there.
        #[arg(long)]
        folder: PathBuf,
    },
    /// Install a package that the portal made for this controller.
    Install {
        /// The controller's folder.
        #[arg(long)]
        folder: PathBuf,
        /// The package (JSON), or `-` for standard input.
        #[arg(long)]
        package: PathBuf,
    },
    /// Lay the offer before the portal and wait until an installer has installed the controller.
    Wait {
        /// The controller's folder.
        #[arg(long)]
        folder: PathBuf,
        /// The portal, `https://…`.
        #[arg(long)]
        portal: Url,
    },
    /// Work. Several folders make a hub: one process for several doors.
    Run(run::RunArgs),
    /// Say what a controller knows, whether or not it runs.
    Status {
        /// The controller's folder.
        #[arg(long)]
        folder: PathBuf,
    },
}

/// Carries a command out.
///
/// # Errors
/// Whatever stops it, for people.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Init { folder } => init(&folder),
        Command::Install { folder, package } => install(&folder, &package),
        Command::Wait { folder, portal } => wait(&folder, &portal).await,
        Command::Run(args) => run::run(args).await,
        Command::Status { folder } => status(&folder),
    }
}

fn init(folder: &PathBuf) -> anyhow::Result<()> {
    let mut controller = Controller::create(folder, Env::system())
        .with_context(|| format!("making a controller in {}", folder.display()))?;
    // For whoever stands there; standard output is for programs.
    writeln!(
        std::io::stderr(),
        "This controller's code, for the installer's app:\n\n    {}\n",
        controller.code()
    )?;
    say(&offer_line(&mut controller)?)
}

fn install(folder: &PathBuf, package: &PathBuf) -> anyhow::Result<()> {
    let mut controller = open(folder, false)?;
    let package = if package.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("reading the package")?
    } else {
        std::fs::read_to_string(package)
            .with_context(|| format!("reading {}", package.display()))?
    };
    let installation = controller.install(&package).context("installing")?;
    say(&installed_line(&installation))
}

async fn wait(folder: &PathBuf, portal: &Url) -> anyhow::Result<()> {
    let mut controller = open(folder, false)?;
    say(&offer_line(&mut controller)?)?;
    let installation = wait_for_installer(&mut controller, portal).await?;
    say(&installed_line(&installation))
}

fn status(folder: &PathBuf) -> anyhow::Result<()> {
    let status =
        Status::of_folder(folder).with_context(|| format!("looking into {}", folder.display()))?;
    write!(std::io::stdout(), "{status}")?;
    Ok(())
}

fn open(folder: &PathBuf, battery_clock: bool) -> anyhow::Result<Controller> {
    let opened = if battery_clock {
        Controller::open_with_battery_clock(folder, Env::system())
    } else {
        Controller::open(folder, Env::system())
    };
    opened.with_context(|| format!("opening {}", folder.display()))
}

/// `{"type":"offer","folder":…,"code":…,"offer":…}`. The offer is base64url, as the portal takes it.
fn offer_line(controller: &mut Controller) -> anyhow::Result<serde_json::Value> {
    let offer = latchkey_protocol::bytes::Base64(controller.offer()?.to_bytes());
    Ok(json!({
        "type": "offer",
        "folder": controller.folder().display().to_string(),
        "code": controller.code().to_string(),
        "offer": offer.to_text(),
    }))
}

/// `{"type":"installed","door":…,"property":…,"clock":"set"}`, or why the clock is not set.
fn installed_line(installation: &Installation) -> serde_json::Value {
    json!({
        "type": "installed",
        "property": installation.property,
        "door": installation.door,
        "clock": installation.clock.map_or_else(|why| why.to_string(), |()| "set".to_owned()),
    })
}

/// One line of JSON on standard output, at once.
fn say(line: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
