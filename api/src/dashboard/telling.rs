//! Telling operators that this API process is there, and what it did in the last minute.

use platform::figures::Figures;
use std::{sync::Arc, time::Duration};
use store::{
    PgPool,
    operator::processes::{self, Announced},
};
use uuid::Uuid;

const EVERY: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Tells for ever. A process that ends is forgotten by its age.
pub(crate) async fn tell(pool: PgPool, figures: Arc<Figures>) {
    let host =
        std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown-host".to_owned(), |name| name.trim().to_owned());
    let announced =
        Announced { id: Uuid::now_v7(), role: "api", name: format!("{host}:{}", std::process::id()), version: env!("CARGO_PKG_VERSION") };
    loop {
        if let Err(error) = store::within(ANSWER_WITHIN, processes::beat(&pool, &announced, None, &figures.last_minute())).await {
            tracing::debug!(%error, "operators cannot be told what this process does");
        }
        tokio::time::sleep(EVERY).await;
    }
}
