//! New messages, and the conversations they move.

use super::{Located, MovedMessage, OverrideSet, PersonKey, Written, WrittenMessage, effective_time, people::People, row_key};
use crate::StoreError;
use chrono::TimeDelta;
use domain::{ConversationId, DeliveryStatus, Direction, EventBody, MessageId, NewMessage, TenantId};
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The messages of a batch, each external id once (the first one), in the order of their keys.
pub(super) struct NewMessages<'a> {
    pub(super) rows: Vec<NewRow<'a>>,
}

pub(super) struct NewRow<'a> {
    pub(super) item: &'a Located,
    pub(super) message: &'a NewMessage,
    pub(super) id: MessageId,
    /// Whom it is from or for.
    pub(super) person: PersonKey,
}

impl<'a> NewMessages<'a> {
    pub(super) fn of(items: &'a [Located]) -> Self {
        let mut rows = BTreeMap::new();
        for item in items {
            if let EventBody::Message(message) = &item.event.body {
                // The map sorts by key; ids sort by arrival.
                rows.entry(row_key(item, &message.external_id)).or_insert_with(|| NewRow {
                    item,
                    message,
                    id: arrival_id(item),
                    person: PersonKey::of(item.channel, &message.person),
                });
            }
        }
        Self { rows: rows.into_values().collect() }
    }
}

/// An id that sorts by arrival, however late the message is processed: the raw event's, with the position in the body for
/// its last 32 bits.
fn arrival_id(item: &Located) -> MessageId {
    let event = item.raw_event_id.0.as_u128();
    MessageId(Uuid::from_u128(event >> 32 << 32 | u128::from(item.event.position)))
}

fn status(message: &NewMessage) -> DeliveryStatus {
    match message.direction {
        Direction::Inbound | Direction::System => DeliveryStatus::Received,
        Direction::Outbound => DeliveryStatus::Sent,
    }
}

/// Inserts the messages that are new and moves their conversations, in one statement.
pub(super) async fn insert(
    conn: &mut PgConnection,
    messages: &NewMessages<'_>,
    people: &People,
    override_ttl: TimeDelta,
    written: &mut Written,
) -> Result<(), StoreError> {
    // A message without a conversation is one seen before, whose conversation is closed: nothing to write.
    let rows: Vec<_> = messages
        .rows
        .iter()
        .zip(&people.conversations)
        .filter_map(|(row, conversation)| Some((row.item, row.message, row.id, (*conversation)?)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    for (item, message, _, conversation) in rows.iter().filter(|row| row.1.may_be_ours) {
        written.statuses.extend(adopt(conn, item, message, *conversation).await?);
    }
    let inserted = sqlx::query!(
        r#"
        WITH inserted AS (
          INSERT INTO chat_messages AS m (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status,
                                          human_override, channel_source, content, media, reply_to, meta, sent_at)
          SELECT n.tenant_id, n.id, n.conversation_id, n.channel_instance_id, n.external_id, n.direction, n.message_type, n.status,
                 n.by_person, n.source, n.content, n.media, n.reply_to, n.meta, n.sent_at
          FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bool[],
                      $10::text[], $11::jsonb[], $12::text[], $13::jsonb[], $14::text[], $15::timestamptz[])
               AS n(tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, by_person,
                    content, media, reply_to, meta, source, sent_at)
          ON CONFLICT (tenant_id, channel_instance_id, external_id) DO UPDATE
            SET id = excluded.id, conversation_id = excluded.conversation_id, direction = excluded.direction, message_type = excluded.message_type,
                status = CASE WHEN excluded.direction = 'outbound' AND message_status_rank(m.status) > message_status_rank(excluded.status)
                              THEN m.status ELSE excluded.status END,
                human_override = excluded.human_override,
                content = CASE WHEN m.edited_at IS NULL THEN excluded.content ELSE m.content END,
                media = CASE WHEN m.edited_at IS NULL THEN excluded.media ELSE coalesce(m.media, excluded.media) END,
                reply_to = excluded.reply_to, meta = excluded.meta, sent_at = excluded.sent_at
            WHERE m.conversation_id IS NULL
          RETURNING tenant_id, id, conversation_id, direction, human_override, sent_at, media IS NOT NULL AS has_file),
        moved AS (
          UPDATE chat_conversations c
          SET status = CASE WHEN a.inbound > 0 THEN 'open' ELSE c.status END,
              unread_count = c.unread_count + a.inbound,
              last_message_at = greatest(c.last_message_at, a.last_at), last_inbound_at = greatest(c.last_inbound_at, a.inbound_at),
              human_override_until = CASE WHEN a.until > ledger_now() THEN greatest(c.human_override_until, a.until) ELSE c.human_override_until END,
              human_epoch = c.human_epoch + a.by_person
          FROM (SELECT *, CASE WHEN person_at IS NOT NULL THEN person_at + override_ttl(tenant_id, $16) END AS until FROM (
                  SELECT tenant_id, conversation_id, max(sent_at) AS last_at, count(*) FILTER (WHERE direction = 'inbound')::int AS inbound,
                         max(sent_at) FILTER (WHERE direction = 'inbound') AS inbound_at,
                         max(sent_at) FILTER (WHERE human_override) AS person_at, count(*) FILTER (WHERE human_override)::int AS by_person
                  FROM inserted GROUP BY tenant_id, conversation_id ORDER BY tenant_id, conversation_id) g) a
          WHERE c.tenant_id = a.tenant_id AND c.id = a.conversation_id AND c.status <> 'closed'
          RETURNING c.tenant_id, c.id, CASE WHEN a.until > ledger_now() THEN c.human_override_until END AS override_until)
        -- Messages (with an id), then the conversations that moved: joined below, since a join here would be a loop in a loop.
        SELECT tenant_id AS "tenant_id!", id, conversation_id AS "conversation_id!", direction = 'inbound' AS "inbound!", has_file AS "has_file!",
               NULL::timestamptz AS override_until
        FROM inserted
        UNION ALL SELECT tenant_id, NULL, id, false, false, override_until FROM moved
        "#,
        &rows.iter().map(|r| r.0.channel.tenant_id.0).collect::<Vec<_>>(),
        &rows.iter().map(|r| r.2.0).collect::<Vec<_>>(),
        &rows.iter().map(|r| r.3.0).collect::<Vec<_>>(),
        &rows.iter().map(|r| r.0.channel.id.0).collect::<Vec<_>>(),
        &rows.iter().map(|r| r.1.external_id.as_str()).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| r.1.direction.as_str()).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| r.1.message_type.as_str()).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| status(r.1).as_str()).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| r.1.from_business_phone).collect::<Vec<_>>(),
        &rows.iter().map(|r| r.1.content.as_deref()).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| r.1.media.as_ref().and_then(|m| serde_json::to_value(m).ok())).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| r.1.reply_to.as_deref()).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| Some(&r.1.meta).filter(|meta| !meta.is_null())).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| r.0.channel.kind.source()).collect::<Vec<_>>() as _,
        &rows.iter().map(|r| effective_time(r.1.sent_at, r.0.received_at)).collect::<Vec<_>>(),
        override_ttl.as_seconds_f64(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut moved = HashMap::new();
    for row in inserted {
        let (tenant_id, conversation_id) = (TenantId(row.tenant_id), ConversationId(row.conversation_id));
        match row.id {
            Some(id) => {
                let (inbound, has_file) = (row.inbound, row.has_file);
                written.messages.push(WrittenMessage { tenant_id, id: MessageId(id), conversation_id, inbound, has_file });
            }
            None => {
                moved.insert((tenant_id, conversation_id), row.override_until);
            }
        }
    }
    if written.messages.iter().any(|message| !moved.contains_key(&(message.tenant_id, message.conversation_id))) {
        return Err(StoreError::Stale("a conversation"));
    }
    let overrides = moved
        .into_iter()
        .filter_map(|((tenant_id, conversation_id), until)| Some(OverrideSet { tenant_id, conversation_id, until: until? }));
    written.overrides.extend(overrides);
    Ok(())
}

/// An echo that may be of a message of ours whose provider's answer was lost, or has not come yet, gives its id to that message: the oldest of the
/// conversation that says the same. Then it is known, and no person's.
async fn adopt(
    conn: &mut PgConnection,
    item: &Located,
    message: &NewMessage,
    conversation: ConversationId,
) -> Result<Option<MovedMessage>, StoreError> {
    let row = sqlx::query!(
        r#"
        UPDATE chat_messages m SET external_id = $4, status = 'sent', errors = NULL
        WHERE m.tenant_id = $1 AND m.external_id IS NULL AND m.status IN ('sending', 'unknown')
          AND m.id = (SELECT o.id FROM chat_messages o
                      WHERE o.tenant_id = $1 AND o.conversation_id = $2 AND o.direction = 'outbound' AND o.external_id IS NULL
                        AND o.status IN ('sending', 'unknown') AND o.message_type = $5 AND o.content IS NOT DISTINCT FROM $6
                      ORDER BY o.sent_at, o.id LIMIT 1)
          AND NOT EXISTS (SELECT FROM chat_messages k WHERE k.tenant_id = $1 AND k.channel_instance_id = $3 AND k.external_id = $4)
        RETURNING m.tenant_id, m.id, m.conversation_id, m.status
        "#,
        item.channel.tenant_id.0,
        conversation.0,
        item.channel.id.0,
        message.external_id,
        message.message_type,
        message.content
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| MovedMessage::visible(row.tenant_id, row.id, row.conversation_id, &row.status)))
}
