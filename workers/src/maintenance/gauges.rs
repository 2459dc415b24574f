//! How the queues stand, for Prometheus.

use jobs::queue;
use std::time::Duration;
use store::{PgPool, StoreError, ledger};

const EVERY: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Measures for ever.
pub(super) async fn measure(pool: PgPool) {
    loop {
        if let Err(error) = store::within(ANSWER_WITHIN, round(&pool)).await {
            tracing::debug!(%error, "cannot measure the queues");
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; counts stay far below 2^52")]
async fn round(pool: &PgPool) -> Result<(), StoreError> {
    for queue in queue::ALL {
        let depth = ledger::depth(pool, queue.name).await?;
        metrics::gauge!("switchboard_queue_ready_jobs", "queue" => queue.name).set(depth.ready as f64);
        metrics::gauge!("switchboard_queue_delayed_jobs", "queue" => queue.name).set(depth.delayed as f64);
        metrics::gauge!("switchboard_queue_oldest_job_seconds", "queue" => queue.name).set(depth.oldest_seconds);
    }
    metrics::gauge!("switchboard_dead_letters").set(ledger::dead_letters(pool).await? as f64);
    Ok(())
}
