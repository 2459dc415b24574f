//! What the operator's tool asks to see whether everything runs.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ConversationId, TenantId};
use sqlx::PgPool;

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
