//! Saying that this process lives; hearing what operators want cancelled; giving back what it holds without knowing.

use super::Runtime;
use domain::{JobId, WorkerId};
use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};
use store::{
    StoreError,
    ledger::{self, Delay, WorkerRow},
};

/// How many beats pass between looks at what the ledger thinks this process runs.
const LOOK_EVERY: u32 = 3;

pub(super) async fn beat(runtime: Arc<Runtime>, mut row: WorkerRow, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut unknown_before = BTreeSet::new();
    for beat in 0_u32.. {
        ticks.tick().await;
        match ledger::heartbeat(&runtime.control, row.id).await {
            Ok(true) => {}
            Ok(false) if runtime.is_stopping() => return,
            Ok(false) => {
                // Rescued: what runs now will find itself fenced. Go on as somebody new.
                let old = row.id;
                row.id = WorkerId::generate();
                if let Err(error) = ledger::register_worker(&runtime.control, &row).await {
                    tracing::warn!(%error, "cannot announce this worker again yet");
                    row.id = old;
                    continue;
                }
                *runtime.worker.write().unwrap_or_else(PoisonError::into_inner) = row.id;
                tracing::warn!(%old, new = %row.id, "this process was declared dead; it goes on under a new id");
            }
            Err(error) => {
                tracing::warn!(%error, "no heartbeat: the database does not answer");
                continue;
            }
        }
        if let Err(error) = hear_cancellations(&runtime, row.id).await {
            tracing::debug!(%error, "could not read cancellations");
        }
        if beat % LOOK_EVERY == 0 {
            match give_back_unknown(&runtime, row.id, &unknown_before).await {
                Ok(unknown) => unknown_before = unknown,
                Err(error) => tracing::debug!(%error, "could not compare with the ledger"),
            }
        }
    }
}

async fn hear_cancellations(runtime: &Runtime, worker: WorkerId) -> Result<(), StoreError> {
    for id in ledger::cancel_requests(&runtime.control, worker).await? {
        runtime.held.cancel(id);
    }
    Ok(())
}

/// Jobs that the ledger says this process runs but that it does not know: a claim whose answer was lost. They are given
/// back when they were unknown at the look before as well. Returns those that are unknown now.
async fn give_back_unknown(runtime: &Runtime, worker: WorkerId, before: &BTreeSet<JobId>) -> Result<BTreeSet<JobId>, StoreError> {
    let running = ledger::running(&runtime.control, worker).await?;
    let unknown: BTreeSet<JobId> = running.into_iter().filter(|id| !runtime.held.contains(*id)).collect();
    let lost: Vec<Delay> =
        unknown.intersection(before).map(|id| Delay { id: *id, after: None, free: true, suspect: false, error: None }).collect();
    if !lost.is_empty() {
        tracing::warn!(jobs = lost.len(), "giving back jobs whose claim was never answered");
        let mut conn = runtime.control.acquire().await?;
        ledger::delay(&mut conn, worker, &lost).await?;
    }
    Ok(unknown)
}
