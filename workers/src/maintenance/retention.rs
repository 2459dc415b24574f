//! Partitions made ahead, and dropped when they are old.

use std::time::Duration;
use store::{
    PgPool, StoreError,
    maintenance::{DayTable, drop_day, ensure_partitions, expired_done_days, expired_raw_days, refresh_statistics},
};

/// How many days ahead partitions are made.
pub(crate) const DAYS_AHEAD: i32 = 3;

/// Tidies for ever, every ten minutes; after a failure a minute later.
pub(super) async fn retain(pool: PgPool, raw_days: i32, done_days: i32) {
    loop {
        let pause = match tidy(&pool, raw_days, done_days).await {
            Ok(()) => Duration::from_mins(10),
            Err(error) => {
                tracing::warn!(%error, "could not make or drop partitions; trying again in a minute");
                Duration::from_mins(1)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn tidy(pool: &PgPool, raw_days: i32, done_days: i32) -> Result<(), StoreError> {
    ensure_partitions(pool, DAYS_AHEAD).await?;
    refresh_statistics(pool).await?;
    for day in expired_raw_days(pool, raw_days).await? {
        drop_day(pool, DayTable::RawWebhookEvents, day).await?;
        tracing::info!(%day, "dropped the raw webhook events of a day");
    }
    for day in expired_done_days(pool, done_days).await? {
        drop_day(pool, DayTable::JobsDone, day).await?;
        tracing::info!(%day, "dropped the finished jobs of a day");
    }
    Ok(())
}
