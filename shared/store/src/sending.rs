//! The steps of sending a message, as rows see them. A message is `sending` from before its call until what became of it is written:
//! whoever finds it so without a call of its own knows that the answer was lost.

use crate::{StoreError, inbound::seen};
use chrono::TimeDelta;
use domain::{ChannelInstanceId, ChannelType, ConversationId, MessageId, TenantId};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use std::{collections::BTreeMap, time::Duration};

/// A message that is to be sent, before anything is done about it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// `chat_messages.status`.
    pub status: String,
    /// The provider has it.
    pub accepted: bool,
    /// An agent wrote it, and a person has written since.
    pub overtaken: bool,
    pub conversation: ConversationId,
    pub message_type: String,
    /// The channel's newest id of the customer.
    pub recipient: Option<String>,
    pub channel: ChannelInstanceId,
    /// How many messages a second its provider takes, where the tenant has said so.
    pub per_second: Option<u32>,
    pub channel_kind: Option<ChannelType>,
    /// The channel sends nothing.
    pub held: Option<Held>,
}

/// Why a channel sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// An operator has paused it, so long ago.
    Paused { since: Duration },
    /// It cannot, until somebody sees to it.
    InError,
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
    /// How long ago the customer last wrote on the channel, if ever.
    pub since_inbound: Option<TimeDelta>,
    /// A person wrote it.
    pub by_person: bool,
    /// E.164 with `+`.
    pub customer_phone: Option<String>,
    /// The channel's ids of the customer, the newest first.
    pub identities: Vec<String>,
}

/// A message that its provider has taken, as `external_id`.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub tenant: TenantId,
    pub id: MessageId,
    pub channel: ChannelInstanceId,
    pub kind: ChannelType,
    pub external_id: String,
}

/// Looks at messages. What there is not is left out.
pub async fn look_at(conn: &mut PgConnection, messages: &[(TenantId, MessageId)]) -> Result<BTreeMap<MessageId, Waiting>, StoreError> {
    let (tenants, ids) = columns(messages);
    let rows = sqlx::query!(
        r#"
        SELECT m.id, m.status, m.external_id IS NOT NULL AS "accepted!", m.message_type, m.conversation_id AS "conversation_id!", m.channel_instance_id,
               ch.type AS kind, ch.status = 'ERROR' AS "channel_in_error!",
               (SELECT greatest(extract(epoch FROM now() - p.paused_at), 0)::float8 FROM job_pauses p WHERE p.what = 'channel:' || ch.id) AS paused_s,
               (ch.config ->> 'messagesPerSecond')::int AS per_second,
               coalesce((m.meta ->> 'human_epoch')::int <> c.human_epoch, false) AS "overtaken!", i.external_id AS "recipient?"
        -- Row by row, whatever the planner believes of the tables' sizes.
        FROM unnest($1::int4[], $2::uuid[]) w(tenant_id, id)
        CROSS JOIN LATERAL (SELECT * FROM chat_messages x WHERE x.tenant_id = w.tenant_id AND x.id = w.id AND x.direction = 'outbound' OFFSET 0) m
        CROSS JOIN LATERAL (SELECT * FROM chat_conversations x WHERE x.tenant_id = m.tenant_id AND x.id = m.conversation_id OFFSET 0) c
        CROSS JOIN LATERAL (SELECT * FROM channel_instances x WHERE x.tenant_id = m.tenant_id AND x.id = m.channel_instance_id OFFSET 0) ch
        LEFT JOIN LATERAL (
          -- By the customer first, who has a few; a channel has everybody's.
          SELECT y.external_id FROM (
            SELECT * FROM customer_identities x WHERE x.tenant_id = c.tenant_id AND x.customer_id = c.customer_id OFFSET 0) y
          WHERE y.channel_instance_id = m.channel_instance_id ORDER BY y.created_at DESC, y.external_id LIMIT 1) i ON true
        "#,
        &tenants,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let waiting = rows.into_iter().map(|row| {
        let waiting = Waiting {
            status: row.status,
            accepted: row.accepted,
            overtaken: row.overtaken,
            conversation: ConversationId(row.conversation_id),
            message_type: row.message_type,
            recipient: row.recipient,
            per_second: row.per_second.and_then(|messages| u32::try_from(messages).ok()).filter(|messages| *messages > 0),
            channel: ChannelInstanceId(row.channel_instance_id),
            channel_kind: ChannelType::parse(&row.kind),
            held: match row.paused_s {
                Some(paused) => Some(Held::Paused { since: Duration::try_from_secs_f64(paused).unwrap_or_default() }),
                None => row.channel_in_error.then_some(Held::InError),
            },
        };
        (MessageId(row.id), waiting)
    });
    Ok(waiting.collect())
}

/// A message that failed without ever having been accepted is to be sent all the same: `pending` again. The caller holds its job.
pub async fn revive(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE chat_messages SET status = 'pending', errors = NULL WHERE tenant_id = $1 AND id = $2 AND status = 'failed' AND external_id IS NULL",
        tenant.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes messages `sending` that are `pending`. Left out: those that are not (whoever was told that one failed is not deceived by a run that stalled), or
/// whose channel cannot send.
pub async fn begin(conn: &mut PgConnection, messages: &[(TenantId, MessageId)]) -> Result<BTreeMap<MessageId, Begun>, StoreError> {
    let (tenants, ids) = columns(messages);
    let rows = sqlx::query!(
        r#"
        UPDATE chat_messages m SET status = 'sending', errors = NULL
        FROM unnest($1::int4[], $2::uuid[]) w(tenant_id, id)
        WHERE m.tenant_id = w.tenant_id AND m.id = w.id AND m.status = 'pending' AND m.external_id IS NULL
          AND (SELECT ch.status FROM channel_instances ch WHERE ch.tenant_id = m.tenant_id AND ch.id = m.channel_instance_id) <> 'ERROR'
        -- Looked up row by row: a join of so many tables is planned badly where they are new.
        RETURNING m.id, m.message_type, m.content, m.media, m.reply_to, coalesce(m.meta, '{}') AS "meta!", m.human_override,
                  (SELECT ch.external_id FROM channel_instances ch WHERE ch.tenant_id = m.tenant_id AND ch.id = m.channel_instance_id)
                    AS channel_external_id,
                  (SELECT ch.secrets FROM channel_instances ch WHERE ch.tenant_id = m.tenant_id AND ch.id = m.channel_instance_id) AS "secrets!",
                  (SELECT cu.phone_number FROM customers cu WHERE cu.tenant_id = m.tenant_id AND cu.id = (
                     SELECT c.customer_id FROM chat_conversations c WHERE c.tenant_id = m.tenant_id AND c.id = m.conversation_id)) AS customer_phone,
                  (SELECT extract(epoch FROM ledger_now() - c.last_inbound_at)::bigint FROM chat_conversations c
                   WHERE c.tenant_id = m.tenant_id AND c.id = m.conversation_id) AS since_inbound,
                  -- By the customer first, who has a few; a channel has everybody's.
                  ARRAY(SELECT i.external_id FROM (
                          SELECT * FROM customer_identities x WHERE x.tenant_id = m.tenant_id AND x.customer_id = (
                            SELECT c.customer_id FROM chat_conversations c WHERE c.tenant_id = m.tenant_id AND c.id = m.conversation_id) OFFSET 0) i
                        WHERE i.channel_instance_id = m.channel_instance_id
                        ORDER BY i.created_at DESC, i.external_id) AS "identities!"
        "#,
        &tenants,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let begun = rows.into_iter().map(|row| {
        let begun = Begun {
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
        };
        (MessageId(row.id), begun)
    });
    Ok(begun.collect())
}

/// The provider does not have it and will be asked again: `pending` as before.
pub async fn put_back(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<(), StoreError> {
    sqlx::query!("UPDATE chat_messages SET status = 'pending' WHERE tenant_id = $1 AND id = $2 AND status = 'sending'", tenant.0, id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// The providers have them; told to those who watch. Receipts that were faster are taken over: a status only moves forward.
pub async fn accepted(conn: &mut PgConnection, messages: &[&Accepted]) -> Result<(), StoreError> {
    let marked: Vec<_> =
        messages.iter().filter(|message| seen::has_marks(message.kind)).map(|message| (message.tenant, message.id)).collect();
    if !marked.is_empty() {
        seen::hold(conn, &marked).await?;
    }
    sqlx::query!(
        r#"
        WITH given AS MATERIALIZED (SELECT * FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[]) g(tenant_id, id, channel_instance_id, external_id)),
        found AS MATERIALIZED (
          SELECT p.tenant_id, p.id FROM given g CROSS JOIN LATERAL (
            SELECT x.tenant_id, x.id FROM chat_messages x
            WHERE x.tenant_id = g.tenant_id AND x.channel_instance_id = g.channel_instance_id AND x.external_id = g.external_id OFFSET 0) p),
        early AS (
          DELETE FROM chat_messages p USING found WHERE p.tenant_id = found.tenant_id AND p.id = found.id AND p.message_type = 'placeholder'
          RETURNING p.tenant_id, p.channel_instance_id, p.external_id, p.status, p.errors, p.reactions),
        updated AS (
          UPDATE chat_messages m
          SET external_id = g.external_id, errors = e.errors, reactions = coalesce(m.reactions, e.reactions),
              status = CASE WHEN e.status IS NOT NULL AND message_status_rank(e.status) > message_status_rank('sent') THEN e.status ELSE 'sent' END
          FROM given g LEFT JOIN early e USING (tenant_id, channel_instance_id, external_id)
          WHERE m.tenant_id = g.tenant_id AND m.id = g.id AND m.external_id IS NULL
          RETURNING m.tenant_id, m.id, m.status)
        INSERT INTO realtime_events (tenant_id, events)
        SELECT tenant_id, jsonb_agg(jsonb_build_object('kind', 'message_status', 'message', id, 'status', status)) FROM updated GROUP BY tenant_id
        "#,
        &messages.iter().map(|message| message.tenant.0).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.id.0).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.channel.0).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.external_id.as_str()).collect::<Vec<_>>() as _
    )
    .execute(&mut *conn)
    .await?;
    if !marked.is_empty() {
        seen::catch_up(conn, &marked).await?;
    }
    Ok(())
}

fn columns(messages: &[(TenantId, MessageId)]) -> (Vec<i32>, Vec<uuid::Uuid>) {
    messages.iter().map(|(tenant, id)| (tenant.0, id.0)).unzip()
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
                         RETURNING tenant_id, id, status)
         INSERT INTO realtime_events (tenant_id, events)
         SELECT tenant_id, jsonb_build_array(jsonb_build_object('kind', 'message_status', 'message', id, 'status', status)) FROM updated",
        tenant.0,
        id.0,
        status,
        errors
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Its job was given up, so that nobody sends it, unless it was put back since. One that is `sending` may have arrived. Told to those who watch.
pub async fn close(conn: &mut PgConnection, tenant: TenantId, id: MessageId, why: &str) -> Result<(), StoreError> {
    // Held first, so that a job that is just put back is seen by the next statement.
    sqlx::query!("SELECT id FROM chat_messages WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant.0, id.0)
        .fetch_optional(&mut *conn)
        .await?;
    sqlx::query!(
        "WITH updated AS (
           UPDATE chat_messages
           SET status = CASE status WHEN 'sending' THEN 'unknown' ELSE 'failed' END,
               errors = jsonb_build_array(jsonb_build_object('code', NULL, 'message', NULL, 'title',
                          CASE status WHEN 'sending' THEN 'It may or may not have arrived: ' ELSE 'It was not sent: ' END || $3))
           WHERE tenant_id = $1 AND id = $2 AND status IN ('pending', 'sending')
             AND NOT EXISTS (SELECT FROM jobs WHERE kind = 'send_outbound' AND idempotency_key = $2::text)
           RETURNING tenant_id, id, status)
         INSERT INTO realtime_events (tenant_id, events)
         SELECT tenant_id, jsonb_build_array(jsonb_build_object('kind', 'message_status', 'message', id, 'status', status)) FROM updated",
        tenant.0,
        id.0,
        why
    )
    .execute(conn)
    .await?;
    Ok(())
}
