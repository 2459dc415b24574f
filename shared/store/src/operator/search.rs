//! Finding jobs. Each question looks at so many rows of each table, newest first, and says how far it came: it costs the same whatever there is.

use crate::{StoreError, operator_jobs::JobRow};
use chrono::{DateTime, Utc};
use domain::JobId;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Rows of a table that one question looks at, at most.
const WINDOW: i64 = 3_000;

/// Which jobs. Conditions that are absent hold for all.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// `queued running dead done cancelled discarded`, or `delayed` (queued, for a time).
    pub state: Option<String>,
    pub kind: Option<String>,
    pub queue: Option<String>,
    pub tenant: Option<i32>,
    /// Part of what the last error says, in any case.
    pub error: Option<String>,
    /// One of these is named in the arguments: ids of messages, events, conversations, documents.
    pub about: Vec<Uuid>,
    /// By the time at which the job was made.
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    /// Only ids below this one.
    pub before: Option<JobId>,
}

/// What was found, newest first.
#[derive(Debug)]
pub struct Found {
    pub jobs: Vec<JobRow>,
    /// Older ones than this were not looked at; `None`: all were.
    pub next: Option<JobId>,
}

/// How far one table was looked at.
struct Part {
    rows: Vec<JobRow>,
    floor: Option<Uuid>,
}

/// Up to `limit` jobs, of all tables.
pub async fn find(conn: &mut PgConnection, search: &Search, limit: i64) -> Result<Found, StoreError> {
    let state = search.state.as_deref();
    let mut parts = Vec::new();
    if state.is_none_or(|state| ["queued", "running", "delayed"].contains(&state)) {
        parts.push(live(conn, search, limit).await?);
    }
    if state.is_none_or(|state| state == "dead") {
        parts.push(dead(conn, search, limit).await?);
    }
    if state.is_none_or(|state| ["done", "cancelled", "discarded"].contains(&state)) {
        parts.push(done(conn, search, limit).await?);
    }
    // What lies below the highest floor was not looked at everywhere: it belongs to the next page.
    let floor = parts.iter().filter_map(|part| part.floor).max();
    let mut jobs: Vec<JobRow> =
        parts.into_iter().flat_map(|part| part.rows).filter(|row| floor.is_none_or(|floor| row.id >= floor)).collect();
    jobs.sort_by_key(|row| std::cmp::Reverse(row.id));
    let wanted = usize::try_from(limit).unwrap_or(0);
    let next = if jobs.len() > wanted { jobs.get(wanted.saturating_sub(1)).map(|row| row.id) } else { floor };
    jobs.truncate(wanted);
    Ok(Found { jobs, next: next.map(JobId) })
}

/// What was found in a table, and how far it was looked at: to the last match if there are as many as were wanted, else to the end of the window; to
/// the end of the table if there was less than a window.
async fn part(conn: &mut PgConnection, table: Table, search: &Search, rows: Vec<JobRow>, limit: i64) -> Result<Part, StoreError> {
    let floor = if rows.len() as u64 >= limit.unsigned_abs() {
        rows.last().map(|row| row.id)
    } else {
        let (seen, last) = window(conn, table, search).await?;
        last.filter(|_| seen >= WINDOW)
    };
    Ok(Part { rows, floor })
}

/// How many rows the window has, and its last one.
async fn window(conn: &mut PgConnection, table: Table, search: &Search) -> Result<(i64, Option<Uuid>), StoreError> {
    let before = search.before.map(|id| id.0);
    let row = match table {
        Table::Live => {
            sqlx::query!(
                r#"SELECT count(*) AS "n!", (array_agg(id ORDER BY id))[1] AS last FROM (
                     SELECT id FROM jobs WHERE ($1::timestamptz IS NULL OR id >= first_id_at($1)) AND ($2::timestamptz IS NULL OR id < first_id_at($2))
                       AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4) w"#,
                search.from,
                search.to,
                before,
                WINDOW
            )
            .fetch_one(conn)
            .await
            .map(|row| (row.n, row.last))?
        }
        Table::Dead => {
            sqlx::query!(
                r#"SELECT count(*) AS "n!", (array_agg(id ORDER BY id))[1] AS last FROM (
                     SELECT id FROM jobs_dead WHERE ($1::timestamptz IS NULL OR id >= first_id_at($1)) AND ($2::timestamptz IS NULL OR id < first_id_at($2))
                       AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4) w"#,
                search.from,
                search.to,
                before,
                WINDOW
            )
            .fetch_one(conn)
            .await
            .map(|row| (row.n, row.last))?
        }
        Table::Done => {
            sqlx::query!(
                r#"SELECT count(*) AS "n!", (array_agg(id ORDER BY id))[1] AS last FROM (
                     SELECT id FROM jobs_done WHERE ($1::timestamptz IS NULL OR id >= first_id_at($1)) AND ($2::timestamptz IS NULL OR id < first_id_at($2))
                       AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4) w"#,
                search.from,
                search.to,
                before,
                WINDOW
            )
            .fetch_one(conn)
            .await
            .map(|row| (row.n, row.last))?
        }
    };
    Ok(row)
}

#[derive(Clone, Copy)]
enum Table {
    Live,
    Dead,
    Done,
}

fn about(search: &Search) -> Option<Vec<String>> {
    (!search.about.is_empty()).then(|| search.about.iter().map(ToString::to_string).collect())
}

/// A part of a text, for LIKE.
fn pattern(text: Option<&str>) -> Option<String> {
    text.map(|text| format!("%{}%", text.to_lowercase().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")))
}

async fn live(conn: &mut PgConnection, search: &Search, limit: i64) -> Result<Part, StoreError> {
    let state = search.state.as_deref();
    let rows = sqlx::query_as!(
        JobRow,
        r#"
        SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at,
               CASE state WHEN 'running' THEN started_at ELSE run_at END AS at, NULL::text AS fingerprint, errors -> -1 ->> 'message' AS error
        FROM (SELECT * FROM jobs WHERE ($2::timestamptz IS NULL OR id >= first_id_at($2)) AND ($3::timestamptz IS NULL OR id < first_id_at($3))
                AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $1) w
        WHERE ($5::text IS NULL OR state = $5) AND (NOT $6 OR run_at IS NOT NULL) AND ($7::text IS NULL OR kind = $7) AND ($8::text IS NULL OR queue = $8)
          AND ($9::int4 IS NULL OR tenant_id = $9) AND ($10::text IS NULL OR lower(errors -> -1 ->> 'message') LIKE $10)
          AND ($11::text[] IS NULL OR args ->> 'message_id' = ANY($11) OR args ->> 'conversation_id' = ANY($11) OR args ->> 'document_id' = ANY($11)
               OR args -> 'event_ids' ?| $11 OR ordering_key = ANY($11))
        ORDER BY id DESC LIMIT $12
        "#,
        WINDOW,
        search.from,
        search.to,
        search.before.map(|id| id.0),
        state.map(|state| if state == "delayed" { "queued" } else { state }),
        state == Some("delayed"),
        search.kind.as_deref(),
        search.queue.as_deref(),
        search.tenant,
        pattern(search.error.as_deref()),
        about(search) as _,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    part(conn, Table::Live, search, rows, limit).await
}

async fn dead(conn: &mut PgConnection, search: &Search, limit: i64) -> Result<Part, StoreError> {
    let rows = sqlx::query_as!(
        JobRow,
        r#"
        SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, died_at AS "at?", fingerprint AS "fingerprint?",
               errors -> -1 ->> 'message' AS error
        FROM (SELECT * FROM jobs_dead WHERE ($2::timestamptz IS NULL OR id >= first_id_at($2)) AND ($3::timestamptz IS NULL OR id < first_id_at($3))
                AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $1) w
        WHERE ($5::text IS NULL OR kind = $5) AND ($6::text IS NULL OR queue = $6)
          AND ($7::int4 IS NULL OR tenant_id = $7) AND ($8::text IS NULL OR lower(errors -> -1 ->> 'message') LIKE $8)
          AND ($9::text[] IS NULL OR args ->> 'message_id' = ANY($9) OR args ->> 'conversation_id' = ANY($9) OR args ->> 'document_id' = ANY($9)
               OR args -> 'event_ids' ?| $9 OR ordering_key = ANY($9))
        ORDER BY id DESC LIMIT $10
        "#,
        WINDOW,
        search.from,
        search.to,
        search.before.map(|id| id.0),
        search.kind.as_deref(),
        search.queue.as_deref(),
        search.tenant,
        pattern(search.error.as_deref()),
        about(search) as _,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    part(conn, Table::Dead, search, rows, limit).await
}

async fn done(conn: &mut PgConnection, search: &Search, limit: i64) -> Result<Part, StoreError> {
    let rows = sqlx::query_as!(
        JobRow,
        r#"
        SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, finished_at AS "at?", NULL::text AS fingerprint,
               errors -> -1 ->> 'message' AS error
        FROM (SELECT * FROM jobs_done WHERE ($2::timestamptz IS NULL OR id >= first_id_at($2)) AND ($3::timestamptz IS NULL OR id < first_id_at($3))
                AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $1) w
        WHERE ($5::text IS NULL OR state = $5) AND ($6::text IS NULL OR kind = $6) AND ($7::text IS NULL OR queue = $7)
          AND ($8::int4 IS NULL OR tenant_id = $8) AND ($9::text IS NULL OR lower(errors -> -1 ->> 'message') LIKE $9)
          AND ($10::text[] IS NULL OR args ->> 'message_id' = ANY($10) OR args ->> 'conversation_id' = ANY($10) OR args ->> 'document_id' = ANY($10)
               OR args -> 'event_ids' ?| $10)
        ORDER BY id DESC LIMIT $11
        "#,
        WINDOW,
        search.from,
        search.to,
        search.before.map(|id| id.0),
        search.state.as_deref(),
        search.kind.as_deref(),
        search.queue.as_deref(),
        search.tenant,
        pattern(search.error.as_deref()),
        about(search) as _,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    part(conn, Table::Done, search, rows, limit).await
}

/// Everything about one job, wherever it is now: the columns of its table. Times and ages are by the ledger's clock.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JobDetail {
    pub id: Uuid,
    /// `queued running dead done cancelled discarded`
    pub state: String,
    pub kind: String,
    pub queue: String,
    pub tenant_id: i32,
    pub priority: Option<i16>,
    pub attempt: i16,
    pub crashes: i16,
    pub max_attempts: Option<i16>,
    pub ordering_key: Option<String>,
    pub idempotency_key: Option<String>,
    pub fingerprint: Option<String>,
    pub trace: Option<String>,
    pub args: Option<Value>,
    /// `[{class, message, attempt, at}]`, oldest first.
    pub errors: Option<Value>,
    pub created_at: DateTime<Utc>,
    /// Of the last run.
    pub started_at: Option<DateTime<Utc>>,
    /// When it is due, if it waits for a time.
    pub run_at: Option<DateTime<Utc>>,
    /// When it ended, or died.
    pub ended_at: Option<DateTime<Utc>>,
    /// Which process runs it.
    pub runs_on: Option<String>,
    pub now: DateTime<Utc>,
}

/// One job.
pub async fn job(conn: &mut PgConnection, id: JobId) -> Result<Option<JobDetail>, StoreError> {
    Ok(sqlx::query_as!(
        JobDetail,
        r#"
        SELECT id AS "id!", state AS "state!", kind AS "kind!", queue AS "queue!", tenant_id AS "tenant_id!", priority, attempt AS "attempt!",
               crashes AS "crashes!", max_attempts, ordering_key, idempotency_key, fingerprint, trace, args, errors, created_at AS "created_at!",
               started_at, run_at, ended_at, runs_on, ledger_now() AS "now!"
        FROM (
          SELECT j.id, j.state, j.kind, j.queue, j.tenant_id, j.priority, j.attempt, j.crashes, j.max_attempts, j.ordering_key, j.idempotency_key,
                 NULL::text AS fingerprint, j.trace, j.args, j.errors, j.created_at, j.started_at, j.run_at, NULL::timestamptz AS ended_at,
                 (SELECT w.name FROM job_workers w WHERE w.id = j.locked_by) AS runs_on
          FROM jobs j WHERE j.id = $1
          UNION ALL
          SELECT id, state, kind, queue, tenant_id, priority, attempt, crashes, max_attempts, ordering_key, idempotency_key, fingerprint, trace, args, errors,
                 created_at, NULL, NULL, died_at, NULL FROM jobs_dead WHERE id = $1
          UNION ALL
          SELECT id, state, kind, queue, tenant_id, NULL, attempt, crashes, NULL, NULL, NULL, NULL, trace, args, errors, created_at, started_at, NULL,
                 finished_at, NULL FROM jobs_done WHERE id = $1) x
        LIMIT 1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// The first job that must end before this one may run, by their ordering key.
pub async fn predecessor(conn: &mut PgConnection, id: JobId) -> Result<Option<JobId>, StoreError> {
    let first = sqlx::query_scalar!(
        r#"
        SELECT p.id FROM jobs j CROSS JOIN LATERAL (
          SELECT x.id, x.ordering_seq FROM jobs x WHERE x.kind = j.kind AND x.ordering_key = j.ordering_key
          ORDER BY x.kind, x.ordering_key, x.ordering_seq LIMIT 1) p
        WHERE j.id = $1 AND p.ordering_seq < j.ordering_seq
        "#,
        id.0
    );
    Ok(first.fetch_optional(conn).await?.map(JobId))
}
