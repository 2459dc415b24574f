//! Jobs as an operator lists them, and one in full.

use super::JobFilter;
use crate::{StoreError, ledger::unfinished::CLOSE_UNFINISHED};
use chrono::{DateTime, Utc};
use domain::JobId;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

/// No list is longer.
const MOST: i64 = 10_000;

/// One line of a list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JobRow {
    pub id: Uuid,
    pub state: String,
    pub kind: String,
    pub queue: String,
    pub tenant_id: i32,
    pub attempt: i16,
    pub crashes: i16,
    pub created_at: DateTime<Utc>,
    /// Queued: when it is due (null: now). Running: since when. Dead and done: when it ended.
    pub at: Option<DateTime<Utc>>,
    pub fingerprint: Option<String>,
    /// The message of its last error.
    pub error: Option<String>,
}

/// Live jobs in the order in which they became ready; `state`: `queued` or `running`.
pub async fn list_live(pool: &PgPool, filter: &JobFilter, state: Option<&str>, limit: i64) -> Result<Vec<JobRow>, StoreError> {
    Ok(sqlx::query_as!(
        JobRow,
        r#"
        SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at,
               CASE state WHEN 'running' THEN started_at ELSE run_at END AS at, NULL::text AS fingerprint, errors -> -1 ->> 'message' AS error
        FROM jobs
        WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
          AND ($4::int4 IS NULL OR tenant_id = $4) AND ($5::text IS NULL OR state = $5)
        ORDER BY state DESC, position LIMIT $6
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        state,
        limit.min(MOST)
    )
    .fetch_all(pool)
    .await?)
}

/// Dead letters, the latest first.
pub async fn list_dead(pool: &PgPool, filter: &JobFilter, limit: i64) -> Result<Vec<JobRow>, StoreError> {
    Ok(sqlx::query_as!(
        JobRow,
        r#"
        SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, died_at AS "at?", fingerprint AS "fingerprint?",
               errors -> -1 ->> 'message' AS error
        FROM jobs_dead
        WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
          AND ($4::int4 IS NULL OR tenant_id = $4) AND ($5::text IS NULL OR fingerprint = $5)
        ORDER BY died_at DESC, id LIMIT $6
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        filter.fingerprint.as_deref(),
        limit.min(MOST)
    )
    .fetch_all(pool)
    .await?)
}

/// Finished jobs (done, cancelled, discarded) of the last two days, the latest first.
pub async fn list_done(pool: &PgPool, filter: &JobFilter, limit: i64) -> Result<Vec<JobRow>, StoreError> {
    Ok(sqlx::query_as!(
        JobRow,
        r#"
        SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, finished_at AS "at?", NULL::text AS fingerprint,
               errors -> -1 ->> 'message' AS error
        FROM jobs_done
        WHERE finished_on >= (ledger_now() AT TIME ZONE 'utc')::date - 1
          AND ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
          AND ($4::int4 IS NULL OR tenant_id = $4)
        ORDER BY finished_at DESC, id LIMIT $5
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        limit.min(MOST)
    )
    .fetch_all(pool)
    .await?)
}

/// Everything about one job, wherever it is now: the columns of its table, with `state`.
pub async fn find(pool: &PgPool, id: JobId) -> Result<Option<Value>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT to_jsonb(j) AS "job!" FROM jobs j WHERE id = $1
        UNION ALL SELECT to_jsonb(d) FROM jobs_dead d WHERE id = $1
        UNION ALL SELECT to_jsonb(d) FROM jobs_done d WHERE id = $1
        LIMIT 1
        "#,
        id.0
    )
    .fetch_optional(pool)
    .await?)
}

/// How many dead letters there are.
pub async fn count_dead(pool: &PgPool, filter: &JobFilter) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!" FROM jobs_dead
        WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
          AND ($4::int4 IS NULL OR tenant_id = $4) AND ($5::text IS NULL OR fingerprint = $5)
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        filter.fingerprint.as_deref()
    )
    .fetch_one(pool)
    .await?)
}

/// How many live jobs there are that a cancelling with this filter means.
pub async fn count_live(pool: &PgPool, filter: &JobFilter) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!" FROM jobs
        WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
          AND ($4::int4 IS NULL OR tenant_id = $4) AND (kind <> $5 OR $1::uuid[] IS NOT NULL OR $2::text IS NOT NULL)
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        CLOSE_UNFINISHED
    )
    .fetch_one(pool)
    .await?)
}
