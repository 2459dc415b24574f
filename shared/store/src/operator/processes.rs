//! API and worker processes, as they tell of themselves.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::WorkerId;
use platform::figures::Lanes;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// A process as it announces itself.
#[derive(Clone, Debug)]
pub struct Announced {
    pub id: Uuid,
    /// `api` or `worker`.
    pub role: &'static str,
    /// Host and process id, for people.
    pub name: String,
    pub version: &'static str,
}

/// A process as operators see it. Times are seconds by Postgres's clock.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Process {
    pub id: Uuid,
    pub role: String,
    pub name: String,
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// How long ago it was last heard of, in seconds.
    pub silent_s: f64,
    /// A worker's queues, each with how many jobs of it run at once.
    pub queues: Vec<String>,
    pub slots: Vec<i32>,
    /// Jobs that it runs.
    pub running: i64,
    /// It takes nothing new.
    pub draining: bool,
    #[serde(skip)]
    pub worker: Option<WorkerId>,
    #[serde(skip)]
    pub figures: Lanes,
}

/// Says that the process lives, and what it did in the last minute. `worker`: under which id it claims jobs now.
pub async fn beat(pool: &PgPool, process: &Announced, worker: Option<WorkerId>, figures: &Lanes) -> Result<(), StoreError> {
    // Plain data; it cannot fail to become JSON.
    let figures = serde_json::to_value(figures).unwrap_or_default();
    sqlx::query!(
        "INSERT INTO processes (id, role, name, version, worker_id, figures) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET beat_at = now(), worker_id = excluded.worker_id, figures = excluded.figures",
        process.id,
        process.role,
        process.name,
        process.version,
        worker.map(|id| id.0),
        figures
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The process ended well.
pub async fn gone(pool: &PgPool, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM processes WHERE id = $1", id).execute(pool).await?;
    Ok(())
}

/// So many processes are listed at most.
pub const MOST: i64 = 500;

/// Those that were heard of in the last hour, workers first; at most [`MOST`].
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Process>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT p.id, p.role, p.name, p.version, p.started_at, extract(epoch FROM now() - p.beat_at)::float8 AS "silent_s!", p.worker_id, p.figures,
               coalesce(w.queues, '{}') AS "queues!", coalesce(w.slots, '{}') AS "slots!",
               (SELECT count(*) FROM jobs j WHERE j.state = 'running' AND j.locked_by = p.worker_id) AS "running!",
               EXISTS (SELECT FROM job_pauses h WHERE h.what = 'worker:' || split_part(p.name, ':', 1)) AS "draining!"
        FROM processes p LEFT JOIN job_workers w ON w.id = p.worker_id
        WHERE p.beat_at > now() - interval '1 hour' ORDER BY p.role DESC, p.name LIMIT $1
        "#,
        MOST
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Process {
            id: row.id,
            role: row.role,
            name: row.name,
            version: row.version,
            started_at: row.started_at,
            silent_s: row.silent_s,
            queues: row.queues,
            slots: row.slots,
            running: row.running,
            draining: row.draining,
            worker: row.worker_id.map(WorkerId),
            // Another version may write them differently: then it has none.
            figures: serde_json::from_value(row.figures).unwrap_or_default(),
        })
        .collect())
}

/// Forgets processes that have been silent for a day.
pub async fn forget(pool: &PgPool) -> Result<u64, StoreError> {
    Ok(sqlx::query!("DELETE FROM processes WHERE beat_at < now() - interval '1 day'").execute(pool).await?.rows_affected())
}
