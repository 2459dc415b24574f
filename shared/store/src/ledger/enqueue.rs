//! Writing new jobs, in the transaction that causes them.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{JobId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;

/// A job to write. Made by `jobs::enqueue`, which knows each kind's queue and policy.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub id: JobId,
    pub kind: &'static str,
    pub queue: &'static str,
    pub tenant_id: TenantId,
    /// Lower runs sooner; 0 is normal.
    pub priority: i16,
    /// `None`: as soon as possible.
    pub run_at: Option<DateTime<Utc>>,
    /// Jobs of one kind that share this run one at a time, in the order in which they were enqueued. The caller holds
    /// the lock of the row they order on (the conversation).
    pub ordering_key: Option<String>,
    /// How much work it is, for jobs that run in batches (ProcessWebhook: events, and more for large bodies).
    pub weight: i32,
    pub max_attempts: i16,
    /// While a job of this kind with the same key is live, another one is not written.
    pub idempotency_key: Option<String>,
    /// W3C traceparent of what caused it.
    pub trace: Option<String>,
    pub args: Value,
    /// Crash count that a split job inherits from its parent; 0 for everything else.
    pub crashes: i16,
}

/// Writes `jobs` and returns the ids of those that were new (the others' idempotency keys are taken).
pub async fn enqueue(conn: &mut PgConnection, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_scalar!(
        r#"
        INSERT INTO jobs (id, kind, queue, tenant_id, priority, run_at, scheduled, ordering_key, ordering_seq, weight, max_attempts,
                          idempotency_key, trace, args, crashes)
        SELECT j.id, j.kind, j.queue, j.tenant_id, j.priority, j.run_at, j.run_at IS NOT NULL, j.ordering_key,
               CASE WHEN j.ordering_key IS NOT NULL THEN nextval('job_ordering') END, j.weight, j.max_attempts,
               j.idempotency_key, j.trace, j.args, j.crashes
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int4[], $5::int2[], $6::timestamptz[], $7::text[], $8::int4[],
                    $9::int2[], $10::text[], $11::text[], $12::jsonb[], $13::int2[])
             AS j(id, kind, queue, tenant_id, priority, run_at, ordering_key, weight, max_attempts, idempotency_key, trace, args, crashes)
        ON CONFLICT (kind, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        RETURNING id
        "#,
        &jobs.iter().map(|j| j.id.0).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.kind.to_owned()).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.queue.to_owned()).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.tenant_id.0).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.priority).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.run_at).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| j.ordering_key.clone()).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| j.weight).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.max_attempts).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.idempotency_key.clone()).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| j.trace.clone()).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| j.args.clone()).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.crashes).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(JobId).collect())
}
