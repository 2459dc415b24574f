//! Jobs that ended without a word of their own: an operator cancelled them, or the engine buried them, since their process died, they took too
//! long or they panicked. What they leave unfinished is closed by a job, `close_unfinished`, which locks in the order in which everybody does.

use super::{NewJob, enqueue};
use crate::StoreError;
use domain::{JobId, TenantId};
use serde_json::json;
use sqlx::PgConnection;

/// The kind of that job, its queue, and how often it is tried.
pub const CLOSE_UNFINISHED: &str = "close_unfinished";
pub const CLOSE_UNFINISHED_QUEUE: &str = "chores";
pub const CLOSE_UNFINISHED_ATTEMPTS: i16 = 10;

/// Kinds for which somebody waits: a message, a document, an import, a customer.
const AWAITED: [&str; 4] = ["send_outbound", "ingest_document", "import_contacts", "run_auto_reply"];

/// Has closed what these jobs leave, if any of them are dead letters or were cancelled, in the transaction that ended them.
pub async fn close(conn: &mut PgConnection, ids: &[JobId]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let ended = sqlx::query!(
        r#"
        SELECT id AS "id!", tenant_id AS "tenant_id!", kind AS "kind!", args AS "args!", split_part(fingerprint, ':', 2) AS "class!", trace
        FROM jobs_dead WHERE id = ANY($1) AND kind = ANY($2)
        UNION ALL
        SELECT id, tenant_id, kind, args, 'cancelled', trace FROM jobs_done
        WHERE finished_on >= (ledger_now() AT TIME ZONE 'utc')::date - 1 AND id = ANY($1) AND kind = ANY($2) AND state = 'cancelled'
        "#,
        &ids.iter().map(|id| id.0).collect::<Vec<_>>(),
        &AWAITED.map(str::to_owned)
    )
    .fetch_all(&mut *conn)
    .await?;
    let jobs: Vec<NewJob> = ended
        .into_iter()
        .map(|job| NewJob {
            id: JobId::generate(),
            kind: CLOSE_UNFINISHED,
            queue: CLOSE_UNFINISHED_QUEUE,
            tenant_id: TenantId(job.tenant_id),
            // Somebody waits already.
            priority: -1,
            run_at: None,
            ordering_key: None,
            weight: 1,
            max_attempts: CLOSE_UNFINISHED_ATTEMPTS,
            idempotency_key: None,
            trace: job.trace,
            args: json!({"job_id": job.id, "kind": job.kind, "args": job.args, "class": job.class}),
            crashes: 0,
        })
        .collect();
    enqueue(conn, &jobs).await?;
    Ok(())
}

/// Is there a live job of this kind for what one of `keys` (its ordering key) names?
pub async fn is_live(conn: &mut PgConnection, kind: &str, keys: &[String]) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM jobs WHERE kind = $1 AND ordering_key = ANY($2)) AS "live!""#, kind, keys)
        .fetch_one(conn)
        .await?)
}
