//! Saying that this process lives; hearing what operators want cancelled; giving back what it holds without knowing.

use super::Runtime;
use domain::{JobId, WorkerId};
use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};
use store::{
    OwnConnection, StoreError,
    ledger::{self, Delay, Run, WorkerRow, unfinished},
};

/// How many beats pass between looks at what the ledger thinks this process runs.
const LOOK_EVERY: u32 = 3;

/// Beats for ever. `answer_within`: who hears nothing from the database for so long counts as dead anyway.
pub(super) async fn beat(runtime: Arc<Runtime>, mut row: WorkerRow, interval: Duration, answer_within: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut unknown_before = BTreeSet::new();
    // A connection of its own: a heartbeat waits for nobody, and learns at once when connections from before are dead.
    let mut connection = OwnConnection::like(&runtime.control);
    for beat in 0_u32.. {
        ticks.tick().await;
        let lives = answered(&runtime, answer_within, connection.run(async |conn| ledger::heartbeat(conn, row.id).await)).await;
        match lives {
            Ok(true) => {}
            Ok(false) if runtime.is_stopping() => return,
            Ok(false) => {
                // Rescued: what runs now will find itself fenced. Go on as somebody new.
                let old = row.id;
                row.id = WorkerId::generate();
                if let Err(error) = answered(&runtime, answer_within, ledger::register_worker(&runtime.control, &row)).await {
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
        if let Err(error) = answered(&runtime, answer_within, hear_cancellations(&runtime, row.id)).await {
            tracing::debug!(%error, "could not read cancellations");
        }
        if beat % LOOK_EVERY == 0 {
            match answered(&runtime, answer_within, give_back_unknown(&runtime, row.id, &unknown_before)).await {
                Ok(unknown) => unknown_before = unknown,
                Err(error) => tracing::debug!(%error, "could not compare with the ledger"),
            }
        }
    }
}

/// The answer, if there is one within the limit. If not, the database is silent: connections from before are not used again, so whatever still waits on one
/// waits in vain, and is given up here. (The next beat would have a new connection, and notice nothing.)
async fn answered<T>(
    runtime: &Runtime,
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    let asked = Instant::now();
    let result = store::within(limit, work).await;
    if result.is_err() && asked.elapsed() >= limit {
        tracing::warn!(?limit, "the database is silent; what runs is given up and will run again");
        runtime.silence.notify_waiters();
    }
    result
}

async fn hear_cancellations(runtime: &Runtime, worker: WorkerId) -> Result<(), StoreError> {
    for id in ledger::cancel_requests(&runtime.control, worker).await? {
        runtime.held.cancel(id);
    }
    Ok(())
}

/// Jobs that the ledger says this process runs but that it does not know: a claim whose answer was lost. They are given
/// back when they were unknown at the look before as well. Returns those that are unknown now.
async fn give_back_unknown(runtime: &Runtime, worker: WorkerId, before: &BTreeSet<Run>) -> Result<BTreeSet<Run>, StoreError> {
    let running = ledger::running(&runtime.control, worker).await?;
    let unknown: BTreeSet<Run> = running.into_iter().filter(|run| !runtime.held.contains(*run)).collect();
    let lost: Vec<Delay> =
        unknown.intersection(before).map(|run| Delay { run: *run, after: None, free: true, suspect: false, error: None }).collect();
    if !lost.is_empty() {
        tracing::warn!(jobs = lost.len(), "giving back jobs whose claim was never answered");
        let mut tx = runtime.control.begin().await?;
        ledger::delay(&mut tx, worker, &lost).await?;
        // What was to be cancelled is not given back.
        let ids: Vec<JobId> = lost.iter().map(|delay| delay.run.id).collect();
        let cancelled = ledger::cancel(&mut tx, worker, &ids).await?;
        unfinished::close(&mut tx, &cancelled).await?;
        tx.commit().await?;
    }
    Ok(unknown)
}
