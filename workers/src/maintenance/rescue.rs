//! Taking back the jobs of processes that died.

use jobs::policy::MAX_CRASHES;
use std::time::Duration;
use store::{PgPool, ledger};
use tokio::time::Instant;

/// Rescues for ever. `limit`: how old a heartbeat may be. After trouble with the database nobody is declared dead for as
/// long, since nobody could have sent a heartbeat.
pub(super) async fn rescue(pool: PgPool, limit: Duration) {
    let mut ticks = tokio::time::interval((limit / 4).clamp(Duration::from_millis(100), Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut quiet_until = Instant::now();
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        // A database that is slow, or a process that was stopped, looks the same to everybody's heartbeat: be sure that it is quick.
        let asked = Instant::now();
        if store::within(limit, ledger::held(&pool)).await.is_err() || asked.elapsed() > limit / 4 || last.elapsed() > limit / 2 {
            quiet_until = Instant::now() + limit;
        }
        last = Instant::now();
        if last < quiet_until {
            continue;
        }
        match store::within(limit * 6, ledger::rescue(&pool, limit.as_secs_f64(), MAX_CRASHES)).await {
            Ok(rescued) => {
                if !rescued.workers.is_empty() || !rescued.requeued.is_empty() || !rescued.buried.is_empty() {
                    tracing::warn!(
                        workers = rescued.workers.len(),
                        requeued = rescued.requeued.len(),
                        buried = rescued.buried.len(),
                        "worker processes died; their jobs were taken back"
                    );
                    metrics::counter!("switchboard_jobs_rescued_total").increment(rescued.requeued.len() as u64);
                    metrics::counter!("switchboard_jobs_dead_total", "kind" => "crashed").increment(rescued.buried.len() as u64);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot rescue; nobody is declared dead for a while");
                quiet_until = Instant::now() + limit;
            }
        }
    }
}
