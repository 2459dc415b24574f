//! Lists of conversations, those with the newest messages first.
//!
//! They walk `chat_conversations_activity`, so they cost the same however many conversations there are: for each channel
//! source and status that is asked for, as many index entries as are shown (and skipped).

use crate::{StoreError, counts};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{ConversationId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

/// Every `channel_source` there is.
pub const SOURCES: &[&str] = &["whatsapp", "instagram", "facebook", "telegram", "widget"];
/// Every `status` there is.
pub const STATUSES: &[&str] = &["open", "closed", "snoozed"];

/// Which conversations.
#[derive(Clone, Copy, Debug)]
pub struct ListFilter<'a> {
    pub sources: &'a [&'a str],
    pub statuses: &'a [&'a str],
    /// Only those that the list shows behind this one.
    pub after: Option<Cursor>,
}

/// A place in the list: see [`ListedConversation::cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    active_slot: NaiveDateTime,
    active_at: DateTime<Utc>,
    id: Uuid,
}

impl Default for ListFilter<'_> {
    fn default() -> Self {
        Self { sources: SOURCES, statuses: STATUSES, after: None }
    }
}

/// A conversation with what a list shows of it.
#[derive(Clone, Debug)]
pub struct ListedConversation {
    pub tenant_id: i32,
    pub id: Uuid,
    pub channel_instance_id: Uuid,
    pub channel_source: String,
    pub status: String,
    pub assigned_to: Option<Uuid>,
    pub human_override_until: Option<DateTime<Utc>>,
    /// A person keeps the bot away now: `human_override_until` lies ahead.
    pub overridden: bool,
    pub unread_count: i32,
    pub last_message_at: Option<DateTime<Utc>>,
    /// The five minutes that the list sorts by first.
    pub active_slot: NaiveDateTime,
    pub tags: Vec<String>,
    pub meta: serde_json::Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
    pub customer_id: Uuid,
    pub customer_number: i64,
    pub customer_name: Option<String>,
    pub customer_phone: Option<String>,
    pub customer_email: Option<String>,
    /// The channel's id of the customer.
    pub external_id: Option<String>,
    /// What the newest message says, and of which type and direction it is.
    pub last_content: Option<String>,
    pub last_type: Option<String>,
    pub last_direction: Option<String>,
}

/// The conversations of `tenants` (one, or with the operator's rights several) with the newest messages.
pub async fn list(
    conn: &mut PgConnection,
    tenants: &[TenantId],
    filter: ListFilter<'_>,
    limit: i64,
    offset: i64,
) -> Result<Vec<ListedConversation>, StoreError> {
    let tenants: Vec<i32> = tenants.iter().map(|tenant| tenant.0).collect();
    Ok(sqlx::query_as!(
        ListedConversation,
        r#"
        SELECT c.tenant_id, c.id, c.channel_instance_id, c.channel_source, c.status, c.assigned_to, c.human_override_until,
               coalesce(c.human_override_until > ledger_now(), false) AS "overridden!", c.unread_count, c.last_message_at, c.active_slot, c.tags, c.meta,
               c.created_at, c.updated_at, c.closed_at, c.customer_id, cu.number AS customer_number, cu.name AS customer_name,
               cu.phone_number AS customer_phone, cu.email AS customer_email,
               (SELECT i.external_id FROM customer_identities i WHERE i.tenant_id = c.tenant_id AND i.customer_id = c.customer_id LIMIT 1) AS external_id,
               m.content AS "last_content?", m.message_type AS "last_type?", m.direction AS "last_direction?"
        FROM (
          SELECT x.* FROM unnest($1::int4[]) t(tenant_id) CROSS JOIN unnest($2::text[]) s(source) CROSS JOIN unnest($3::text[]) st(status)
          CROSS JOIN LATERAL (
            SELECT * FROM chat_conversations c
            WHERE c.tenant_id = t.tenant_id AND c.channel_source = s.source AND c.status = st.status AND c.merged_into IS NULL
              AND c.active_slot <= coalesce($6, 'infinity'::timestamp)
              AND ($6 IS NULL OR (c.active_slot, coalesce(c.last_message_at, c.created_at), c.id) < ($6, $7::timestamptz, $8::uuid))
            ORDER BY c.active_slot DESC, coalesce(c.last_message_at, c.created_at) DESC, c.id DESC LIMIT $4::int8 + $5::int8) x
          ORDER BY x.active_slot DESC, coalesce(x.last_message_at, x.created_at) DESC, x.id DESC LIMIT $4 OFFSET $5) c
        JOIN customers cu ON cu.tenant_id = c.tenant_id AND cu.id = c.customer_id
        LEFT JOIN LATERAL (
          SELECT m.content, m.message_type, m.direction FROM chat_messages m
          WHERE m.tenant_id = c.tenant_id AND m.conversation_id = c.id ORDER BY m.sent_at DESC, m.id DESC LIMIT 1) m ON true
        ORDER BY c.active_slot DESC, coalesce(c.last_message_at, c.created_at) DESC, c.id DESC
        "#,
        &tenants,
        filter.sources as _,
        filter.statuses as _,
        limit,
        offset,
        filter.after.map(|cursor| cursor.active_slot),
        filter.after.map(|cursor| cursor.active_at),
        filter.after.map(|cursor| cursor.id)
    )
    .fetch_all(conn)
    .await?)
}

/// How many the filter finds.
pub async fn count(conn: &mut PgConnection, tenant: TenantId, filter: ListFilter<'_>) -> Result<i64, StoreError> {
    let measures: Vec<String> = filter
        .sources
        .iter()
        .flat_map(|source| filter.statuses.iter().map(move |status| format!("conversation:{source}:{status}")))
        .collect();
    counts::total(conn, tenant, &measures).await
}

/// Conversations of the customers whose name, number or e-mail contains `term`, and how many there are. At most the newest
/// thousand customers are looked at.
pub async fn search(
    conn: &mut PgConnection,
    tenant: TenantId,
    term: &str,
    filter: ListFilter<'_>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<ListedConversation>, i64), StoreError> {
    let found = sqlx::query!(
        r#"
        SELECT c.id FROM search_customers($2, 1000) found(id)
        CROSS JOIN LATERAL (SELECT * FROM chat_conversations x WHERE x.tenant_id = $1 AND x.customer_id = found.id) c
        WHERE c.merged_into IS NULL AND c.status = ANY($3) AND c.channel_source = ANY($4)
        ORDER BY coalesce(c.last_message_at, c.created_at) DESC, c.id DESC
        "#,
        tenant.0,
        term,
        filter.statuses as _,
        filter.sources as _
    )
    .fetch_all(&mut *conn)
    .await?;
    let page: Vec<Uuid> = found
        .iter()
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(0))
        .map(|row| row.id)
        .collect();
    Ok((some(conn, tenant, &page).await?, i64::try_from(found.len()).unwrap_or(i64::MAX)))
}

/// One conversation. One that was merged away is the one that it was merged into.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: ConversationId) -> Result<Option<ListedConversation>, StoreError> {
    let live = sqlx::query_scalar!(
        r#"SELECT coalesce(merged_into, id) AS "id!" FROM chat_conversations WHERE tenant_id = $1 AND id = $2"#,
        tenant.0,
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(live) = live else { return Ok(None) };
    Ok(some(conn, tenant, &[live]).await?.into_iter().next())
}

/// These conversations, in this order.
async fn some(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<ListedConversation>, StoreError> {
    Ok(sqlx::query_as!(
        ListedConversation,
        r#"
        SELECT c.tenant_id, c.id, c.channel_instance_id, c.channel_source, c.status, c.assigned_to, c.human_override_until,
               coalesce(c.human_override_until > ledger_now(), false) AS "overridden!", c.unread_count, c.last_message_at, c.active_slot, c.tags, c.meta,
               c.created_at, c.updated_at, c.closed_at, c.customer_id, cu.number AS customer_number, cu.name AS customer_name,
               cu.phone_number AS customer_phone, cu.email AS customer_email,
               (SELECT i.external_id FROM customer_identities i WHERE i.tenant_id = c.tenant_id AND i.customer_id = c.customer_id LIMIT 1) AS external_id,
               m.content AS "last_content?", m.message_type AS "last_type?", m.direction AS "last_direction?"
        FROM unnest($2::uuid[]) WITH ORDINALITY wanted(id, place)
        CROSS JOIN LATERAL (SELECT * FROM chat_conversations x WHERE x.tenant_id = $1 AND x.id = wanted.id) c
        JOIN customers cu ON cu.tenant_id = c.tenant_id AND cu.id = c.customer_id
        LEFT JOIN LATERAL (
          SELECT m.content, m.message_type, m.direction FROM chat_messages m
          WHERE m.tenant_id = c.tenant_id AND m.conversation_id = c.id ORDER BY m.sent_at DESC, m.id DESC LIMIT 1) m ON true
        ORDER BY wanted.place
        "#,
        tenant.0,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// Whose a conversation is. For operators and services, who do not name the tenant.
pub async fn tenant_of(conn: &mut PgConnection, id: ConversationId) -> Result<Option<TenantId>, StoreError> {
    let tenant = sqlx::query_scalar!("SELECT tenant_id FROM chat_conversations WHERE id = $1", id.0).fetch_optional(conn).await?;
    Ok(tenant.map(TenantId))
}

/// The tenants whose newest conversation is among the newest `limit` of all: the newest `limit` conversations of all tenants
/// are theirs. For operators. One index probe for each tenant, source and status.
pub async fn most_recent_tenants(conn: &mut PgConnection, filter: ListFilter<'_>, limit: i64) -> Result<Vec<TenantId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"
        SELECT n.tenant_id FROM (
          SELECT t.id AS tenant_id, max(x.active_slot) AS newest
          FROM tenants t CROSS JOIN unnest($1::text[]) s(source) CROSS JOIN unnest($2::text[]) st(status)
          CROSS JOIN LATERAL (
            SELECT c.active_slot FROM chat_conversations c
            WHERE c.tenant_id = t.id AND c.channel_source = s.source AND c.status = st.status AND c.merged_into IS NULL
            ORDER BY c.active_slot DESC LIMIT 1) x
          GROUP BY t.id ORDER BY newest DESC LIMIT $3) n
        "#,
        filter.sources as _,
        filter.statuses as _,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(TenantId).collect())
}

/// Who the customer of a listed conversation is.
impl ListedConversation {
    pub fn conversation(&self) -> ConversationId {
        ConversationId(self.id)
    }

    /// Where it is in the list.
    pub fn cursor(&self) -> Cursor {
        Cursor { active_slot: self.active_slot, active_at: self.last_message_at.unwrap_or(self.created_at), id: self.id }
    }

    /// What a list shows as the person's name: the name, else the number, else the channel's id.
    pub fn display_name(&self) -> &str {
        [&self.customer_name, &self.customer_phone, &self.external_id].into_iter().find_map(|name| name.as_deref()).unwrap_or("Unknown")
    }
}
