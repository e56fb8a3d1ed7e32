//! `cargo run`: a whole property on this machine.

mod board;
mod estate;
mod guest;
mod page;
mod phone;
mod process;
mod tour;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use latchkey_env::{SharedClock, SystemClock};
use tracing_subscriber::EnvFilter;

use estate::Estate;
use tour::Narrator;

/// The property that is shown when no other file is named.
const PROPERTY: &str = include_str!("../property.toml");

/// A property at work: doors opened by phone.
///
/// Without a command: starts the property, plays the tour, then stays up with a page to play with.
#[derive(Parser)]
#[command(name = "latchkey", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: DemoArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Play the tour, and exit with its status
    Tour(TourArgs),
    /// A phone in the terminal, with a wallet of its own on disk
    Phone(phone::Args),
    /// The portal, as `latchkey-portal`
    #[command(hide = true)]
    Portal(latchkey_portal::cli::Args),
    /// A controller, as `latchkey-door`
    #[command(hide = true)]
    Door(latchkey_door::cli::Args),
}

#[derive(clap::Args)]
struct DemoArgs {
    /// The property file; the one in demo/property.toml unless another is named
    #[arg(long)]
    file: Option<PathBuf>,
    /// Where the property keeps its files; emptied at each start
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// Stay up without playing the tour first
    #[arg(long)]
    no_tour: bool,
}

#[derive(clap::Args)]
struct TourArgs {
    /// The property file
    #[arg(long)]
    file: Option<PathBuf>,
    /// One JSON object a line, for programs
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The portal sets up a runtime of its own.
    if let Some(Command::Portal(args)) = cli.command {
        process::end_with_input_if_asked();
        return latchkey_portal::cli::run(args);
    }
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => fail(&error.into()),
    }
}

async fn run(cli: Cli) -> ExitCode {
    // A controller sets up logs of its own.
    if !matches!(cli.command, Some(Command::Door(_))) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
    }
    // reqwest is built without a provider of its own; only another one, set before, makes this fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match cli.command {
        Some(Command::Tour(args)) => tour(args).await,
        Some(Command::Phone(args)) => return phone::run(args).await,
        Some(Command::Portal(args)) => return latchkey_portal::cli::run(args),
        Some(Command::Door(args)) => latchkey_door::cli::run(args).await,
        None => demo(cli.demo).await,
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!(
        "\n{}error:{} {error:#}",
        ERROR.render(),
        ERROR.render_reset()
    );
    ExitCode::FAILURE
}

const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

async fn tour(args: TourArgs) -> Result<()> {
    let folder = tempfile::tempdir().context("no folder for the property's files")?;
    let clock: SharedClock = Arc::new(SystemClock);
    let mut narrator = Narrator::new(clock, args.json);
    let told = async {
        let estate = begin(args.file.as_deref(), folder.path(), &mut narrator).await?;
        tour::play(estate, &mut narrator).await
    };
    // What the parts logged says why, so it must outlive the tour.
    told.await.map_err(|error| {
        error.context(format!(
            "the tour did not go as told (its logs are in {})",
            folder.keep().display()
        ))
    })
}

async fn demo(args: DemoArgs) -> Result<()> {
    alone(&args.data).await?;
    prepare(&args.data)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let mut narrator = Narrator::new(clock, false);
    let estate = begin(args.file.as_deref(), &args.data, &mut narrator).await?;
    std::fs::write(args.data.join(phone::PORTAL_URL), &estate.public_url)?;
    if !args.no_tour {
        tour::play(estate.clone(), &mut narrator).await?;
    }
    estate.follow_mail(|address, code| anstream::println!("  mail to {address}: code {code}"));
    let (addr, serving) = page::serve(estate.clone()).await?;
    narrator.invitation(addr, &estate.public_url);
    tokio::select! {
        served = serving => served.context("the page cannot be served")?,
        stopped = tokio::signal::ctrl_c() => stopped.context("cannot wait for Ctrl-C")?,
    }
    // Another terminal must not look for a property that is gone.
    let _ = std::fs::remove_file(args.data.join(phone::PORTAL_URL));
    Ok(())
}

async fn begin(file: Option<&Path>, folder: &Path, narrator: &mut Narrator) -> Result<Arc<Estate>> {
    let built_in = folder.join("built-in.toml");
    let file = match file {
        Some(file) => file,
        None => {
            std::fs::write(&built_in, PROPERTY)
                .with_context(|| format!("cannot write into {}", folder.display()))?;
            &built_in
        }
    };
    narrator.chapter("A property starts: portal and controllers, each a process of its own");
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let progress = move |text: &str| drop(said.send(text.to_owned()));
    let starting = Estate::start(file, folder, &progress);
    tokio::pin!(starting);
    let started = loop {
        tokio::select! {
            Some(text) = heard.recv() => narrator.progress(&text),
            started = &mut starting => break started?,
        }
    };
    while let Ok(text) = heard.try_recv() {
        narrator.progress(&text);
    }
    Ok(started)
}

/// One demo a folder: a second one would empty it under the first.
async fn alone(folder: &Path) -> Result<()> {
    let Ok(url) = std::fs::read_to_string(folder.join(phone::PORTAL_URL)) else {
        return Ok(());
    };
    // What a demo that was killed left behind answers no more.
    let answers = match url.trim().strip_prefix("http://") {
        Some(addr) => tokio::net::TcpStream::connect(addr).await.is_ok(),
        None => false,
    };
    anyhow::ensure!(
        !answers,
        "a demo runs from {} already; end it with Ctrl-C in its terminal, or name another folder with --data",
        folder.display()
    );
    Ok(())
}

/// An empty folder. Only what an earlier demo left is emptied.
fn prepare(folder: &Path) -> Result<()> {
    const MARK: &str = ".latchkey-demo";
    if folder.exists() {
        let empty = std::fs::read_dir(folder)?.next().is_none();
        anyhow::ensure!(
            empty || folder.join(MARK).exists(),
            "{} holds files that are not a demo's; name another folder with --data",
            folder.display()
        );
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(std::fs::write(
        folder.join(MARK),
        "emptied whenever the demo starts\n",
    )?)
}
