//! What is kept for a while only: answers to repeated requests, sessions that are over, changes that those who watch have seen.

use std::time::Duration;
use store::{PgPool, StoreError, idempotency, operator, realtime, sessions, within};

const EVERY: Duration = Duration::from_mins(2);
const BATCH: i64 = 1_000;
const CHANGES: i64 = 10_000;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Forgets for ever.
pub(super) async fn forget(pool: PgPool) {
    loop {
        if let Err(error) = round(&pool).await {
            tracing::warn!(%error, "could not remove old sessions and answers; trying again in two minutes");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn round(pool: &PgPool) -> Result<(), StoreError> {
    while within(ANSWER_WITHIN, idempotency::forget_old(pool, BATCH)).await? > 0 {}
    while within(ANSWER_WITHIN, sessions::forget_old(pool, BATCH)).await? > 0 {}
    while within(ANSWER_WITHIN, realtime::forget_old(pool, CHANGES)).await? > 0 {}
    within(ANSWER_WITHIN, operator::processes::forget(pool)).await?;
    Ok(())
}
