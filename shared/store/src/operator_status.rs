//! What the operator's tool asks to see whether everything runs.

use crate::{StoreError, conversation_lists, counts, messages::MessageFilter};
use chrono::{DateTime, Utc};
use domain::{ConversationId, TenantId};
use sqlx::{PgConnection, PgPool};

/// A message as it is shown to an operator.
#[derive(Clone, Debug)]
pub struct ShownMessage {
    pub conversation_id: Option<ConversationId>,
    pub direction: String,
    pub message_type: String,
    pub status: String,
    pub content: Option<String>,
    pub external_id: Option<String>,
    pub customer_name: Option<String>,
    pub customer_phone: Option<String>,
}

/// Figures of all tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Conversations that are open.
    pub active_chats: i64,
    pub messages: i64,
    /// Dead jobs and failed messages of the last 24 hours.
    pub errors_24h: i64,
}

/// Counts, from the totals; what failed, from indexes that hold nothing else.
pub async fn figures(conn: &mut PgConnection) -> Result<Figures, StoreError> {
    let open: Vec<String> = conversation_lists::SOURCES.iter().map(|source| format!("conversation:{source}:open")).collect();
    let errors_24h = sqlx::query_scalar!(
        r#"SELECT (SELECT count(*) FROM jobs_dead WHERE died_at > now() - interval '24 hours')
                + (SELECT count(*) FROM chat_messages WHERE status = 'failed' AND id >= first_id_at(now() - interval '24 hours')) AS "n!""#
    )
    .fetch_one(&mut *conn)
    .await?;
    Ok(Figures {
        active_chats: counts::total_of_all(conn, &open).await?,
        messages: counts::total_of_all(conn, &MessageFilter::default().measures()).await?,
        errors_24h,
    })
}

/// The database's time: an answer means that it is up.
pub async fn now(pool: &PgPool) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(pool).await?)
}

/// True if a worker process that started after `since` sends heartbeats.
pub async fn worker_since(pool: &PgPool, since: DateTime<Utc>) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM job_workers WHERE started_at >= $1 AND heartbeat_at > now() - interval '10 seconds') AS "up!""#,
        since
    )
    .fetch_one(pool)
    .await?)
}

/// A tenant's message by the provider's id, once it has a conversation.
pub async fn find_message(pool: &PgPool, tenant_id: TenantId, external_id: &str) -> Result<Option<ShownMessage>, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT m.conversation_id, m.direction, m.message_type, m.status, m.content, m.external_id,
               k.name AS "customer_name?", k.phone_number AS "customer_phone?"
        FROM channel_instances i
        JOIN chat_messages m ON m.tenant_id = i.tenant_id AND m.channel_instance_id = i.id AND m.external_id = $2
        JOIN chat_conversations c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id
        LEFT JOIN customers k ON k.tenant_id = c.tenant_id AND k.id = c.customer_id
        WHERE i.tenant_id = $1
        "#,
        tenant_id.0,
        external_id
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|r| ShownMessage {
        conversation_id: r.conversation_id.map(ConversationId),
        direction: r.direction,
        message_type: r.message_type,
        status: r.status,
        content: r.content,
        external_id: r.external_id,
        customer_name: r.customer_name,
        customer_phone: r.customer_phone,
    }))
}
