//! Receipts for everything up to a moment. The mark is kept: a message that is found sent later gets it too, so the order of arrival does not
//! matter.

use super::{Located, MovedMessage, of_kind, row_key};
use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ChannelType, DeliveryStatus, Direction, EventBody, MessageId, TenantId};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Delivered and read until.
type Mark = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// Do receipts of this type of channel come for everything up to a moment?
pub(crate) fn has_marks(kind: ChannelType) -> bool {
    matches!(kind, ChannelType::Facebook | ChannelType::Instagram)
}

/// Keeps the marks and moves the messages before them.
pub(super) async fn mark(conn: &mut PgConnection, items: &[Located]) -> Result<Vec<MovedMessage>, StoreError> {
    let mut marks: BTreeMap<_, Mark> = BTreeMap::new();
    for (item, seen) in of_kind(items, |body| if let EventBody::SeenUpTo(seen) = body { Some(seen) } else { None }) {
        let Some(id) = &seen.person.user_id else { continue };
        let (delivered, read) = marks.entry(row_key(item, id)).or_default();
        let mark = if seen.status == DeliveryStatus::Read { read } else { delivered };
        *mark = (*mark).max(Some(seen.at.min(item.received_at)));
    }
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query!(
        "INSERT INTO seen_marks AS s (tenant_id, channel_instance_id, external_id, delivered_until, read_until)
         SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
         ON CONFLICT (tenant_id, channel_instance_id, external_id) DO UPDATE
           SET delivered_until = greatest(s.delivered_until, excluded.delivered_until), read_until = greatest(s.read_until, excluded.read_until)
           WHERE excluded.delivered_until > coalesce(s.delivered_until, '-infinity') OR excluded.read_until > coalesce(s.read_until, '-infinity')",
        &marks.keys().map(|key| key.0).collect::<Vec<_>>(),
        &marks.keys().map(|key| key.1).collect::<Vec<_>>(),
        &marks.keys().map(|key| key.2).collect::<Vec<_>>() as _,
        &marks.values().map(|mark| mark.0).collect::<Vec<_>>() as _,
        &marks.values().map(|mark| mark.1).collect::<Vec<_>>() as _
    )
    .execute(&mut *conn)
    .await?;
    let moved = sqlx::query!(
        r#"
        UPDATE chat_messages m SET status = CASE WHEN m.sent_at <= s.read_until THEN 'read' ELSE 'delivered' END
        FROM unnest($1::int4[], $2::uuid[], $3::text[]) w(tenant_id, channel_instance_id, external_id)
        JOIN seen_marks s ON s.tenant_id = w.tenant_id AND s.channel_instance_id = w.channel_instance_id AND s.external_id = w.external_id
        JOIN customer_identities i ON i.tenant_id = w.tenant_id AND i.channel_instance_id = w.channel_instance_id AND i.external_id = w.external_id
        JOIN chat_conversations c ON c.tenant_id = i.tenant_id AND c.customer_id = i.customer_id AND c.channel_instance_id = w.channel_instance_id
        WHERE m.tenant_id = c.tenant_id AND m.conversation_id = c.id AND m.direction = 'outbound' AND m.status IN ('sent', 'delivered')
          AND m.channel_source IN ('facebook', 'instagram')
          AND (m.sent_at <= s.read_until OR m.status = 'sent' AND m.sent_at <= s.delivered_until)
        RETURNING m.tenant_id, m.id, m.conversation_id, m.status
        "#,
        &marks.keys().map(|key| key.0).collect::<Vec<_>>(),
        &marks.keys().map(|key| key.1).collect::<Vec<_>>(),
        &marks.keys().map(|key| key.2).collect::<Vec<_>>() as _
    )
    .fetch_all(conn)
    .await?;
    Ok(moved.into_iter().filter_map(|row| MovedMessage::visible(row.tenant_id, row.id, row.conversation_id, &row.status)).collect())
}

/// Is it a message to a person whose receipts are such?
pub(super) fn sends_to_marked(item: &Located) -> bool {
    has_marks(item.channel.kind) && matches!(&item.event.body, EventBody::Message(message) if message.direction == Direction::Outbound)
}

/// Lets no mark of these messages' people be written until the transaction ends. Otherwise a message and a mark that are written at the same moment
/// would miss each other.
pub(crate) async fn hold(conn: &mut PgConnection, messages: &[(TenantId, MessageId)]) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO seen_marks AS s (tenant_id, channel_instance_id, external_id)
         SELECT DISTINCT i.tenant_id, i.channel_instance_id, i.external_id
         FROM unnest($1::int4[], $2::uuid[]) w(tenant_id, id)
         JOIN chat_messages m ON m.tenant_id = w.tenant_id AND m.id = w.id
         JOIN chat_conversations c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id
         JOIN customer_identities i ON i.tenant_id = c.tenant_id AND i.customer_id = c.customer_id AND i.channel_instance_id = c.channel_instance_id
         ORDER BY 1, 2, 3
         ON CONFLICT (tenant_id, channel_instance_id, external_id) DO UPDATE SET read_until = s.read_until",
        &messages.iter().map(|message| message.0.0).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.1.0).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves messages that are sent as far as marks say that came before. [`hold`] first.
pub(crate) async fn catch_up(conn: &mut PgConnection, messages: &[(TenantId, MessageId)]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE chat_messages m SET status = CASE WHEN m.sent_at <= s.read_until THEN 'read' ELSE 'delivered' END
         FROM unnest($1::int4[], $2::uuid[]) w(tenant_id, id), chat_conversations c, customer_identities i, seen_marks s
         WHERE m.tenant_id = w.tenant_id AND m.id = w.id AND m.direction = 'outbound' AND m.status IN ('sent', 'delivered')
           AND c.tenant_id = m.tenant_id AND c.id = m.conversation_id
           AND i.tenant_id = c.tenant_id AND i.customer_id = c.customer_id AND i.channel_instance_id = c.channel_instance_id
           AND s.tenant_id = i.tenant_id AND s.channel_instance_id = i.channel_instance_id AND s.external_id = i.external_id
           AND (m.sent_at <= s.read_until OR m.status = 'sent' AND m.sent_at <= s.delivered_until)",
        &messages.iter().map(|message| message.0.0).collect::<Vec<_>>(),
        &messages.iter().map(|message| message.1.0).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}
