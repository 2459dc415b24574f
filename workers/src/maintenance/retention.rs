//! Partitions made ahead, and dropped when they are old.

use std::time::Duration;
use store::{
    PgPool, StoreError,
    maintenance::{DayTable, drop_day, ensure_partitions, expired_done_days, expired_raw_days, refresh_statistics},
    within,
};

/// Longer than any of it takes.
const ANSWER_WITHIN: Duration = Duration::from_mins(5);

/// How many days ahead partitions are made.
pub(crate) const DAYS_AHEAD: i32 = 3;

/// Tidies for ever, every ten minutes; after a failure a minute later. What fails does not keep the rest from being done.
pub(super) async fn retain(pool: PgPool, raw_days: i32, done_days: i32) {
    loop {
        let results = [
            within(ANSWER_WITHIN, ensure_partitions(&pool, DAYS_AHEAD)).await,
            within(ANSWER_WITHIN, refresh_statistics(&pool)).await,
            within(ANSWER_WITHIN, drop_old_events(&pool, raw_days)).await,
            within(ANSWER_WITHIN, drop_old_jobs(&pool, done_days)).await,
        ];
        let mut pause = Duration::from_mins(10);
        for error in results.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "could not make or drop partitions; trying again in a minute");
            pause = Duration::from_mins(1);
        }
        tokio::time::sleep(pause).await;
    }
}

async fn drop_old_events(pool: &PgPool, days: i32) -> Result<(), StoreError> {
    for day in expired_raw_days(pool, days).await? {
        drop_day(pool, DayTable::RawWebhookEvents, day).await?;
        tracing::info!(%day, "dropped the raw webhook events of a day");
    }
    Ok(())
}

async fn drop_old_jobs(pool: &PgPool, days: i32) -> Result<(), StoreError> {
    for day in expired_done_days(pool, days).await? {
        drop_day(pool, DayTable::JobsDone, day).await?;
        tracing::info!(%day, "dropped the finished jobs of a day");
    }
    Ok(())
}
