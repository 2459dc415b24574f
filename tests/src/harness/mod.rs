//! A Switchboard of its own for each test: a database, a Redis, and the real api and worker as processes.

mod api;
mod browser;
mod database;
mod events;
mod postgres;
mod process;
mod provider;
mod proxy;
mod redis_server;
mod supervision;
mod tool;
mod watcher;
mod webhooks;

pub(crate) use api::{ADMIN_TOKEN, Answer, INTERNAL_TOKEN, PASSWORD, User};
pub(crate) use browser::Browser;
pub(crate) use database::Database;
pub(crate) use events::Events;
pub(crate) use postgres::PrivatePostgres;
pub(crate) use process::{Process, free_port};
pub(crate) use provider::{CUT, Provider, Received};
pub(crate) use proxy::Proxy;
pub(crate) use redis_server::RedisServer;
pub(crate) use watcher::Watcher;
pub(crate) use webhooks::{SECRET, VERIFY_TOKEN, change, echo, image, sign, status, status_for, text, text_from, text_to};
pub(crate) use webhooks::{message, messages, sign_bytes};

use std::time::{Duration, Instant};

/// How long a condition may take to come true. Generous: it is a limit for broken things, not a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The provider's id of the channel that every test has.
pub(crate) const PHONE_NUMBER_ID: &str = "100200300400500";
/// Another tenant's.
pub(crate) const OTHER_PHONE_NUMBER_ID: &str = "100200300400501";

/// What a worker does by default.
const ALL_BUT_SENDING: &[&str] = &["--queues", "webhooks,overrides,chores,probes"];
/// What a worker does when the test has a provider.
pub(crate) const SENDING: &[&str] = &["--queues", "webhooks,overrides,outbound,chores"];

/// A running Switchboard.
pub(crate) struct App {
    pub(crate) db: Database,
    pub(crate) redis: RedisServer,
    pub(crate) http: reqwest::Client,
    pub(crate) api: Option<Process>,
    pub(crate) workers: Vec<Process>,
    pub(crate) port: u16,
    environment: Vec<(String, String)>,
    /// Processes that were killed or stopped, or that nobody looks after: their logs are shown too.
    ended: Vec<Process>,
    /// Dead letters that the test expects; more fail it.
    expected_dead: i64,
}

impl App {
    /// Api and one worker, through Redis.
    pub(crate) async fn start() -> Self {
        let mut app = Self::without_processes(Database::create().await, &[]).await;
        app.start_api().await;
        app.start_worker(&[]).await;
        app
    }

    /// A database with two tenants, a Redis, and no process yet.
    pub(crate) async fn without_processes(db: Database, environment: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start().await;
        let port = free_port();
        let mut all: Vec<(String, String)> = [
            ("DATABASE_URL", db.url.clone()),
            ("REDIS_URL", redis.url.clone()),
            ("PORT", port.to_string()),
            ("HOST", "127.0.0.1".to_owned()),
            ("META_APP_SECRET", SECRET.to_owned()),
            ("META_VERIFY_TOKEN", VERIFY_TOKEN.to_owned()),
            ("JWT_SECRET", "a secret of the tests".to_owned()),
            ("ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
            ("INTERNAL_API_TOKEN", INTERNAL_TOKEN.to_owned()),
            ("SWITCHBOARD_ENCRYPTION_KEY", "a key of the tests".to_owned()),
            (
                "MEDIA_STORE",
                std::env::temp_dir().join(format!("switchboard-test-media-{}", uuid::Uuid::now_v7().simple())).display().to_string(),
            ),
            // Tests sign in more often than people.
            ("RATE_LIMIT_SIGN_IN_PER_MIN", "0".to_owned()),
            ("SWITCHBOARD_BENCH_JOBS", "1".to_owned()),
            // Leases are shortened so that a rescue takes seconds, not half a minute.
            ("WORKER_HEARTBEAT_MS", "200".to_owned()),
            ("WORKER_DEAD_AFTER_MS", "1500".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        all.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let http = platform::http::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { db, redis, http, api: None, workers: Vec::new(), port, environment: all, ended: Vec::new(), expected_dead: 0 }
    }

    pub(crate) async fn start_api(&mut self) {
        self.api = Some(Process::start("switchboard-api", &[], &self.environment));
        let url = self.url("/health");
        until("the api answers", async || self.http.get(&url).send().await.is_ok()).await;
    }

    /// One more api beside the first; returns its port.
    pub(crate) async fn start_second_api(&mut self) -> u16 {
        let port = free_port();
        let mut environment = self.environment.clone();
        environment.retain(|(name, _)| name != "PORT");
        environment.push(("PORT".to_owned(), port.to_string()));
        self.ended.push(Process::start("switchboard-api", &[], &environment));
        let url = format!("http://127.0.0.1:{port}/health");
        until("the second api answers", async || self.http.get(&url).send().await.is_ok()).await;
        port
    }

    /// Starts a worker and waits until it has announced itself. Returns its place in `workers`. Without `arguments` it does everything
    /// but send messages, for which a test has a provider: [`SENDING`].
    pub(crate) async fn start_worker(&mut self, arguments: &[&str]) -> usize {
        let arguments = if arguments.is_empty() { ALL_BUT_SENDING } else { arguments };
        self.workers.push(Process::start("switchboard-worker", arguments, &self.environment));
        let process = self.workers.last().unwrap();
        let name = format!("%:{}", process.id());
        until("the worker announces itself", async || {
            self.db.try_count(&format!("SELECT count(*) FROM job_workers WHERE name LIKE '{name}'")).await == Some(1)
        })
        .await;
        self.workers.len() - 1
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a signed webhook; returns the status.
    pub(crate) async fn webhook(&self, body: &str) -> u16 {
        self.try_webhook(body).await.expect("the api answers")
    }

    /// The same, while the api may be down: `None` if there was no answer.
    pub(crate) async fn try_webhook(&self, body: &str) -> Option<u16> {
        let request = self
            .http
            .post(self.url("/api/webhook"))
            .header("content-type", "application/json")
            .header("x-hub-signature-256", sign(body))
            .body(body.to_owned());
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// Waits until nothing is left to do now (messages that wait to be sent, and lists of templates, wait for a provider), and fails on dead letters that were not expected. Jobs that wait for a
    /// time in the future (an override that ends tomorrow) may remain.
    pub(crate) async fn drain(&self) {
        until("all due jobs are done", async || {
            self.db
                .try_count(
                    "SELECT count(*) FROM jobs WHERE queue <> 'outbound' AND kind <> 'sync_templates' AND (state = 'running' OR run_at IS NULL OR run_at < ledger_now() + interval '1 minute')",
                )
                .await
                == Some(0)
        })
        .await;
        let dead = self.db.count("SELECT count(*) FROM jobs_dead").await;
        let letters = self.db.texts("SELECT kind || ' ' || errors::text FROM jobs_dead").await;
        assert_eq!(dead, self.expected_dead, "dead letters: {letters:#?}");
    }

    /// From now on `drain` expects so many dead letters.
    pub(crate) fn expect_dead(&mut self, count: i64) {
        self.expected_dead = count;
    }

    /// Enqueues probes that do `act`.
    pub(crate) async fn probe(&self, act: serde_json::Value, count: i32) {
        self.db
            .run(&format!(
                "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args)
                 SELECT gen_random_uuid(), 'probe', 'probes', 1 + n % 10, 5, '{}' FROM generate_series(1, {count}) n",
                serde_json::json!({"act": act})
            ))
            .await;
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }
}

/// Waits until `condition` holds, looking often; fails after [`PATIENCE`].
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
