//! Connections, and the migrations that every process may run.

use crate::StoreError;
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// How long a connection that is given back may take to answer.
const SILENCE: Duration = Duration::from_secs(2);

/// Opens a pool on `url`. Connects lazily, so a process starts (and answers 503) while Postgres is away.
///
/// The planner is told what suits many short statements, each of which finds its rows by an index: a plan is made once per
/// connection (making it costs more than running it), and only from nested loops over index scans, so that one made while
/// a table was empty does not become a sequential scan for ever. It may still pick the wrong index until statistics come
/// (autovacuum, and the leader's `ANALYZE`), so statements name their rows by primary key where they can.
pub fn connect(url: &str, application_name: &str, max_connections: u32) -> Result<sqlx::PgPool, StoreError> {
    open(url, application_name, max_connections, "on")
}

/// The same, for statements that may be undone by a crash of Postgres without harm, and so need not wait for the disk:
/// claims, heartbeats, feeding, rescue. (A claim that is undone leaves its run fenced. Commits keep their order, so nothing
/// that is durable can rest on something that is not.)
pub fn connect_relaxed(url: &str, application_name: &str, max_connections: u32) -> Result<sqlx::PgPool, StoreError> {
    open(url, application_name, max_connections, "off")
}

fn open(url: &str, application_name: &str, max_connections: u32, synchronous_commit: &'static str) -> Result<sqlx::PgPool, StoreError> {
    let options = PgConnectOptions::from_str(url)?.application_name(application_name).options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("jit", "off"),
        ("synchronous_commit", synchronous_commit),
        ("statement_timeout", "60000"),
        // A process that stalls in a transaction must not hold its locks for long; ours never wait for anything else in one.
        ("idle_in_transaction_session_timeout", "10000"),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_mins(10))
        .test_before_acquire(false)
        // The pool itself asks, too, when it takes a connection back, but waits for an answer for ever, and meanwhile the
        // connection counts. A server that vanished without a word would use up the pool until TCP gives up, a quarter of an hour.
        .after_release(|connection, _| Box::pin(async move { Ok(matches!(timeout(SILENCE, connection.ping()).await, Ok(Ok(())))) }))
        .before_acquire(|_, meta| Box::pin(async move { Ok(silent_since().is_none_or(|silence| meta.age < silence)) }))
        .connect_lazy_with(options))
}

/// When the database was last found silent.
static SILENT_AT: Mutex<Option<Instant>> = Mutex::new(None);

fn silent_since() -> Option<Duration> {
    SILENT_AT.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
}

/// The database did not answer on an open connection: no pool of this process uses a connection again that is older than now.
pub fn distrust_connections() {
    *SILENT_AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Waits for an answer of the database for `limit` and no longer: the server may be gone without a word. What was asked may
/// be done all the same.
pub fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> impl Future<Output = Result<T, StoreError>> + Send {
    // Boxed: statements make large futures.
    let work = Box::pin(work);
    async move { timeout(limit, work).await.unwrap_or_else(|_| Err(StoreError::silence())) }
}

/// A connection of one's own, kept between statements. (A pool asks the server after each use whether a connection still is good.)
/// One that is taken and not put back is closed, so a statement that is given up leaves nothing behind.
#[derive(Debug)]
pub struct OwnConnection {
    options: Arc<PgConnectOptions>,
    idle: Option<PgConnection>,
}

impl OwnConnection {
    /// To the same database as `pool`, with the same settings. Connects when it is first needed.
    pub fn like(pool: &sqlx::PgPool) -> Self {
        Self { options: pool.connect_options(), idle: None }
    }

    /// The kept connection, or a new one.
    pub async fn take(&mut self) -> Result<PgConnection, StoreError> {
        match self.idle.take() {
            Some(connection) => Ok(connection),
            None => Ok(PgConnection::connect_with(&self.options).await?),
        }
    }

    /// Keeps a connection that still is good.
    pub fn put_back(&mut self, connection: PgConnection) {
        self.idle = Some(connection);
    }
}

/// Brings the schema up to date. Safe to call from several processes at once (an advisory lock lets one do it).
pub async fn migrate(pool: &sqlx::PgPool) -> Result<(), StoreError> {
    sqlx::migrate!("../../migrations").run(pool).await?;
    Ok(())
}
