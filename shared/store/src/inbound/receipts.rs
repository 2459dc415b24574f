//! Delivery receipts. A receipt may come before its message: then it makes the row, and the message fills it in.

use super::{Located, MovedMessage, Written, effective_time, of_kind, row_key};
use crate::StoreError;
use domain::{EventBody, MessageId, StatusUpdate};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Moves statuses forward, never back.
pub(super) async fn advance(conn: &mut PgConnection, items: &[Located], written: &mut Written) -> Result<(), StoreError> {
    let mut furthest: BTreeMap<_, (&Located, &StatusUpdate)> = BTreeMap::new();
    for (item, update) in of_kind(items, |body| if let EventBody::Status(update) = body { Some(update) } else { None }) {
        let entry = furthest.entry(row_key(item, &update.external_id)).or_insert((item, update));
        if entry.1.status < update.status {
            *entry = (item, update);
        }
    }
    if furthest.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = furthest.into_values().collect();
    written.statuses.extend(recognise(conn, &rows).await?);
    let changed = sqlx::query!(
        r#"
        INSERT INTO chat_messages AS m (tenant_id, id, channel_instance_id, external_id, direction, message_type, status, channel_source, sent_at, errors)
        SELECT u.tenant_id, u.id, u.channel_instance_id, u.external_id, 'outbound', 'placeholder', u.status, u.source, u.at, u.errors
        FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::jsonb[])
             AS u(tenant_id, id, channel_instance_id, external_id, status, at, source, errors)
        ON CONFLICT (tenant_id, channel_instance_id, external_id) DO UPDATE
          SET status = excluded.status, errors = coalesce(excluded.errors, m.errors)
          WHERE m.direction <> 'inbound' AND message_status_rank(excluded.status) > message_status_rank(m.status)
        RETURNING m.tenant_id, m.id, m.conversation_id, m.status
        "#,
        &rows.iter().map(|(item, _)| item.channel.tenant_id.0).collect::<Vec<_>>(),
        &rows.iter().map(|_| MessageId::generate().0).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.id.0).collect::<Vec<_>>(),
        &rows.iter().map(|(_, update)| update.external_id.as_str()).collect::<Vec<_>>() as _,
        &rows.iter().map(|(_, update)| update.status.as_str()).collect::<Vec<_>>() as _,
        &rows.iter().map(|(item, update)| effective_time(update.at, item.received_at)).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.kind.source()).collect::<Vec<_>>() as _,
        &rows.iter().map(|(_, update)| update.errors.as_ref()).collect::<Vec<_>>() as _,
    )
    .fetch_all(conn)
    .await?;
    written.applied += changed.len();
    let visible = changed.into_iter().filter_map(|row| MovedMessage::visible(row.tenant_id, row.id, row.conversation_id, &row.status));
    written.statuses.extend(visible);
    Ok(())
}

/// Receipts that carry our own id give their id to a message whose provider's answer was lost, or has not come yet.
async fn recognise(conn: &mut PgConnection, rows: &[(&Located, &StatusUpdate)]) -> Result<Vec<MovedMessage>, StoreError> {
    let named: Vec<_> = rows.iter().filter_map(|(item, update)| Some((item, update, update.message_id?))).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let result = sqlx::query!(
        r#"
        UPDATE chat_messages m SET external_id = u.external_id, status = 'sent', errors = NULL
        FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[]) AS u(tenant_id, id, channel_instance_id, external_id)
        WHERE m.tenant_id = u.tenant_id AND m.id = u.id AND m.channel_instance_id = u.channel_instance_id AND m.direction = 'outbound'
          AND m.external_id IS NULL AND m.status IN ('sending', 'unknown')
          AND NOT EXISTS (SELECT FROM chat_messages p WHERE p.tenant_id = u.tenant_id AND p.channel_instance_id = u.channel_instance_id
                                                        AND p.external_id = u.external_id)
        RETURNING m.tenant_id, m.id, m.conversation_id, m.status
        "#,
        &named.iter().map(|(item, ..)| item.channel.tenant_id.0).collect::<Vec<_>>(),
        &named.iter().map(|(.., id)| id.0).collect::<Vec<_>>(),
        &named.iter().map(|(item, ..)| item.channel.id.0).collect::<Vec<_>>(),
        &named.iter().map(|(_, update, _)| update.external_id.as_str()).collect::<Vec<_>>() as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(result.into_iter().filter_map(|row| MovedMessage::visible(row.tenant_id, row.id, row.conversation_id, &row.status)).collect())
}
