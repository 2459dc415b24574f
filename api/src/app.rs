//! The process put together: routes, the listener, starting and stopping.

use crate::{
    App,
    auth::{KeyError, Passwords, Provider, RefreshTokens, Sessions, Tokens},
    chat::Ears,
    dashboard::{self, Pulse},
    health::Health,
    ingress::{Backlog, ChannelSecrets, GroupCommit, Inbox, Intake, LARGEST_KIB, Limits, Measures, MetaWebhook, Seldom, TelegramWebhook},
    middleware::{self, rate_limit::Limiter},
    partitions,
    realtime::{Hub, Realtime},
    routes,
    state::{AppState, Settings},
};
use channels::meta_signature::SignatureKey;
use jobs::{agent_tools::CallbackLinks, wake::Waker};
use platform::{Clock, Config, DispatchMode, MediaLinks, MediaStore, Sealing, media_store::MediaError, metrics::MetricsHandle};
use salvo::{Server, Service, conn::tcp::TcpAcceptor, server::ServerHandle};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU8},
    time::Duration,
};
use store::{ConversationCards, OwnConnection, Role, StoreError, Tenants, channel_map::ChannelMap};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::{JoinHandle, JoinSet},
};

/// Connections that the kernel may hold for us; it cuts this to its own limit.
const BACKLOG: u32 = 4_096;
/// Requests in flight get this long when the process stops; then their connections are closed.
const FINISH_WITHIN: Duration = Duration::from_secs(7);
/// Then the inbox gets this long to write what it holds.
const FLUSH_WITHIN: Duration = Duration::from_millis(1_500);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("DATABASE_URL cannot be used: {0}")]
    Database(#[from] StoreError),
    #[error("REDIS_URL cannot be used: {0}")]
    Redis(#[from] redis::RedisError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the OpenAPI document cannot be written: {0}")]
    OpenApi(#[from] serde_json::Error),
    #[error("MEDIA_STORE cannot be used: {0}")]
    Media(#[from] MediaError),
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error("cannot listen on {address}: if another process does, set PORT, or HOST, to something else")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot serve metrics on port {port}: if another process uses it, set METRICS_PORT to something else")]
    Metrics { port: u16, source: std::io::Error },
}

/// A running API.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
    realtime: Realtime,
    inbox: Inbox,
    writer: JoinHandle<()>,
    /// Tells what is held open to end itself.
    stopping: watch::Sender<bool>,
    /// Tasks that look after something, until they are aborted.
    chores: JoinSet<()>,
}

/// Starts serving. Neither Postgres nor Redis needs to be there yet.
pub async fn start(config: &Config, metrics: MetricsHandle, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    warn_about_missing_settings(config);
    let pool = store::connect(&config.database_url, Role::Worker, "switchboard-api-ingress", config.database_connections)?;
    let redis = redis_client(config)?;
    let measures = Arc::new(Measures::new());
    let backlog = Arc::new(Backlog::new());
    let waker = redis.clone().map_or_else(Waker::none, Waker::redis);
    let commit = GroupCommit {
        pool: pool.clone(),
        connection: Mutex::new(OwnConnection::like(&pool)),
        channels: ChannelMap::default(),
        waker: waker.clone(),
        backlog: backlog.clone(),
        measures: measures.clone(),
    };
    let figures = measures.figures.clone();
    let limits = Limits { events: config.inbox_max_events, bytes: config.inbox_max_bytes };
    let listener = listen(SocketAddr::new(config.host, config.port))?;
    let (address, acceptor) =
        acceptor(listener).map_err(|source| StartError::Listen { address: SocketAddr::new(config.host, config.port), source })?;
    if let Some(port) = config.metrics_port {
        platform::metrics::serve(metrics.clone(), Some(port)).await.map_err(|source| StartError::Metrics { port, source })?;
    }

    let (inbox, writer) = Inbox::start(limits, commit, measures.clone());
    let intake = Arc::new(Intake {
        inbox: inbox.clone(),
        measures,
        clock: clock.clone(),
        refusals: AtomicU8::new(0),
        reading: Semaphore::new(config.inbox_max_bytes.div_ceil(1024).clamp(LARGEST_KIB, Semaphore::MAX_PERMITS)),
    });
    let sealing = Arc::new(Sealing::new(config.encryption_key.as_ref(), &config.old_encryption_keys));
    let secrets = Arc::new(ChannelSecrets::new(pool.clone(), sealing.clone()));
    let webhook = MetaWebhook {
        intake: intake.clone(),
        verify_tokens: config.meta_verify_tokens.clone(),
        key: config.meta_app_secret.as_ref().map(|secret| SignatureKey::new(secret.expose().as_bytes())),
        secrets: secrets.clone(),
        unverified: Seldom::default(),
    };
    let telegram = TelegramWebhook { intake, secrets, unverified: Seldom::default() };
    let health = Arc::new(Health::new(pool.clone(), redis.clone(), clock.clone()));
    let mut chores = JoinSet::new();
    let ears = Ears::new(redis.clone(), &mut chores);
    let app = shared_state(config, address, inbox.clone(), (waker, ears), redis, (clock, health.clone()), sealing)?;
    let stopping = app.stopping.clone();
    chores.spawn(dashboard::tell(pool.clone(), figures));
    let (realtime, sockets) = Realtime::start(&app, &config.http.socket_path, app.hub.redis.clone(), &mut chores);
    let routes =
        routes::all(routes::Parts { sockets, app, webhook, telegram, health, metrics: config.metrics_port.is_none().then_some(metrics) })?;
    let server = Server::new(acceptor);
    let handle = server.handle();
    let server = tokio::spawn(server.try_serve(middleware::around(Service::new(routes), config.development, &config.http.cors_origins)));
    chores.spawn(partitions::keep_making(pool.clone()));
    chores.spawn(async move { backlog.watch(pool).await });
    Ok(Running { address, handle, server, realtime, inbox, writer, stopping, chores })
}

fn shared_state(
    config: &Config,
    address: SocketAddr,
    inbox: Inbox,
    (waker, ears): (Waker, Ears),
    redis: Option<redis::Client>,
    (clock, health): (Arc<dyn Clock>, Arc<Health>),
    sealing: Arc<Sealing>,
) -> Result<App, StartError> {
    let http = &config.http;
    let public_url = http.public_url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", address.port()));
    let oidc = match &http.oidc {
        Some(oidc) => Some(Provider::new(oidc.clone(), platform::http::client()?, &public_url)),
        None => None,
    };
    let tenants = Tenants::connect(&config.database_url, "switchboard-api", config.database_connections)?;
    let operator = store::connect(&config.database_url, Role::Operator, "switchboard-api-operator", config.database_connections)?;
    Ok(App::new(AppState {
        pulse: Pulse::new(operator.clone()),
        stopping: watch::Sender::new(false),
        operator,
        cards: ConversationCards::default(),
        inbox,
        media: MediaStore::open(&config.media_store)?,
        media_links: config.encryption_key.as_ref().map(|key| MediaLinks::new(key, &public_url)),
        callback_links: config.encryption_key.as_ref().map(|key| CallbackLinks::new(key, &public_url)),
        hub: Arc::new(Hub::new(redis.clone())),
        ears,
        waker,
        tokens: Tokens::new(http)?,
        refresh_tokens: RefreshTokens::new(http.jwt_refresh_secret.as_ref()),
        passwords: Passwords::new(),
        sessions: Sessions::new(tenants.clone()),
        tenants,
        sealing,
        limiter: Limiter::new(redis, clock.clone()),
        clock,
        oidc,
        health,
        settings: Settings {
            public_url,
            access_ttl: http.access_ttl,
            refresh_ttl: http.refresh_ttl,
            desk_ttl: http.desk_ttl,
            human_override_ttl: config.human_override_ttl,
            admin_token: http.admin_token.clone(),
            internal_token: http.internal_token.clone(),
            rate_limits: http.rate_limits,
            trust_forwarded_for: http.trust_forwarded_for,
        },
    }))
}

impl Running {
    /// Waits until the server ends by itself, which it only does when something is wrong.
    pub async fn ended(&mut self) -> std::io::Result<()> {
        (&mut self.server).await.map_err(std::io::Error::other)?
    }

    /// Stops accepting, finishes the requests in flight, writes what the inbox holds.
    pub async fn stop(mut self) {
        // Connections that stay open would be cut: they are told first, and come back to another process.
        self.realtime.close().await;
        self.stopping.send_replace(true);
        self.handle.stop_graceful(FINISH_WITHIN);
        if let Err(error) = self.ended().await {
            tracing::warn!(%error, "the server did not end well");
        }
        self.inbox.close();
        if tokio::time::timeout(FLUSH_WITHIN, self.writer).await.is_err() {
            // Nobody was told that it is stored.
            tracing::warn!("the inbox could not be emptied; its webhooks were not answered and will come again");
        }
        self.chores.shutdown().await;
    }
}

fn redis_client(config: &Config) -> Result<Option<redis::Client>, redis::RedisError> {
    match (config.dispatch, &config.redis_url) {
        (DispatchMode::Redis, Some(url)) => redis::Client::open(&**url).map(Some),
        (DispatchMode::Redis, None) | (DispatchMode::Local, _) => Ok(None),
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it: an answer is one small packet and must not wait for an acknowledgement.
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|source| StartError::Listen { address, source })
}

fn acceptor(listener: TcpListener) -> std::io::Result<(SocketAddr, TcpAcceptor)> {
    Ok((listener.local_addr()?, TcpAcceptor::try_from(listener)?))
}

fn warn_about_missing_settings(config: &Config) {
    if config.meta_app_secret.is_none() {
        tracing::warn!("META_APP_SECRET is not set, so every webhook is refused (401): set it to the Meta app's secret");
    }
    if config.meta_verify_tokens.is_empty() {
        tracing::warn!("META_VERIFY_TOKEN is not set, so Meta's handshake is refused (403): set it to the token entered at Meta");
    }
    if config.http.jwt_secret.is_none() && config.http.jwt_private_key.is_none() {
        tracing::warn!("neither JWT_PRIVATE_KEY nor JWT_SECRET is set, so nobody can sign in: set one of them");
    }
    if config.encryption_key.is_none() {
        tracing::warn!("SWITCHBOARD_ENCRYPTION_KEY is not set, so tenants cannot store tokens of providers: set it to a long random text");
    }
    if config.dispatch == DispatchMode::Redis && config.redis_url.is_none() {
        tracing::warn!("REDIS_URL is not set: workers will find new jobs later than they could; set it, or DISPATCH=local");
    }
}
