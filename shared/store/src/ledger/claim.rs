//! Taking jobs. A job that does not come back from `claim` belongs to somebody else, or is not due, or must wait its turn.

use super::FeedPosition;
use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{JobId, TenantId, WorkerId};
use serde_json::Value;
use sqlx::PgPool;

/// One run of a job: a job that was put back and claimed again is another run, also of the same worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub id: JobId,
    /// `jobs.position`, which is new each time that a job is queued.
    pub position: FeedPosition,
}

/// A job that this process now runs.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    pub id: JobId,
    pub position: FeedPosition,
    pub kind: String,
    pub queue: String,
    pub tenant_id: TenantId,
    /// 1 on the first run.
    pub attempt: i16,
    /// How many processes died while they ran it.
    pub crashes: i16,
    pub max_attempts: i16,
    pub ordered: bool,
    pub trace: Option<String>,
    pub args: Value,
    pub created_at: DateTime<Utc>,
    /// From then to this claim.
    pub waited_seconds: f64,
    /// No run of it began before, also not as a dead letter: `waited_seconds` is how long it waited.
    pub is_first_run: bool,
    /// For how long waits put it off since it last failed or was made.
    pub put_off_seconds: f64,
}

impl ClaimedJob {
    pub fn run(&self) -> Run {
        Run { id: self.id, position: self.position }
    }
}

/// Claims `ids` for `worker` in one statement by primary key, so neither backlog nor dead rows matter.
///
/// Not claimed: jobs that are running or gone, that wait for a time, whose queue, kind (unless it is a canary) or tenant is paused, and ordered jobs that have a
/// live predecessor (one that merely is scheduled for later does not count) or a running companion. When a companion is claimed
/// at this very moment, the whole statement is refused ([`StoreError::Data`]): claim them one by one. A worker that was declared dead claims nothing.
pub async fn claim(pool: &PgPool, worker: WorkerId, ids: &[JobId]) -> Result<Vec<ClaimedJob>, StoreError> {
    let mut ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    let rows = sqlx::query!(
        r#"
        UPDATE jobs j
        SET state = 'running', attempt = attempt + 1, locked_by = $2, run_at = NULL, scheduled = false, started_at = ledger_now()
        WHERE id = ANY($1) AND state = 'queued' AND (run_at IS NULL OR run_at <= ledger_now())
          AND EXISTS (SELECT FROM job_workers w WHERE w.id = $2)
          AND NOT EXISTS (SELECT FROM job_pauses p
                WHERE p.what = ANY(ARRAY['queue:' || j.queue, CASE WHEN NOT j.canary THEN 'kind:' || j.kind END, 'tenant:' || j.tenant_id]))
          AND (ordering_key IS NULL OR NOT EXISTS (
                SELECT FROM jobs p
                WHERE p.kind = j.kind AND p.ordering_key = j.ordering_key
                  AND (p.ordering_seq < j.ordering_seq AND NOT (p.scheduled AND p.run_at > ledger_now()) OR p.state = 'running')))
        RETURNING id, position, kind, queue, tenant_id, attempt, crashes, max_attempts, ordering_key IS NOT NULL AS "ordered!", trace, args, created_at,
                  extract(epoch FROM ledger_now() - created_at)::float8 AS "waited_seconds!",
                  coalesce((errors -> -1 ->> 'waited_s')::float8, 0) AS "put_off_seconds!",
                  -- Of the row as it was: a snooze leaves no error.
                  (SELECT o.started_at IS NULL AND o.errors = '[]' FROM jobs o WHERE o.id = j.id) AS "is_first_run!"
        "#,
        &ids,
        worker.0
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| ClaimedJob {
            id: JobId(r.id),
            position: r.position,
            kind: r.kind,
            queue: r.queue,
            tenant_id: TenantId(r.tenant_id),
            attempt: r.attempt,
            crashes: r.crashes,
            max_attempts: r.max_attempts,
            ordered: r.ordered,
            trace: r.trace,
            args: r.args,
            created_at: r.created_at,
            waited_seconds: r.waited_seconds,
            put_off_seconds: r.put_off_seconds,
            is_first_run: r.is_first_run,
        })
        .collect())
}
