//! Conversations as sessions: who chats, and where they are.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ConversationId, CustomerId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatSession {
    pub id: Uuid,
    pub user_id: Uuid,
    pub user_name: Option<String>,
    pub channel_source: String,
    /// `active escalated assigned resolved`.
    pub status: String,
    pub assigned_to: Option<Uuid>,
    pub unread_count: i32,
    pub last_message_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The tenant's sessions, those with the newest messages first.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    status: Option<&str>,
    (limit, offset): (i64, i64),
) -> Result<Vec<ChatSession>, StoreError> {
    Ok(sqlx::query_as!(
        ChatSession,
        r#"SELECT s.id AS "id!", s.customer_id AS "user_id!", c.name AS "user_name?", s.channel_source AS "channel_source!", s.status AS "status!",
                  s.assigned_to, s.unread_count AS "unread_count!", s.last_message_at, s.created_at AS "created_at!", s.updated_at AS "updated_at!"
           FROM (SELECT * FROM (
                   SELECT v.id, v.customer_id, v.channel_source, session_status(v) AS status, v.assigned_to, v.unread_count, v.last_message_at, v.created_at,
                          v.updated_at, v.active_slot
                   FROM chat_conversations v WHERE v.tenant_id = $1 AND v.merged_into IS NULL
                   ORDER BY v.active_slot DESC, coalesce(v.last_message_at, v.created_at) DESC, v.id DESC) o
                 WHERE $2::text IS NULL OR o.status = $2 LIMIT $3 OFFSET $4) s
           JOIN customers c ON c.tenant_id = $1 AND c.id = s.customer_id"#,
        tenant.0,
        status,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

/// One user's sessions, the newest first.
pub async fn of_user(
    conn: &mut PgConnection,
    tenant: TenantId,
    user: CustomerId,
    status: Option<&str>,
    (limit, offset): (i64, i64),
) -> Result<Vec<ChatSession>, StoreError> {
    Ok(sqlx::query_as!(
        ChatSession,
        r#"SELECT v.id, v.customer_id AS user_id, c.name AS user_name, v.channel_source, session_status(v) AS "status!", v.assigned_to, v.unread_count,
                  v.last_message_at, v.created_at, v.updated_at
           FROM customers k
           JOIN customers c ON c.tenant_id = k.tenant_id AND c.id = coalesce(k.merged_into, k.id)
           JOIN chat_conversations v ON v.tenant_id = c.tenant_id AND v.customer_id = c.id AND v.merged_into IS NULL
           WHERE k.tenant_id = $1 AND k.id = $2 AND ($3::text IS NULL OR session_status(v) = $3)
           ORDER BY v.created_at DESC, v.id DESC LIMIT $4 OFFSET $5"#,
        tenant.0,
        user.0,
        status,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

/// One session, also by the id of one that was joined with it.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: ConversationId) -> Result<Option<ChatSession>, StoreError> {
    Ok(sqlx::query_as!(
        ChatSession,
        r#"SELECT v.id, v.customer_id AS user_id, c.name AS user_name, v.channel_source, session_status(v) AS "status!", v.assigned_to, v.unread_count,
                  v.last_message_at, v.created_at, v.updated_at
           FROM chat_conversations v JOIN customers c ON c.tenant_id = v.tenant_id AND c.id = v.customer_id
           WHERE v.tenant_id = $1 AND v.id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)"#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}
