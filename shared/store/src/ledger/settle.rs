//! Ending a run. Every statement is fenced by `locked_by`: a worker that was declared dead settles nothing. None names
//! `state`: with it the planner takes a partial index, and walks over every dead entry of the worker, or over all that waits.

use super::Run;
use crate::StoreError;
use domain::{JobId, WorkerId};
use serde_json::Value;
use sqlx::PgConnection;
use std::time::Duration;

/// A run that ends with a later one: a retry, a snooze, or a job given back.
#[derive(Clone, Debug)]
pub struct Delay {
    /// A run that was put back already is not put back again, even if its job is running once more.
    pub run: Run,
    /// `None`: ready again at once. Counted from Postgres's clock, so no process's clock matters.
    pub after: Option<Duration>,
    /// True for a snooze, a defect of the surroundings, or a job given back: the attempt does not count.
    pub free: bool,
    /// True when the run may have brought down its neighbours in a batch: it counts like a crash, so it is isolated.
    pub suspect: bool,
    /// Appended to the job's errors, of which some twenty are kept. What it waits for joins what it waited for just before, and
    /// is dropped before anything that went wrong.
    pub error: Option<Value>,
}

/// A run that ends in the dead letters.
#[derive(Clone, Debug)]
pub struct Burial {
    pub id: JobId,
    /// Kind and class of the error; groups dead letters.
    pub fingerprint: String,
    pub error: Value,
}

/// Is the job still this worker's? If so, nobody takes it away before the transaction ends.
pub async fn hold(conn: &mut PgConnection, worker: WorkerId, id: JobId) -> Result<bool, StoreError> {
    let held = sqlx::query_scalar!("SELECT id FROM jobs WHERE id = $1 AND locked_by = $2 FOR SHARE", id.0, worker.0);
    Ok(held.fetch_optional(conn).await?.is_some())
}

/// Moves finished jobs to `jobs_done`. Returns those that were still this worker's.
///
/// `ordered`: some of them have an ordering key, so their successors become ready.
pub async fn complete(conn: &mut PgConnection, worker: WorkerId, ids: &[JobId], ordered: bool) -> Result<Vec<JobId>, StoreError> {
    let mut ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    let rows = if ordered {
        sqlx::query_scalar!(
            r#"
            WITH settled AS (DELETE FROM jobs WHERE id = ANY($1) AND locked_by = $2 RETURNING *),
            done AS (
              INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, trace, args, errors, created_at, started_at, finished_at)
              SELECT (ledger_now() AT TIME ZONE 'utc')::date, id, kind, queue, tenant_id, 'done', attempt, crashes, trace, args,
                     nullif(errors, '[]'), created_at, started_at, ledger_now() FROM settled),
            next AS (
              UPDATE jobs n SET position = nextval('job_positions')
              WHERE n.id = ANY(ARRAY(
                SELECT h.id FROM settled s CROSS JOIN LATERAL (
                  SELECT j.id FROM jobs j WHERE j.kind = s.kind AND j.ordering_key = s.ordering_key AND j.id <> ALL($1) AND NOT j.scheduled
                  ORDER BY j.kind, j.ordering_key, j.ordering_seq LIMIT 1) h)) AND n.locked_by IS NULL AND n.run_at IS NULL)
            SELECT id AS "id!" FROM settled
            "#,
            &ids,
            worker.0
        )
        .fetch_all(conn)
        .await?
    } else {
        sqlx::query_scalar!(
            r#"
            WITH settled AS (DELETE FROM jobs WHERE id = ANY($1) AND locked_by = $2 RETURNING *),
            done AS (
              INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, trace, args, errors, created_at, started_at, finished_at)
              SELECT (ledger_now() AT TIME ZONE 'utc')::date, id, kind, queue, tenant_id, 'done', attempt, crashes, trace, args,
                     nullif(errors, '[]'), created_at, started_at, ledger_now() FROM settled)
            SELECT id AS "id!" FROM settled
            "#,
            &ids,
            worker.0
        )
        .fetch_all(conn)
        .await?
    };
    Ok(rows.into_iter().map(JobId).collect())
}

/// Puts jobs back into the queue, for `run_at` or for now. A job whose cancellation was asked for is not put back: see `cancel`.
pub async fn delay(conn: &mut PgConnection, worker: WorkerId, delays: &[Delay]) -> Result<Vec<JobId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"
        UPDATE jobs j
        SET state = 'queued', locked_by = NULL, position = nextval('job_positions'),
            run_at = ledger_now() + make_interval(secs => ($3::float8[])[array_position($2, j.id)]),
            attempt = attempt - ($4::bool[])[array_position($2, j.id)]::int::int2,
            crashes = crashes + ($5::bool[])[array_position($2, j.id)]::int::int2,
            errors = (SELECT CASE
              WHEN new IS NULL THEN errors
              -- What it waits for is said once, since when it waits, and for how long it was put off.
              WHEN waits AND errors -> -1 ->> 'class' = 'waiting' THEN errors - (-1) || jsonb_build_array(errors -> -1 || jsonb_build_object(
                'waited_s', coalesce((errors -> -1 ->> 'waited_s')::float8, 0) + (new ->> 'waited_s')::float8,
                'message', CASE WHEN strpos(errors -> -1 ->> 'message', new ->> 'message') > 0 OR length(errors -> -1 ->> 'message') > 500
                                THEN errors -> -1 ->> 'message' ELSE (errors -> -1 ->> 'message') || '; ' || (new ->> 'message') END))
              WHEN waits THEN errors || jsonb_build_array(new || jsonb_build_object('at', ledger_now()))
              -- What went wrong is kept for longer than what was waited for.
              WHEN jsonb_array_length(failures) >= 20 THEN failures - 0 || jsonb_build_array(new || jsonb_build_object('at', ledger_now()))
              ELSE failures || jsonb_build_array(new || jsonb_build_object('at', ledger_now())) END
              FROM (SELECT new, new ->> 'class' = 'waiting' AS waits,
                           CASE WHEN jsonb_array_length(errors) < 20 THEN errors
                                ELSE (SELECT coalesce(jsonb_agg(error ORDER BY place), '[]') FROM jsonb_array_elements(errors) WITH ORDINALITY e(error, place)
                                      WHERE error ->> 'class' IS DISTINCT FROM 'waiting') END AS failures
                    FROM (SELECT ($6::jsonb[])[array_position($2, j.id)] AS new) n) n)
        -- No join: it may become a walk over all jobs.
        WHERE j.id = ANY($2::uuid[]) AND j.position = ($7::int8[])[array_position($2, j.id)] AND j.locked_by = $1 AND NOT j.cancel_requested
        RETURNING j.id
        "#,
        worker.0,
        &delays.iter().map(|d| d.run.id.0).collect::<Vec<_>>(),
        &delays.iter().map(|d| d.after.map(|after| after.as_secs_f64())).collect::<Vec<_>>() as _,
        &delays.iter().map(|d| d.free).collect::<Vec<_>>(),
        &delays.iter().map(|d| d.suspect).collect::<Vec<_>>(),
        &delays.iter().map(|d| d.error.clone()).collect::<Vec<_>>() as _,
        &delays.iter().map(|d| d.run.position).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(JobId).collect())
}

/// Moves jobs to the dead letters, with this last error. Their successors (same ordering key) become ready.
pub async fn bury(conn: &mut PgConnection, worker: WorkerId, burials: &[Burial]) -> Result<Vec<JobId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"
        WITH settled AS (DELETE FROM jobs WHERE id = ANY($2::uuid[]) AND locked_by = $1 RETURNING *),
        dead AS (
          INSERT INTO jobs_dead (id, kind, queue, tenant_id, priority, ordering_key, weight, attempt, crashes, max_attempts,
                                 idempotency_key, fingerprint, trace, args, errors, created_at, died_at)
          SELECT id, kind, queue, tenant_id, priority, ordering_key, weight, attempt, crashes, max_attempts,
                 idempotency_key, b.fingerprint, trace, args, errors || jsonb_build_array(b.error || jsonb_build_object('at', ledger_now())), created_at, ledger_now()
          FROM settled JOIN unnest($2::uuid[], $3::text[], $4::jsonb[]) b(id, fingerprint, error) USING (id)),
        next AS (
          UPDATE jobs n SET position = nextval('job_positions')
              WHERE n.id = ANY(ARRAY(
                SELECT h.id FROM settled s CROSS JOIN LATERAL (
                  SELECT j.id FROM jobs j WHERE j.kind = s.kind AND j.ordering_key = s.ordering_key AND j.id <> s.id AND NOT j.scheduled
                  ORDER BY j.kind, j.ordering_key, j.ordering_seq LIMIT 1) h)) AND n.locked_by IS NULL AND n.run_at IS NULL)
        SELECT id AS "id!" FROM settled
        "#,
        worker.0,
        &burials.iter().map(|b| b.id.0).collect::<Vec<_>>(),
        &burials.iter().map(|b| b.fingerprint.clone()).collect::<Vec<_>>(),
        &burials.iter().map(|b| b.error.clone()).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(JobId).collect())
}

/// Moves running jobs whose cancellation was asked for to `jobs_done` as `cancelled`. Their successors become ready.
pub async fn cancel(conn: &mut PgConnection, worker: WorkerId, ids: &[JobId]) -> Result<Vec<JobId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"
        WITH settled AS (DELETE FROM jobs WHERE id = ANY($1) AND locked_by = $2 AND cancel_requested RETURNING *),
        done AS (
          INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, trace, args, errors, created_at, started_at, finished_at)
          SELECT (ledger_now() AT TIME ZONE 'utc')::date, id, kind, queue, tenant_id, 'cancelled', attempt, crashes, trace, args,
                 nullif(errors, '[]'), created_at, started_at, ledger_now() FROM settled),
        next AS (
          UPDATE jobs n SET position = nextval('job_positions')
              WHERE n.id = ANY(ARRAY(
                SELECT h.id FROM settled s CROSS JOIN LATERAL (
                  SELECT j.id FROM jobs j WHERE j.kind = s.kind AND j.ordering_key = s.ordering_key AND j.id <> ALL($1) AND NOT j.scheduled
                  ORDER BY j.kind, j.ordering_key, j.ordering_seq LIMIT 1) h)) AND n.locked_by IS NULL AND n.run_at IS NULL)
        SELECT id AS "id!" FROM settled
        "#,
        &ids.iter().map(|id| id.0).collect::<Vec<_>>(),
        worker.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(JobId).collect())
}

/// Gives everything that `worker` still holds back to the queue, at no cost. For a process that stops.
pub async fn release(conn: &mut PgConnection, worker: WorkerId) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        "UPDATE jobs SET state = 'queued', locked_by = NULL, attempt = attempt - 1, position = nextval('job_positions')
         WHERE state = 'running' AND locked_by = $1",
        worker.0
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected())
}
