//! Edits, revokes and reactions. Each may come before its message (then it makes the row) and in any order: the latest by
//! the provider's time stays.

use super::{ChangedMessage, Located, Written, effective_time, of_kind, row_key};
use crate::StoreError;
use domain::{EventBody, MessageEdit, MessageId, MessageReaction, MessageRevoke};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Applies them all.
pub(super) async fn apply(conn: &mut PgConnection, items: &[Located], written: &mut Written) -> Result<(), StoreError> {
    for rows in [edits(conn, items).await?, revokes(conn, items).await?, reactions(conn, items).await?] {
        written.applied += rows.len();
        written.changes.extend(rows.into_iter().filter_map(|(tenant, id, conversation)| ChangedMessage::visible(tenant, id, conversation)));
    }
    Ok(())
}

/// A row that changed: tenant, id, conversation.
type Row = (i32, Uuid, Option<Uuid>);

async fn edits(conn: &mut PgConnection, items: &[Located]) -> Result<Vec<Row>, StoreError> {
    let mut latest: BTreeMap<_, (&Located, &MessageEdit)> = BTreeMap::new();
    for (item, edit) in of_kind(items, |body| if let EventBody::Edit(edit) = body { Some(&**edit) } else { None }) {
        let entry = latest.entry(row_key(item, &edit.target_external_id)).or_insert((item, edit));
        let rank =
            |item: &Located, edit: &MessageEdit| (effective_time(edit.at, item.received_at), edit.content.clone().unwrap_or_default());
        if rank(entry.0, entry.1) < rank(item, edit) {
            *entry = (item, edit);
        }
    }
    if latest.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = latest.into_values().collect();
    let result = sqlx::query!(
        r#"
        INSERT INTO chat_messages AS m (tenant_id, id, channel_instance_id, external_id, direction, message_type, status, channel_source, sent_at,
                                        content, media, edited_at)
        SELECT e.tenant_id, e.id, e.channel_instance_id, e.external_id, 'system', 'placeholder', 'pending', e.source, e.at, e.content, e.media, e.at
        FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::jsonb[])
             AS e(tenant_id, id, channel_instance_id, external_id, at, source, content, media)
        ON CONFLICT (tenant_id, channel_instance_id, external_id) DO UPDATE
          SET content = excluded.content, media = coalesce(excluded.media, m.media), edited_at = excluded.edited_at
          WHERE m.edited_at IS NULL OR m.edited_at < excluded.edited_at
             -- Of the same moment: either order of arrival ends alike.
             OR m.edited_at = excluded.edited_at AND coalesce(m.content, '') COLLATE "C" < coalesce(excluded.content, '') COLLATE "C"
        RETURNING m.tenant_id, m.id, m.conversation_id
        "#,
        &rows.iter().map(|(item, _)| item.channel.tenant_id.0).collect::<Vec<_>>(),
        &rows.iter().map(|_| MessageId::generate().0).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.id.0).collect::<Vec<_>>(),
        &rows.iter().map(|(_, edit)| edit.target_external_id.clone()).collect::<Vec<_>>(),
        &rows.iter().map(|(item, edit)| effective_time(edit.at, item.received_at)).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.kind.source()).collect::<Vec<_>>() as _,
        &rows.iter().map(|(_, edit)| edit.content.clone()).collect::<Vec<_>>() as _,
        &rows.iter().map(|(_, edit)| edit.media.as_ref().and_then(|m| serde_json::to_value(m).ok())).collect::<Vec<_>>() as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(result.into_iter().map(|row| (row.tenant_id, row.id, row.conversation_id)).collect())
}

async fn revokes(conn: &mut PgConnection, items: &[Located]) -> Result<Vec<Row>, StoreError> {
    let mut first: BTreeMap<_, (&Located, &MessageRevoke)> = BTreeMap::new();
    for (item, revoke) in of_kind(items, |body| if let EventBody::Revoke(revoke) = body { Some(revoke) } else { None }) {
        first.entry(row_key(item, &revoke.target_external_id)).or_insert((item, revoke));
    }
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = first.into_values().collect();
    let result = sqlx::query!(
        r#"
        INSERT INTO chat_messages AS m (tenant_id, id, channel_instance_id, external_id, direction, message_type, status, channel_source, sent_at,
                                        revoked_at)
        SELECT r.tenant_id, r.id, r.channel_instance_id, r.external_id, 'system', 'placeholder', 'pending', r.source, r.at, r.at
        FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[])
             AS r(tenant_id, id, channel_instance_id, external_id, at, source)
        ON CONFLICT (tenant_id, channel_instance_id, external_id) DO UPDATE SET revoked_at = excluded.revoked_at WHERE m.revoked_at IS NULL
        RETURNING m.tenant_id, m.id, m.conversation_id
        "#,
        &rows.iter().map(|(item, _)| item.channel.tenant_id.0).collect::<Vec<_>>(),
        &rows.iter().map(|_| MessageId::generate().0).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.id.0).collect::<Vec<_>>(),
        &rows.iter().map(|(_, revoke)| revoke.target_external_id.clone()).collect::<Vec<_>>(),
        &rows.iter().map(|(item, revoke)| effective_time(revoke.at, item.received_at)).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.kind.source()).collect::<Vec<_>>() as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(result.into_iter().map(|row| (row.tenant_id, row.id, row.conversation_id)).collect())
}

/// Each person's latest reaction, with its time in milliseconds.
type ReactionsByPerson<'a> = BTreeMap<&'a str, (i64, &'a MessageReaction, Vec<&'a str>)>;

/// `chat_messages.reactions` is `{who: {"emoji": text or null, "at": milliseconds, "ids": the provider's ids seen for that time}}`. A reaction taken back stays as null,
/// so that an older one that arrives later does not bring it back.
async fn reactions(conn: &mut PgConnection, items: &[Located]) -> Result<Vec<Row>, StoreError> {
    let mut by_target: BTreeMap<_, (&Located, ReactionsByPerson<'_>)> = BTreeMap::new();
    for (item, reaction) in of_kind(items, |body| if let EventBody::Reaction(reaction) = body { Some(reaction) } else { None }) {
        let at = effective_time(reaction.at, item.received_at).timestamp_millis();
        let target = by_target.entry(row_key(item, &reaction.target_external_id)).or_insert_with(|| (item, BTreeMap::new()));
        let latest = target.1.entry(&reaction.by).or_insert((at, reaction, Vec::new()));
        // Within one second the later one in the body counts.
        if latest.0 <= at {
            let mut ids = if latest.0 == at { std::mem::take(&mut latest.2) } else { Vec::new() };
            ids.extend(reaction.id.as_deref());
            *latest = (at, reaction, ids);
        }
    }
    if by_target.is_empty() {
        return Ok(Vec::new());
    }
    let (keys, rows): (Vec<_>, Vec<_>) = by_target.into_iter().unzip();
    let values: Vec<Value> = rows
        .iter()
        .map(|(_, people)| {
            people.iter().map(|(who, (at, r, ids))| ((*who).to_owned(), json!({"emoji": r.emoji, "at": at, "ids": ids}))).collect()
        })
        .collect();
    let result = sqlx::query!(
        r#"
        INSERT INTO chat_messages AS m (tenant_id, id, channel_instance_id, external_id, direction, message_type, status, channel_source, sent_at,
                                        reactions)
        SELECT r.tenant_id, r.id, r.channel_instance_id, r.external_id, 'system', 'placeholder', 'pending', r.source, r.at, r.reactions
        FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::jsonb[])
             AS r(tenant_id, id, channel_instance_id, external_id, at, source, reactions)
        ON CONFLICT (tenant_id, channel_instance_id, external_id) DO UPDATE
          SET reactions = merge_reactions(m.reactions, excluded.reactions)
          WHERE m.reactions IS DISTINCT FROM merge_reactions(m.reactions, excluded.reactions)
        RETURNING m.tenant_id, m.id, m.conversation_id
        "#,
        &rows.iter().map(|(item, _)| item.channel.tenant_id.0).collect::<Vec<_>>(),
        &rows.iter().map(|_| MessageId::generate().0).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.id.0).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.2.to_owned()).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.received_at).collect::<Vec<_>>(),
        &rows.iter().map(|(item, _)| item.channel.kind.source()).collect::<Vec<_>>() as _,
        &values,
    )
    .fetch_all(conn)
    .await?;
    Ok(result.into_iter().map(|row| (row.tenant_id, row.id, row.conversation_id)).collect())
}
