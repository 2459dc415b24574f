//! Conversations of the past, for the demo tenant.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ConversationId, TenantId, UserId};
use sqlx::PgConnection;
use uuid::{NoContext, Timestamp, Uuid};

/// A message that was exchanged once.
#[derive(Clone, Debug)]
pub struct PastMessage {
    pub conversation: ConversationId,
    pub inbound: bool,
    /// Who wrote an outbound one; `None`: a bot.
    pub by: Option<UserId>,
    pub text: String,
    pub at: DateTime<Utc>,
}

/// Writes messages (each conversation's in their order) and brings their conversations up to date.
pub async fn add(conn: &mut PgConnection, tenant: TenantId, messages: &[PastMessage]) -> Result<(), StoreError> {
    // The day in the id is the day under which a message is counted.
    let id = |at: DateTime<Utc>| Uuid::new_v7(Timestamp::from_unix(NoContext, at.timestamp().unsigned_abs(), at.timestamp_subsec_nanos()));
    sqlx::query!(
        r#"
        WITH written AS (
          INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, human_override,
                                     channel_source, content, meta, sent_at, created_at)
          SELECT c.tenant_id, n.id, c.id, c.channel_instance_id, 'wamid.demo.' || n.id, CASE WHEN n.inbound THEN 'inbound' ELSE 'outbound' END, 'text',
                 CASE WHEN n.inbound THEN 'received' ELSE 'read' END, n.by IS NOT NULL, c.channel_source, n.content,
                 CASE WHEN n.by IS NOT NULL THEN jsonb_build_object('sent_by', n.by) END, n.at, n.at
          FROM unnest($2::uuid[], $3::uuid[], $4::bool[], $5::uuid[], $6::text[], $7::timestamptz[]) n(id, conversation_id, inbound, by, content, at)
          JOIN chat_conversations c ON c.tenant_id = $1 AND c.id = n.conversation_id
          RETURNING conversation_id, direction, sent_at)
        UPDATE chat_conversations c SET last_message_at = w.last_at, last_inbound_at = w.inbound_at, unread_count = w.inbound, created_at = least(c.created_at, w.first_at)
        FROM (SELECT conversation_id, min(sent_at) AS first_at, max(sent_at) AS last_at, max(sent_at) FILTER (WHERE direction = 'inbound') AS inbound_at,
                     (count(*) FILTER (WHERE direction = 'inbound'))::int AS inbound
              FROM written GROUP BY conversation_id) w
        WHERE c.tenant_id = $1 AND c.id = w.conversation_id
        "#,
        tenant.0,
        &messages.iter().map(|message| id(message.at)).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.conversation.0).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.inbound).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.by.map(|by| by.0)).collect::<Vec<_>>() as _,
        &messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>() as _,
        &messages.iter().map(|message| message.at).collect::<Vec<_>>()
    )
    .execute(&mut *conn)
    .await?;
    // What was answered is read.
    sqlx::query!(
        "UPDATE chat_conversations c SET unread_count = (
           SELECT count(*) FROM chat_messages m WHERE m.tenant_id = c.tenant_id AND m.conversation_id = c.id AND m.direction = 'inbound'
             AND NOT EXISTS (SELECT FROM chat_messages o WHERE o.tenant_id = c.tenant_id AND o.conversation_id = c.id AND o.direction = 'outbound'
                             AND o.sent_at >= m.sent_at))
         WHERE c.tenant_id = $1 AND c.id = ANY($2)",
        tenant.0,
        &messages.iter().map(|message| message.conversation.0).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}
