//! Jobs of processes that died.

use super::unfinished;
use crate::StoreError;
use domain::{JobId, WorkerId};
use serde_json::json;
use sqlx::PgPool;

/// What one round of rescue did.
#[derive(Clone, Debug, Default)]
pub struct Rescued {
    /// Workers that were declared dead. They can never claim or settle again under that id.
    pub workers: Vec<WorkerId>,
    /// Jobs that are queued again, with one more crash on their account.
    pub requeued: Vec<JobId>,
    /// Jobs whose crash budget is spent: dead letters now.
    pub buried: Vec<JobId>,
}

/// Declares workers dead whose heartbeat is older than `limit_seconds` and takes back their jobs, in one transaction.
/// Does nothing while Postgres has been up for less than the limit: nobody could have sent a heartbeat.
///
/// A crash costs no attempt but counts in `crashes`; a job that reaches `max_crashes` is buried, so one that kills its
/// process does not loop.
pub async fn rescue(pool: &PgPool, limit_seconds: f64, max_crashes: i16) -> Result<Rescued, StoreError> {
    let mut tx = pool.begin().await?;
    let workers = sqlx::query_scalar!(
        "DELETE FROM job_workers
         WHERE heartbeat_at < now() - make_interval(secs => $1) AND pg_postmaster_start_time() < now() - make_interval(secs => $1)
         RETURNING id",
        limit_seconds
    )
    .fetch_all(&mut *tx)
    .await?;
    let error = json!({"class": "crashed", "message": "the process that ran this job died"});
    let requeued = sqlx::query_scalar!(
        r#"
        UPDATE jobs SET state = 'queued', locked_by = NULL, run_at = NULL, position = nextval('job_positions'),
               attempt = attempt - 1, crashes = crashes + 1, errors = errors || jsonb_build_array($1::jsonb || jsonb_build_object('at', ledger_now()))
        -- locked_by, and no order: so that it is found by jobs_running, not by a walk over all that waits.
        -- An array, for it is read once: see `promote_due`.
        WHERE id = ANY(ARRAY(SELECT id FROM jobs j WHERE state = 'running' AND locked_by IS NOT NULL
                               AND NOT EXISTS (SELECT FROM job_workers w WHERE w.id = j.locked_by) FOR UPDATE SKIP LOCKED))
        RETURNING id
        "#,
        error
    )
    .fetch_all(&mut *tx)
    .await?;
    let buried = sqlx::query_scalar!(
        r#"
        WITH settled AS (DELETE FROM jobs WHERE id = ANY($1) AND crashes >= $2 RETURNING *),
        dead AS (
          INSERT INTO jobs_dead (id, kind, queue, tenant_id, priority, ordering_key, weight, attempt, crashes, max_attempts,
                                 idempotency_key, fingerprint, trace, args, errors, created_at, died_at)
          SELECT id, kind, queue, tenant_id, priority, ordering_key, weight, attempt, crashes, max_attempts,
                 idempotency_key, kind || ':crashed', trace, args, errors, created_at, ledger_now() FROM settled),
        next AS (
          UPDATE jobs n SET position = nextval('job_positions')
              WHERE n.id = ANY(ARRAY(
                SELECT h.id FROM settled s CROSS JOIN LATERAL (
                  SELECT j.id FROM jobs j WHERE j.kind = s.kind AND j.ordering_key = s.ordering_key AND j.id <> s.id AND NOT j.scheduled
                  ORDER BY j.kind, j.ordering_key, j.ordering_seq LIMIT 1) h)) AND n.locked_by IS NULL AND n.run_at IS NULL)
        SELECT id AS "id!" FROM settled
        "#,
        &requeued,
        max_crashes
    )
    .fetch_all(&mut *tx)
    .await?;
    let buried: Vec<JobId> = buried.into_iter().map(JobId).collect();
    unfinished::close(&mut tx, &buried).await?;
    tx.commit().await?;
    Ok(Rescued {
        workers: workers.into_iter().map(WorkerId).collect(),
        requeued: requeued.into_iter().map(JobId).filter(|id| !buried.contains(id)).collect(),
        buried,
    })
}
