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

/// Whose rights a connection has: the roles of `migrations/*_row_level_security.sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A tenant's requests: sees no row but those of the tenant that the transaction names. See [`crate::Tenants`].
    Api,
    /// Taking webhooks and running jobs, of all tenants.
    Worker,
    /// Operators, and signing in, which happens before a tenant is known.
    Operator,
    /// Whoever `DATABASE_URL` names: the owner of the schema. For migrations.
    Owner,
}

impl Role {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Api => Some("switchboard_api"),
            Self::Worker => Some("switchboard_worker"),
            Self::Operator => Some("switchboard_operator"),
            Self::Owner => None,
        }
    }
}

/// Opens a pool on `url`. Connects lazily, so a process starts (and answers 503) while Postgres is away.
///
/// The planner is told what suits many short statements, each of which finds its rows by an index: a plan is made once per
/// connection (making it costs more than running it), and only from nested loops over index scans, so that one made while
/// a table was empty does not become a sequential scan for ever. It may still pick the wrong index until statistics come
/// (autovacuum, and the leader's `ANALYZE`), so statements name their rows by primary key where they can.
pub fn connect(url: &str, role: Role, application_name: &str, max_connections: u32) -> Result<sqlx::PgPool, StoreError> {
    open(url, role, application_name, max_connections, "on")
}

/// The same, for statements that may be undone by a crash of Postgres without harm, and so need not wait for the disk:
/// claims, heartbeats, feeding, rescue. (A claim that is undone leaves its run fenced. Commits keep their order, so nothing
/// that is durable can rest on something that is not.)
pub fn connect_relaxed(url: &str, application_name: &str, max_connections: u32) -> Result<sqlx::PgPool, StoreError> {
    open(url, Role::Worker, application_name, max_connections, "off")
}

fn open(
    url: &str,
    role: Role,
    application_name: &str,
    max_connections: u32,
    synchronous_commit: &'static str,
) -> Result<sqlx::PgPool, StoreError> {
    let options = PgConnectOptions::from_str(url)?.application_name(application_name);
    let options = role.name().map_or(options.clone(), |role| options.options([("role", role)]));
    let options = options.options([
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
        // The pool asks the server whether a connection that comes back still is good, and waits for the answer for as long as TCP
        // does, a quarter of an hour; meanwhile the connection counts. One that is known to be silent is not asked.
        .after_release(|_, meta| Box::pin(async move { Ok(is_trusted(meta.age)) }))
        .before_acquire(|_, meta| Box::pin(async move { Ok(is_trusted(meta.age)) }))
        .connect_lazy_with(options))
}

/// When the database was last found silent.
static SILENT_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// False for a connection from before the last silence.
fn is_trusted(age: Duration) -> bool {
    SILENT_AT.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|at| age < at.elapsed())
}

/// The database did not answer on an open connection: this process uses none again that is older than now.
fn distrust_connections() {
    *SILENT_AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Waits for an answer of the database for `limit` and no longer: the server may be gone without a word. What was asked may
/// be done all the same. Connections from before are not used again.
pub fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> impl Future<Output = Result<T, StoreError>> + Send {
    // Boxed: statements make large futures.
    let mut work = Box::pin(work);
    async move {
        if let Ok(result) = timeout(limit, &mut work).await {
            return result;
        }
        // Before the statement is dropped, so that its connection does not go back to the pool.
        distrust_connections();
        Err(StoreError::silence())
    }
}

/// A connection of one's own, kept between statements. (A pool asks the server after each use whether a connection still is good.)
/// One that is taken and not put back is closed, so a statement that is given up leaves nothing behind.
#[derive(Debug)]
pub struct OwnConnection {
    options: Arc<PgConnectOptions>,
    idle: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    connection: PgConnection,
    made_at: Instant,
    used_at: Instant,
}

/// What lies between us and the server may forget a connection that is not used, without telling.
const LONGEST_IDLE: Duration = Duration::from_mins(2);

impl OwnConnection {
    /// To the same database as `pool`, with the same settings. Connects when it is first needed.
    pub fn like(pool: &sqlx::PgPool) -> Self {
        Self { options: pool.connect_options(), idle: None }
    }

    /// Runs `work` on the kept connection, or on a new one if it is not fit any more. It is kept again if it still is good.
    pub async fn run<T>(&mut self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let kept = self.idle.take().filter(|kept| is_trusted(kept.made_at.elapsed()) && kept.used_at.elapsed() < LONGEST_IDLE);
        let (mut connection, made_at) = match kept {
            Some(kept) => (kept.connection, kept.made_at),
            None => (PgConnection::connect_with(&self.options).await?, Instant::now()),
        };
        let result = work(&mut connection).await;
        if !matches!(result, Err(StoreError::Unavailable(_))) {
            self.idle = Some(Kept { connection, made_at, used_at: Instant::now() });
        }
        result
    }
}

/// Brings the schema up to date. Safe to call from several processes at once (an advisory lock lets one do it).
pub async fn migrate(pool: &sqlx::PgPool) -> Result<(), StoreError> {
    sqlx::migrate!("../../migrations").run(pool).await?;
    Ok(())
}
