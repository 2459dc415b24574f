//! Sessions of users: a sign-in and the refresh tokens that prolong it, each used once.

use crate::StoreError;
use domain::{SessionId, TenantId, UserId, UserRole};
use sqlx::{PgConnection, PgPool};
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

/// A session to open.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    pub user: UserId,
    /// The contract that its tokens speak.
    pub contract: &'a str,
    /// How long it lives unless it is refreshed.
    pub ttl: Duration,
    /// The hash of its first refresh token; `None` for a contract without them.
    pub refresh_hash: Option<&'a [u8]>,
}

/// Whose a session is, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    pub session: SessionId,
    pub tenant: TenantId,
    pub user: UserId,
    pub role: UserRole,
    pub contract: String,
}

/// Why a session ended (`user_sessions.ended_why`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Logout,
    RefreshTokenReused,
    UserChanged,
    PasswordChanged,
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::UserChanged => "user_changed",
            Self::PasswordChanged => "password_changed",
        }
    }
}

/// What came of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The old token is used up, the new one is good.
    Rotated(SessionUser),
    /// Nobody was given this token, or its session has ended.
    Unknown,
    /// The token was used before: somebody has a copy. Its session is ended now.
    Reused(SessionUser),
    /// Another request used the token while this one was under way. Nothing is wrong with the session.
    Outrun,
}

/// Opens a session and notes that its user signed in.
pub async fn open(conn: &mut PgConnection, tenant: TenantId, new: NewSession<'_>) -> Result<SessionId, StoreError> {
    let id = SessionId::generate();
    sqlx::query!(
        "WITH opened AS (INSERT INTO user_sessions (tenant_id, id, user_id, contract, expires_at)
                         VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))),
              signed_in AS (UPDATE users SET last_login_at = now() WHERE tenant_id = $1 AND id = $3)
         SELECT 1 AS one",
        tenant.0,
        id.0,
        new.user.0,
        new.contract,
        new.ttl.as_secs_f64()
    )
    .fetch_one(&mut *conn)
    .await?;
    if let Some(hash) = new.refresh_hash {
        sqlx::query!("INSERT INTO refresh_tokens (tenant_id, token_hash, session_id) VALUES ($1, $2, $3)", tenant.0, hash, id.0)
            .execute(conn)
            .await?;
    }
    Ok(id)
}

/// Those of these sessions that are live and whose users may still sign in.
pub async fn live(pool: &PgPool, sessions: &[(TenantId, SessionId)]) -> Result<HashSet<SessionId>, StoreError> {
    let rows = sqlx::query_scalar!(
        "SELECT s.id FROM unnest($1::int4[], $2::uuid[]) w(tenant_id, id)
         JOIN user_sessions s ON s.tenant_id = w.tenant_id AND s.id = w.id
         JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
         WHERE s.ended_at IS NULL AND s.expires_at > now() AND u.active",
        &sessions.iter().map(|session| session.0.0).collect::<Vec<_>>(),
        &sessions.iter().map(|session| session.1.0).collect::<Vec<_>>()
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(SessionId).collect())
}

/// The session, if it is live and its user may still sign in.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: SessionId) -> Result<Option<SessionUser>, StoreError> {
    let row = sqlx::query!(
        "SELECT s.user_id, s.contract, u.role FROM user_sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
         WHERE s.tenant_id = $1 AND s.id = $2 AND s.ended_at IS NULL AND s.expires_at > now() AND u.active",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| session_user(tenant, id.0, row.user_id, &row.role, row.contract)))
}

fn session_user(tenant: TenantId, session: Uuid, user: Uuid, role: &str, contract: String) -> SessionUser {
    let role = UserRole::parse(role).unwrap_or(UserRole::Agent);
    SessionUser { session: SessionId(session), tenant, user: UserId(user), role, contract }
}

/// Uses up the refresh token `old` and gives the session `new`. Of several that come at once with one token, one is `Rotated` and
/// the others, who saw it unused when they looked, are `Outrun`.
pub async fn refresh(conn: &mut PgConnection, old: &[u8], new: &[u8], ttl: Duration) -> Result<Refreshed, StoreError> {
    let known = sqlx::query!(
        r#"
        SELECT t.used_at IS NOT NULL AS "used!", s.tenant_id, s.id, s.user_id, s.contract, u.role
        FROM refresh_tokens t JOIN user_sessions s ON s.tenant_id = t.tenant_id AND s.id = t.session_id
        JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
        WHERE t.token_hash = $1 AND s.ended_at IS NULL AND s.expires_at > now() AND u.active
        "#,
        old
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = known else { return Ok(Refreshed::Unknown) };
    let user = session_user(TenantId(row.tenant_id), row.id, row.user_id, &row.role, row.contract);
    if row.used {
        end(conn, user.tenant, user.session, Ended::RefreshTokenReused).await?;
        return Ok(Refreshed::Reused(user));
    }
    let rotated = sqlx::query!(
        "WITH used AS (UPDATE refresh_tokens SET used_at = now() WHERE token_hash = $1 AND used_at IS NULL RETURNING tenant_id, session_id),
              given AS (INSERT INTO refresh_tokens (tenant_id, token_hash, session_id) SELECT tenant_id, $2, session_id FROM used)
         UPDATE user_sessions s SET expires_at = now() + make_interval(secs => $3)
         FROM used WHERE s.tenant_id = used.tenant_id AND s.id = used.session_id",
        old,
        new,
        ttl.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(if rotated.rows_affected() == 1 { Refreshed::Rotated(user) } else { Refreshed::Outrun })
}

/// Ends one session.
pub async fn end(conn: &mut PgConnection, tenant: TenantId, id: SessionId, why: Ended) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE user_sessions SET ended_at = now(), ended_why = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant.0,
        id.0,
        why.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends all sessions of a user, but for `except`. Returns those that were live.
pub async fn end_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    why: Ended,
    except: Option<SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    let rows = sqlx::query_scalar!(
        "UPDATE user_sessions SET ended_at = now(), ended_why = $3
         WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL AND ($4::uuid IS NULL OR id <> $4) RETURNING id",
        tenant.0,
        user.0,
        why.as_str(),
        except.map(|id| id.0)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(SessionId).collect())
}

/// Forgets up to `limit` sessions that are over for 30 days, and as many refresh tokens that were used so long ago (if one comes
/// again it is refused as unknown). Returns how many sessions and tokens.
pub async fn forget_old(pool: &PgPool, limit: i64) -> Result<u64, StoreError> {
    let sessions = sqlx::query!(
        "DELETE FROM user_sessions WHERE (tenant_id, id) IN (
           SELECT tenant_id, id FROM user_sessions WHERE expires_at < now() - interval '30 days' ORDER BY expires_at LIMIT $1)",
        limit
    )
    .execute(pool)
    .await?;
    let tokens = sqlx::query!(
        "DELETE FROM refresh_tokens WHERE token_hash IN (
           SELECT token_hash FROM refresh_tokens WHERE used_at < now() - interval '30 days' ORDER BY used_at LIMIT $1)",
        limit
    )
    .execute(pool)
    .await?;
    Ok(sessions.rows_affected() + tokens.rows_affected())
}
