//! Worker processes and what they must know: are they alive, what is paused, what shall be cancelled.

use super::Run;
use crate::StoreError;
use domain::{JobId, TenantId, WorkerId};
use sqlx::{PgConnection, PgPool};

/// A worker process as it announces itself.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    pub id: WorkerId,
    /// Host and process id, for people.
    pub name: String,
    /// Its queues, and how many jobs of each it runs at once.
    pub queues: Vec<(String, i32)>,
}

/// Announces a worker. Until then it can claim nothing.
pub async fn register_worker(pool: &PgPool, worker: &WorkerRow) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO job_workers (id, name, queues, concurrency, slots, started_at, heartbeat_at) VALUES ($1, $2, $3, $4, $5, now(), now())
         ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at",
        worker.id.0,
        worker.name,
        &worker.queues.iter().map(|(queue, _)| queue.clone()).collect::<Vec<_>>(),
        worker.queues.iter().map(|(_, slots)| *slots).min().unwrap_or(0),
        &worker.queues.iter().map(|(_, slots)| *slots).collect::<Vec<_>>()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Says that the worker lives. False: it was declared dead, and must go on under a new id.
pub async fn heartbeat(conn: &mut PgConnection, id: WorkerId) -> Result<bool, StoreError> {
    let result = sqlx::query!("UPDATE job_workers SET heartbeat_at = now() WHERE id = $1", id.0).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}

/// Takes leave, after everything was settled or released.
pub async fn unregister_worker(pool: &PgPool, id: WorkerId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM job_workers WHERE id = $1", id.0).execute(pool).await?;
    Ok(())
}

/// How many jobs of `queue` all live workers together can run at once. Those that take nothing new do not count.
pub async fn live_slots(pool: &PgPool, queue: &str) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(sum(coalesce(slots[array_position(queues, $1)], concurrency)), 0) AS "slots!" FROM job_workers
           WHERE $1 = ANY(queues) AND NOT EXISTS (SELECT FROM job_pauses p WHERE p.what = 'worker:' || split_part(name, ':', 1))"#,
        queue
    )
    .fetch_one(pool)
    .await?)
}

/// What an operator holds, as far as the feeder must know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub queues: Vec<String>,
    pub kinds: Vec<String>,
    pub tenants: Vec<TenantId>,
}

/// What is held now. (Channels are asked about by those who send on them.)
pub async fn held(pool: &PgPool) -> Result<Held, StoreError> {
    let rows = sqlx::query_scalar!("SELECT what FROM job_pauses").fetch_all(pool).await?;
    let of = |name: &str| {
        rows.iter()
            .filter_map(|what| what.split_once(':'))
            .filter(|(scope, _)| *scope == name)
            .map(|(_, key)| key.to_owned())
            .collect::<Vec<_>>()
    };
    let tenants = of("tenant").iter().filter_map(|id| id.parse().ok()).map(TenantId).collect();
    Ok(Held { queues: of("queue"), kinds: of("kind"), tenants })
}

/// Which of the worker's running jobs an operator wants cancelled.
pub async fn cancel_requests(pool: &PgPool, id: WorkerId) -> Result<Vec<JobId>, StoreError> {
    let rows = sqlx::query_scalar!("SELECT id FROM jobs WHERE state = 'running' AND locked_by = $1 AND cancel_requested", id.0)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(JobId).collect())
}

/// The jobs that the ledger says `worker` runs.
pub async fn running(pool: &PgPool, worker: WorkerId) -> Result<Vec<Run>, StoreError> {
    let rows = sqlx::query!("SELECT id, position FROM jobs WHERE state = 'running' AND locked_by = $1", worker.0).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|r| Run { id: JobId(r.id), position: r.position }).collect())
}
