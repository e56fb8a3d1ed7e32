//! A running portal: its parts put together, its background tasks, its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use latchkey_env::{SharedClock, SharedRandom, ticks};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::statement::Addressee;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use crate::app::App;
use crate::auth::nonce::Nonces;
use crate::auth::origin::Origin;
use crate::cursor::CursorKey;
use crate::door_socket::{Hub, Reports, news};
use crate::fault::Fault;
use crate::http::Shared;
use crate::instances;
use crate::issue::{epoch, renewal, revocations, statements};
use crate::listen::{self, TlsError};
use crate::lock_sync;
use crate::metrics::Metrics;
use crate::model::{event, housekeeping, property, secrets, uses};
use crate::notify::{self, MailRoute, SmtpError};
use crate::relay::{self, Remote};
use crate::room::{Limits, Room};
use crate::signer::checks::Rate;
use crate::signer::embedded::EmbeddedSigner;
#[cfg(unix)]
use crate::signer::remote::RemoteSigner;
use crate::signer::{Series, Signer, SignerError, SignerPlace};
use crate::store::{Database, Listening, Scope, Store, StoreError, Tx, Wake};
use crate::tools::Tools;

/// How often what is due is renewed, what is over forgotten, and what failed tried again.
pub(crate) const ROUNDS: Duration = Duration::from_secs(300);

/// What a portal needs in order to start.
#[derive(Clone)]
pub struct Config {
    /// Folder of its database, with SQLite, and of its signer where that is embedded: then instances that share a database
    /// share the folder too.
    pub data: PathBuf,
    /// Its database.
    pub database: Database,
    /// Its signer.
    pub signer: SignerPlace,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its address as its users know it; by default `http://` and where it listens.
    pub public_url: Option<Url>,
    /// Certificate and key, when it speaks TLS itself.
    pub tls: Option<Tls>,
    /// Proxies that name whom they serve in `X-Forwarded-For`; from all others that header counts for nothing.
    pub trusted_proxies: Vec<IpNet>,
    /// How many connections it holds.
    pub limits: Limits,
    /// Where it serves counters for Prometheus, if it does; port 0 takes a free one.
    pub metrics: Option<SocketAddr>,
    /// Where letters go.
    pub mail: MailRoute,
    /// Its time.
    pub clock: SharedClock,
    /// Its randomness.
    pub random: SharedRandom,
}

/// PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate and its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a portal did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("the data folder {}: {error}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("listening on {listen}: {error}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The store does not open.
    #[error("the database: {0}")]
    Store(String),
    /// The signer does not open.
    #[error("{0}")]
    Signer(String),
    /// Certificate or key do not read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The mail server's settings do not read.
    #[error("{0}")]
    Mail(String),
    /// The public URL is none.
    #[error("the public URL {0} must be http or https and have a host")]
    PublicUrl(Url),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<Fault> for StartError {
    fn from(error: Fault) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<SignerError> for StartError {
    fn from(error: SignerError) -> Self {
        Self::Signer(error.to_string())
    }
}

impl From<SmtpError> for StartError {
    fn from(error: SmtpError) -> Self {
        Self::Mail(error.to_string())
    }
}

/// Opens the store.
pub(crate) async fn open_store(
    data: &Path,
    database: &Database,
    clock: SharedClock,
    random: SharedRandom,
) -> Result<Store, StartError> {
    std::fs::create_dir_all(data).map_err(|error| StartError::Folder {
        folder: data.to_owned(),
        error,
    })?;
    Ok(Store::open(database, data, clock, random).await?)
}

/// Opens store and signer.
pub(crate) async fn open(
    data: &Path,
    database: &Database,
    signer: &SignerPlace,
    clock: SharedClock,
    random: SharedRandom,
) -> Result<(Store, Tools), StartError> {
    let store = open_store(data, database, Arc::clone(&clock), Arc::clone(&random)).await?;
    let signer: Arc<dyn Signer> = match signer {
        SignerPlace::Embedded => Arc::new(EmbeddedSigner::open(
            &data.join("signer"),
            Rate::default(),
            Arc::clone(&clock),
            Arc::clone(&random),
        )?),
        #[cfg(unix)]
        SignerPlace::Socket(socket) => {
            let socket = socket.clone();
            let connect = move || RemoteSigner::connect(&socket);
            let connected = tokio::task::spawn_blocking(connect).await;
            Arc::new(connected.map_err(|error| StartError::Signer(error.to_string()))??)
        }
        #[cfg(not(unix))]
        SignerPlace::Socket(_) => {
            return Err(StartError::Signer(
                "there are no Unix sockets here".to_owned(),
            ));
        }
    };
    Ok((
        store,
        Tools {
            clock,
            random,
            signer,
        },
    ))
}

/// A portal that runs within this process.
pub struct Portal {
    addr: SocketAddr,
    metrics: Option<SocketAddr>,
    url: String,
    closing: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Portal {
    /// Starts a portal; it serves when this returns.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let (store, tools) = open(
            &config.data,
            &config.database,
            &config.signer,
            config.clock,
            config.random,
        )
        .await?;
        let courier = notify::courier(&config.mail)?;
        let tls = config.tls.as_ref().map(listen::acceptor).transpose()?;
        let (listener, addr) = bind(config.listen).await?;
        let counters = match config.metrics {
            Some(listen) => Some(bind(listen).await?),
            None => None,
        };
        let public_url = public_url(config.public_url, addr, tls.is_some())?;
        let origin = Origin::new(public_url);
        let url = origin.url("");

        let (closing, closed) = watch::channel(false);
        let (dpop, cursors) = {
            let tools = tools.clone();
            let keys = move |tx: &mut dyn Tx| {
                Ok::<_, StoreError>((
                    secrets::named(tx, &tools, "dpop-nonces")?,
                    secrets::named(tx, &tools, "cursors")?,
                ))
            };
            store.write(Scope::Portal, keys).await?
        };
        let app = Arc::new(App {
            tools,
            store,
            origin,
            trusted_proxies: config.trusted_proxies,
            nonces: Nonces::new(&dpop),
            cursors: CursorKey::new(&cursors),
            doors: Hub::default(),
            reports: Reports::default(),
            remote: Remote::default(),
            metrics: Metrics::new(),
            connections: Room::new(
                config.limits.connections,
                config.limits.connections_per_network,
            ),
            waiting: Room::new(config.limits.waiting, config.limits.waiting_per_network),
            closing: closed,
        });
        begin(&app).await?;
        let mut tasks = vec![
            tokio::spawn(notify::run(Arc::clone(&app), courier)),
            tokio::spawn(rounds(Arc::clone(&app))),
            tokio::spawn(instances::run(Arc::clone(&app))),
            tokio::spawn(relay::run(Arc::clone(&app))),
            tokio::spawn(confirm_all(
                Arc::clone(&app),
                app.store.wakes_that(is_issued),
            )),
            tokio::spawn(lock_sync::run(
                Arc::clone(&app),
                app.store.wakes_that(lock_sync::is_wanted),
            )),
            tokio::spawn(news::run(
                Arc::clone(&app),
                app.store.wakes_that(news::is_wanted),
            )),
            tokio::spawn(listen::serve(Arc::clone(&app), listener, tls)),
        ];
        let mut metrics = None;
        if let Some((listener, addr)) = counters {
            tasks.push(tokio::spawn(listen::serve_metrics(app, listener)));
            metrics = Some(addr);
        }
        Ok(Self {
            addr,
            metrics,
            url,
            closing,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it serves its counters, if it does.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Its address as its users know it, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it: no new requests, running ones finish, doors and pages are told.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has said so already.
            let _ = task.await;
        }
    }
}

impl Drop for Portal {
    /// Without a [shutdown](Portal::shutdown), it ends by itself.
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen { listen, error };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

fn public_url(given: Option<Url>, addr: SocketAddr, tls: bool) -> Result<Url, StartError> {
    let url = match given {
        Some(url) => url,
        None => {
            let scheme = if tls { "https" } else { "http" };
            format!("{scheme}://{addr}")
                .parse()
                .map_err(|error| StartError::Mail(format!("{addr}: {error}")))?
        }
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(StartError::PublicUrl(url));
    }
    Ok(url)
}

/// What is set right at the start: no door is connected here yet, and what was committed counts as given out.
async fn begin(app: &Shared) -> Result<(), Fault> {
    instances::enter(app).await?;
    for id in properties(app).await? {
        match is_behind(app, id).await {
            Ok(false) => {}
            Ok(true) => {
                tracing::error!(
                    property = %id,
                    "the database is older than what the signer has given out: it was restored from a backup. Nothing is \
                     issued for this property until a new epoch is begun: stop the portal and run \
                     `latchkey-portal property begin-epoch`"
                );
                continue;
            }
            Err(error) => {
                tracing::error!(property = %id, %error, "a property's signer does not answer")
            }
        }
        if let Err(error) = lock_sync::begin(app, id).await {
            tracing::error!(property = %id, %error, "a property's doors were told of no log key");
        }
        if let Err(error) = confirm(app, id).await {
            // Nothing can be signed there; the other properties go on.
            tracing::error!(property = %id, %error, "a property's signer does not answer");
        }
    }
    Ok(())
}

async fn is_behind(app: &Shared, id: PropertyId) -> Result<bool, Fault> {
    let tools = app.tools.clone();
    let look = move |tx: &mut dyn Tx| epoch::is_behind(tx, &tools, id);
    app.store.write(id, look).await
}

/// Renews and forgets, now and then.
async fn rounds(app: Shared) {
    let mut beat = ticks(Arc::clone(&app.tools.clock), ROUNDS);
    loop {
        if let Err(error) = round(&app).await {
            tracing::error!(%error, "a round of renewals failed");
        }
        tokio::select! {
            () = beat.tick() => {}
            () = app.closed() => return,
        }
    }
}

/// What fails at one property, or for one phone, keeps no other from its renewal.
async fn round(app: &Shared) -> Result<(), Fault> {
    let tools = app.tools.clone();
    let forgotten = app
        .store
        .write(Scope::Portal, move |tx| housekeeping::run(tx, &tools))
        .await;
    if let Err(error) = forgotten {
        tracing::error!(%error, "what is over could not be forgotten");
    }
    for id in properties(app).await? {
        if let Err(error) = round_at(app, id).await {
            tracing::error!(property = %id, %error, "a property's renewals failed");
        }
    }
    Ok(())
}

async fn round_at(app: &Shared, id: PropertyId) -> Result<(), Fault> {
    let now = app.tools.now();
    app.store
        .write(id, move |tx| event::forget_news(tx, id, now))
        .await?;
    let tools = app.tools.clone();
    let settled = app
        .store
        .write(id, move |tx| uses::settle_over(tx, &tools, id))
        .await;
    if let Err(error) = settled {
        tracing::error!(property = %id, %error, "what is left of keys that are over could not be taken back");
    }
    let tools = app.tools.clone();
    let due = app
        .store
        .read(move |tx| renewal::due(tx, &tools, id))
        .await?;
    if due.is_empty() {
        return Ok(());
    }
    let Err(error) = renew(app, id, due.clone()).await else {
        return Ok(());
    };
    tracing::error!(property = %id, %error, "not all that is due could be renewed at once: one by one");
    for one in due {
        if let Err(error) = renew(app, id, vec![one]).await {
            tracing::error!(property = %id, ?one, %error, "a renewal failed");
        }
    }
    Ok(())
}

async fn renew(app: &Shared, id: PropertyId, due: Vec<renewal::Due>) -> Result<(), Fault> {
    let tools = app.tools.clone();
    app.store
        .write(id, move |tx| renewal::renew(tx, &tools, id, &due))
        .await
}

/// Wakes after which there are numbers to confirm.
fn is_issued(wake: Wake) -> bool {
    matches!(wake, Wake::Issued(_) | Wake::IssuedTo(..))
}

/// Tells the signer of numbers that are committed.
async fn confirm_all(app: Shared, mut wakes: Listening) {
    loop {
        let wake = tokio::select! {
            wake = wakes.next() => wake,
            () = app.closed() => {
                // What is committed by now is not left for the next start: there may be another database by then.
                if let Err(error) = confirm_everywhere(&app).await {
                    tracing::error!(%error, "committed numbers could not be confirmed to the signer");
                }
                return;
            }
        };
        let outcome = match wake {
            Some(Wake::Issued(id)) => confirm_for_all(&app, id).await,
            Some(Wake::IssuedTo(id, door)) => confirm_for(&app, id, door).await,
            // What was missed may be anybody's.
            Some(_) => confirm_everywhere(&app).await,
            None => return,
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "committed numbers could not be confirmed to the signer");
        }
    }
}

async fn confirm_everywhere(app: &Shared) -> Result<(), Fault> {
    for id in properties(app).await? {
        if let Err(error) = confirm(app, id).await {
            tracing::error!(property = %id, %error, "committed numbers could not be confirmed to the signer");
        }
    }
    Ok(())
}

async fn properties(app: &Shared) -> Result<Vec<PropertyId>, Fault> {
    let all = app.store.read(|tx| Ok::<_, Fault>(property::all(tx)?));
    all.await
}

/// What is for all doors.
async fn confirm_for_all(app: &Shared, id: PropertyId) -> Result<(), Fault> {
    confirm_some(app, id, move |tx, epoch| {
        let number = statements::last_number(tx, id, Addressee::All, epoch)?;
        Ok(vec![(Series::Statements(Addressee::All), number)])
    })
    .await
}

/// What is for one.
async fn confirm_for(app: &Shared, id: PropertyId, door: DoorId) -> Result<(), Fault> {
    confirm_some(app, id, move |tx, epoch| {
        epoch::committed_for(tx, id, door, epoch)
    })
    .await
}

async fn confirm(app: &Shared, id: PropertyId) -> Result<(), Fault> {
    confirm_some(app, id, move |tx, epoch| epoch::committed(tx, id, epoch)).await
}

/// Tells the signer of the newest list, and of those of these numbers that it has not heard of.
async fn confirm_some(
    app: &Shared,
    id: PropertyId,
    committed: impl FnOnce(&mut dyn Tx, u32) -> Result<Vec<(Series, u64)>, StoreError>
    + Clone
    + Send
    + 'static,
) -> Result<(), Fault> {
    let tools = app.tools.clone();
    // A reader sees committed numbers only.
    app.store
        .read(move |tx| {
            let standing = tools.signer.standing(id)?;
            if property::epoch(tx, id)? != standing.epoch {
                return Ok(());
            }
            for (series, number) in committed(tx, standing.epoch)? {
                if number > standing.given_out(series) {
                    tools.signer.confirm(id, series, number)?;
                }
            }
            let list = revocations::number(tx, id)?;
            let is_news = list.version > standing.given_out(Series::Lists) || !standing.keeps_list;
            if list.epoch == standing.epoch
                && is_news
                && let Some(list) = revocations::newest(tx, id)?
            {
                tools.signer.keep_list(id, &list.document.0)?;
            }
            Ok(())
        })
        .await
}
