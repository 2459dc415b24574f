//! From raw events to events with their channels.

use super::ProcessWebhook;
use crate::{Claimed, JobContext, JobError};
use domain::{ChannelEvent, JobId, RawEventId, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use store::{PgConnection, inbound::Located, raw_events};

/// What a batch says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What to write, each event of a body once, with the job it came by.
    pub items: Vec<(JobId, Located)>,
    /// Bodies that are not what their provider sends, with the reason.
    pub malformed: Vec<(JobId, RawEventId, String)>,
    /// Events that belonged to nobody when they were received and now have a tenant.
    pub found_owner: BTreeMap<TenantId, BTreeSet<RawEventId>>,
    /// Parts whose channel nobody has. They stay in the raw event and can be replayed once the channel exists.
    pub unrouted: usize,
}

/// Reads and parses the events of `batch`.
pub(super) async fn read(conn: &mut PgConnection, batch: &[Claimed<ProcessWebhook>], ctx: &JobContext) -> Result<Contents, JobError> {
    let ids: BTreeSet<RawEventId> = batch.iter().flat_map(|job| &job.payload.event_ids).copied().collect();
    let raw = raw_events::read(conn, &ids.iter().copied().collect::<Vec<_>>()).await?;
    if raw.len() < ids.len() {
        tracing::warn!(missing = ids.len() - raw.len(), "raw events are gone: their day was dropped before they were processed");
    }
    let mut parsed: HashMap<RawEventId, (chrono::DateTime<chrono::Utc>, Result<Vec<ChannelEvent>, String>)> = HashMap::with_capacity(raw.len());
    for event in raw {
        let events = match channels::registry::find(&event.channel_kind) {
            Some(kind) => (kind.parse)(&event.body).map_err(|error| error.to_string()),
            None => Err(format!("there is no channel kind {}", event.channel_kind)),
        };
        parsed.insert(event.id, (event.received_at, events));
    }
    let mut external_ids: BTreeSet<&str> = BTreeSet::new();
    for (_, events) in parsed.values() {
        external_ids.extend(events.iter().flatten().filter_map(|event| event.channel_external_id.as_deref()));
    }
    let channels = ctx.services.channels.resolve(&ctx.services.pool, external_ids.into_iter()).await?;

    let mut contents = Contents::default();
    let mut taken: HashSet<(RawEventId, u32)> = HashSet::new();
    for job in batch {
        for id in &job.payload.event_ids {
            let Some((received_at, events)) = parsed.get(id) else { continue };
            let events = match events {
                Ok(events) => events,
                Err(reason) => {
                    contents.malformed.push((job.id, *id, reason.clone()));
                    continue;
                }
            };
            for event in events.iter().filter(|event| job.payload.position.is_none_or(|position| position == event.position)) {
                let Some(external_id) = &event.channel_external_id else { continue };
                let Some(channel) = channels.get(external_id) else {
                    contents.unrouted += 1;
                    continue;
                };
                // A job writes its own tenant's part; one that belongs to nobody, whatever has found its tenant since.
                if job.tenant_id == TenantId::NONE {
                    contents.found_owner.entry(channel.tenant_id).or_default().insert(*id);
                } else if job.tenant_id != channel.tenant_id {
                    continue;
                }
                if taken.insert((*id, event.position)) {
                    let item = Located { channel: *channel, raw_event_id: *id, received_at: *received_at, event: event.clone() };
                    contents.items.push((job.id, item));
                }
            }
        }
    }
    // Jobs come in the order of their lanes; arrival is the order of event ids.
    contents.items.sort_by_key(|(_, item)| (item.raw_event_id, item.event.position));
    Ok(contents)
}
