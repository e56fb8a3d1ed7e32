//! The program: `latchkey-portal serve`, `latchkey-portal property create` and what else its operator needs.

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use latchkey_env::{SharedClock, SharedRandom, SystemClock, SystemRandom};
use latchkey_protocol::ids::PropertyId;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::notify::MailRoute;
use crate::room::Limits;
use crate::running::{Config, Portal, Tls};
use crate::store::{Database, DatabaseError};
use crate::{Rate, SignerPlace, create_property, property_file};

/// The server that keys are issued from.
#[derive(Debug, Clone, Parser)]
#[command(name = "latchkey-portal", version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the portal.
    Serve(Box<ServeArgs>),
    /// Work on properties.
    #[command(subcommand)]
    Property(PropertyCommand),
    /// Run the signer as a process of its own, which all instances of a portal share.
    ///
    /// It holds the keys and signs within bounds: how long things hold, how many of them a property is signed a second.
    /// Run it as a user of its own, so that whoever takes over the portal does not have its files; never back its folder up
    /// with the database. Each socket lies in a folder that others cannot enter: that alone says who may ask.
    #[cfg(unix)]
    Signer(SignerArgs),
    /// Check the audit chain of every property, row by row.
    Audit(Place),
}

/// Where the portal's data are.
#[derive(Clone, clap::Args)]
pub struct Place {
    /// Folder of the database, unless `--database` names another, and of the signer, unless `--signer` does.
    #[arg(long, value_name = "FOLDER", default_value = "./data/portal")]
    pub data: PathBuf,
    /// A PostgreSQL for the data, such as `postgres://user:password@host/name`, which any number of instances may
    /// share. Unless it is on this machine, it is spoken to in TLS.
    #[arg(
        long,
        value_name = "URL",
        env = "LATCHKEY_DATABASE_URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Certificates (PEM) that sign the PostgreSQL's; without them, the public authorities.
    #[arg(long, value_name = "FILE", requires = "database")]
    pub database_ca: Option<PathBuf>,
    /// The socket of a signer that is a process of its own (`latchkey-portal signer`), such as
    /// `unix:/run/latchkey-signer/portals.sock`. `property create` and `property begin-epoch` want its socket for
    /// operators.
    #[arg(long, value_name = "SOCKET", value_parser = socket)]
    pub signer: Option<PathBuf>,
}

/// A Unix socket's address.
fn socket(text: &str) -> Result<PathBuf, &'static str> {
    let path = text.strip_prefix("unix:").filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or("unix:PATH is wanted")
}

/// How to run the signer.
#[cfg(unix)]
#[derive(Debug, Clone, clap::Args)]
pub struct SignerArgs {
    /// Folder of its keys and of what it remembers.
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// The socket for portals, such as `unix:/run/latchkey-signer/portals.sock`.
    #[arg(long, value_name = "SOCKET", value_parser = socket)]
    pub listen: PathBuf,
    /// The socket for operators, who make properties and begin epochs. Without it nobody does.
    #[arg(long, value_name = "SOCKET", value_parser = socket)]
    pub operators: Option<PathBuf>,
    /// Signatures a second for a property, of what opens doors.
    #[arg(long, value_name = "NUMBER", default_value_t = Rate::default().per_second)]
    pub signatures_per_second: NonZeroU32,
    /// And at once, after a time in which there were few.
    #[arg(long, value_name = "NUMBER", default_value_t = Rate::default().at_once)]
    pub signatures_at_once: NonZeroU32,
    /// How to log, on standard error; `RUST_LOG` says what.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

impl std::fmt::Debug for Place {
    // The database's address may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("data", &self.data)
            .field("database", &self.database.as_ref().map(|_| "…"))
            .field("database_ca", &self.database_ca)
            .field("signer", &self.signer)
            .finish()
    }
}

impl Place {
    fn signer(&self) -> SignerPlace {
        let socket = self.signer.clone();
        socket.map_or(SignerPlace::Embedded, SignerPlace::Socket)
    }

    fn database(&self) -> Result<Database, DatabaseError> {
        match &self.database {
            None => Ok(Database::Sqlite),
            Some(address) => Database::postgres(address, self.database_ca.as_deref()),
        }
    }
}

/// How to run the portal.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    /// Where its data are.
    #[command(flatten)]
    pub place: Place,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The portal's address as its users know it (behind a proxy, or with a name).
    #[arg(long, value_name = "URL")]
    pub public_url: Option<Url>,
    /// Certificate chain (PEM), to speak TLS without a proxy.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Address or network of a proxy in front, whose `X-Forwarded-For` says who asks (limits count by network). May be
    /// given more than once. Without it, all that comes through a proxy shares one network's limits.
    #[arg(long, value_name = "CIDR", value_parser = proxy)]
    pub trusted_proxy: Vec<IpNet>,
    /// How many connections are held.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Where to serve counters for Prometheus, at `/metrics`: an address that only whoever watches the portal reaches, such
    /// as `127.0.0.1:9090`. Without it, nowhere.
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,
    /// Mail server, such as `smtps://user:password@mail.example`; without it letters go to standard output.
    #[arg(
        long,
        value_name = "URL",
        env = "LATCHKEY_SMTP_URL",
        hide_env_values = true,
        requires = "smtp_from"
    )]
    pub smtp_url: Option<String>,
    /// Sender of the letters.
    #[arg(long, value_name = "ADDRESS")]
    pub smtp_from: Option<String>,
    /// How to log, on standard error; `RUST_LOG` says what.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// How many connections are held. Whoever is one too many gets 429 (their network's share is full) or 503 (all is), with
/// `Retry-After`; where the portal speaks TLS itself, its connection is closed. A network is an IPv4 address or 64 bits of
/// IPv6. This machine has no share of its own and counts in all.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct LimitArgs {
    /// Connections in all. Each takes an open file: `ulimit -n` must allow as many and some more.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().connections)]
    pub connections: usize,
    /// Connections of one network; of a trusted proxy as many as there are in all.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().connections_per_network)]
    pub connections_per_network: usize,
    /// Answers in all that are held back until something happens: apps that follow, pages that listen, phones in
    /// conversation with a door, doors that have not signed in yet.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().waiting)]
    pub waiting: usize,
    /// The same of one network, also behind a trusted proxy.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().waiting_per_network)]
    pub waiting_per_network: usize,
}

impl From<LimitArgs> for Limits {
    fn from(args: LimitArgs) -> Self {
        Self {
            connections: args.connections,
            connections_per_network: args.connections_per_network,
            waiting: args.waiting,
            waiting_per_network: args.waiting_per_network,
        }
    }
}

/// One address is a network too.
fn proxy(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    let one = text.parse::<IpAddr>().map(IpNet::from);
    one.or_else(|_| text.parse())
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Work on properties.
#[derive(Debug, Clone, Subcommand)]
pub enum PropertyCommand {
    /// Make a property with its keys, doors and people from a file.
    Create {
        /// The file (TOML).
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Where its data are to be.
        #[command(flatten)]
        place: Place,
    },
    /// Go on after the database was restored from a backup.
    ///
    /// A restored database has forgotten what was signed after the backup, and its portal issues nothing. Stop all
    /// instances, run this once, start them again. The signer begins a new epoch, and all that was ever withdrawn stays
    /// withdrawn: by the list that the signer keeps outside the database, and those that doors and phones hand over.
    /// Keys that were withdrawn or narrowed after the backup are named: issue anew what should be. Keys that were issued
    /// after it are gone from the database; phones drop them. Counted keys get no new uses until every door has said
    /// what it holds, or staff have written it off. The signer's folder must be the one from before: never restore it
    /// together with the database.
    BeginEpoch {
        /// Only this property; may be given more than once. Without it: all.
        #[arg(long, value_name = "ID")]
        property: Vec<PropertyId>,
        /// Where its data are.
        #[command(flatten)]
        place: Place,
    },
}

/// Runs the program to its end.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = runtime.block_on(async {
        match args.command {
            Command::Serve(args) => serve(*args).await,
            Command::Property(PropertyCommand::Create { from, place }) => create(from, place).await,
            Command::Property(PropertyCommand::BeginEpoch { property, place }) => {
                begin_epoch(&property, place).await
            }
            #[cfg(unix)]
            Command::Signer(args) => sign(args).await,
            Command::Audit(place) => audit(place).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    #[expect(
        clippy::print_stderr,
        reason = "the program's own words on its way out"
    )]
    {
        eprintln!("latchkey-portal: {error}");
    }
    ExitCode::FAILURE
}

fn system() -> (SharedClock, SharedRandom) {
    (Arc::new(SystemClock), Arc::new(SystemRandom))
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    log(args.log_format);
    let (clock, random) = system();
    let mail = match (args.smtp_url, args.smtp_from) {
        (Some(url), Some(from)) => MailRoute::Smtp { url, from },
        _ => MailRoute::Console,
    };
    let tls = args
        .tls_cert
        .zip(args.tls_key)
        .map(|(cert, key)| Tls { cert, key });
    let scheme = if tls.is_some() { "https" } else { "http" };
    let portal = Portal::start(Config {
        database: args.place.database()?,
        signer: args.place.signer(),
        data: args.place.data,
        listen: args.listen,
        public_url: args.public_url.clone(),
        tls,
        trusted_proxies: args.trusted_proxy,
        limits: args.limits.into(),
        metrics: args.metrics_listen,
        mail,
        clock,
        random,
    })
    .await?;
    say(&format!("listening on {scheme}://{}", portal.addr()));
    if let Some(addr) = portal.metrics_addr() {
        say(&format!("counters at http://{addr}/metrics"));
    }
    if let Some(url) = args.public_url {
        say(&format!("known to its users as {url}"));
    }
    asked_to_end().await?;
    tracing::info!("going down");
    portal.shutdown().await;
    Ok(())
}

#[cfg(unix)]
async fn sign(args: SignerArgs) -> anyhow::Result<()> {
    log(args.log_format);
    let (clock, random) = system();
    let signer = crate::SignerService::start(crate::SignerConfig {
        data: args.data,
        listen: args.listen.clone(),
        operators: args.operators,
        rate: Rate {
            per_second: args.signatures_per_second,
            at_once: args.signatures_at_once,
        },
        clock,
        random,
    })
    .await?;
    say(&format!("signing at unix:{}", args.listen.display()));
    asked_to_end().await?;
    tracing::info!("going down");
    signer.shutdown().await;
    Ok(())
}

async fn create(from: PathBuf, place: Place) -> anyhow::Result<()> {
    let file = property_file::read(&from)?;
    let (clock, random) = system();
    let (database, signer) = (place.database()?, place.signer());
    let made = create_property(&place.data, &database, &signer, file, clock, random).await?;
    say(&format!(
        "property {} ({}): {} doors, {} people, {} keys; sign in as {}",
        made.property, made.name, made.doors, made.people, made.keys, made.owner
    ));
    Ok(())
}

async fn begin_epoch(only: &[PropertyId], place: Place) -> anyhow::Result<()> {
    let (clock, random) = system();
    let (database, signer) = (place.database()?, place.signer());
    let begun = crate::begin_epochs(&place.data, &database, &signer, only, clock, random);
    for begun in begun.await? {
        say(&format!(
            "property {} ({}): epoch {} has begun",
            begun.property, begun.name, begun.epoch
        ));
        for key in begun.lost {
            let what = match key.withdrawn {
                true => "withdrawn, as it was (or narrowed) after the backup",
                false => "taken from some of its holders, as it was (or narrowed) after the backup",
            };
            say(&format!("  key {:?}: {what}", key.name));
        }
    }
    Ok(())
}

async fn audit(place: Place) -> anyhow::Result<()> {
    let (clock, random) = system();
    let database = place.database()?;
    for chain in crate::audit_chains(&place.data, &database, clock, random).await? {
        match chain.broken_at {
            None => say(&format!(
                "property {} ({}): the audit chain holds",
                chain.property, chain.name
            )),
            Some(number) => anyhow::bail!(
                "property {} ({}): the audit chain is broken at row {number}",
                chain.property,
                chain.name
            ),
        }
    }
    Ok(())
}

fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    // Whoever started us may have closed it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn asked_to_end() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A process that logs already (the demo's) keeps its own log.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
