//! Messages as they are read.

use crate::{StoreError, counts};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{ConversationId, MessageId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A message with whom it is from and for.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: Uuid,
    pub conversation_id: Uuid,
    pub external_id: Option<String>,
    pub direction: String,
    pub message_type: String,
    pub status: String,
    pub human_override: bool,
    pub channel_source: String,
    pub channel_instance_id: Uuid,
    pub content: Option<String>,
    pub media: Option<Value>,
    pub reply_to: Option<String>,
    pub reactions: Option<Value>,
    pub errors: Option<Value>,
    pub meta: Option<Value>,
    pub sent_at: DateTime<Utc>,
    pub edited_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub customer_phone: Option<String>,
    /// The provider's id of our end.
    pub channel_external_id: Option<String>,
}

/// Which messages, by what they are. `statuses` are pairs of direction and status as stored; empty: all.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub kinds: Vec<(&'static str, &'static str)>,
}

const DIRECTIONS: &[&str] = &["inbound", "outbound", "system"];
const STATUSES: &[&str] = &["pending", "sending", "unknown", "sent", "failed", "delivered", "read", "received"];

impl MessageFilter {
    /// The names under which what passes is counted.
    pub fn measures(&self) -> Vec<String> {
        self.wanted().iter().map(|kind| format!("message:{kind}")).collect()
    }

    /// `DIRECTION:STATUS` of everything that passes.
    fn wanted(&self) -> Vec<String> {
        if self.kinds.is_empty() {
            DIRECTIONS.iter().flat_map(|direction| STATUSES.iter().map(move |status| format!("{direction}:{status}"))).collect()
        } else {
            self.kinds.iter().map(|(direction, status)| format!("{direction}:{status}")).collect()
        }
    }
}

/// The tenant's messages in the order of arrival, the newest first, and how many there are.
///
/// The counts by day say on which days the page lies, so that neither a rare status nor a late page makes it walk over more
/// than those days.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &MessageFilter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Message>, i64), StoreError> {
    let wanted = filter.wanted();
    let mut by_day: BTreeMap<NaiveDate, i64> = BTreeMap::new();
    for count in counts::by_day(conn, tenant, &filter.measures(), None).await? {
        *by_day.entry(count.day).or_default() += count.n;
    }
    let total = by_day.values().sum();
    let (mut before, mut days) = (0, Vec::new());
    let mut skipped = 0;
    for (day, n) in by_day.into_iter().rev() {
        if before + n <= offset {
            skipped = before + n;
        } else if before < offset + limit {
            days.push(day);
        }
        before += n;
    }
    if days.is_empty() {
        return Ok((Vec::new(), total));
    }
    let rows = sqlx::query_as!(
        Message,
        r#"
        SELECT m.id, m.conversation_id AS "conversation_id!", m.external_id, m.direction, m.message_type, m.status, m.human_override,
               m.channel_source, m.channel_instance_id, m.content, m.media, m.reply_to, m.reactions, m.errors, m.meta, m.sent_at, m.edited_at, m.revoked_at, m.created_at,
               cu.phone_number AS customer_phone, ch.external_id AS channel_external_id
        FROM (
          SELECT x.* FROM unnest($2::date[]) d(day) CROSS JOIN LATERAL (
            SELECT * FROM chat_messages m
            WHERE m.tenant_id = $1 AND m.id >= first_id_of(d.day) AND m.id < first_id_of(d.day + 1) AND m.conversation_id IS NOT NULL
              AND m.direction || ':' || m.status = ANY($3)
            ORDER BY m.tenant_id, m.id DESC LIMIT $4::int8 + $5::int8) x
          ORDER BY x.id DESC LIMIT $4 OFFSET $5) m
        JOIN chat_conversations c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id
        JOIN customers cu ON cu.tenant_id = c.tenant_id AND cu.id = c.customer_id
        JOIN channel_instances ch ON ch.tenant_id = m.tenant_id AND ch.id = m.channel_instance_id
        ORDER BY m.id DESC
        "#,
        tenant.0,
        &days,
        &wanted,
        limit,
        offset - skipped
    )
    .fetch_all(conn)
    .await?;
    Ok((rows, total))
}

/// The order of a list within a conversation: by the provider's time, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

/// Messages of one conversation.
pub async fn list_in(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    filter: &MessageFilter,
    order: Order,
    (limit, offset): (i64, i64),
) -> Result<Vec<Message>, StoreError> {
    let wanted = filter.wanted();
    // Two statements, so that each walks the index in its order.
    let rows = if order == Order::NewestFirst {
        sqlx::query_as!(
            Message,
            r#"
            SELECT m.id, m.conversation_id AS "conversation_id!", m.external_id, m.direction, m.message_type, m.status, m.human_override,
                   m.channel_source, m.channel_instance_id, m.content, m.media, m.reply_to, m.reactions, m.errors, m.meta, m.sent_at, m.edited_at, m.revoked_at, m.created_at,
                   cu.phone_number AS customer_phone, ch.external_id AS channel_external_id
            FROM (SELECT * FROM chat_messages m
                  WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.direction || ':' || m.status = ANY($3)
                  ORDER BY m.sent_at DESC, m.id DESC LIMIT $4 OFFSET $5) m
            JOIN chat_conversations c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id
            JOIN customers cu ON cu.tenant_id = c.tenant_id AND cu.id = c.customer_id
            JOIN channel_instances ch ON ch.tenant_id = m.tenant_id AND ch.id = m.channel_instance_id
            ORDER BY m.sent_at DESC, m.id DESC
            "#,
            tenant.0,
            conversation.0,
            &wanted,
            limit,
            offset
        )
        .fetch_all(conn)
        .await?
    } else {
        sqlx::query_as!(
            Message,
            r#"
            SELECT m.id, m.conversation_id AS "conversation_id!", m.external_id, m.direction, m.message_type, m.status, m.human_override,
                   m.channel_source, m.channel_instance_id, m.content, m.media, m.reply_to, m.reactions, m.errors, m.meta, m.sent_at, m.edited_at, m.revoked_at, m.created_at,
                   cu.phone_number AS customer_phone, ch.external_id AS channel_external_id
            FROM (SELECT * FROM chat_messages m
                  WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.direction || ':' || m.status = ANY($3)
                  ORDER BY m.sent_at, m.id LIMIT $4 OFFSET $5) m
            JOIN chat_conversations c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id
            JOIN customers cu ON cu.tenant_id = c.tenant_id AND cu.id = c.customer_id
            JOIN channel_instances ch ON ch.tenant_id = m.tenant_id AND ch.id = m.channel_instance_id
            ORDER BY m.sent_at, m.id
            "#,
            tenant.0,
            conversation.0,
            &wanted,
            limit,
            offset
        )
        .fetch_all(conn)
        .await?
    };
    Ok(rows)
}

/// How many messages of a conversation pass the filter.
pub async fn count_in(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    filter: &MessageFilter,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "n!" FROM chat_messages m WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.direction || ':' || m.status = ANY($3)"#,
        tenant.0,
        conversation.0,
        &filter.wanted()
    )
    .fetch_one(conn)
    .await?)
}

/// One message.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<Option<Message>, StoreError> {
    Ok(by_ids(conn, tenant, &[id.0]).await?.pop())
}

/// Those of these messages that are the tenant's, in no order.
pub async fn by_ids(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Message>, StoreError> {
    Ok(sqlx::query_as!(
        Message,
        r#"
        SELECT m.id, m.conversation_id AS "conversation_id!", m.external_id, m.direction, m.message_type, m.status, m.human_override,
               m.channel_source, m.channel_instance_id, m.content, m.media, m.reply_to, m.reactions, m.errors, m.meta, m.sent_at, m.edited_at,
               m.revoked_at, m.created_at, cu.phone_number AS customer_phone, ch.external_id AS channel_external_id
        -- One row after the other, whatever the statistics are: they are out of date where rows are new.
        FROM unnest($2::uuid[]) w(id)
        CROSS JOIN LATERAL (SELECT * FROM chat_messages x WHERE x.tenant_id = $1 AND x.id = w.id OFFSET 0) m
        CROSS JOIN LATERAL (SELECT x.customer_id FROM chat_conversations x WHERE x.tenant_id = m.tenant_id AND x.id = m.conversation_id OFFSET 0) c
        CROSS JOIN LATERAL (SELECT x.phone_number FROM customers x WHERE x.tenant_id = m.tenant_id AND x.id = c.customer_id OFFSET 0) cu
        CROSS JOIN LATERAL (SELECT x.external_id FROM channel_instances x WHERE x.tenant_id = m.tenant_id AND x.id = m.channel_instance_id OFFSET 0) ch
        "#,
        tenant.0,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// How many of the customers' messages nobody has read: those since a person last answered in, or marked as read, their conversation.
pub async fn count_unread(conn: &mut PgConnection, tenant: TenantId) -> Result<i64, StoreError> {
    let inbound: Vec<String> = STATUSES.iter().map(|status| format!("message:inbound:{status}")).collect();
    let (inbound, read) = (counts::total(conn, tenant, &inbound).await?, counts::total(conn, tenant, &["read".to_owned()]).await?);
    Ok((inbound - read).max(0))
}
