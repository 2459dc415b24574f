//! Messages to send: written as `pending` in the transaction that also writes their job.

use crate::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ChannelInstanceId, ChannelType, ConversationId, CustomerId, MessageId, TenantId, UserId};
use serde_json::Value;
use sqlx::PgConnection;

/// A message of a person or a service, for the customer of a conversation.
#[derive(Clone, Debug)]
pub struct NewOutbound {
    pub conversation: ConversationId,
    /// `text image video audio document template interactive`.
    pub message_type: &'static str,
    /// The text or caption.
    pub content: Option<String>,
    /// `{type, url, filename}`.
    pub media: Option<Value>,
    /// The provider's id of the message that this one answers.
    pub reply_to: Option<String>,
    /// What is specific to the type; a person's is completed with `sent_by`.
    pub meta: Value,
    /// The user who wrote it: keeps the bot away. `None`: a service or bot.
    pub by: Option<UserId>,
}

/// A message that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenOutbound {
    pub id: MessageId,
    pub conversation: ConversationId,
    /// Until when the bot is kept away, if this message did so.
    pub override_until: Option<DateTime<Utc>>,
    /// On a website it is where it should be once it is written; elsewhere somebody has to send it.
    pub is_delivered: bool,
}

/// The tenant's WhatsApp Cloud channel (its oldest).
pub async fn whatsapp_channel(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<ChannelInstanceId>, StoreError> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM channel_instances WHERE tenant_id = $1 AND type = 'WHATSAPP' AND external_id IS NOT NULL ORDER BY created_at, id LIMIT 1",
        tenant.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(ChannelInstanceId))
}

/// The live conversation with `phone` (E.164 with `+`) on a WhatsApp channel; customer and conversation are made if they are
/// missing.
pub async fn conversation_with(
    conn: &mut PgConnection,
    tenant: TenantId,
    channel: ChannelInstanceId,
    phone: &str,
) -> Result<ConversationId, StoreError> {
    let wa_id = phone.trim_start_matches('+');
    let customer = match identified(conn, tenant, channel, wa_id).await? {
        Some(customer) => customer,
        None => introduce(conn, tenant, channel, phone, wa_id).await?,
    };
    let id = sqlx::query_scalar!(
        "INSERT INTO chat_conversations AS c (tenant_id, id, channel_instance_id, customer_id, channel_source, last_inbound_at)
         VALUES ($1, $2, $3, $4, 'whatsapp', (SELECT max(o.last_inbound_at) FROM chat_conversations o
                                              WHERE o.tenant_id = $1 AND o.customer_id = $4 AND o.channel_instance_id = $3))
         ON CONFLICT (tenant_id, channel_instance_id, customer_id) WHERE status <> 'closed' DO UPDATE SET updated_at = c.updated_at
         RETURNING id",
        tenant.0,
        ConversationId::generate().0,
        channel.0,
        customer.0
    )
    .fetch_one(conn)
    .await?;
    Ok(ConversationId(id))
}

async fn identified(
    conn: &mut PgConnection,
    tenant: TenantId,
    channel: ChannelInstanceId,
    external_id: &str,
) -> Result<Option<CustomerId>, StoreError> {
    let id = sqlx::query_scalar!(
        "SELECT customer_id FROM customer_identities WHERE tenant_id = $1 AND channel_instance_id = $2 AND external_id = $3",
        tenant.0,
        channel.0,
        external_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(CustomerId))
}

/// Makes the customer of a number nobody wrote from yet, on this channel. Whoever is faster decides.
async fn introduce(
    conn: &mut PgConnection,
    tenant: TenantId,
    channel: ChannelInstanceId,
    phone: &str,
    wa_id: &str,
) -> Result<CustomerId, StoreError> {
    let customer = sqlx::query_scalar!(
        "INSERT INTO customers AS c (tenant_id, id, phone_number) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id, phone_number) DO UPDATE SET updated_at = c.updated_at RETURNING id",
        tenant.0,
        CustomerId::generate().0,
        phone
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO customer_identities (tenant_id, channel_instance_id, external_id, customer_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, channel_instance_id, external_id) DO NOTHING",
        tenant.0,
        channel.0,
        wa_id,
        customer
    )
    .execute(&mut *conn)
    .await?;
    identified(conn, tenant, channel, wa_id).await?.ok_or(StoreError::Stale("a customer"))
}

/// True on a WhatsApp channel of the Cloud API when the customer's last message is older than `window`, or there is none.
pub async fn window_is_closed(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    window: TimeDelta,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT EXISTS (SELECT FROM chat_conversations c JOIN channel_instances ch ON ch.tenant_id = c.tenant_id AND ch.id = c.channel_instance_id
                       WHERE c.tenant_id = $1 AND c.id = $2 AND ch.type = 'WHATSAPP' AND ch.external_id IS NOT NULL
                         AND coalesce(c.last_inbound_at + make_interval(secs => $3) <= ledger_now(), true)) AS "closed!"
        "#,
        tenant.0,
        conversation.0,
        window.as_seconds_f64()
    )
    .fetch_one(conn)
    .await?)
}

/// Writes a message as `pending` (on a website: `sent`) and moves its conversation. A person's message says that they have read it, and keeps the bot away for
/// `override_ttl`, or as long as the tenant's settings say. Holds the conversation's lock, so that the order of messages is the order of their jobs.
/// `None`: there is no such conversation.
pub async fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    new: &NewOutbound,
    override_ttl: TimeDelta,
) -> Result<Option<WrittenOutbound>, StoreError> {
    let id = MessageId::generate();
    let row = sqlx::query!(
        r#"
        WITH moved AS (
          UPDATE chat_conversations c
          SET status = CASE WHEN c.status = 'snoozed' THEN 'open' ELSE c.status END,
              unread_count = CASE WHEN $9::uuid IS NULL THEN c.unread_count ELSE 0 END,
              last_message_at = greatest(c.last_message_at, now()), updated_at = now(),
              human_epoch = c.human_epoch + CASE WHEN $9::uuid IS NULL THEN 0 ELSE 1 END,
              human_override_until = CASE WHEN $9::uuid IS NULL THEN c.human_override_until
                                          ELSE greatest(c.human_override_until, ledger_now() + override_ttl($1, $10)) END
          WHERE c.tenant_id = $1 AND c.id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)
          RETURNING c.id, c.channel_instance_id, c.channel_source, CASE WHEN $9::uuid IS NULL THEN NULL ELSE c.human_override_until END AS override_until)
        INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, direction, message_type, status, human_override,
                                   channel_source, content, media, reply_to, meta, sent_at)
        SELECT $1, $3, id, channel_instance_id, 'outbound', $4, CASE channel_source WHEN 'widget' THEN 'sent' ELSE 'pending' END, $9::uuid IS NOT NULL, channel_source, $5, $6, $7,
               nullif($8::jsonb || CASE WHEN $9::uuid IS NULL THEN '{}' ELSE jsonb_build_object('sent_by', $9::uuid) END, '{}'), now()
        FROM moved
        RETURNING conversation_id AS "conversation_id!", status = 'sent' AS "is_delivered!", (SELECT override_until FROM moved) AS override_until
        "#,
        tenant.0,
        new.conversation.0,
        id.0,
        new.message_type,
        new.content,
        new.media,
        new.reply_to,
        new.meta,
        new.by.map(|by| by.0),
        override_ttl.as_seconds_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| WrittenOutbound {
        id,
        conversation: ConversationId(row.conversation_id),
        override_until: row.override_until,
        is_delivered: row.is_delivered,
    }))
}

/// The customer's conversation that was last active; an open one before closed ones.
pub async fn last_conversation_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: CustomerId,
) -> Result<Option<ConversationId>, StoreError> {
    let id = sqlx::query_scalar!(
        "SELECT v.id FROM customers c
         JOIN chat_conversations v ON v.tenant_id = c.tenant_id AND v.customer_id = coalesce(c.merged_into, c.id) AND v.merged_into IS NULL
         WHERE c.tenant_id = $1 AND c.id = $2
         ORDER BY v.status = 'closed', coalesce(v.last_message_at, v.created_at) DESC, v.id LIMIT 1",
        tenant.0,
        customer.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(ConversationId))
}

/// The channel's id of a message of the conversation. `None`: there is no such message in it, or the channel does not have it.
pub async fn answerable(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    message: MessageId,
) -> Result<Option<String>, StoreError> {
    let id = sqlx::query_scalar!(
        "SELECT m.external_id FROM chat_messages m
         WHERE m.tenant_id = $1 AND m.id = $3 AND m.conversation_id = (
           SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)",
        tenant.0,
        conversation.0,
        message.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.flatten())
}

/// The type of channel that a conversation is on.
pub async fn channel_type_of(conn: &mut PgConnection, tenant: TenantId, id: ConversationId) -> Result<Option<ChannelType>, StoreError> {
    let kind = sqlx::query_scalar!(
        "SELECT ch.type FROM chat_conversations c JOIN channel_instances ch ON ch.tenant_id = c.tenant_id AND ch.id = c.channel_instance_id
         WHERE c.tenant_id = $1 AND c.id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(kind.as_deref().and_then(ChannelType::parse))
}

/// A message in the queue.
#[derive(Clone, Debug)]
pub struct QueueEntry {
    /// `PENDING SENDING SENT FAILED DEAD`.
    pub status: String,
    pub attempts: i32,
    pub next_retry_at: Option<DateTime<Utc>>,
}

/// How far a message is.
pub async fn queue_entry(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<Option<QueueEntry>, StoreError> {
    Ok(sqlx::query_as!(
        QueueEntry,
        r#"SELECT status AS "status!", attempts AS "attempts!", next_retry_at FROM channel_message_queue WHERE tenant_id = $1 AND message_id = $2"#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}
