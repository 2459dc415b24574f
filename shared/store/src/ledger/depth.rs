//! How much waits. Counting stops at a cap, so that a look at a long queue costs no more than one at a short one.

use crate::StoreError;
use sqlx::PgPool;

/// Counts are exact up to here.
pub const DEPTH_CAP: i64 = 100_000;
/// So many lanes (tenants) are looked at for the oldest.
const LANES: i64 = 1_000;

/// How a queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Depth {
    /// Jobs that could run now; at most [`DEPTH_CAP`].
    pub ready: i64,
    /// Jobs that wait for a time; at most [`DEPTH_CAP`].
    pub delayed: i64,
    /// The age of the oldest ready job, in seconds: the first of each lane that is neither paused nor was put off
    /// before, of the first fifty. 0 if there is none.
    pub oldest_seconds: f64,
}

/// How `queue` stands.
pub async fn depth(pool: &PgPool, queue: &str) -> Result<Depth, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH RECURSIVE lane AS (
          (SELECT priority, tenant_id, kind, created_at, errors = '[]' AS fresh FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at IS NULL
           ORDER BY queue, priority, tenant_id, position LIMIT 1)
          UNION ALL
          SELECT n.priority, n.tenant_id, n.kind, n.created_at, n.fresh FROM lane l CROSS JOIN LATERAL (
            SELECT j.priority, j.tenant_id, j.kind, j.created_at, j.errors = '[]' AS fresh FROM jobs j
            WHERE j.queue = $1 AND j.state = 'queued' AND j.run_at IS NULL AND (j.priority, j.tenant_id) > (l.priority, l.tenant_id)
            ORDER BY j.queue, j.priority, j.tenant_id, j.position LIMIT 1) n
        )
        SELECT (SELECT count(*) FROM (SELECT FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at IS NULL LIMIT $2) r) AS "ready!",
               (SELECT count(*) FROM (SELECT FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at IS NOT NULL LIMIT $2) d) AS "delayed!",
               -- One that failed or waited before was put off on purpose, as one that is held: its age says nothing about the queue, but that of the
               -- next that is neither does.
               coalesce((SELECT extract(epoch FROM now() - min(
                           CASE WHEN fresh AND 'kind:' || kind NOT IN (SELECT what FROM job_pauses) THEN created_at
                                ELSE (SELECT x.created_at FROM (
                                        SELECT j.created_at, j.kind, j.errors FROM jobs j
                                        WHERE j.queue = $1 AND j.state = 'queued' AND j.run_at IS NULL AND j.priority = l.priority AND j.tenant_id = l.tenant_id
                                        ORDER BY j.queue, j.priority, j.tenant_id, j.position LIMIT 50) x
                                      WHERE x.errors = '[]' AND 'kind:' || x.kind NOT IN (SELECT what FROM job_pauses) LIMIT 1) END))::float8
                         FROM (SELECT * FROM lane LIMIT $3) l
                         WHERE 'queue:' || $1 NOT IN (SELECT what FROM job_pauses) AND 'tenant:' || tenant_id NOT IN (SELECT what FROM job_pauses)), 0) AS "oldest!"
        "#,
        queue,
        DEPTH_CAP,
        LANES
    )
    .fetch_one(pool)
    .await?;
    Ok(Depth { ready: row.ready, delayed: row.delayed, oldest_seconds: row.oldest })
}

/// Does a job of `queue` wait since more than `limit_seconds`? Reads what waits until it finds one.
pub async fn is_behind(pool: &PgPool, queue: &str, limit_seconds: f64) -> Result<bool, StoreError> {
    let behind = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at IS NULL
                          AND created_at < now() - make_interval(secs => $2)) AS "behind!""#,
        queue,
        limit_seconds
    )
    .fetch_one(pool)
    .await?;
    Ok(behind)
}

/// How many dead letters there are; at most [`DEPTH_CAP`].
pub async fn dead_letters(pool: &PgPool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM (SELECT FROM jobs_dead LIMIT $1) d"#, DEPTH_CAP).fetch_one(pool).await?)
}
