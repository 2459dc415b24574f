//! What one process does for all: feeding, rescuing, tidying. One chore per file; each is safe if two processes run it.

mod bells;
mod cleaner;
mod counts;
mod feeder;
mod gauges;
mod housekeeping;
mod lanes;
mod paced;
mod packing;
mod rescue;
mod retention;
mod samples;
mod suspects;

pub(crate) use bells::Bells;
pub(crate) use retention::DAYS_AHEAD;

use jobs::{dispatch::Dispatch, queue};
use platform::{config::Config, figures::Figures};
use std::{sync::Arc, time::Duration};
use store::{PgPool, leader};
use tokio::{sync::watch, task::JoinSet};

/// How often a process tries to become the leader, and the leader makes sure that it still is.
const CHECK: Duration = Duration::from_secs(1);

/// What the leader works with.
#[derive(Clone, Debug)]
pub(crate) struct Leading<D> {
    pub(crate) pool: PgPool,
    pub(crate) config: Arc<Config>,
    pub(crate) dispatch: D,
    pub(crate) redis: Option<redis::Client>,
    pub(crate) bells: Arc<Bells>,
    /// What this process did in the last minute.
    pub(crate) figures: Arc<Figures>,
}

/// Leads whenever nobody else does, until `stopping`.
pub(crate) async fn lead<D: Dispatch>(leading: Leading<D>, mut stopping: watch::Receiver<bool>) {
    let beat = CHECK.min(leading.config.worker_dead_after / 4);
    while !*stopping.borrow() {
        let limit = leading.config.worker_dead_after;
        match store::within(limit, leader::try_lead(&leading.pool, limit.as_secs_f64())).await {
            Ok(Some(mut leadership)) => {
                tracing::info!("this process leads: it feeds, rescues and tidies");
                metrics::gauge!("switchboard_leader").set(1.0);
                let mut chores = start(&leading);
                while let Ok(()) = store::within(limit, leadership.beat()).await {
                    tokio::select! {
                        () = tokio::time::sleep(beat) => {}
                        _ = stopping.wait_for(|stop| *stop) => break,
                    }
                }
                chores.shutdown().await;
                metrics::gauge!("switchboard_leader").set(0.0);
                leadership.resign().await;
                tracing::info!("this process does not lead any more");
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot try to lead: the database does not answer"),
        }
        tokio::select! {
            () = tokio::time::sleep(CHECK) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
}

fn start<D: Dispatch>(leading: &Leading<D>) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    for queue in queue::ALL {
        chores.spawn(feeder::feed(leading.clone(), queue));
    }
    chores.spawn(rescue::rescue(leading.pool.clone(), leading.config.worker_dead_after));
    chores.spawn(retention::retain(leading.pool.clone(), leading.config.raw_retention_days, leading.config.done_retention_days));
    chores.spawn(gauges::measure(leading.pool.clone()));
    chores.spawn(samples::take(leading.pool.clone()));
    chores.spawn(paced::go_on(leading.pool.clone()));
    chores.spawn(counts::fold(leading.pool.clone()));
    chores.spawn(housekeeping::forget(leading.pool.clone()));
    if let Some(redis) = &leading.redis {
        chores.spawn(bells::listen(redis.clone(), leading.bells.clone()));
        chores.spawn(cleaner::clean(redis.clone()));
    }
    chores
}
