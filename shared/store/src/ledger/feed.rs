//! What the feeder reads: which lanes have work, their next jobs, what has become due, what crashed its process.

use crate::StoreError;
use domain::{JobId, TenantId};
use sqlx::PgPool;

/// One tenant's jobs of one priority in a queue. The feeder takes lanes in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    pub priority: i16,
    pub tenant_id: TenantId,
}

/// Where in a lane to read on: behind this `jobs.position`.
pub type FeedPosition = i64;

/// A job that can be dispatched.
#[derive(Clone, Copy, Debug)]
pub struct ReadyJob {
    pub id: JobId,
    pub lane: Lane,
    pub position: FeedPosition,
    pub weight: i32,
    /// False if a predecessor with its ordering key is still live, or its kind is paused: it must not be dispatched yet.
    pub is_head: bool,
}

/// A job that was running when its process died.
#[derive(Clone, Copy, Debug)]
pub struct SuspectJob {
    pub id: JobId,
    pub crashes: i16,
    pub running: bool,
}

/// The lanes of `queue` that have ready jobs, in order of priority. One index probe per lane, whatever the backlog.
pub async fn lanes(pool: &PgPool, queue: &str) -> Result<Vec<Lane>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH RECURSIVE lane AS (
          (SELECT priority, tenant_id FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at IS NULL
           ORDER BY queue, priority, tenant_id LIMIT 1)
          UNION ALL
          SELECT n.priority, n.tenant_id FROM lane l CROSS JOIN LATERAL (
            SELECT j.priority, j.tenant_id FROM jobs j
            WHERE j.queue = $1 AND j.state = 'queued' AND j.run_at IS NULL AND (j.priority, j.tenant_id) > (l.priority, l.tenant_id)
            ORDER BY j.queue, j.priority, j.tenant_id LIMIT 1) n
        )
        SELECT priority AS "priority!", tenant_id AS "tenant_id!" FROM lane
        "#,
        queue
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|r| Lane { priority: r.priority, tenant_id: TenantId(r.tenant_id) }).collect())
}

/// The next `limit` ready jobs of each lane behind its position, never walking over what was taken before.
pub async fn heads(
    pool: &PgPool,
    queue: &str,
    paused_kinds: &[String],
    from: &[(Lane, FeedPosition)],
    limit: i64,
) -> Result<Vec<ReadyJob>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT h.id, l.priority AS "priority!", l.tenant_id AS "tenant_id!", h.position, h.weight,
               (h.kind <> ALL($6) OR h.canary) AND (h.ordering_key IS NULL OR NOT EXISTS (
                  SELECT FROM jobs p WHERE p.kind = h.kind AND p.ordering_key = h.ordering_key
                    AND (p.ordering_seq < h.ordering_seq AND NOT (p.scheduled AND p.run_at > ledger_now()) OR p.state = 'running'))) AS "is_head!"
        FROM unnest($2::int2[], $3::int4[], $4::int8[]) l(priority, tenant_id, after) CROSS JOIN LATERAL (
          SELECT id, kind, position, weight, ordering_key, ordering_seq, canary FROM jobs j
          WHERE j.queue = $1 AND j.state = 'queued' AND j.run_at IS NULL AND j.priority = l.priority AND j.tenant_id = l.tenant_id
            AND j.position > l.after AND j.crashes = 0
          ORDER BY j.queue, j.priority, j.tenant_id, j.position LIMIT $5) h
        "#,
        queue,
        &from.iter().map(|(lane, _)| lane.priority).collect::<Vec<_>>(),
        &from.iter().map(|(lane, _)| lane.tenant_id.0).collect::<Vec<_>>(),
        &from.iter().map(|(_, after)| *after).collect::<Vec<_>>(),
        limit,
        paused_kinds
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| ReadyJob {
            id: JobId(r.id),
            lane: Lane { priority: r.priority, tenant_id: TenantId(r.tenant_id) },
            position: r.position,
            weight: r.weight,
            is_head: r.is_head,
        })
        .collect())
}

/// The newest position handed out. Jobs behind it may still be uncommitted.
pub async fn last_position(pool: &PgPool) -> Result<FeedPosition, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT last_value AS "last_value!" FROM job_positions"#).fetch_one(pool).await?)
}

/// Moves up to `limit` delayed jobs whose time has come to the end of their lanes. Returns how many.
pub async fn promote_due(pool: &PgPool, queue: &str, limit: i64) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        r#"
        UPDATE jobs SET run_at = NULL, scheduled = false, position = nextval('job_positions')
        -- An array, for it is read once. IN may become a join that reads it again for every job there is: so plans a server that
        -- last saw the table empty.
        WHERE id = ANY(ARRAY(SELECT id FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at <= ledger_now()
                             ORDER BY queue, run_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        "#,
        queue,
        limit
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

/// Jobs of `queue` that crashed a process and are running or ready, oldest first. One that waits for a live predecessor with its
/// ordering key, or whose kind or tenant is paused, is not ready.
pub async fn suspects(pool: &PgPool, queue: &str, limit: i64) -> Result<Vec<SuspectJob>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT id, crashes, state = 'running' AS "running!" FROM jobs j
        WHERE queue = $1 AND crashes > 0 AND (state = 'running' OR run_at IS NULL
          AND NOT EXISTS (SELECT FROM job_pauses h WHERE h.what = 'tenant:' || j.tenant_id OR h.what = 'kind:' || j.kind AND NOT j.canary)
          AND (ordering_key IS NULL OR NOT EXISTS (
            SELECT FROM jobs p WHERE p.kind = j.kind AND p.ordering_key = j.ordering_key
              AND (p.ordering_seq < j.ordering_seq AND NOT (p.scheduled AND p.run_at > ledger_now()) OR p.state = 'running'))))
        ORDER BY state = 'running' DESC, position LIMIT $2
        "#,
        queue,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|r| SuspectJob { id: JobId(r.id), crashes: r.crashes, running: r.running }).collect())
}
