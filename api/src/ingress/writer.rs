//! The one task that empties the inbox. While Postgres is away it refuses everybody at once and looks until it is back.

use super::{
    GroupCommit, Measures,
    batches::Batches,
    inbox::{Gate, Held, Refusal},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc, watch};

/// How often a database that is away is looked for, and how long it may take to answer.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// Runs the writer, and another one if it dies: those whose webhooks it held are answered 503, and nobody else notices.
pub(super) async fn supervise(
    receiver: mpsc::UnboundedReceiver<Held>,
    stopping: watch::Receiver<bool>,
    gate: Arc<Gate>,
    commit: Arc<GroupCommit>,
    measures: Arc<Measures>,
) {
    let batches = Arc::new(Mutex::new(Batches::new(receiver, stopping)));
    loop {
        let writer = write(batches.clone(), gate.clone(), commit.clone(), measures.clone());
        match tokio::spawn(writer).await {
            Ok(()) => return,
            Err(error) => tracing::error!(%error, "the inbox's writer died; starting another"),
        }
    }
}

/// Ends when the inbox is closed and empty.
async fn write(batches: Arc<Mutex<Batches>>, gate: Arc<Gate>, commit: Arc<GroupCommit>, measures: Arc<Measures>) {
    let mut batches = batches.lock().await;
    if !commit.database_answers(LOOK_LIMIT).await {
        tracing::warn!("the database is away");
        wait_for_database(&mut batches, &gate, &commit).await;
    }
    while let Some(batch) = batches.next().await {
        if commit.commit(batch).await.is_err() {
            wait_for_database(&mut batches, &gate, &commit).await;
        }
        let (events, bytes) = gate.held();
        show(&measures, events, bytes);
    }
}

async fn wait_for_database(batches: &mut Batches, gate: &Gate, commit: &GroupCommit) {
    gate.set_database_away(true);
    loop {
        // Some came in before the gate was shut.
        batches.refuse_waiting(Refusal::Database);
        if batches.is_stopping() {
            return;
        }
        if commit.database_answers(LOOK_LIMIT).await {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    gate.set_database_away(false);
    tracing::info!("the database is back");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn show(measures: &Measures, events: usize, bytes: usize) {
    measures.inbox_events.set(events as f64);
    measures.inbox_bytes.set(bytes as f64);
}
