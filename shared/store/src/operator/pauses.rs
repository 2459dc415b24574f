//! What operators hold: queues, kinds, tenants, channels, and workers that shall take nothing new. It lives in Postgres, so it survives everything.

use crate::{
    StoreError,
    ledger::{self, NewJob},
    operator_jobs::{Actor, record},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

/// What a message waits for whose channel is held.
pub const CHANNEL_PAUSED: &str = "channel paused by an operator";
/// So many of them are called at once.
const CALLED: i64 = 5_000;

/// Something that is held.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Pause {
    /// `queue:NAME`, `kind:KIND`, `tenant:ID`, `channel:UUID` or `worker:NAME`.
    pub what: String,
    pub paused_at: DateTime<Utc>,
    pub paused_by: String,
    pub reason: Option<String>,
}

/// Everything that is held, the latest first.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Pause>, StoreError> {
    Ok(sqlx::query_as!(Pause, "SELECT what, paused_at, paused_by, reason FROM job_pauses ORDER BY paused_at DESC, what")
        .fetch_all(conn)
        .await?)
}

/// Is it held?
pub async fn is_held(pool: &PgPool, what: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM job_pauses WHERE what = $1) AS "held!""#, what).fetch_one(pool).await?)
}

/// Is there such a tenant, or such a channel? Everything else may be held before it is there.
pub async fn exists(pool: &PgPool, what: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT CASE split_part($1, ':', 1)
                 WHEN 'tenant' THEN EXISTS (SELECT FROM tenants WHERE id = split_part($1, ':', 2)::int4)
                 WHEN 'channel' THEN EXISTS (SELECT FROM channel_instances WHERE id = split_part($1, ':', 2)::uuid)
                 ELSE true END AS "exists!"
        "#,
        what
    )
    .fetch_one(pool)
    .await?)
}

/// Holds `what`. False: it was held already.
pub async fn hold(pool: &PgPool, actor: &Actor, what: &str) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!(
        "INSERT INTO job_pauses (what, paused_by, reason) VALUES ($1, $2, $3) ON CONFLICT (what) DO NOTHING",
        what,
        actor.name,
        actor.reason
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if let Some(tenant) = tenant(what) {
        // Whoever holds a webhook of theirs reads this row: see `held_events`.
        sqlx::query!("UPDATE tenants SET paused_at = now() WHERE id = $1 AND paused_at IS NULL", tenant).execute(&mut *tx).await?;
    }
    record(&mut tx, actor, "pause", &json!({"what": what}), changed).await?;
    tx.commit().await?;
    Ok(changed > 0)
}

/// The tenant that is named.
fn tenant(what: &str) -> Option<i32> {
    what.strip_prefix("tenant:")?.parse().ok()
}

/// Lets it go on, and enqueues what follows from it: a tenant's webhooks that were held. False: it was not held.
pub async fn release(pool: &PgPool, actor: &Actor, what: &str, follow_up: &[NewJob]) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!("DELETE FROM job_pauses WHERE what = $1", what).execute(&mut *tx).await?.rows_affected();
    if let Some(tenant) = tenant(what) {
        sqlx::query!("UPDATE tenants SET paused_at = NULL WHERE id = $1", tenant).execute(&mut *tx).await?;
    }
    if changed > 0 && !follow_up.is_empty() {
        ledger::enqueue(&mut tx, follow_up).await?;
    }
    record(&mut tx, actor, "resume", &json!({"what": what}), changed).await?;
    tx.commit().await?;
    if what.starts_with("channel:")
        && changed > 0
        && let Err(error) = call_messages(pool).await
    {
        tracing::warn!(%error, what, "what waited for it is not called, and looks by itself within minutes");
    }
    Ok(changed > 0)
}

/// Messages that wait for a channel look again now; those whose channel is held still go back. Any that are not called look by themselves, which those
/// that a person lets wait for longer do.
async fn call_messages(pool: &PgPool) -> Result<(), StoreError> {
    let now = ledger::last_position(pool).await?;
    loop {
        let called = sqlx::query!(
            "UPDATE jobs SET run_at = ledger_now()
             WHERE id = ANY(ARRAY(SELECT id FROM jobs WHERE queue = 'outbound' AND state = 'queued' AND run_at > ledger_now()
                                    AND run_at < ledger_now() + interval '10 minutes' AND position <= $1 AND (errors -> -1 ->> 'message') LIKE '%' || $2
                                  ORDER BY queue, run_at LIMIT $3 FOR UPDATE SKIP LOCKED))",
            now,
            CHANNEL_PAUSED,
            CALLED
        );
        if called.execute(pool).await?.rows_affected() < CALLED.unsigned_abs() {
            return Ok(());
        }
    }
}
