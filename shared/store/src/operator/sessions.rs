//! Operators who are signed in to the pages, who they are, and what they did.

use crate::{StoreError, operator_jobs::Actor, users::User};
use chrono::{DateTime, Utc};
use domain::{TenantId, UserId};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

/// Whoever is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSession {
    /// For the audit log: `operator`, or `user:UUID (e-mail)`.
    pub actor: String,
    /// False: they may look only.
    pub may_act: bool,
}

/// Opens a session of `lasting`, known by the hash of its token. `user`: as they were when their password was looked at.
pub async fn open(
    conn: &mut PgConnection,
    token_hash: &[u8],
    session: &OperatorSession,
    user: Option<&User>,
    lasting: Duration,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO operator_sessions (token_hash, actor, may_act, user_id, password_changed_at, ends_at)
         VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
        token_hash,
        session.actor,
        session.may_act,
        user.map(|user| user.id.0),
        user.and_then(|user| user.password_changed_at),
        lasting.as_secs_f64()
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM operator_sessions WHERE ends_at < now()").execute(conn).await?;
    Ok(())
}

/// The session of a token, unless it has ended or nobody used it for `idle`. `active`: this is a use of it. A user who is not an operator
/// any more, was shut out, or has another password by now, has none; what they may do is as it is now.
pub async fn find(pool: &PgPool, token_hash: &[u8], idle: Duration, active: bool) -> Result<Option<OperatorSession>, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH found AS (
          SELECT s.token_hash, s.actor, s.seen_at, CASE WHEN s.user_id IS NULL THEN s.may_act ELSE s.may_act AND o.may_act END AS may_act
          FROM operator_sessions s
          LEFT JOIN platform_operators o ON o.user_id = s.user_id
          LEFT JOIN users u ON u.tenant_id = o.tenant_id AND u.id = o.user_id AND u.active
            AND u.password_changed_at IS NOT DISTINCT FROM s.password_changed_at
          WHERE s.token_hash = $1 AND s.ends_at > now() AND s.seen_at > now() - make_interval(secs => $2)
            AND (s.user_id IS NULL OR u.id IS NOT NULL)),
        seen AS (
          -- Once a minute is enough.
          UPDATE operator_sessions s SET seen_at = now() FROM found f
          WHERE $3 AND s.token_hash = f.token_hash AND f.seen_at < now() - interval '1 minute')
        SELECT actor, may_act AS "may_act!" FROM found
        "#,
        token_hash,
        idle.as_secs_f64(),
        active
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| OperatorSession { actor: row.actor, may_act: row.may_act }))
}

/// Ends a session. False: there is none.
pub async fn close(conn: &mut PgConnection, token_hash: &[u8]) -> Result<bool, StoreError> {
    let closed = sqlx::query!("DELETE FROM operator_sessions WHERE token_hash = $1", token_hash).execute(conn).await?;
    Ok(closed.rows_affected() == 1)
}

/// What a user may do on the operators' pages. `None`: they are no operator.
pub async fn platform_role(conn: &mut PgConnection, user: UserId) -> Result<Option<bool>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT may_act FROM platform_operators WHERE user_id = $1", user.0).fetch_optional(conn).await?)
}

/// Makes a user an operator.
pub async fn appoint(conn: &mut PgConnection, tenant: TenantId, user: UserId, may_act: bool) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO platform_operators (tenant_id, user_id, may_act) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET may_act = excluded.may_act",
        tenant.0,
        user.0,
        may_act
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the role away, and ends the user's sessions. Returns whether they might act; `None`: they were no operator.
pub async fn dismiss(conn: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<Option<bool>, StoreError> {
    let might_act =
        sqlx::query_scalar!("DELETE FROM platform_operators WHERE tenant_id = $1 AND user_id = $2 RETURNING may_act", tenant.0, user.0)
            .fetch_optional(&mut *conn)
            .await?;
    sqlx::query!("DELETE FROM operator_sessions WHERE user_id = $1", user.0).execute(conn).await?;
    Ok(might_act)
}

/// An act of an operator.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OperatorAct {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub act: String,
    pub subject: Value,
    /// How many rows it changed.
    pub affected: i64,
    pub reason: Option<String>,
}

/// The latest acts, newest first; with `before`, those before that one.
pub async fn acts(conn: &mut PgConnection, before: Option<i64>, limit: i64) -> Result<Vec<OperatorAct>, StoreError> {
    Ok(sqlx::query_as!(
        OperatorAct,
        "SELECT id, at, actor, act, subject, affected, reason FROM operator_acts WHERE $1::int8 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        before,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// Notes an act that changed no row of the ledger: a sign-in, one that was refused, an appointment.
pub async fn note(conn: &mut PgConnection, actor: &Actor, act: &str, subject: &Value) -> Result<(), StoreError> {
    crate::operator_jobs::record(conn, actor, act, subject, 1).await
}
