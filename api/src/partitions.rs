//! Makes the day partitions that ingest writes to, days ahead. Workers do so too: whoever lives, does it.

use std::time::Duration;
use store::PgPool;

pub(crate) const DAYS_AHEAD: i32 = 3;
const EVERY: Duration = Duration::from_hours(1);
const RETRY: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Runs until it is dropped. Postgres may be away, at the start too.
pub(crate) async fn keep_making(pool: PgPool) {
    let mut failing = false;
    loop {
        let wait = match store::within(ANSWER_WITHIN, store::maintenance::ensure_partitions(&pool, DAYS_AHEAD)).await {
            Ok(()) => {
                failing = false;
                EVERY
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "partitions could not be made; trying until they are");
                }
                failing = true;
                RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}
