//! Sets up what a scenario needs: a fresh database, the product's release binaries started on it, and everything put
//! away afterwards. Postgres and Redis themselves are the caller's.

mod args;
mod child;
mod database;
mod redis_server;

use crate::machine;
use crate::processes::Watched;
use anyhow::{Context, Result, ensure};
pub use args::LabArgs;
pub use child::Child;
pub use database::Database;
pub use redis_server::RedisServer;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const APP_SECRET: &str = "bench-app-secret";
pub const ADMIN_TOKEN: &str = "bench-admin-token";
pub const WEBHOOK_PATH: &str = "/api/webhook";
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Which processes a scenario wants.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub api: bool,
    /// The worker's --queues; `None`: all, as a user would run it.
    pub queues: Option<&'static str>,
    /// Registers the kind `probe`, which does nothing unless told to.
    pub bench_jobs: bool,
}

/// Api and worker, everything at its default.
pub const WEBHOOKS: Plan = Plan { api: true, queues: None, bench_jobs: false };
/// The job engine alone.
pub const PROBES: Plan = Plan { api: false, queues: Some("probes"), bench_jobs: true };

/// A migrated and seeded database; nothing runs yet.
pub struct Lab {
    pub args: LabArgs,
    pub database: Database,
    pub redis: RedisServer,
    pub machine: Value,
    /// Where providers are reached, if the scenario plays one.
    pub provider: Option<String>,
    /// Where a model is reached, if the scenario plays one.
    pub model: Option<String>,
}

impl Lab {
    /// `phone_number_ids`: a tenant with a WhatsApp channel is made for each.
    pub async fn prepare(args: &LabArgs, phone_number_ids: &[String]) -> Result<Self> {
        std::fs::create_dir_all(&args.logs).with_context(|| format!("making {}", args.logs.display()))?;
        let redis = RedisServer::connect(&args.redis).await?;
        redis.claim(args.flush_redis).await?;
        let database = Database::create(&args.pg, &LabArgs::database_name()).await?;
        let lab =
            Self { args: args.clone(), machine: machine::describe(&database, &redis).await?, database, redis, provider: None, model: None };
        lab.tool(&["migrate"]).await?;
        if !phone_number_ids.is_empty() {
            lab.tool(&["seed", "--whatsapp-numbers", &phone_number_ids.join(",")]).await?;
        }
        Ok(lab)
    }

    pub async fn start(&self, plan: Plan) -> Result<Running> {
        self.database.client.batch_execute("VACUUM ANALYZE").await?;
        self.database.client.batch_execute("CHECKPOINT").await?;
        let address = free_port()?;
        let port = address.port().to_string();
        let api = if plan.api { Some(self.spawn("switchboard-api", &[], &[("PORT", &port)])?.0) } else { None };
        let concurrency = self.args.worker_concurrency.map(|count| count.to_string());
        let mut flags: Vec<&str> = plan.queues.iter().flat_map(|queues| ["--queues", *queues]).collect();
        flags.extend(concurrency.iter().flat_map(|count| ["--concurrency", count.as_str()]));
        let bench_jobs: &[(&str, &str)] = if plan.bench_jobs { &[("SWITCHBOARD_BENCH_JOBS", "1")] } else { &[] };
        let (worker, worker_metrics) = self.spawn("switchboard-worker", &flags, bench_jobs)?;
        let mut running = Running { api, worker, address, worker_metrics };
        self.wait_until_ready(&mut running).await?;
        Ok(running)
    }

    /// The servers' processes and ours, for accounting; servers on another machine are left out.
    pub async fn watched(&self, running: &Running) -> Result<Watched> {
        let processes = [
            ("api", running.api.as_ref().map(Child::pid)),
            ("worker", Some(running.worker.pid())),
            ("postgres", self.database.server_pid().await?),
            ("redis", self.redis.server_pid().await?),
            ("generator", Some(std::process::id())),
        ];
        Ok(Watched::new(processes.into_iter().filter_map(|(name, pid)| Some((name, pid?)))))
    }

    /// The process, and where it serves its metrics.
    fn spawn(&self, binary: &str, flags: &[&str], more: &[(&str, &str)]) -> Result<(Child, SocketAddr)> {
        let metrics = free_port()?;
        let mut environment = self.environment();
        environment.push(("METRICS_PORT", metrics.port().to_string()));
        environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let child = Child::spawn(&self.binary(binary), flags, &environment, &self.args.logs.join(format!("{binary}.log")))?;
        Ok((child, metrics))
    }

    async fn tool(&self, words: &[&str]) -> Result<()> {
        let mut command = tokio::process::Command::new(self.binary("switchboard"));
        command.args(words).envs(self.environment()).kill_on_drop(true).stdin(std::process::Stdio::null());
        let output = command.output().await.context("starting switchboard")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "switchboard {}: {}: {}", words.join(" "), output.status, said.trim());
        Ok(())
    }

    fn binary(&self, name: &str) -> PathBuf {
        let path = self.args.bin_dir.join(name);
        path.canonicalize().unwrap_or(path)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let home = Path::new(&self.args.logs).canonicalize().unwrap_or_else(|_| self.args.logs.clone()).join("home");
        let mut all = vec![
            ("DATABASE_URL", self.database.url.clone()),
            ("REDIS_URL", self.args.redis.clone()),
            ("META_APP_SECRET", APP_SECRET.to_owned()),
            ("META_VERIFY_TOKEN", "bench-verify-token".to_owned()),
            ("JWT_SECRET", "bench-jwt-secret".to_owned()),
            ("JWT_ACCESS_TTL", "6h".to_owned()),
            ("DESK_TOKEN_TTL", "6h".to_owned()),
            ("ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
            ("SWITCHBOARD_ENCRYPTION_KEY", "bench-encryption-key".to_owned()),
            ("META_GRAPH_URL", self.provider.clone().unwrap_or_else(|| "http://127.0.0.1:9".to_owned())),
            // What is measured is the service, not its limits.
            ("RATE_LIMIT_USER_PER_MIN", "0".to_owned()),
            ("RATE_LIMIT_PLATFORM_PER_MIN", "0".to_owned()),
            ("RATE_LIMIT_SIGN_IN_PER_MIN", "0".to_owned()),
            ("DISPATCH", self.args.dispatch.clone()),
            ("SWITCHBOARD_HOME", home.display().to_string()),
        ];
        if let Some(model) = &self.model {
            all.extend([("OPENAI_BASE_URL", model.clone()), ("OPENAI_API_KEY", "bench-key".to_owned())]);
        }
        all
    }

    /// The api answers /health and the worker has written its row.
    async fn wait_until_ready(&self, running: &mut Running) -> Result<()> {
        let started = Instant::now();
        loop {
            running.check_alive()?;
            let (address, needed) = (running.address, running.api.is_some());
            let health = move || !needed || crate::http::get(address, "/health").is_ok_and(|status| status == 200);
            let healthy = tokio::task::spawn_blocking(health).await?;
            let workers: i64 = self.database.client.query_one("SELECT count(*) FROM job_workers", &[]).await?.try_get(0)?;
            if healthy && workers > 0 {
                return Ok(());
            }
            ensure!(
                started.elapsed() < READY_WITHIN,
                "not ready: api healthy: {healthy}, worker rows: {workers}; see {}",
                self.args.logs.display()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Drops the run's database, unless it shall be kept, and empties its Redis database. Nothing may run on them any more.
pub async fn tidy(args: &LabArgs) -> Result<()> {
    RedisServer::connect(&args.redis).await?.give_back().await?;
    if args.keep {
        eprintln!("kept: database {}", LabArgs::database_name());
        return Ok(());
    }
    Database::drop_if_exists(&args.pg, &LabArgs::database_name()).await
}

/// The product's processes; dropped, they are told to stop and waited for.
pub struct Running {
    pub api: Option<Child>,
    pub worker: Child,
    pub address: SocketAddr,
    pub worker_metrics: SocketAddr,
}

impl Running {
    /// Fails if one of the processes has ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        self.api.as_mut().map_or(Ok(()), Child::check_alive)?;
        self.worker.check_alive()
    }
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
