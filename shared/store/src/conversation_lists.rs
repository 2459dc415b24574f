//! Lists of conversations, those with the newest messages first.
//!
//! They walk `chat_conversations_newest`, or for each channel source and status that is asked for `chat_conversations_activity`, so they
//! cost the same however many conversations there are: as many index entries as are shown (and skipped). What they show is
//! remembered: see [`ConversationCards`].

use crate::{
    StoreError, Tenants,
    conversation_cards::{self, ConversationCard, ConversationCards, KeptCard},
    counts,
};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{ConversationId, TenantId};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use std::{ops::Deref, sync::Arc};
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
        Self { sources: SOURCES, statuses: STATUSES }
    }
}

impl ListFilter<'_> {
    fn is_everything(self) -> bool {
        self.sources.len() == SOURCES.len() && self.statuses.len() == STATUSES.len()
    }
}

/// A conversation as it is listed at a time.
#[derive(Clone, Debug)]
pub struct ListedConversation {
    kept: Arc<KeptCard>,
    now: DateTime<Utc>,
}

/// A page of a list.
#[derive(Debug)]
pub struct ConversationPage {
    pub conversations: Vec<ListedConversation>,
    /// How many the filter finds on all pages.
    pub total: i64,
}

/// Which conversations of a tenant a statement finds, in which versions, and how many there are on all pages.
#[derive(Debug)]
struct FoundOfTenant {
    ids: Option<Vec<Uuid>>,
    versions: Option<Vec<i64>>,
    now: DateTime<Utc>,
    total: i64,
}

/// Which conversations of several tenants a statement finds, and in which versions.
#[derive(Debug)]
struct Found {
    tenants: Option<Vec<i32>>,
    ids: Option<Vec<Uuid>>,
    versions: Option<Vec<i64>>,
    now: DateTime<Utc>,
}

impl Found {
    async fn show(self, conn: &mut PgConnection, cards: &ConversationCards) -> Result<Vec<ListedConversation>, StoreError> {
        let ids = self.ids.unwrap_or_default().into_iter().zip(self.versions.unwrap_or_default());
        let wanted = self.tenants.unwrap_or_default().into_iter().zip(ids).map(|(tenant, (id, version))| (tenant, id, version));
        let shown = cards.complete(conn, cards.look_up(wanted)).await?;
        Ok(shown.into_iter().map(|kept| ListedConversation { kept, now: self.now }).collect())
    }
}

/// A tenant's conversations with the newest messages.
pub async fn page(
    tenants: &Tenants,
    cards: &ConversationCards,
    tenant: TenantId,
    filter: ListFilter<'_>,
    limit: i64,
    offset: i64,
) -> Result<ConversationPage, StoreError> {
    let found = if filter.is_everything() {
        // What is polled most: one round trip, in a transaction that is this one statement. It names its tenant before it looks at
        // any row; were it otherwise, it would find none.
        sqlx::query_as!(
            FoundOfTenant,
            r#"
            WITH named AS MATERIALIZED (SELECT set_config('switchboard.tenant_id', $1::int4::text, true) AS tenant)
            SELECT p.ids, p.versions, ledger_now() AS "now!",
                   (coalesce((SELECT sum(n) FROM counts WHERE tenant_id = $1 AND measure = ANY($4)), 0)
                  + coalesce((SELECT sum(n) FROM count_changes WHERE tenant_id = $1 AND measure = ANY($4)), 0))::int8 AS "total!"
            FROM named CROSS JOIN LATERAL (
              SELECT array_agg(k.id) AS ids, array_agg(k.xmin::text::int8) AS versions FROM (
                SELECT c.id, c.xmin FROM chat_conversations c WHERE c.tenant_id = $1 AND c.merged_into IS NULL
                ORDER BY c.active_slot DESC, coalesce(c.last_message_at, c.created_at) DESC, c.id DESC LIMIT $2 OFFSET $3) k
              WHERE named.tenant IS NOT NULL) p
            "#,
            tenant.0,
            limit,
            offset,
            &measures(filter)
        )
        .fetch_one(&mut *tenants.acquire().await?)
        .await?
    } else {
        sqlx::query_as!(
            FoundOfTenant,
            r#"
            SELECT array_agg(k.id) AS ids, array_agg(k.xmin::text::int8) AS versions, ledger_now() AS "now!",
                   (coalesce((SELECT sum(n) FROM counts WHERE tenant_id = $1 AND measure = ANY($6)), 0)
                  + coalesce((SELECT sum(n) FROM count_changes WHERE tenant_id = $1 AND measure = ANY($6)), 0))::int8 AS "total!"
            FROM (
              SELECT x.id, x.xmin FROM unnest($2::text[]) s(source) CROSS JOIN unnest($3::text[]) st(status)
              CROSS JOIN LATERAL (
                SELECT c.id, c.xmin, c.active_slot, coalesce(c.last_message_at, c.created_at) AS active_at FROM chat_conversations c
                WHERE c.tenant_id = $1 AND c.channel_source = s.source AND c.status = st.status AND c.merged_into IS NULL
                ORDER BY c.active_slot DESC, coalesce(c.last_message_at, c.created_at) DESC, c.id DESC LIMIT $4::int8 + $5::int8) x
              ORDER BY x.active_slot DESC, x.active_at DESC, x.id DESC LIMIT $4 OFFSET $5) k
            "#,
            tenant.0,
            filter.sources as _,
            filter.statuses as _,
            limit,
            offset,
            &measures(filter)
        )
        .fetch_one(&mut *tenants.begin(tenant).await?)
        .await?
    };
    let versions = found.ids.unwrap_or_default().into_iter().zip(found.versions.unwrap_or_default());
    let shown = match cards.look_up(versions.map(|(id, version)| (tenant.0, id, version))).all() {
        Ok(all) => all,
        Err(some) => cards.complete(&mut *tenants.begin(tenant).await?, some).await?,
    };
    let conversations = shown.into_iter().map(|kept| ListedConversation { kept, now: found.now }).collect();
    Ok(ConversationPage { conversations, total: found.total })
}

/// Conversations of several tenants, those behind `after` with the newest messages. For operators.
pub async fn list_behind(
    conn: &mut PgConnection,
    cards: &ConversationCards,
    tenants: &[TenantId],
    filter: ListFilter<'_>,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<ListedConversation>, StoreError> {
    let tenants: Vec<i32> = tenants.iter().map(|tenant| tenant.0).collect();
    let found = sqlx::query_as!(
        Found,
        r#"
        SELECT array_agg(k.tenant_id) AS tenants, array_agg(k.id) AS ids, array_agg(k.xmin::text::int8) AS versions, ledger_now() AS "now!"
        FROM (
          SELECT x.tenant_id, x.id, x.xmin
          FROM unnest($1::int4[]) t(tenant_id) CROSS JOIN unnest($2::text[]) s(source) CROSS JOIN unnest($3::text[]) st(status)
          CROSS JOIN LATERAL (
            SELECT c.tenant_id, c.id, c.xmin, c.active_slot, coalesce(c.last_message_at, c.created_at) AS active_at FROM chat_conversations c
            WHERE c.tenant_id = t.tenant_id AND c.channel_source = s.source AND c.status = st.status AND c.merged_into IS NULL
              AND c.active_slot <= coalesce($5, 'infinity'::timestamp)
              AND ($5 IS NULL OR (c.active_slot, coalesce(c.last_message_at, c.created_at), c.id) < ($5, $6::timestamptz, $7::uuid))
            ORDER BY c.active_slot DESC, coalesce(c.last_message_at, c.created_at) DESC, c.id DESC LIMIT $4) x
          ORDER BY x.active_slot DESC, x.active_at DESC, x.id DESC LIMIT $4) k
        "#,
        &tenants,
        filter.sources as _,
        filter.statuses as _,
        limit,
        after.map(|cursor| cursor.active_slot),
        after.map(|cursor| cursor.active_at),
        after.map(|cursor| cursor.id)
    )
    .fetch_one(&mut *conn)
    .await?;
    found.show(conn, cards).await
}

/// The conversations of all tenants with the newest messages. For operators.
///
/// One index probe for each tenant finds where each begins; a few entries of those that may be shown, how far back the list goes; and
/// only what is newer is read.
pub async fn newest(conn: &mut PgConnection, cards: &ConversationCards, limit: i64) -> Result<Vec<ListedConversation>, StoreError> {
    let found = sqlx::query_as!(
        Found,
        r#"
        WITH head AS MATERIALIZED (
          SELECT t.id AS tenant_id, x.active_slot AS newest FROM tenants t
          CROSS JOIN LATERAL (
            SELECT c.active_slot FROM chat_conversations c WHERE c.tenant_id = t.id AND c.merged_into IS NULL ORDER BY c.active_slot DESC LIMIT 1) x
          ORDER BY newest DESC FETCH FIRST ($1::int8) ROWS WITH TIES),
        -- As many as are shown, or more: the list does not go further back than these.
        bound AS MATERIALIZED (
          SELECT x.active_slot FROM head h
          CROSS JOIN LATERAL (
            SELECT c.active_slot FROM chat_conversations c WHERE c.tenant_id = h.tenant_id AND c.merged_into IS NULL
            ORDER BY c.active_slot DESC LIMIT 1 + $1 / (SELECT count(*) FROM head)) x
          ORDER BY x.active_slot DESC OFFSET $1 - 1 LIMIT 1)
        SELECT array_agg(k.tenant_id) AS tenants, array_agg(k.id) AS ids, array_agg(k.xmin::text::int8) AS versions, ledger_now() AS "now!"
        FROM (
          SELECT x.tenant_id, x.id, x.xmin FROM head h
          CROSS JOIN LATERAL (
            SELECT c.tenant_id, c.id, c.xmin, c.active_slot, coalesce(c.last_message_at, c.created_at) AS active_at FROM chat_conversations c
            WHERE c.tenant_id = h.tenant_id AND c.merged_into IS NULL AND c.active_slot >= coalesce((SELECT active_slot FROM bound), '-infinity')
            ORDER BY c.active_slot DESC, coalesce(c.last_message_at, c.created_at) DESC, c.id DESC LIMIT $1) x
          WHERE h.newest >= coalesce((SELECT active_slot FROM bound), '-infinity')
          ORDER BY x.active_slot DESC, x.active_at DESC, x.id DESC LIMIT $1) k
        "#,
        limit
    )
    .fetch_one(&mut *conn)
    .await?;
    found.show(conn, cards).await
}

/// How many the filter finds.
pub async fn count(conn: &mut PgConnection, tenant: TenantId, filter: ListFilter<'_>) -> Result<i64, StoreError> {
    counts::total(conn, tenant, &measures(filter)).await
}

/// What the filter finds is counted as.
fn measures(filter: ListFilter<'_>) -> Vec<String> {
    filter.sources.iter().flat_map(|source| filter.statuses.iter().map(move |status| format!("conversation:{source}:{status}"))).collect()
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
) -> Result<ConversationPage, StoreError> {
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
    let conversations = conversation_cards::read(conn, tenant, &page).await?.into_iter().map(ListedConversation::from).collect();
    Ok(ConversationPage { conversations, total: i64::try_from(found.len()).unwrap_or(i64::MAX) })
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
    Ok(conversation_cards::read(conn, tenant, &[live]).await?.into_iter().next().map(ListedConversation::from))
}

/// Whose a conversation is. For operators and services, who do not name the tenant.
pub async fn tenant_of(conn: &mut PgConnection, id: ConversationId) -> Result<Option<TenantId>, StoreError> {
    let tenant = sqlx::query_scalar!("SELECT tenant_id FROM chat_conversations WHERE id = $1", id.0).fetch_optional(conn).await?;
    Ok(tenant.map(TenantId))
}

impl From<ConversationCard> for ListedConversation {
    fn from(card: ConversationCard) -> Self {
        Self { now: card.read_at, kept: Arc::new(card.into()) }
    }
}

impl Deref for ListedConversation {
    type Target = ConversationCard;

    fn deref(&self) -> &ConversationCard {
        &self.kept.card
    }
}

impl ListedConversation {
    /// A person keeps the bot away: `human_override_until` lies ahead.
    pub fn is_overridden(&self) -> bool {
        self.human_override_until.is_some_and(|until| until > self.now)
    }

    /// What `render` makes of it, kept together with the card. There is one form that is kept, so there is one `render`.
    pub fn rendered<E>(&self, render: impl FnOnce(&ConversationCard) -> Result<Box<RawValue>, E>) -> Result<&RawValue, E> {
        if let Some(rendered) = self.kept.rendered.get() {
            return Ok(rendered);
        }
        let rendered = render(&self.kept.card)?;
        Ok(self.kept.rendered.get_or_init(|| rendered))
    }

    /// Where it is in the list.
    pub fn cursor(&self) -> Cursor {
        Cursor { active_slot: self.active_slot, active_at: self.last_message_at.unwrap_or(self.created_at), id: self.id }
    }
}
