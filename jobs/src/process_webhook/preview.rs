//! What processing raw events once more would write: it is written, looked at, and undone.

use super::{
    ProcessWebhook,
    read::{Contents, read},
};
use crate::Claimed;
use chrono::TimeDelta;
use domain::{JobId, RawEventId, TenantId};
use store::{
    PgPool, StoreError,
    channel_map::ChannelMap,
    inbound::{self, Located, PeopleCache},
    operator::preview::{self, Row},
};

/// More events are not looked at at once: their rows are locked meanwhile.
pub const MOST_EVENTS: usize = 100;

/// What would come of it.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Preview {
    /// Raw events that were looked at.
    pub events: usize,
    /// Things that they say: messages, receipts, edits.
    pub parts: usize,
    /// Rows that would appear, and rows that would be changed.
    pub appear: Vec<Row>,
    pub change: Vec<Row>,
    /// Events that cannot be read, and why.
    pub malformed: Vec<String>,
    /// Parts for channels that nobody has.
    pub unrouted: usize,
    /// Events of tenants that have their webhooks held.
    pub held: usize,
}

/// Tries up to [`MOST_EVENTS`] events, and undoes it. `Err` with [`StoreError::Stale`] or `Conflict`: other work was faster; ask again.
pub async fn preview(pool: &PgPool, events: &[RawEventId], override_ttl: TimeDelta) -> Result<Preview, StoreError> {
    let events = events.get(..MOST_EVENTS).unwrap_or(events);
    let payload = ProcessWebhook { event_ids: events.to_vec(), position: None };
    let batch = [Claimed { id: JobId::generate(), tenant_id: TenantId::NONE, payload }];
    let mut tx = preview::begin(pool).await?;
    let Contents { items, malformed, held, unrouted, .. } = read(&mut tx, &batch, (&ChannelMap::default(), pool)).await?;
    let items: Vec<Located> = items.into_iter().map(|(_, item)| item).collect();
    inbound::write(&mut tx, &PeopleCache::default(), &items, override_ttl).await?;
    let after = preview::rows(&mut tx, &items).await?;
    preview::undo(tx).await?;
    let before = preview::as_they_are(pool, &after).await?;
    let (appear, change) = preview::difference(&before, &after);
    Ok(Preview {
        events: events.len(),
        parts: items.len(),
        appear,
        change,
        malformed: malformed.into_iter().map(|(_, event, reason)| format!("{event}: {reason}")).collect(),
        unrouted,
        held: held.values().map(std::collections::BTreeSet::len).sum(),
    })
}
