//! The job engine alone: jobs that do nothing, one by one through the ledger, with and without a million jobs waiting.

use crate::lab::{Database, Lab, LabArgs, PROBES, RedisServer};
use crate::numbers::{float_of, median, rounded};
use crate::processes;
use crate::report::Report;
use anyhow::{Context, Result};
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

const TENANTS: usize = 10;
/// Tenants of the backlog come behind those that the producer enqueues for.
const BACKLOG_TENANTS: std::ops::Range<i32> = 11..21;
const CHUNK: usize = 500;
/// Until connections, caches and the feeder's window are warm.
const WARM_UP: Duration = Duration::from_secs(2);
const INSERT: &str = "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args)
    SELECT j.id, 'probe', 'probes', j.tenant_id, 5, '{}' FROM unnest($1::uuid[], $2::int4[]) AS j(id, tenant_id)";
/// What the producer itself has waiting; the index on ready jobs answers this without looking at the backlog.
const WAITING: &str =
    "SELECT count(*) FROM jobs WHERE queue = 'probes' AND priority = 0 AND state = 'queued' AND run_at IS NULL AND tenant_id = ANY ($1)";
/// The product's own wake-up: `queue tenant,tenant,...` on this Redis channel. Losing it only costs time.
const WAKE_CHANNEL: &str = "switchboard:wake";

#[derive(clap::Args, Clone, Debug)]
pub struct Backlog {
    /// Seconds to measure
    #[arg(long, default_value_t = 10)]
    secs: u64,
    /// Jobs that wait in the same queue before the run
    #[arg(long = "backlog", default_value_t = 0)]
    waiting: usize,
    /// Jobs that the producer keeps waiting
    #[arg(long, default_value_t = 4_000)]
    ahead: usize,
}

pub async fn run(args: &LabArgs, backlog: &Backlog) -> Result<Report> {
    let lab = Lab::prepare(args, &[]).await?;
    seed(&lab.database, backlog.waiting).await?;
    let mut running = lab.start(PROBES).await?;
    let watched = lab.watched(&running).await?;

    let mut producer = Producer { database: &lab.database, redis: &lab.redis, ahead: backlog.ahead, produced: 0, redis_peak_mb: 0.0 };
    producer.keep_ahead_for(WARM_UP).await?;
    let (before, from) = (watched.cpu()?, clock(&lab.database).await?);
    producer.keep_ahead_for(Duration::from_secs(backlog.secs)).await?;
    let after = watched.cpu()?;
    // Whole seconds: the loop runs a little longer than it was asked to.
    let until = from + Duration::from_secs(backlog.secs).as_secs_f64();

    running.check_alive()?;
    let done = done_per_second(&lab.database, from, until).await?;
    let total: i64 = done.iter().sum();
    let jobs = usize::try_from(total)?;
    let dead: i64 = lab.database.client.query_one("SELECT count(*) FROM jobs_dead", &[]).await?.try_get(0)?;
    let twice: i64 = lab.database.client.query_one("SELECT count(*) - count(DISTINCT id) FROM jobs_done", &[]).await?.try_get(0)?;
    let left: i64 = lab.database.client.query_one("SELECT count(*) FROM jobs", &[]).await?.try_get(0)?;
    let mut seconds: Vec<f64> = done.iter().filter_map(|count| u32::try_from(*count).ok()).map(f64::from).collect();
    let report = Report {
        scenario: "backlog",
        passed: dead == 0 && twice == 0 && jobs > 0,
        settings: json!({ "secs": backlog.secs, "backlog": backlog.waiting, "ahead": backlog.ahead }),
        results: json!({
            "jobs_per_s": rounded(float_of(jobs) / (until - from), 0),
            "jobs_per_s_median": median(&mut seconds),
            "jobs_per_s_lowest": seconds.iter().copied().reduce(f64::min),
            "dead": dead, "done_twice": twice, "left": left, "produced": producer.produced,
            "redis_peak_mb": producer.redis_peak_mb,
            "cpu_s_per_1000_jobs": processes::per_thousand(&before, &after, jobs),
            "memory_mb": watched.memory()?,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

async fn seed(database: &Database, count: usize) -> Result<()> {
    let tenants: Vec<i32> = BACKLOG_TENANTS.cycle().take(count).collect();
    for chunk in tenants.chunks(CHUNK * 10) {
        enqueue(database, chunk).await?;
    }
    Ok(())
}

async fn enqueue(database: &Database, tenants: &[i32]) -> Result<()> {
    let ids: Vec<Uuid> = tenants.iter().map(|_| Uuid::now_v7()).collect();
    let written = database.client.execute(INSERT, &[&ids, &tenants]).await.context("enqueueing probes")?;
    anyhow::ensure!(usize::try_from(written)? == tenants.len(), "only {written} of {} jobs were written", tenants.len());
    Ok(())
}

struct Producer<'a> {
    database: &'a Database,
    redis: &'a RedisServer,
    ahead: usize,
    produced: usize,
    redis_peak_mb: f64,
}

impl Producer<'_> {
    /// A closed loop: writes as many jobs as were taken, in chunks, and wakes the feeder as any producer does.
    async fn keep_ahead_for(&mut self, duration: Duration) -> Result<()> {
        let tenants: Vec<i32> = (1..=i32::try_from(TENANTS)?).collect();
        let wake = format!("probes {}", tenants.iter().map(i32::to_string).collect::<Vec<_>>().join(","));
        let (waiting, insert) = (self.database.client.prepare(WAITING).await?, self.database.client.prepare(INSERT).await?);
        let started = Instant::now();
        let mut looked = started;
        while started.elapsed() < duration {
            let count: i64 = self.database.client.query_one(&waiting, &[&tenants]).await?.try_get(0)?;
            let missing = self.ahead.saturating_sub(usize::try_from(count)?);
            for start in (0..missing).step_by(CHUNK) {
                let size = CHUNK.min(missing - start);
                let owners: Vec<i32> = tenants.iter().copied().cycle().take(size).collect();
                let ids: Vec<Uuid> = owners.iter().map(|_| Uuid::now_v7()).collect();
                self.database.client.execute(&insert, &[&ids, &owners]).await?;
                self.produced += size;
            }
            if missing > 0 {
                self.redis.publish(WAKE_CHANNEL, &wake).await?;
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                self.redis_peak_mb = self.redis_peak_mb.max(self.redis.used_memory_mb().await?);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(())
    }
}

async fn clock(database: &Database) -> Result<f64> {
    Ok(database.client.query_one("SELECT extract(epoch FROM clock_timestamp())::float8", &[]).await?.try_get(0)?)
}

/// Finished jobs in each whole second between two times, by the ledger's own record.
async fn done_per_second(database: &Database, from: f64, until: f64) -> Result<Vec<i64>> {
    let sql = "SELECT count(*) FROM jobs_done
               WHERE queue = 'probes' AND finished_at >= to_timestamp($1) AND finished_at < to_timestamp($2)
               GROUP BY floor(extract(epoch FROM finished_at) - $1) ORDER BY floor(extract(epoch FROM finished_at) - $1)";
    database.client.query(sql, &[&from, &until]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
