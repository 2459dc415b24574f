//! Acts of operators that go on for a while: so many dead letters released, or webhooks replayed, each second.

use jobs::process_webhook::{Lanes, StoredEvent, jobs_for};
use std::time::Duration;
use store::{
    PgPool, StoreError,
    operator::paced::{self, Due, Work},
    operator_replay, within,
};

/// How often a part is done.
const EVERY: Duration = Duration::from_millis(250);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A release is stopped when so many of its jobs died again, and they are more than half of it.
const DIED_AGAIN: i64 = 5;

/// Goes on for ever.
pub(super) async fn go_on(pool: PgPool) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = within(ANSWER_WITHIN, round(&pool)).await {
            tracing::warn!(%error, "cannot go on with an operator's act; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn round(pool: &PgPool) -> Result<(), StoreError> {
    let due = paced::due(pool).await?;
    if due.is_empty() {
        return Ok(());
    }
    for fingerprint in paced::stop_failing(pool, DIED_AGAIN).await? {
        tracing::warn!(fingerprint, "a release was stopped: its jobs die again");
    }
    for part in due {
        match &part.work {
            Work::Retry(_) | Work::Discard(_) => part.letters(pool).await?,
            Work::Replay(filter) => {
                let events = operator_replay::find(pool, filter, part.after(), part.allowance).await?;
                replay(pool, &part, &events).await?;
            }
        }
    }
    Ok(())
}

async fn replay(pool: &PgPool, part: &Due, events: &[operator_replay::ReplayEvent]) -> Result<(), StoreError> {
    let stored: Vec<_> = events
        .iter()
        .map(|event| StoredEvent { id: event.id, tenant_id: event.tenant_id, size: usize::try_from(event.size_bytes).unwrap_or(0) })
        .collect();
    part.events(pool, events, &jobs_for(&stored, Lanes::PerTenant, None)).await
}
