//! Running jobs: claim in the ledger, run, settle in the ledger. Where hints come from is `backend` and `local`.

pub(crate) mod backend;
mod claims;
mod heartbeat;
mod held;
pub(crate) mod local;
mod outcomes;
mod presence;
mod run;

use crate::maintenance::{Bells, DAYS_AHEAD};
use claims::Claims;
use domain::WorkerId;
use held::Held;
use jobs::{Handler, Services};
use outcomes::Outcomes;
use platform::{config::Config, figures::Figures};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use store::{
    PgPool, StoreError,
    ledger::{self, WorkerRow},
    maintenance::ensure_partitions,
    operator::processes::Announced,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

pub(crate) use run::work;

/// One worker process.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// For claims and heartbeats: jobs that use up their own connections must not hold these up. Not durable at once.
    control: PgPool,
    services: Arc<Services>,
    handlers: HashMap<&'static str, Handler>,
    /// Changes when the process was declared dead: claims of the old id stay fenced for ever.
    worker: Arc<RwLock<WorkerId>>,
    held: Arc<Held>,
    claims: Claims,
    outcomes: Outcomes,
    /// Rung when the database has been silent for so long that this process counts as dead.
    silence: Notify,
    stopping: watch::Receiver<bool>,
    /// Rung when this process takes a hint, so that a feeder in it fills up at once.
    pub(crate) bells: Arc<Bells>,
    /// What it did in the last minute.
    pub(crate) figures: Arc<Figures>,
    /// True while it shall take nothing new: an operator drains it, or it is not known yet whether one does.
    pub(crate) draining: watch::Sender<bool>,
}

impl Runtime {
    /// Announces the worker, and starts its heartbeat.
    pub(crate) async fn start(
        control: PgPool,
        services: Arc<Services>,
        handlers: Vec<Handler>,
        row: WorkerRow,
        config: &Config,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        announce(&control, &row).await;
        let worker = Arc::new(RwLock::new(row.id));
        let held = Arc::new(Held::default());
        let runtime = Arc::new(Self {
            claims: Claims::start(control.clone(), worker.clone(), held.clone(), config.worker_dead_after, stopping.clone()),
            outcomes: Outcomes::start(services.pool.clone(), held.clone(), config.worker_dead_after),
            control,
            silence: Notify::new(),
            services,
            handlers: handlers.into_iter().map(|handler| (handler.kind, handler)).collect(),
            worker,
            held,
            stopping,
            bells: Arc::new(Bells::default()),
            figures: Arc::default(),
            draining: watch::Sender::new(true),
        });
        let announced = Announced { id: Uuid::now_v7(), role: "worker", name: row.name.clone(), version: env!("CARGO_PKG_VERSION") };
        tokio::spawn(heartbeat::beat(runtime.clone(), row, config.worker_heartbeat, config.worker_dead_after));
        tokio::spawn(presence::show(runtime.clone(), announced));
        runtime
    }

    fn worker_id(&self) -> WorkerId {
        *self.worker.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Lets running jobs end until `deadline`, gives the rest back to the queue, and takes leave.
    pub(crate) async fn stop(&self, deadline: Instant) {
        while !self.held.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let worker = self.worker_id();
        match self.give_back(worker).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "gave unfinished jobs back to the queue"),
            Err(error) => tracing::warn!(%error, "could not give jobs back; they will be rescued"),
        }
    }

    async fn give_back(&self, worker: WorkerId) -> Result<u64, StoreError> {
        let mut conn = self.control.acquire().await?;
        let released = ledger::release(&mut conn, worker).await?;
        ledger::unregister_worker(&self.control, worker).await?;
        Ok(released)
    }
}

async fn prepare(pool: &PgPool, row: &WorkerRow) -> Result<(), StoreError> {
    // After days of rest the partition of today may be missing, and finished jobs would have no place.
    ensure_partitions(pool, DAYS_AHEAD).await?;
    ledger::register_worker(pool, row).await
}

/// Without its row a worker can claim nothing, so there is nothing to do but wait for the database.
async fn announce(pool: &PgPool, row: &WorkerRow) {
    let mut reported = false;
    while let Err(error) = prepare(pool, row).await {
        if !std::mem::replace(&mut reported, true) {
            tracing::warn!(%error, "cannot announce this worker yet; trying until the database answers");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
