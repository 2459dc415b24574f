//! What people of a tenant did: sign-ins and changes. Append only.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::TenantId;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// An act to note.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// `user:UUID`, `operator`, `service`, or the e-mail of a sign-in that failed.
    pub actor: &'a str,
    /// `noun.verb`: `user.create`, `session.open`.
    pub act: &'a str,
    /// The id of the row it was done to.
    pub subject: Option<String>,
    /// What else matters; never secrets.
    pub detail: Option<Value>,
}

/// An act as it is read.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub act: String,
    pub subject: Option<String>,
    pub detail: Option<Value>,
}

/// Notes an act, in the transaction of what was done.
pub async fn note(conn: &mut PgConnection, tenant: TenantId, act: &Act<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO audit_log (tenant_id, id, actor, act, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        tenant.0,
        Uuid::now_v7(),
        act.actor,
        act.act,
        act.subject,
        act.detail
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The latest acts, newest first; with `before`, those before that entry.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, before: Option<Uuid>, limit: i64) -> Result<Vec<Entry>, StoreError> {
    Ok(sqlx::query_as!(
        Entry,
        "SELECT id, at, actor, act, subject, detail FROM audit_log WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        tenant.0,
        before,
        limit
    )
    .fetch_all(conn)
    .await?)
}
