//! Pausing and resuming queues. Running jobs end; nothing new of a paused queue starts.

use super::{Actor, record};
use crate::StoreError;
use serde_json::json;
use sqlx::PgPool;

/// Pauses a queue. False: it was paused already.
pub async fn pause(pool: &PgPool, actor: &Actor, queue: &str) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!(
        "INSERT INTO job_queues (queue, paused_at) VALUES ($1, now())
         ON CONFLICT (queue) DO UPDATE SET paused_at = excluded.paused_at WHERE job_queues.paused_at IS NULL",
        queue
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    record(&mut tx, actor, "queue.pause", &json!({"queue": queue}), changed).await?;
    tx.commit().await?;
    Ok(changed > 0)
}

/// Lets a paused queue go on. False: it was not paused.
pub async fn resume(pool: &PgPool, actor: &Actor, queue: &str) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!("UPDATE job_queues SET paused_at = NULL WHERE queue = $1 AND paused_at IS NOT NULL", queue)
        .execute(&mut *tx)
        .await?
        .rows_affected();
    record(&mut tx, actor, "queue.resume", &json!({"queue": queue}), changed).await?;
    tx.commit().await?;
    Ok(changed > 0)
}
