//! How everything stands now. Every count stops at a cap or is an estimate beyond it, so that a look costs the same however much waits.

use crate::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// Counts are exact up to here; beyond, the planner's guess stands in.
const EXACT: i64 = 5_000;
/// So many lanes (tenants) of a queue are looked at.
const LANES: i64 = 1_000;
/// So many messages that wait to be sent are looked at to tell their channels.
const OUTBOUND: i64 = 500;

/// A queue as it is now. Ages are in seconds, by the ledger's clock.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct QueueNow {
    pub queue: String,
    /// Due and not taken.
    pub ready: i64,
    /// Scheduled, or waiting for a retry.
    pub delayed: i64,
    /// `ready` and `delayed` are estimates, since there are so many.
    pub estimated: bool,
    /// Of the delayed ones: those that failed before.
    pub retrying: i64,
    /// How long the oldest has waited: the first of each tenant (of fifty) that is neither held nor was put off before.
    pub oldest_s: Option<f64>,
    pub running: i64,
    pub longest_running_s: Option<f64>,
    /// Jobs that were enqueued in the last ten seconds: see [`entered_lately`].
    pub entered_10s: i64,
}

/// The database's time.
pub async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(conn).await?)
}

/// How `queues` stand, but for what entered them.
pub async fn queues(conn: &mut PgConnection, queues: &[&str]) -> Result<Vec<QueueNow>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT q.queue AS "queue!", s.ready AS "ready!", s.delayed AS "delayed!", s.retrying AS "retrying!", s.many_ready, s.many_delayed, s.oldest_s
        FROM unnest($1::text[]) WITH ORDINALITY q(queue, place) CROSS JOIN LATERAL (
          WITH RECURSIVE lane AS (
            (SELECT priority, tenant_id, kind, created_at, errors = '[]' AS fresh FROM jobs WHERE queue = q.queue AND state = 'queued' AND run_at IS NULL
             ORDER BY queue, priority, tenant_id, position LIMIT 1)
            UNION ALL
            SELECT n.priority, n.tenant_id, n.kind, n.created_at, n.fresh FROM lane l CROSS JOIN LATERAL (
              SELECT j.priority, j.tenant_id, j.kind, j.created_at, j.errors = '[]' AS fresh FROM jobs j
              WHERE j.queue = q.queue AND j.state = 'queued' AND j.run_at IS NULL AND (j.priority, j.tenant_id) > (l.priority, l.tenant_id)
              ORDER BY j.queue, j.priority, j.tenant_id, j.position LIMIT 1) n),
          ready AS (SELECT count(*) AS n FROM (SELECT FROM jobs WHERE queue = q.queue AND state = 'queued' AND run_at IS NULL LIMIT $2) r),
          later AS (SELECT count(*) AS n, count(*) FILTER (WHERE attempt > 0) AS retrying FROM (
            SELECT attempt FROM jobs WHERE queue = q.queue AND state = 'queued' AND run_at IS NOT NULL ORDER BY queue, run_at LIMIT $2) d)
          SELECT r.n AS ready, d.n AS delayed, d.retrying,
                 CASE WHEN r.n = $2 THEN estimated_jobs(q.queue, false) END AS many_ready, CASE WHEN d.n = $2 THEN estimated_jobs(q.queue, true) END AS many_delayed,
                 -- One that failed or waited before was put off on purpose, as one that is held: its age says nothing about the queue, but that of the
                 -- next that is neither does.
                 (SELECT extract(epoch FROM now() - min(
                           CASE WHEN fresh AND 'kind:' || kind NOT IN (SELECT what FROM job_pauses) THEN created_at
                                ELSE (SELECT x.created_at FROM (
                                        SELECT j.created_at, j.kind, j.errors FROM jobs j
                                        WHERE j.queue = q.queue AND j.state = 'queued' AND j.run_at IS NULL AND j.priority = l.priority AND j.tenant_id = l.tenant_id
                                        ORDER BY j.queue, j.priority, j.tenant_id, j.position LIMIT 50) x
                                      WHERE x.errors = '[]' AND 'kind:' || x.kind NOT IN (SELECT what FROM job_pauses) LIMIT 1) END))::float8
                  FROM (SELECT * FROM lane LIMIT $3) l WHERE 'tenant:' || tenant_id NOT IN (SELECT what FROM job_pauses)) AS oldest_s
          FROM ready r, later d) s
        ORDER BY q.place
        "#,
        queues as _,
        EXACT,
        LANES
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut all: Vec<QueueNow> = rows
        .into_iter()
        .map(|row| QueueNow {
            queue: row.queue,
            ready: row.many_ready.map_or(row.ready, |guess| guess.max(row.ready)),
            delayed: row.many_delayed.map_or(row.delayed, |guess| guess.max(row.delayed)),
            estimated: row.many_ready.is_some() || row.many_delayed.is_some(),
            retrying: row.retrying,
            oldest_s: row.oldest_s.map(|age| age.max(0.0)),
            ..QueueNow::default()
        })
        .collect();
    let running = sqlx::query!(
        r#"SELECT queue, count(*) AS "n!", extract(epoch FROM ledger_now() - min(started_at))::float8 AS longest
           FROM jobs WHERE state = 'running' AND locked_by IS NOT NULL GROUP BY queue"#
    )
    .fetch_all(&mut *conn)
    .await?;
    for queue in &mut all {
        if let Some(row) = running.iter().find(|row| row.queue == queue.queue) {
            (queue.running, queue.longest_running_s) = (row.n, row.longest);
        }
    }
    Ok(all)
}

/// Completes how queues stand with what entered them in the last ten seconds: that costs more than all the rest when there is much.
pub async fn entered_lately(conn: &mut PgConnection, queues: &mut [QueueNow]) -> Result<(), StoreError> {
    let entered = sqlx::query!(
        r#"
        SELECT queue AS "queue!", count(*) AS "n!" FROM (
          SELECT queue FROM jobs WHERE id >= first_id_at(now() - interval '10 seconds')
          UNION ALL
          SELECT queue FROM jobs_done WHERE finished_on >= (now() AT TIME ZONE 'utc')::date - 1 AND id >= first_id_at(now() - interval '10 seconds')) e
        GROUP BY queue
        "#
    )
    .fetch_all(conn)
    .await?;
    for queue in queues {
        queue.entered_10s = entered.iter().find(|row| row.queue == queue.queue).map_or(0, |row| row.n);
    }
    Ok(())
}

/// A tenant that waits, in one queue.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TenantWaits {
    pub queue: String,
    /// Below zero: jobs that tenants share; 0: of nobody.
    pub tenant_id: i32,
    pub name: Option<String>,
    /// At most a thousand.
    pub ready: i64,
    pub oldest_s: f64,
    pub paused: bool,
}

/// The tenants whose jobs have waited longest, of all `queues`.
pub async fn tenants(conn: &mut PgConnection, queues: &[&str], limit: i64) -> Result<Vec<TenantWaits>, StoreError> {
    let mut all = Vec::new();
    for queue in queues {
        let rows = sqlx::query_as!(
            TenantWaits,
            r#"
            WITH RECURSIVE lane AS (
              (SELECT priority, tenant_id, created_at FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at IS NULL
               ORDER BY queue, priority, tenant_id, position LIMIT 1)
              UNION ALL
              SELECT n.priority, n.tenant_id, n.created_at FROM lane l CROSS JOIN LATERAL (
                SELECT j.priority, j.tenant_id, j.created_at FROM jobs j
                WHERE j.queue = $1 AND j.state = 'queued' AND j.run_at IS NULL AND (j.priority, j.tenant_id) > (l.priority, l.tenant_id)
                ORDER BY j.queue, j.priority, j.tenant_id, j.position LIMIT 1) n),
            oldest AS (SELECT priority, tenant_id, created_at FROM (SELECT * FROM lane LIMIT $2) l ORDER BY created_at LIMIT $3)
            SELECT $1 AS "queue!", o.tenant_id AS "tenant_id!", t.store_name AS "name?", greatest(extract(epoch FROM now() - o.created_at), 0)::float8 AS "oldest_s!",
                   (SELECT count(*) FROM (SELECT FROM jobs j WHERE j.queue = $1 AND j.state = 'queued' AND j.run_at IS NULL
                      AND j.priority = o.priority AND j.tenant_id = o.tenant_id LIMIT 1000) r) AS "ready!",
                   EXISTS (SELECT FROM job_pauses p WHERE p.what = 'tenant:' || o.tenant_id) AS "paused!"
            FROM oldest o LEFT JOIN tenants t ON t.id = o.tenant_id
            "#,
            queue,
            LANES,
            limit
        )
        .fetch_all(&mut *conn)
        .await?;
        all.extend(rows);
    }
    all.sort_by(|a, b| b.oldest_s.total_cmp(&a.oldest_s));
    all.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(all)
}

/// A channel that somebody should look at: in error, paused, or with messages that wait.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ChannelNow {
    pub id: Uuid,
    pub tenant_id: i32,
    pub tenant: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    pub external_id: Option<String>,
    pub status: String,
    pub error: Option<String>,
    pub paused: bool,
    /// Messages that wait to be sent, of the first few hundred that wait at all.
    pub waiting: i64,
    pub oldest_s: Option<f64>,
    /// What the provider last answered to one that waits.
    pub last_error: Option<String>,
}

/// Those channels.
pub async fn channels(conn: &mut PgConnection, limit: i64) -> Result<Vec<ChannelNow>, StoreError> {
    Ok(sqlx::query_as!(
        ChannelNow,
        r#"
        WITH sending AS (
          (SELECT tenant_id, args, errors, created_at FROM jobs WHERE queue = 'outbound' AND state = 'queued' AND run_at IS NULL LIMIT $2)
          UNION ALL
          (SELECT tenant_id, args, errors, created_at FROM jobs WHERE queue = 'outbound' AND state = 'queued' AND run_at IS NOT NULL
           ORDER BY queue, run_at LIMIT $2)),
        waiting AS (
          SELECT m.tenant_id, m.channel_instance_id AS id, count(*) AS n, min(s.created_at) AS oldest,
                 max(s.errors -> -1 ->> 'message') AS last_error
          FROM sending s CROSS JOIN LATERAL (
            SELECT x.tenant_id, x.channel_instance_id FROM chat_messages x
            WHERE x.tenant_id = s.tenant_id AND x.id = (s.args ->> 'message_id')::uuid OFFSET 0) m
          GROUP BY 1, 2),
        wanted AS (
          SELECT tenant_id, id FROM waiting
          UNION SELECT tenant_id, id FROM (SELECT tenant_id, id FROM channel_instances WHERE status = 'ERROR' LIMIT $1) broken
          UNION SELECT c.tenant_id, c.id FROM job_pauses p
          JOIN channel_instances c ON c.id = CASE WHEN p.what LIKE 'channel:%' THEN substr(p.what, 9)::uuid END)
        SELECT c.id, c.tenant_id, t.store_name AS tenant, c.type AS kind, c.name AS "name?", c.external_id, c.status, c.metadata ->> 'error' AS error,
               EXISTS (SELECT FROM job_pauses p WHERE p.what = 'channel:' || c.id) AS "paused!",
               coalesce(w.n, 0) AS "waiting!", extract(epoch FROM now() - w.oldest)::float8 AS oldest_s, w.last_error
        FROM wanted x JOIN channel_instances c ON c.tenant_id = x.tenant_id AND c.id = x.id JOIN tenants t ON t.id = c.tenant_id
        LEFT JOIN waiting w ON w.tenant_id = x.tenant_id AND w.id = x.id
        ORDER BY c.status = 'ERROR' DESC, coalesce(w.n, 0) DESC, c.id LIMIT $1
        "#,
        limit,
        OUTBOUND
    )
    .fetch_all(conn)
    .await?)
}

/// A job that runs now.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RunningJob {
    pub id: Uuid,
    pub kind: String,
    pub tenant_id: i32,
    pub running_s: f64,
    pub worker_id: Uuid,
}

/// What runs, the longest first.
pub async fn running(conn: &mut PgConnection, limit: i64) -> Result<Vec<RunningJob>, StoreError> {
    Ok(sqlx::query_as!(
        RunningJob,
        r#"
        SELECT id, kind, tenant_id, coalesce(extract(epoch FROM ledger_now() - started_at), 0)::float8 AS "running_s!", locked_by AS "worker_id!"
        FROM jobs WHERE state = 'running' AND locked_by IS NOT NULL ORDER BY started_at LIMIT $1
        "#,
        limit
    )
    .fetch_all(conn)
    .await?)
}
