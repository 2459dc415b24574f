//! Each queue in one line.

use crate::StoreError;
use sqlx::PgPool;

/// A queue as it is now. Ages are in seconds, by the ledger's clock.
#[derive(Clone, Debug, serde::Serialize)]
pub struct QueueStats {
    pub queue: String,
    /// Due and not taken.
    pub ready: i64,
    pub oldest_ready_s: Option<f64>,
    /// Scheduled, or waiting for a retry.
    pub delayed: i64,
    pub running: i64,
    pub longest_running_s: Option<f64>,
    pub dead: i64,
    pub oldest_dead_s: Option<f64>,
    /// Since midnight UTC.
    pub done_today: i64,
    /// Live worker processes that serve it.
    pub workers: i64,
    pub paused: bool,
}

/// Every queue that has or had jobs, a setting, or a worker. Counts everything: for people, not for every second.
pub async fn stats(pool: &PgPool) -> Result<Vec<QueueStats>, StoreError> {
    Ok(sqlx::query_as!(
        QueueStats,
        r#"
        WITH live AS (
          SELECT queue,
                 count(*) FILTER (WHERE state = 'queued' AND run_at IS NULL) AS ready,
                 min(created_at) FILTER (WHERE state = 'queued' AND run_at IS NULL) AS oldest_ready,
                 count(*) FILTER (WHERE state = 'queued' AND run_at IS NOT NULL) AS delayed,
                 count(*) FILTER (WHERE state = 'running') AS running,
                 min(started_at) FILTER (WHERE state = 'running') AS longest_running
          FROM jobs GROUP BY queue),
        dead AS (SELECT queue, count(*) AS dead, min(died_at) AS oldest_dead FROM jobs_dead GROUP BY queue),
        done AS (
          SELECT queue, count(*) AS done FROM jobs_done
          WHERE finished_on = (ledger_now() AT TIME ZONE 'utc')::date AND state = 'done' GROUP BY queue),
        served AS (
          SELECT queue, count(*) AS workers FROM job_workers CROSS JOIN LATERAL unnest(queues) AS q(queue)
          WHERE heartbeat_at > now() - interval '30 seconds' GROUP BY queue)
        SELECT queue AS "queue!", coalesce(ready, 0) AS "ready!", extract(epoch FROM ledger_now() - oldest_ready)::float8 AS oldest_ready_s,
               coalesce(delayed, 0) AS "delayed!", coalesce(running, 0) AS "running!",
               extract(epoch FROM ledger_now() - longest_running)::float8 AS longest_running_s,
               coalesce(dead, 0) AS "dead!", extract(epoch FROM ledger_now() - oldest_dead)::float8 AS oldest_dead_s,
               coalesce(done, 0) AS "done_today!", coalesce(workers, 0) AS "workers!", held IS NOT NULL AS "paused!"
        FROM live FULL JOIN dead USING (queue) FULL JOIN done USING (queue) FULL JOIN served USING (queue)
        FULL JOIN (SELECT substr(what, 7) AS queue, paused_at AS held FROM job_pauses WHERE what LIKE 'queue:%') h USING (queue)
        ORDER BY queue
        "#
    )
    .fetch_all(pool)
    .await?)
}
