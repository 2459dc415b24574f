//! From raw events to events with their channels.

use super::ProcessWebhook;
use crate::Claimed;
use chrono::{DateTime, Utc};
use domain::{ChannelEvent, ChannelNaming, JobId, RawEventId, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{
    PgConnection, PgPool, StoreError,
    channel_instances::FoundChannel,
    channel_map::{ChannelMap, FoundChannels},
    inbound::Located,
    raw_events::{self, RawEvent},
};

/// What a batch says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What to write, each event of a body once, with the job it came by.
    pub items: Vec<(JobId, Located)>,
    /// Events that cannot be processed as a whole (not what the provider sends, or gone), with the reason.
    pub malformed: Vec<(JobId, RawEventId, String)>,
    /// Events that belonged to nobody when they were received, and all of whose parts are one tenant's now.
    pub found_owner: BTreeMap<TenantId, BTreeSet<RawEventId>>,
    /// Events with a part for a tenant that has its webhooks held.
    pub held: BTreeMap<TenantId, BTreeSet<RawEventId>>,
    /// Parts whose channel nobody has. They stay in the raw event and can be replayed once the channel exists.
    pub unrouted: usize,
}

/// A raw event, taken apart, or why it cannot be.
struct Parsed {
    naming: ChannelNaming,
    tenant_id: Option<TenantId>,
    received_at: DateTime<Utc>,
    parts: Result<Vec<Part>, String>,
}

/// What one body says at one place. The first job that names it takes the event.
struct Part {
    position: u32,
    channel_external_id: Option<String>,
    event: Option<ChannelEvent>,
}

impl From<ChannelEvent> for Part {
    fn from(mut event: ChannelEvent) -> Self {
        Self { position: event.position, channel_external_id: event.channel_external_id.take(), event: Some(event) }
    }
}

/// Reads and parses the events of `batch`.
pub(super) async fn read(
    conn: &mut PgConnection,
    batch: &[Claimed<ProcessWebhook>],
    (channels, pool): (&ChannelMap, &PgPool),
) -> Result<Contents, StoreError> {
    let ids: BTreeSet<RawEventId> = batch.iter().flat_map(|job| &job.payload.event_ids).copied().collect();
    let raw = raw_events::read(conn, &ids.into_iter().collect::<Vec<_>>()).await?;
    let mut events = parse_all(raw).await;
    let channels = channels.resolve(pool, &named(&events)).await?;

    let mut contents = Contents::default();
    // A job for one part first: otherwise a job for the whole event would take the part, and leave it with nothing to fail on.
    let (for_parts, for_wholes): (Vec<_>, Vec<_>) = batch.iter().partition(|job| job.payload.position.is_some());
    for job in for_parts.into_iter().chain(for_wholes) {
        for id in &job.payload.event_ids {
            match events.get_mut(id) {
                Some(event) => contents.take(job, *id, event, &channels),
                None => contents.malformed.push((job.id, *id, "its raw event is gone: its day was dropped".to_owned())),
            }
        }
    }
    // Jobs come in the order of their lanes; arrival is the order of event ids.
    contents.items.sort_by_key(|(_, item)| (item.raw_event_id, item.event.position));
    Ok(contents)
}

/// The channels that the events name.
fn named(events: &HashMap<RawEventId, Parsed>) -> Vec<(ChannelNaming, &str)> {
    let parts = events.values().flat_map(|event| event.parts.iter().flatten().map(|part| (event.naming, part)));
    parts.filter_map(|(naming, part)| Some((naming, part.channel_external_id.as_deref()?))).collect()
}

/// Parses where the runtime's other tasks do not wait for it, if it is much.
async fn parse_all(raw: Vec<RawEvent>) -> HashMap<RawEventId, Parsed> {
    /// Takes some milliseconds.
    const MUCH: usize = 1024 * 1024;
    let parse_all = |raw: Vec<RawEvent>| raw.into_iter().map(|event| (event.id, parse(&event))).collect();
    if raw.iter().map(|event| event.body.len()).sum::<usize>() < MUCH {
        return parse_all(raw);
    }
    match tokio::task::spawn_blocking(move || parse_all(raw)).await {
        Ok(events) => events,
        // It is not aborted by anybody, so it panicked.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn parse(event: &RawEvent) -> Parsed {
    let kind = channels::registry::find(&event.channel_kind);
    let parts = match kind {
        Some(kind) => {
            let address = if kind.by_address { event.channel_ids.first() } else { None };
            let part = |event: ChannelEvent| {
                let mut part = Part::from(event);
                part.channel_external_id = part.channel_external_id.or_else(|| address.cloned());
                part
            };
            (kind.parse)(&event.body).map(|events| events.into_iter().map(part).collect()).map_err(|error| error.to_string())
        }
        None => Err(format!("there is no channel kind {}", event.channel_kind)),
    };
    let naming = kind.map_or(ChannelNaming::InstanceId, |kind| kind.naming);
    Parsed { naming, tenant_id: event.tenant_id, received_at: event.received_at, parts }
}

impl Contents {
    /// Adds the parts of `event` that `job` names, as far as somebody has their channel.
    fn take(&mut self, job: &Claimed<ProcessWebhook>, raw_event_id: RawEventId, event: &mut Parsed, channels: &FoundChannels) {
        let parts = match &mut event.parts {
            Ok(parts) => parts,
            Err(reason) => return self.malformed.push((job.id, raw_event_id, reason.clone())),
        };
        let only = job.payload.position;
        let (mut owners, mut unrouted) = (BTreeSet::new(), 0);
        if only.is_some_and(|position| parts.iter().all(|part| part.position != position)) {
            // Another version, which read the body differently, split it off: a job for the whole event takes its place.
            return self.malformed.push((job.id, raw_event_id, "it has no such part any more".to_owned()));
        }
        for part in parts.iter_mut().filter(|part| only.is_none_or(|position| position == part.position)) {
            let Some(external_id) = &part.channel_external_id else { continue };
            // What was received for one tenant is not shown to another who has the channel since.
            let found = channels.get(event.naming, external_id);
            let found = found.filter(|found| event.tenant_id.is_none_or(|tenant| tenant == found.channel.tenant_id));
            let Some(FoundChannel { channel, enabled }) = found else {
                unrouted += 1;
                continue;
            };
            owners.insert(channel.tenant_id);
            if !enabled {
                self.held.entry(channel.tenant_id).or_default().insert(raw_event_id);
                continue;
            }
            if let Some(body) = part.event.take() {
                self.items.push((job.id, Located { channel: *channel, raw_event_id, received_at: event.received_at, event: body }));
            }
        }
        self.unrouted += unrouted;
        if let (None, Some(owner), 1, 0, None) = (event.tenant_id, owners.first(), owners.len(), unrouted, only) {
            self.found_owner.entry(*owner).or_default().insert(raw_event_id);
        }
    }
}
