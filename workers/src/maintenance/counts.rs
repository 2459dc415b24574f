//! Changes of counts are folded into the counts, so that readers have few rows to add up.

use std::time::Duration;
use store::{PgPool, counts, within};

const EVERY: Duration = Duration::from_secs(1);
const BATCH: i64 = 20_000;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Folds for ever.
pub(super) async fn fold(pool: PgPool) {
    loop {
        match within(ANSWER_WITHIN, counts::fold(&pool, BATCH)).await {
            Ok(BATCH..) => {}
            Ok(_) => tokio::time::sleep(EVERY).await,
            Err(error) => {
                tracing::debug!(%error, "cannot fold counts");
                tokio::time::sleep(EVERY).await;
            }
        }
    }
}
