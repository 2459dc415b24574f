//! Writing what a batch of webhooks says, set-wise, in the caller's transaction.
//!
//! Identity and duplicates are decided by unique constraints, never by look-up-then-insert. Rows are written in the order of
//! their keys, statement by statement in the same sequence, so that concurrent batches seldom deadlock (one may, when
//! it changes a message that another is inserting; it is run again). Everything reported in [`Written`] comes from rows really inserted or changed.

mod changes;
mod isolate;
mod merge;
mod messages;
mod people;
mod people_cache;
mod person_names;
mod profiles;
mod receipts;
pub(crate) mod seen;
mod templates;

pub use isolate::write_isolating;
pub use people_cache::{KnownPerson, PeopleCache, PersonKey};
pub use profiles::introduce;

use crate::{StoreError, channel_instances::ChannelRef};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Change, ChannelEvent, ConversationId, DeliveryStatus, EventBody, MessageId, RawEventId, TenantId};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// One event of a raw webhook, with the channel it belongs to.
#[derive(Clone, Debug)]
pub struct Located {
    pub channel: ChannelRef,
    pub raw_event_id: RawEventId,
    pub received_at: DateTime<Utc>,
    pub event: ChannelEvent,
}

/// A message that is new, not one seen again.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenMessage {
    pub tenant_id: TenantId,
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub inbound: bool,
    /// It came with a file.
    pub has_file: bool,
}

/// A message that was there and is different now.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedMessage {
    pub tenant_id: TenantId,
    pub id: MessageId,
    pub conversation_id: ConversationId,
}

impl ChangedMessage {
    /// A row without a conversation waits for its message: nobody sees it.
    fn visible(tenant: i32, id: Uuid, conversation: Option<Uuid>) -> Option<Self> {
        Some(Self { tenant_id: TenantId(tenant), id: MessageId(id), conversation_id: ConversationId(conversation?) })
    }
}

/// A message whose status moved forward.
#[derive(Clone, Debug, PartialEq)]
pub struct MovedMessage {
    pub tenant_id: TenantId,
    pub id: MessageId,
    /// What it moved to.
    pub status: Option<DeliveryStatus>,
}

impl MovedMessage {
    /// A row without a conversation waits for its message: nobody sees it.
    fn visible(tenant: i32, id: Uuid, conversation: Option<Uuid>, status: &str) -> Option<Self> {
        conversation.map(|_| Self { tenant_id: TenantId(tenant), id: MessageId(id), status: DeliveryStatus::parse(status) })
    }
}

/// A person's id on a channel that nobody wrote from before.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIdentity {
    pub channel: ChannelRef,
    pub external_id: String,
}

/// A conversation that a person answered in from outside, and until when the bot stays away.
#[derive(Clone, Debug, PartialEq)]
pub struct OverrideSet {
    pub tenant_id: TenantId,
    pub conversation_id: ConversationId,
    pub until: DateTime<Utc>,
}

/// What a batch changed.
#[derive(Debug, Default)]
pub struct Written {
    pub messages: Vec<WrittenMessage>,
    pub overrides: Vec<OverrideSet>,
    pub statuses: Vec<MovedMessage>,
    /// Messages that were edited, revoked or reacted to.
    pub changes: Vec<ChangedMessage>,
    /// Receipts, edits and the like that were written, also those whose message is not there yet.
    pub applied: usize,
    pub identities: Vec<NewIdentity>,
    /// What to remember once the transaction has committed.
    learned: Vec<(PersonKey, KnownPerson)>,
}

impl Written {
    /// Remembers the people of a batch. Call it after the commit only.
    pub fn remember(&mut self, cache: &PeopleCache) {
        cache.remember(std::mem::take(&mut self.learned));
    }
}

impl Written {
    /// What those who watch are told, by tenant.
    pub fn told(&self) -> BTreeMap<TenantId, Vec<Change>> {
        let mut told: BTreeMap<TenantId, Vec<Change>> = BTreeMap::new();
        let mut moved = BTreeSet::new();
        for message in &self.messages {
            told.entry(message.tenant_id).or_default().push(Change::MessageCreated { message: message.id });
            moved.insert((message.tenant_id, message.conversation_id));
        }
        for moved in &self.statuses {
            told.entry(moved.tenant_id).or_default().push(Change::MessageStatus { message: moved.id, status: moved.status });
        }
        for changed in &self.changes {
            told.entry(changed.tenant_id).or_default().push(Change::MessageEdited { message: changed.id });
            moved.insert((changed.tenant_id, changed.conversation_id));
        }
        for (tenant, conversation) in moved {
            told.entry(tenant).or_default().push(Change::ConversationUpdated { conversation });
        }
        told
    }
}

/// Writes `items`. `override_ttl`: how long a message from the business's own phone keeps the bot away.
///
/// Fails with [`StoreError::Stale`] if a cached conversation was closed or merged (it is forgotten then), or a race for a new
/// person was lost: the caller rolls back and runs it again.
pub async fn write(
    conn: &mut PgConnection,
    cache: &PeopleCache,
    items: &[Located],
    override_ttl: TimeDelta,
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    let new_messages = messages::NewMessages::of(items);
    let people = people::resolve(conn, cache, items, &new_messages).await?;
    if let Err(error) = messages::insert(conn, &new_messages, &people, override_ttl, &mut written).await {
        if matches!(error, StoreError::Stale(_)) {
            cache.forget(new_messages.rows.iter().map(|row| &row.person));
        }
        return Err(error);
    }
    receipts::advance(conn, items, &mut written).await?;
    if items.iter().any(seen::sends_to_marked) {
        let sent: Vec<_> =
            written.messages.iter().filter(|message| !message.inbound).map(|message| (message.tenant_id, message.id)).collect();
        seen::hold(conn, &sent).await?;
        seen::catch_up(conn, &sent).await?;
    }
    written.statuses.extend(seen::mark(conn, items).await?);
    changes::apply(conn, items, &mut written).await?;
    templates::apply(conn, items, &mut written).await?;
    written.identities = people.introduced;
    written.learned = people.learned;
    Ok(written)
}

/// The time that orders a message: the provider's, unless it is impossible (missing, or more than a day ahead of arrival).
fn effective_time(provider: Option<DateTime<Utc>>, received_at: DateTime<Utc>) -> DateTime<Utc> {
    provider.filter(|at| *at <= received_at + TimeDelta::days(1)).unwrap_or(received_at)
}

/// A key under which a row is stored, in the order in which rows are locked.
fn row_key<'a>(item: &Located, external_id: &'a str) -> (i32, uuid::Uuid, &'a str) {
    (item.channel.tenant_id.0, item.channel.id.0, external_id)
}

/// Narrows a batch to the events of one kind.
fn of_kind<'a, T>(items: &'a [Located], pick: impl Fn(&'a EventBody) -> Option<&'a T>) -> Vec<(&'a Located, &'a T)> {
    items.iter().filter_map(|item| pick(&item.event.body).map(|body| (item, body))).collect()
}
