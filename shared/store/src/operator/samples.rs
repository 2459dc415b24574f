//! How the queues did: a row for each queue and minute, fewer as they grow old, gone after thirty days.

use super::overview::QueueNow;
use crate::StoreError;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// Jobs of a table that are counted one by one; if there are more, they stand for the rest of the time.
const ENTERED: i64 = 10_000;

/// What a minute of a queue was like.
#[derive(Clone, Debug, Default)]
pub struct NewSample {
    pub now: QueueNow,
    /// `None`: as it was, for they could not be counted.
    pub dead: Option<i64>,
    /// Jobs that were enqueued.
    pub entered: i64,
    pub done: i64,
    pub failed: i64,
    /// The median, the 95th and the 99th percentile, in seconds.
    pub wait: [Option<f64>; 3],
    pub run: [Option<f64>; 3],
    pub workers: i32,
    pub paused: bool,
    /// `[{id, kind, tenant_id, seconds}]`: what ran longest.
    pub stuck: Value,
}

/// How much is left of the minute, by Postgres's clock: a little more, so that the sample is the next one's.
pub async fn left_of_minute(pool: &PgPool) -> Result<Duration, StoreError> {
    let left = sqlx::query_scalar!(r#"SELECT 60.0::float8 - extract(second FROM now())::float8 AS "left!""#).fetch_one(pool).await?;
    Ok(Duration::from_secs_f64(left.clamp(0.0, 60.0)) + Duration::from_millis(50))
}

/// Jobs that were enqueued between two moments, by queue.
pub async fn entered(conn: &mut PgConnection, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT queue AS "queue!", count(*) AS "n!", CASE WHEN sum(count(*)) OVER () >= $3 THEN (
                 SELECT id FROM jobs WHERE id >= first_id_at($1) AND id < first_id_at($2) ORDER BY id OFFSET $3 - 1 LIMIT 1) END AS "last?"
        FROM (SELECT queue FROM jobs WHERE id >= first_id_at($1) AND id < first_id_at($2) ORDER BY id LIMIT $3) live GROUP BY queue
        UNION ALL
        SELECT queue, count(*), CASE WHEN sum(count(*)) OVER () >= $3 THEN (
                 SELECT id FROM jobs_done WHERE finished_on >= ($1 AT TIME ZONE 'utc')::date - 1 AND id >= first_id_at($1) AND id < first_id_at($2)
                 ORDER BY id OFFSET $3 - 1 LIMIT 1) END
        FROM (SELECT queue FROM jobs_done WHERE finished_on >= ($1 AT TIME ZONE 'utc')::date - 1 AND id >= first_id_at($1) AND id < first_id_at($2)
              ORDER BY id LIMIT $3) done GROUP BY queue
        UNION ALL
        SELECT queue, count(*), CASE WHEN sum(count(*)) OVER () >= $3 THEN (
                 SELECT id FROM jobs_dead WHERE id >= first_id_at($1) AND id < first_id_at($2) ORDER BY id OFFSET $3 - 1 LIMIT 1) END
        FROM (SELECT queue FROM jobs_dead WHERE id >= first_id_at($1) AND id < first_id_at($2) ORDER BY id LIMIT $3) dead GROUP BY queue
        "#,
        from,
        to,
        ENTERED
    )
    .fetch_all(conn)
    .await?;
    let mut entered: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows {
        *entered.entry(row.queue).or_default() += row.last.map_or(row.n, |last| stretched(row.n, last, (from, to)));
    }
    Ok(entered)
}

/// What was counted from `from` to the moment of the job `last`, for all of the time.
fn stretched(n: i64, last: Uuid, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> i64 {
    // An id begins with its millisecond.
    let until = i64::try_from(last.as_u128() >> 80).unwrap_or(i64::MAX);
    let all = (to - from).num_milliseconds().max(1);
    n * all / (until - from.timestamp_millis()).clamp(1, all)
}

/// Keeps a minute. A second leader's says nothing new and is dropped.
pub async fn keep(pool: &PgPool, samples: &[NewSample], errors: &[(String, i64)]) -> Result<(), StoreError> {
    let column = |pick: fn(&NewSample) -> Option<f64>| samples.iter().map(|sample| pick(sample).map(narrow)).collect::<Vec<Option<f32>>>();
    let mut tx = pool.begin().await?;
    sqlx::query!(
        r#"
        INSERT INTO queue_samples (at, queue, minutes, ready, delayed, running, dead, oldest_seconds, entered, done, failed,
                                   wait_p50, wait_p95, wait_p99, run_p50, run_p95, run_p99, workers, paused, stuck)
        SELECT date_trunc('minute', now()), s.queue, 1, s.ready, s.delayed, s.running,
               coalesce(s.dead, (SELECT q.dead FROM queue_samples q WHERE q.queue = s.queue AND q.at < now() ORDER BY q.at DESC LIMIT 1), 0), s.oldest, s.entered, s.done, s.failed,
               s.w50, s.w95, s.w99, s.r50, s.r95, s.r99, s.workers, s.paused, s.stuck
        FROM unnest($1::text[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::float8[], $7::int8[], $8::int8[], $9::int8[],
                    $10::float4[], $11::float4[], $12::float4[], $13::float4[], $14::float4[], $15::float4[], $16::int4[], $17::bool[], $18::jsonb[])
             AS s(queue, ready, delayed, running, dead, oldest, entered, done, failed, w50, w95, w99, r50, r95, r99, workers, paused, stuck)
        ON CONFLICT (at, queue) DO NOTHING
        "#,
        &samples.iter().map(|s| s.now.queue.clone()).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.now.ready).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.now.delayed).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.now.running).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.dead).collect::<Vec<_>>() as _,
        &samples.iter().map(|s| s.now.oldest_s.unwrap_or(0.0)).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.entered).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.done).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.failed).collect::<Vec<_>>(),
        &column(|s| s.wait[0]) as _,
        &column(|s| s.wait[1]) as _,
        &column(|s| s.wait[2]) as _,
        &column(|s| s.run[0]) as _,
        &column(|s| s.run[1]) as _,
        &column(|s| s.run[2]) as _,
        &samples.iter().map(|s| s.workers).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.paused).collect::<Vec<_>>(),
        &samples.iter().map(|s| s.stuck.clone()).collect::<Vec<_>>()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO error_samples (at, fingerprint, minutes, n) SELECT date_trunc('minute', now()), f, 1, n FROM unnest($1::text[], $2::int8[]) e(f, n)
         ON CONFLICT (at, fingerprint) DO NOTHING",
        &errors.iter().map(|(fingerprint, _)| fingerprint.clone()).collect::<Vec<_>>(),
        &errors.iter().map(|(_, n)| *n).collect::<Vec<_>>()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits of a latency are enough")]
fn narrow(seconds: f64) -> f32 {
    seconds as f32
}

/// Minutes older than a day become tens of minutes; what is older than thirty days goes. Both in one transaction, so nothing counts twice.
pub async fn roll_up(pool: &PgPool) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    sqlx::query!(
        r#"
        WITH old AS (DELETE FROM queue_samples WHERE minutes = 1 AND at < date_bin('10 minutes', now() - interval '1 day', 'epoch') RETURNING *)
        INSERT INTO queue_samples (at, queue, minutes, ready, delayed, running, dead, oldest_seconds, entered, done, failed,
                                   wait_p50, wait_p95, wait_p99, run_p50, run_p95, run_p99, workers, paused, stuck)
        SELECT date_bin('10 minutes', at, 'epoch'), queue, 10, max(ready), max(delayed), max(running), max(dead), max(oldest_seconds),
               sum(entered)::int8, sum(done)::int8, sum(failed)::int8, max(wait_p50), max(wait_p95), max(wait_p99), max(run_p50), max(run_p95), max(run_p99),
               min(workers), bool_or(paused), (array_agg(stuck ORDER BY oldest_seconds DESC))[1]
        FROM old GROUP BY 1, 2
        ON CONFLICT (at, queue) DO NOTHING
        "#
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        WITH old AS (DELETE FROM error_samples WHERE minutes = 1 AND at < date_bin('10 minutes', now() - interval '1 day', 'epoch') RETURNING *)
        INSERT INTO error_samples (at, fingerprint, minutes, n)
        SELECT date_bin('10 minutes', at, 'epoch'), fingerprint, 10, sum(n)::int8 FROM old GROUP BY 1, 2
        ON CONFLICT (at, fingerprint) DO NOTHING
        "#
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("DELETE FROM queue_samples WHERE at < now() - interval '30 days'").execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM error_samples WHERE at < now() - interval '30 days'").execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM paced_acts WHERE ended_at < now() - interval '30 days'").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// A point of a chart, or how a queue stood at a moment. Times in seconds.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Sample {
    pub at: DateTime<Utc>,
    pub queue: String,
    /// Of how many minutes it is; counts are sums over them.
    pub minutes: i64,
    pub ready: i64,
    pub delayed: i64,
    pub running: i64,
    pub dead: i64,
    pub oldest_seconds: f64,
    pub entered: i64,
    pub done: i64,
    pub failed: i64,
    pub wait_p50: Option<f32>,
    pub wait_p95: Option<f32>,
    pub wait_p99: Option<f32>,
    pub run_p50: Option<f32>,
    pub run_p95: Option<f32>,
    pub run_p99: Option<f32>,
    pub workers: i32,
    pub paused: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub stuck: Value,
}

/// A queue between two moments, in pieces of `step_minutes`: of each the most that waited, and the sums.
pub async fn series(
    conn: &mut PgConnection,
    queue: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    step_minutes: i32,
) -> Result<Vec<Sample>, StoreError> {
    Ok(sqlx::query_as!(
        Sample,
        r#"
        SELECT date_bin(make_interval(mins => $4), at, 'epoch') AS "at!", $1 AS "queue!", sum(minutes)::int8 AS "minutes!", max(ready) AS "ready!",
               max(delayed) AS "delayed!", max(running) AS "running!", max(dead) AS "dead!", max(oldest_seconds) AS "oldest_seconds!",
               sum(entered)::int8 AS "entered!", sum(done)::int8 AS "done!", sum(failed)::int8 AS "failed!",
               max(wait_p50) AS wait_p50, max(wait_p95) AS wait_p95, max(wait_p99) AS wait_p99, max(run_p50) AS run_p50, max(run_p95) AS run_p95,
               max(run_p99) AS run_p99, min(workers) AS "workers!", bool_or(paused) AS "paused!", 'null'::jsonb AS "stuck!"
        FROM queue_samples WHERE queue = $1 AND at >= $2 AND at < $3 GROUP BY 1 ORDER BY 1
        "#,
        queue,
        from,
        to,
        step_minutes
    )
    .fetch_all(conn)
    .await?)
}

/// How every queue stood at a moment: the last sample before it, if that is not older than ten minutes.
pub async fn at(conn: &mut PgConnection, moment: DateTime<Utc>) -> Result<Vec<Sample>, StoreError> {
    Ok(sqlx::query_as!(
        Sample,
        r#"
        SELECT at, queue, minutes::int8 AS "minutes!", ready, delayed, running, dead, oldest_seconds, entered, done, failed, wait_p50, wait_p95, wait_p99,
               run_p50, run_p95, run_p99, workers, paused, stuck
        FROM queue_samples
        WHERE at = (SELECT max(at) FROM queue_samples WHERE at <= $1 AND at > $1 - interval '11 minutes') ORDER BY queue
        "#,
        moment
    )
    .fetch_all(conn)
    .await?)
}

/// A kind of failure in a span of time, and in the one of the same length before.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ErrorTrend {
    /// Queue and class of the error.
    pub fingerprint: String,
    pub now: i64,
    pub before: i64,
}

/// Failures that rose most in the `minutes` before a moment.
pub async fn errors(conn: &mut PgConnection, moment: DateTime<Utc>, minutes: i32, limit: i64) -> Result<Vec<ErrorTrend>, StoreError> {
    Ok(sqlx::query_as!(
        ErrorTrend,
        r#"
        SELECT fingerprint, coalesce(sum(n) FILTER (WHERE at > $1::timestamptz - make_interval(mins => $2)), 0)::int8 AS "now!",
               coalesce(sum(n) FILTER (WHERE at <= $1::timestamptz - make_interval(mins => $2)), 0)::int8 AS "before!"
        FROM error_samples WHERE at <= $1::timestamptz AND at > $1::timestamptz - make_interval(mins => $2 * 2)
        GROUP BY fingerprint
        ORDER BY coalesce(sum(n) FILTER (WHERE at > $1::timestamptz - make_interval(mins => $2)), 0) DESC, fingerprint LIMIT $3
        "#,
        moment,
        minutes,
        limit
    )
    .fetch_all(conn)
    .await?)
}
