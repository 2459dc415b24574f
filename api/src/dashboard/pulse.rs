//! How everything stands now, read once for all who watch: the cheap part at most once a second, the rest every few.

use crate::ApiError;
use chrono::{DateTime, Utc};
use domain::WorkerId;
use jobs::queue;
use platform::figures::{Lane, Lanes, RECENT_SECONDS};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store::{
    PgPool, StoreError,
    operator::{
        groups::{self, DeadGroup},
        overview::{self, ChannelNow, QueueNow, RunningJob, TenantWaits},
        pauses::{self, Pause},
        processes::{self, Process},
        reading,
    },
};
use tokio::sync::Mutex;

/// How long what was read is shown.
const FRESH: Duration = Duration::from_millis(950);
/// The same for what costs more to read: tenants, channels, dead letters.
const SLOW_FRESH: Duration = Duration::from_secs(5);
/// A process that was not heard of for longer is taken for dead, in seconds.
pub(super) const SILENT: f64 = 15.0;
const TENANTS: i64 = 12;
const CHANNELS: i64 = 20;
const RUNNING: i64 = 200;

/// Everything, at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub at: DateTime<Utc>,
    pub queues: Vec<QueueNow>,
    pub processes: Vec<Process>,
    pub pauses: Vec<Pause>,
    pub running: Vec<RunningJob>,
    pub slow: Arc<Slow>,
    /// Sums over the processes that live.
    lanes: Lanes,
}

/// The part that is read less often.
#[derive(Debug)]
pub(crate) struct Slow {
    pub tenants: Vec<TenantWaits>,
    pub channels: Vec<ChannelNow>,
    pub groups: Vec<DeadGroup>,
    read_at: Instant,
}

/// Reads snapshots.
#[derive(Debug)]
pub(crate) struct Pulse {
    pool: PgPool,
    last: Mutex<Option<Last>>,
}

/// What was read last. `stale`: something was done about it since.
#[derive(Debug)]
struct Last {
    at: Instant,
    stale: bool,
    snapshot: Arc<Snapshot>,
}

impl Pulse {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, last: Mutex::new(None) }
    }

    /// How everything stands, at most a second ago. Whoever asks while it is being read gets the same.
    pub(crate) async fn read(&self) -> Result<Arc<Snapshot>, ApiError> {
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref().filter(|last| !last.stale && last.at.elapsed() < FRESH) {
            return Ok(last.snapshot.clone());
        }
        let known = last.as_ref().map(|last| (last.snapshot.slow.clone(), last.stale));
        let snapshot = Arc::new(read(&self.pool, known).await?);
        *last = Some(Last { at: Instant::now(), stale: false, snapshot: snapshot.clone() });
        Ok(snapshot)
    }

    /// Something was just done about what was read.
    pub(crate) async fn forget(&self) {
        if let Some(last) = self.last.lock().await.as_mut() {
            last.stale = true;
        }
    }
}

async fn read(pool: &PgPool, known: Option<(Arc<Slow>, bool)>) -> Result<Snapshot, StoreError> {
    let names: Vec<&str> = queue::ALL.iter().map(|queue| queue.name).collect();
    let mut tx = reading(pool).await?;
    let at = overview::now(&mut tx).await?;
    let mut queues = overview::queues(&mut tx, &names).await?;
    overview::entered_lately(&mut tx, &mut queues).await?;
    let processes = processes::list(&mut tx).await?;
    let pauses = pauses::list(&mut tx).await?;
    let running = overview::running(&mut tx, RUNNING).await?;
    let slow = match known {
        Some((slow, false)) if slow.read_at.elapsed() < SLOW_FRESH => slow,
        known => Arc::new(Slow {
            tenants: overview::tenants(&mut tx, &names, TENANTS).await?,
            channels: overview::channels(&mut tx, CHANNELS).await?,
            groups: match groups::list(&mut tx).await {
                // So many died that they cannot be counted in time: what was known is better than no page.
                Err(error) if error.timed_out() => {
                    tracing::warn!(%error, "dead letters are shown as they were");
                    known.map(|(known, _)| known.groups.clone()).unwrap_or_default()
                }
                groups => groups?,
            },
            read_at: Instant::now(),
        }),
    };
    let mut lanes = Lanes::new();
    for (name, lane) in processes.iter().filter(|process| process.silent_s < SILENT).flat_map(|process| &process.figures) {
        lanes.entry(name.clone()).or_default().add(lane);
    }
    // Queues for trying the engine are shown when they are in use.
    let queues = queues.into_iter().filter(|now| now.queue != queue::PROBES.name || now.ready + now.delayed + now.running > 0).collect();
    Ok(Snapshot { at, queues, processes, pauses, running, slow, lanes })
}

impl Snapshot {
    /// What all processes did in one lane in the last minute.
    pub(super) fn lane(&self, name: &str) -> Lane {
        self.lanes.get(name).cloned().unwrap_or_default()
    }

    /// Jobs of a queue (or webhooks, of `ingest`) that were done each second, of late.
    #[expect(clippy::cast_precision_loss, reason = "counts of ten seconds are far below 2^52")]
    pub(super) fn out_per_second(&self, name: &str) -> f64 {
        self.lanes.get(name).map_or(0.0, |lane| lane.recent as f64 / RECENT_SECONDS as f64)
    }

    pub(super) fn dead(&self, queue: &str) -> i64 {
        groups::by_queue(&self.slow.groups, queue)
    }

    pub(super) fn is_paused(&self, what: &str) -> bool {
        self.pauses.iter().any(|pause| pause.what == what)
    }

    /// Worker processes that live and serve a queue.
    pub(super) fn workers_of<'a>(&'a self, queue: &'a str) -> impl Iterator<Item = &'a Process> {
        self.processes.iter().filter(move |process| process.silent_s < SILENT && process.queues.iter().any(|name| name == queue))
    }

    /// What a process runs now.
    pub(super) fn runs(&self, worker: Option<WorkerId>) -> impl Iterator<Item = &RunningJob> {
        self.running.iter().filter(move |job| worker.is_some_and(|worker| worker.0 == job.worker_id))
    }

    /// Seconds until a queue is empty, if it goes on as now; none: it does not shrink.
    #[expect(clippy::cast_precision_loss, reason = "queues are far below 2^52")]
    pub(super) fn drained_in(&self, queue: &QueueNow) -> Option<f64> {
        let shrinks = self.out_per_second(&queue.queue) - queue.entered_10s as f64 / 10.0;
        if queue.ready == 0 {
            return Some(0.0);
        }
        (shrinks > 0.05).then(|| queue.ready as f64 / shrinks)
    }
}
