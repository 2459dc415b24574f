//! The steps of sending a message, as rows see them. A message is `sending` from before its call until what became of it is written:
//! whoever finds it so without a call of its own knows that the answer was lost.

use crate::{StoreError, inbound::seen};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ChannelInstanceId, ChannelType, MessageId, TenantId};
use serde_json::{Map, Value};
use sqlx::PgConnection;

/// A message that is to be sent, before anything is done about it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// `chat_messages.status`.
    pub status: String,
    /// The provider has it.
    pub accepted: bool,
    pub channel: ChannelInstanceId,
    pub channel_kind: Option<ChannelType>,
    /// The channel cannot send until somebody sees to it.
    pub channel_in_error: bool,
    pub written_at: DateTime<Utc>,
    /// The time by which jobs go.
    pub now: DateTime<Utc>,
}

/// A message that is `sending` now.
#[derive(Clone, Debug)]
pub struct Begun {
    pub channel_external_id: Option<String>,
    /// Sealed values by name.
    pub secrets: Map<String, Value>,
    pub message_type: String,
    pub content: Option<String>,
    pub media: Option<Value>,
    pub reply_to: Option<String>,
    pub meta: Value,
    /// How long ago the customer last wrote in the conversation, if ever.
    pub since_inbound: Option<TimeDelta>,
    /// A person wrote it.
    pub by_person: bool,
    /// E.164 with `+`.
    pub customer_phone: Option<String>,
    /// The channel's ids of the customer, the newest first.
    pub identities: Vec<String>,
}

/// Looks at a message. `None`: there is none.
pub async fn look_at(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<Option<Waiting>, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT m.status, m.external_id IS NOT NULL AS "accepted!", m.channel_instance_id, ch.type AS kind, ch.status = 'ERROR' AS "channel_in_error!", m.created_at,
               ledger_now() AS "now!"
        FROM chat_messages m JOIN channel_instances ch ON ch.tenant_id = m.tenant_id AND ch.id = m.channel_instance_id
        WHERE m.tenant_id = $1 AND m.id = $2 AND m.direction = 'outbound'
        "#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Waiting {
        status: row.status,
        accepted: row.accepted,
        channel: ChannelInstanceId(row.channel_instance_id),
        channel_kind: ChannelType::parse(&row.kind),
        channel_in_error: row.channel_in_error,
        written_at: row.created_at,
        now: row.now,
    }))
}

/// Makes a message `sending` that is `pending`, or that failed without ever having been accepted. `None`: it is not, or its channel cannot send.
pub async fn begin(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<Option<Begun>, StoreError> {
    let row = sqlx::query!(
        r#"
        UPDATE chat_messages m SET status = 'sending', errors = NULL
        FROM chat_conversations c
        JOIN customers cu ON cu.tenant_id = c.tenant_id AND cu.id = c.customer_id
        JOIN channel_instances ch ON ch.tenant_id = c.tenant_id AND ch.id = c.channel_instance_id
        WHERE m.tenant_id = $1 AND m.id = $2 AND m.status IN ('pending', 'failed') AND m.external_id IS NULL
          AND c.tenant_id = $1 AND c.id = m.conversation_id AND ch.status <> 'ERROR'
        RETURNING ch.external_id AS channel_external_id, ch.secrets, m.message_type, m.content, m.media, m.reply_to,
                  coalesce(m.meta, '{}') AS "meta!", cu.phone_number AS customer_phone, m.human_override,
                  (SELECT extract(epoch FROM ledger_now() - i.sent_at)::bigint FROM chat_messages i
                   WHERE i.tenant_id = $1 AND i.conversation_id = m.conversation_id AND i.direction = 'inbound'
                   ORDER BY i.sent_at DESC, i.id DESC LIMIT 1) AS since_inbound,
                  -- By the customer first, who has a few; a channel has everybody's.
                  ARRAY(SELECT i.external_id FROM (
                          SELECT * FROM customer_identities x WHERE x.tenant_id = c.tenant_id AND x.customer_id = c.customer_id OFFSET 0) i
                        WHERE i.channel_instance_id = c.channel_instance_id
                        ORDER BY i.created_at DESC, i.external_id) AS "identities!"
        "#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Begun {
        channel_external_id: row.channel_external_id,
        secrets: if let Value::Object(map) = row.secrets { map } else { Map::new() },
        message_type: row.message_type,
        content: row.content,
        media: row.media,
        reply_to: row.reply_to,
        meta: row.meta,
        since_inbound: row.since_inbound.and_then(TimeDelta::try_seconds),
        by_person: row.human_override,
        customer_phone: row.customer_phone,
        identities: row.identities,
    }))
}

/// The provider does not have it and will be asked again: `pending` as before.
pub async fn put_back(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<(), StoreError> {
    sqlx::query!("UPDATE chat_messages SET status = 'pending' WHERE tenant_id = $1 AND id = $2 AND status = 'sending'", tenant.0, id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// The provider has it, as `external_id`; told to those who watch. Receipts that were faster are taken over: a status only moves forward.
pub async fn accepted(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: MessageId,
    (channel, kind): (ChannelInstanceId, ChannelType),
    external_id: &str,
) -> Result<(), StoreError> {
    if seen::has_marks(kind) {
        seen::hold(conn, &[(tenant, id)]).await?;
    }
    sqlx::query!(
        r#"
        WITH found AS MATERIALIZED (SELECT id FROM chat_messages WHERE tenant_id = $1 AND channel_instance_id = $3 AND external_id = $4),
        early AS (
          DELETE FROM chat_messages p USING found WHERE p.tenant_id = $1 AND p.id = found.id AND p.message_type = 'placeholder'
          RETURNING p.status, p.errors, p.reactions),
        updated AS (
          UPDATE chat_messages m
          SET external_id = $4, errors = e.errors, reactions = coalesce(m.reactions, e.reactions),
              status = CASE WHEN e.status IS NOT NULL AND message_status_rank(e.status) > message_status_rank('sent') THEN e.status ELSE 'sent' END
          FROM (SELECT 1) one LEFT JOIN early e ON true
          WHERE m.tenant_id = $1 AND m.id = $2 AND m.external_id IS NULL
          RETURNING m.tenant_id, m.id)
        INSERT INTO realtime_events (tenant_id, events)
        SELECT tenant_id, jsonb_build_array(jsonb_build_object('kind', 'message_status', 'message', id)) FROM updated
        "#,
        tenant.0,
        id.0,
        channel.0,
        external_id
    )
    .execute(&mut *conn)
    .await?;
    if seen::has_marks(kind) {
        seen::catch_up(conn, &[(tenant, id)]).await?;
    }
    Ok(())
}

/// The customer of a message has a new id on its channel. If that is known as another customer's, it stays theirs.
pub async fn moved(conn: &mut PgConnection, tenant: TenantId, id: MessageId, external_id: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO customer_identities (tenant_id, channel_instance_id, external_id, customer_id)
         SELECT c.tenant_id, c.channel_instance_id, $3, c.customer_id
         FROM chat_messages m JOIN chat_conversations c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id
         WHERE m.tenant_id = $1 AND m.id = $2
         ON CONFLICT (tenant_id, channel_instance_id, external_id) DO NOTHING",
        tenant.0,
        id.0,
        external_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It will not be sent (`failed`), or nobody knows whether it was (`unknown`); `errors` says why. Told to those who watch.
pub async fn gave_up(conn: &mut PgConnection, tenant: TenantId, id: MessageId, status: &str, errors: &Value) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH updated AS (UPDATE chat_messages SET status = $3, errors = $4 WHERE tenant_id = $1 AND id = $2 AND status IN ('pending', 'sending')
                         RETURNING tenant_id, id)
         INSERT INTO realtime_events (tenant_id, events)
         SELECT tenant_id, jsonb_build_array(jsonb_build_object('kind', 'message_status', 'message', id)) FROM updated",
        tenant.0,
        id.0,
        status,
        errors
    )
    .execute(conn)
    .await?;
    Ok(())
}
