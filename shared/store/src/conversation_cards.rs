//! What lists show of conversations, remembered by the process.
//!
//! A list asks the database which conversations it shows and which version of the row each is (`xmin`); only those that are not
//! known in this version are read. Nothing is out of date: whatever a card shows writes a new version of its conversation
//! when it changes (see the migration `conversation_versions`).

use crate::StoreError;
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{ConversationId, TenantId};
use quick_cache::{Weighter, sync::Cache};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};
use uuid::Uuid;

/// How much is remembered, in bytes, about.
const CAPACITY: u64 = 24 * 1024 * 1024;
/// What a card takes besides its longer texts, in bytes, about.
const CARD: u64 = 1536;

/// A conversation with what a list shows of it.
#[derive(Clone, Debug)]
pub struct ConversationCard {
    pub tenant_id: i32,
    pub id: Uuid,
    pub channel_instance_id: Uuid,
    pub channel_source: String,
    pub status: String,
    pub assigned_to: Option<Uuid>,
    pub human_override_until: Option<DateTime<Utc>>,
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
    /// The version of the row.
    version: i64,
    /// The time by which jobs go, when this was read.
    pub(crate) read_at: DateTime<Utc>,
}

/// A card, and what a list makes of it.
#[derive(Debug)]
pub(crate) struct KeptCard {
    pub(crate) card: ConversationCard,
    pub(crate) rendered: OnceLock<Box<RawValue>>,
}

impl From<ConversationCard> for KeptCard {
    fn from(card: ConversationCard) -> Self {
        Self { card, rendered: OnceLock::new() }
    }
}

/// The cards that a process remembers.
#[derive(Debug)]
pub struct ConversationCards(Cache<(i32, Uuid), Arc<KeptCard>, Weight>);

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<(i32, Uuid), Arc<KeptCard>> for Weight {
    fn weight(&self, _key: &(i32, Uuid), kept: &Arc<KeptCard>) -> u64 {
        let (card, text) = (&kept.card, |text: &Option<String>| text.as_ref().map_or(0, String::len) as u64);
        // Once as it is read, once as it is rendered.
        CARD + 2 * (text(&card.last_content) + text(&card.customer_name) + card.meta.to_string().len() as u64)
    }
}

impl Default for ConversationCards {
    fn default() -> Self {
        Self(Cache::with_weighter(usize::try_from(CAPACITY / CARD).unwrap_or(usize::MAX), CAPACITY, Weight))
    }
}

/// A version of a conversation.
pub(crate) type Version = (i32, Uuid, i64);

/// Versions that are wanted, with the cards that are known in just these.
#[derive(Debug)]
pub(crate) struct LookedUp(Vec<(Version, Option<Arc<KeptCard>>)>);

impl ConversationCards {
    pub(crate) fn look_up(&self, wanted: impl Iterator<Item = Version>) -> LookedUp {
        let known = |(tenant, id, version): Version| self.0.get(&(tenant, id)).filter(|kept| kept.card.version == version);
        LookedUp(wanted.map(|version| (version, known(version))).collect())
    }

    /// The cards that were looked up, in their order; those that are not known are read. `conn` must not have changed anything in its
    /// transaction.
    pub(crate) async fn complete(&self, conn: &mut PgConnection, found: LookedUp) -> Result<Vec<Arc<KeptCard>>, StoreError> {
        let unknown: Vec<_> = found.0.iter().filter(|(_, card)| card.is_none()).map(|((tenant, id, _), _)| (*tenant, *id)).collect();
        let mut read = HashMap::new();
        if !unknown.is_empty() {
            for card in fetch(conn, &unknown).await? {
                let (key, card) = ((card.tenant_id, card.id), Arc::new(KeptCard::from(card)));
                self.0.insert(key, card.clone());
                read.insert(key, card);
            }
        }
        Ok(found.0.into_iter().filter_map(|((tenant, id, _), card)| card.or_else(|| read.remove(&(tenant, id)))).collect())
    }
}

impl LookedUp {
    /// All of them, if none is unknown.
    pub(crate) fn all(self) -> Result<Vec<Arc<KeptCard>>, Self> {
        if self.0.iter().any(|(_, card)| card.is_none()) {
            return Err(self);
        }
        Ok(self.0.into_iter().filter_map(|(_, card)| card).collect())
    }
}

/// These conversations of one tenant as they are in the transaction, in this order.
pub async fn read(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<ConversationCard>, StoreError> {
    fetch(conn, &ids.iter().map(|id| (tenant.0, *id)).collect::<Vec<_>>()).await
}

async fn fetch(conn: &mut PgConnection, wanted: &[(i32, Uuid)]) -> Result<Vec<ConversationCard>, StoreError> {
    Ok(sqlx::query_as!(
        ConversationCard,
        r#"
        SELECT c.tenant_id, c.id, c.channel_instance_id, c.channel_source, c.status, c.assigned_to, c.human_override_until, c.unread_count,
               c.last_message_at, c.active_slot, c.tags, c.meta, c.created_at, c.updated_at, c.closed_at, c.customer_id, cu.number AS customer_number,
               cu.name AS customer_name, cu.phone_number AS customer_phone, cu.email AS customer_email,
               (SELECT i.external_id FROM customer_identities i WHERE i.tenant_id = c.tenant_id AND i.customer_id = c.customer_id
                ORDER BY i.channel_instance_id <> c.channel_instance_id, i.created_at, i.external_id LIMIT 1) AS external_id,
               m.content AS "last_content?", m.message_type AS "last_type?", m.direction AS "last_direction?",
               c.version AS "version!", ledger_now() AS "read_at!"
        FROM unnest($1::int4[], $2::uuid[]) WITH ORDINALITY wanted(tenant_id, id, place)
        CROSS JOIN LATERAL (SELECT x.*, x.xmin::text::int8 AS version FROM chat_conversations x WHERE x.tenant_id = wanted.tenant_id AND x.id = wanted.id OFFSET 0) c
        CROSS JOIN LATERAL (SELECT * FROM customers x WHERE x.tenant_id = c.tenant_id AND x.id = c.customer_id OFFSET 0) cu
        LEFT JOIN LATERAL (
          SELECT m.content, m.message_type, m.direction FROM chat_messages m
          WHERE m.tenant_id = c.tenant_id AND m.conversation_id = c.id ORDER BY m.sent_at DESC, m.id DESC LIMIT 1) m ON true
        ORDER BY wanted.place
        "#,
        &wanted.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>(),
        &wanted.iter().map(|(_, id)| *id).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?)
}

impl ConversationCard {
    pub fn conversation(&self) -> ConversationId {
        ConversationId(self.id)
    }

    /// What a list shows as the person's name: the name, else the number, else the channel's id.
    pub fn display_name(&self) -> &str {
        [&self.customer_name, &self.customer_phone, &self.external_id].into_iter().find_map(|name| name.as_deref()).unwrap_or("Unknown")
    }
}
