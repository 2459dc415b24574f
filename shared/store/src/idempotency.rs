//! Answers to requests that may be repeated. The key is claimed in the transaction of what the request does, so that of two at
//! once the second waits for the first, and whatever is killed, effects and answer are there together or not at all.

use crate::StoreError;
use domain::TenantId;
use sqlx::{PgConnection, PgPool};

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// New: do the work, then [`keep`] the answer.
    New,
    /// Done before: this was the answer.
    Done { status: u16, response: Vec<u8> },
    /// Used before for another request or body.
    Different,
}

/// A request with a key.
#[derive(Clone, Copy, Debug)]
pub struct KeyedRequest<'a> {
    pub key: &'a str,
    /// Method, path and user.
    pub request: &'a str,
    pub body_hash: &'a [u8],
}

/// Claims the key. Waits while another transaction holds it.
pub async fn claim(conn: &mut PgConnection, tenant: TenantId, request: KeyedRequest<'_>) -> Result<Claim, StoreError> {
    let made = sqlx::query!(
        "INSERT INTO idempotency_keys (tenant_id, key, request, body_hash) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, key) DO NOTHING",
        tenant.0,
        request.key,
        request.request,
        request.body_hash
    )
    .execute(&mut *conn)
    .await?;
    if made.rows_affected() == 1 {
        return Ok(Claim::New);
    }
    let row = sqlx::query!(
        "SELECT request, body_hash, status, response FROM idempotency_keys WHERE tenant_id = $1 AND key = $2",
        tenant.0,
        request.key
    )
    .fetch_optional(conn)
    .await?;
    match row {
        Some(row) if row.request == request.request && row.body_hash == request.body_hash => match (row.status, row.response) {
            (Some(status), Some(response)) => Ok(Claim::Done { status: u16::try_from(status).unwrap_or(200), response }),
            _ => Err(StoreError::Stale("an idempotency key")),
        },
        Some(_) => Ok(Claim::Different),
        // Its day ended between the two statements.
        None => Err(StoreError::Stale("an idempotency key")),
    }
}

/// Keeps the answer to the request that claimed `key`.
pub async fn keep(conn: &mut PgConnection, tenant: TenantId, key: &str, status: u16, response: &[u8]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE idempotency_keys SET status = $3, response = $4 WHERE tenant_id = $1 AND key = $2",
        tenant.0,
        key,
        i16::try_from(status).unwrap_or(200),
        response
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets up to `limit` keys that are older than a day. Returns how many.
pub async fn forget_old(pool: &PgPool, limit: i64) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        "DELETE FROM idempotency_keys WHERE (tenant_id, key) IN (
           SELECT tenant_id, key FROM idempotency_keys WHERE created_at < now() - interval '1 day' ORDER BY created_at LIMIT $1)",
        limit
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}
