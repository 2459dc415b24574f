//! Retrying and discarding dead letters, cancelling live jobs: in chunks, by id, so that any number can be handled.

use super::{Actor, JobFilter};
use crate::{StoreError, ledger::unfinished, operator::planning};
use chrono::{DateTime, Utc};
use domain::JobId;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

/// What one chunk did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acted {
    /// Jobs that were changed.
    pub affected: u64,
    /// Jobs that matched and were left alone (a retry whose work is already queued again under its idempotency key).
    pub skipped: u64,
    /// Where the next chunk begins; `None`: this was the last one.
    pub next: Option<JobId>,
}

impl Acted {
    fn new(examined: i64, affected: i64, last: Option<uuid::Uuid>, limit: i64) -> Self {
        Self {
            affected: u64::try_from(affected).unwrap_or(0),
            skipped: u64::try_from(examined - affected).unwrap_or(0),
            next: last.filter(|_| examined == limit).map(JobId),
        }
    }
}

/// Puts up to `limit` dead letters with ids above `after` back into the ledger, with all their attempts before them and
/// their errors kept. One whose crashes buried it still runs alone.
///
/// Of jobs that share an idempotency key only one goes back, and none while such a job is live. A job with an ordering
/// key goes to the end of its line.
pub async fn retry(pool: &PgPool, actor: &Actor, filter: &JobFilter, after: Option<JobId>, limit: i64) -> Result<Acted, StoreError> {
    let mut tx = planning(pool).await?;
    let acted = retry_some(&mut tx, filter, after, None, limit, false).await?;
    record(&mut tx, actor, "jobs.retry", &subject(filter), acted.affected).await?;
    tx.commit().await?;
    Ok(acted)
}

/// Puts one dead letter back, as a canary: it runs even while its kind is paused. False: it is no dead letter, its work is queued already, or
/// others with its ordering key are, behind which it would wait.
pub async fn canary(pool: &PgPool, actor: &Actor, id: JobId) -> Result<bool, StoreError> {
    let filter = JobFilter { ids: vec![id], ..JobFilter::default() };
    let mut tx = planning(pool).await?;
    let would_wait = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM jobs_dead d CROSS JOIN LATERAL (
                          SELECT FROM jobs j WHERE j.kind = d.kind AND j.ordering_key = d.ordering_key
                          ORDER BY j.kind, j.ordering_key, j.ordering_seq LIMIT 1) before WHERE d.id = $1) AS "waits!""#,
        id.0
    )
    .fetch_one(&mut *tx)
    .await?;
    if would_wait {
        return Ok(false);
    }
    let acted = retry_some(&mut tx, &filter, None, None, 1, true).await?;
    record(&mut tx, actor, "jobs.canary", &subject(&filter), acted.affected).await?;
    tx.commit().await?;
    Ok(acted.affected > 0)
}

/// The same within a transaction; with `died_before`, only those that died before that.
pub(crate) async fn retry_some(
    conn: &mut PgConnection,
    filter: &JobFilter,
    after: Option<JobId>,
    died_before: Option<DateTime<Utc>>,
    limit: i64,
    canary: bool,
) -> Result<Acted, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH picked AS (
          SELECT * FROM jobs_dead
          WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
            AND ($4::int4 IS NULL OR tenant_id = $4) AND ($5::text IS NULL OR fingerprint = $5) AND ($6::uuid IS NULL OR id > $6)
            AND ($8::timestamptz IS NULL OR died_at < $8)
          ORDER BY id LIMIT $7 FOR UPDATE),
        chosen AS (
          SELECT DISTINCT ON (kind, coalesce(idempotency_key, id::text)) p.*
          FROM picked p
          WHERE idempotency_key IS NULL
             OR NOT EXISTS (SELECT FROM jobs j WHERE j.kind = p.kind AND j.idempotency_key = p.idempotency_key)
          ORDER BY kind, coalesce(idempotency_key, id::text), id),
        queued AS (
          INSERT INTO jobs (id, kind, queue, tenant_id, priority, ordering_key, ordering_seq, weight, crashes, max_attempts,
                            idempotency_key, trace, args, errors, created_at, canary)
          SELECT id, kind, queue, tenant_id, priority, ordering_key, CASE WHEN ordering_key IS NOT NULL THEN nextval('job_ordering') END,
                 weight, least(crashes, 1), max_attempts, idempotency_key, trace, args, errors, created_at, $9
          FROM chosen ORDER BY id
          -- The same work may be queued at this moment.
          ON CONFLICT (kind, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
          RETURNING id, kind, tenant_id, idempotency_key, args),
        removed AS (DELETE FROM jobs_dead d USING queued q WHERE d.id = q.id),
        -- Their messages wait again, and are not written once more by people who think that they failed. By primary key, whatever statistics say of
        -- how many have failed; and held also if they have not yet, so that a closing that comes now finds the job.
        held AS MATERIALIZED (
          SELECT m.* FROM (
            SELECT tenant_id, CASE WHEN kind = 'send_outbound' AND args ->> 'message_id' = idempotency_key THEN idempotency_key::uuid END AS id FROM queued
            ORDER BY 1, 2) w
          CROSS JOIN LATERAL (
            SELECT x.tenant_id, x.id, x.status, x.external_id FROM chat_messages x WHERE x.tenant_id = w.tenant_id AND x.id = w.id FOR UPDATE) m),
        waiting AS (
          UPDATE chat_messages m SET status = 'pending', errors = NULL FROM held h
          WHERE m.tenant_id = h.tenant_id AND m.id = h.id AND h.status = 'failed' AND h.external_id IS NULL
          RETURNING m.tenant_id, m.id, m.status),
        told AS (
          INSERT INTO realtime_events (tenant_id, events)
          SELECT tenant_id, jsonb_agg(jsonb_build_object('kind', 'message_status', 'message', id, 'status', status)) FROM waiting GROUP BY tenant_id)
        SELECT (SELECT count(*) FROM picked) AS "examined!", (SELECT count(*) FROM queued) AS "affected!",
               (SELECT id FROM picked ORDER BY id DESC LIMIT 1) AS last
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        filter.fingerprint.as_deref(),
        after.map(|id| id.0),
        limit,
        died_before,
        canary
    )
    .fetch_one(conn)
    .await?;
    Ok(Acted::new(row.examined, row.affected, row.last, limit))
}

/// Gives up to `limit` dead letters up for good: they end in `jobs_done` as `discarded`, errors included.
pub async fn discard(pool: &PgPool, actor: &Actor, filter: &JobFilter, after: Option<JobId>, limit: i64) -> Result<Acted, StoreError> {
    let mut tx = planning(pool).await?;
    let acted = discard_some(&mut tx, filter, after, None, limit).await?;
    record(&mut tx, actor, "jobs.discard", &subject(filter), acted.affected).await?;
    tx.commit().await?;
    Ok(acted)
}

/// The same within a transaction; with `died_before`, only those that died before that.
pub(crate) async fn discard_some(
    conn: &mut PgConnection,
    filter: &JobFilter,
    after: Option<JobId>,
    died_before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Acted, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH picked AS (
          SELECT id FROM jobs_dead
          WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
            AND ($4::int4 IS NULL OR tenant_id = $4) AND ($5::text IS NULL OR fingerprint = $5) AND ($6::uuid IS NULL OR id > $6)
            AND ($8::timestamptz IS NULL OR died_at < $8)
          ORDER BY id LIMIT $7 FOR UPDATE),
        removed AS (DELETE FROM jobs_dead d USING picked p WHERE d.id = p.id RETURNING d.*),
        done AS (
          INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, trace, args, errors, created_at, finished_at)
          SELECT (ledger_now() AT TIME ZONE 'utc')::date, id, kind, queue, tenant_id, 'discarded', attempt, crashes, trace, args, errors,
                 created_at, ledger_now()
          FROM removed),
        over AS MATERIALIZED (
          SELECT tenant_id, CASE WHEN kind = 'import_contacts' AND args ->> 'import_id' = idempotency_key THEN idempotency_key::uuid END AS id FROM removed),
        forgotten AS (
          UPDATE contact_imports i SET file = NULL FROM over o WHERE i.tenant_id = o.tenant_id AND i.id = o.id AND i.status = 'failed')
        SELECT (SELECT count(*) FROM picked) AS "examined!", (SELECT count(*) FROM removed) AS "affected!",
               (SELECT id FROM picked ORDER BY id DESC LIMIT 1) AS last
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        filter.fingerprint.as_deref(),
        after.map(|id| id.0),
        limit,
        died_before
    )
    .fetch_one(conn)
    .await?;
    Ok(Acted::new(row.examined, row.affected, row.last, limit))
}

/// Cancels up to `limit` live jobs: queued ones end as `cancelled` now (their successors become ready), running ones are
/// asked to and end as soon as their worker sees it. What they leave unfinished is closed.
pub async fn cancel(pool: &PgPool, actor: &Actor, filter: &JobFilter, after: Option<JobId>, limit: i64) -> Result<Acted, StoreError> {
    let mut tx = planning(pool).await?;
    let row = sqlx::query!(
        r#"
        WITH picked AS (
          SELECT id, state FROM jobs
          WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR queue = $3)
            AND ($4::int4 IS NULL OR tenant_id = $4) AND ($5::uuid IS NULL OR id > $5)
            -- What closes what was cancelled is cancelled only by those who mean it.
            AND (kind <> $7 OR $1::uuid[] IS NOT NULL OR $2::text IS NOT NULL)
          ORDER BY id LIMIT $6 FOR UPDATE),
        asked AS (UPDATE jobs j SET cancel_requested = true WHERE j.id = ANY(ARRAY(SELECT id FROM picked WHERE state = 'running')) RETURNING j.id),
        removed AS (DELETE FROM jobs j WHERE j.id = ANY(ARRAY(SELECT id FROM picked WHERE state = 'queued')) RETURNING j.*),
        done AS (
          INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, trace, args, errors, created_at, started_at, finished_at)
          SELECT (ledger_now() AT TIME ZONE 'utc')::date, id, kind, queue, tenant_id, 'cancelled', attempt, crashes, trace, args,
                 nullif(errors, '[]'), created_at, started_at, ledger_now() FROM removed),
        next AS (
          UPDATE jobs n SET position = nextval('job_positions')
          WHERE n.id = ANY(ARRAY(
            SELECT h.id FROM removed s CROSS JOIN LATERAL (
              SELECT j.id FROM jobs j WHERE j.kind = s.kind AND j.ordering_key = s.ordering_key AND NOT j.scheduled
                AND NOT EXISTS (SELECT FROM removed r WHERE r.id = j.id)
              ORDER BY j.kind, j.ordering_key, j.ordering_seq LIMIT 1) h)) AND n.locked_by IS NULL AND n.run_at IS NULL)
        SELECT (SELECT count(*) FROM picked) AS "examined!", (SELECT count(*) FROM removed) + (SELECT count(*) FROM asked) AS "affected!",
               (SELECT id FROM picked ORDER BY id DESC LIMIT 1) AS last, ARRAY(SELECT id FROM removed) AS "removed!"
        "#,
        filter.uuids() as _,
        filter.kind.as_deref(),
        filter.queue.as_deref(),
        filter.tenant(),
        after.map(|id| id.0),
        limit,
        unfinished::CLOSE_UNFINISHED
    )
    .fetch_one(&mut *tx)
    .await?;
    let removed: Vec<JobId> = row.removed.into_iter().map(JobId).collect();
    unfinished::close(&mut tx, &removed).await?;
    let acted = Acted::new(row.examined, row.affected, row.last, limit);
    record(&mut tx, actor, "jobs.cancel", &subject(filter), acted.affected).await?;
    tx.commit().await?;
    Ok(acted)
}

fn subject(filter: &JobFilter) -> Value {
    // A filter is plain data; it cannot fail to become JSON.
    serde_json::to_value(filter).unwrap_or(Value::Null)
}

/// The audit log's row for an act, in the act's transaction. An act that changed nothing leaves none.
pub(crate) async fn record(conn: &mut PgConnection, actor: &Actor, act: &str, subject: &Value, affected: u64) -> Result<(), StoreError> {
    if affected > 0 {
        sqlx::query!(
            "INSERT INTO operator_acts (actor, act, subject, affected, reason) VALUES ($1, $2, $3, $4, $5)",
            actor.name,
            act,
            subject,
            i64::try_from(affected).unwrap_or(i64::MAX),
            actor.reason
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}
