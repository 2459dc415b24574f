//! Changing one job before it runs: its arguments, its time, its priority.

use super::{Actor, JobFilter, acts::retry_some, record};
use crate::{StoreError, operator::planning};
use domain::JobId;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::Duration;

/// Gives a dead letter other arguments and puts it back into the ledger, as a canary: it runs even while its kind is paused, unless
/// others with its ordering key wait before it. False: it is no dead letter, or its work is queued already.
pub async fn edit_and_retry(pool: &PgPool, actor: &Actor, id: JobId, args: &Value) -> Result<bool, StoreError> {
    let mut tx = planning(pool).await?;
    let before = sqlx::query_scalar!(
        "WITH old AS (SELECT id, args FROM jobs_dead WHERE id = $1 FOR UPDATE)
         UPDATE jobs_dead d SET args = $2 FROM old WHERE d.id = old.id RETURNING old.args",
        id.0,
        args
    )
    .fetch_optional(&mut *tx)
    .await?;
    let acted = retry_some(&mut tx, &JobFilter { ids: vec![id], ..JobFilter::default() }, None, None, 1, true).await?;
    if acted.affected == 0 {
        return Ok(false);
    }
    record(&mut tx, actor, "jobs.edit", &json!({"ids": [id], "before": before, "after": args}), 1).await?;
    tx.commit().await?;
    Ok(true)
}

/// Lets a queued job wait so long from now; zero: it is due now. False: it is not queued.
pub async fn snooze(pool: &PgPool, actor: &Actor, id: JobId, wait: Duration) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!(
        "UPDATE jobs SET run_at = CASE WHEN $2 > 0::float8 THEN ledger_now() + make_interval(secs => $2) END,
                scheduled = scheduled AND $2 > 0::float8, position = nextval('job_positions')
         WHERE id = $1 AND state = 'queued'",
        id.0,
        wait.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let act = if wait.is_zero() { "jobs.run_now" } else { "jobs.snooze" };
    record(&mut tx, actor, act, &json!({"ids": [id], "seconds": wait.as_secs()}), changed).await?;
    tx.commit().await?;
    Ok(changed > 0)
}

/// Gives a queued job another priority: lower runs sooner. False: it is not queued.
pub async fn prioritize(pool: &PgPool, actor: &Actor, id: JobId, priority: i16) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!(
        "UPDATE jobs SET priority = $2, position = nextval('job_positions') WHERE id = $1 AND state = 'queued' AND priority <> $2",
        id.0,
        priority
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    record(&mut tx, actor, "jobs.priority", &json!({"ids": [id], "priority": priority}), changed).await?;
    tx.commit().await?;
    Ok(changed > 0)
}
