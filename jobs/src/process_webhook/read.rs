//! From raw events to events with their channels.

use super::ProcessWebhook;
use crate::{Claimed, JobContext, JobError};
use chrono::{DateTime, Utc};
use domain::{ChannelEvent, JobId, RawEventId, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use store::{PgConnection, channel_instances::ChannelRef, inbound::Located, raw_events};

/// What a batch says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What to write, each event of a body once, with the job it came by.
    pub items: Vec<(JobId, Located)>,
    /// Events that cannot be processed as a whole (not what the provider sends, or gone), with the reason.
    pub malformed: Vec<(JobId, RawEventId, String)>,
    /// Events that belonged to nobody when they were received, and all of whose parts are one tenant's now.
    pub found_owner: BTreeMap<TenantId, BTreeSet<RawEventId>>,
    /// Parts whose channel nobody has. They stay in the raw event and can be replayed once the channel exists.
    pub unrouted: usize,
}

/// When an event was received, and what it says or why it cannot be read.
type Parsed = (DateTime<Utc>, Result<Vec<ChannelEvent>, String>);

/// Reads and parses the events of `batch`.
pub(super) async fn read(conn: &mut PgConnection, batch: &[Claimed<ProcessWebhook>], ctx: &JobContext) -> Result<Contents, JobError> {
    let ids: BTreeSet<RawEventId> = batch.iter().flat_map(|job| &job.payload.event_ids).copied().collect();
    let raw = raw_events::read(conn, &ids.iter().copied().collect::<Vec<_>>()).await?;
    let mut parsed: HashMap<RawEventId, Parsed> = HashMap::with_capacity(raw.len());
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
    let channels = ctx.services.channels.resolve(&ctx.services.pool, external_ids).await?;

    let mut contents = Contents::default();
    let mut taken: HashSet<(RawEventId, u32)> = HashSet::new();
    // A job for one part first: otherwise a job for the whole event would take the part, and leave it with nothing to fail on.
    let (parts, wholes): (Vec<_>, Vec<_>) = batch.iter().partition(|job| job.payload.position.is_some());
    for job in parts.into_iter().chain(wholes) {
        for id in &job.payload.event_ids {
            match parsed.get(id) {
                Some((received_at, Ok(events))) => locate(job, (*id, *received_at), events, &channels, &mut taken, &mut contents),
                Some((_, Err(reason))) => contents.malformed.push((job.id, *id, reason.clone())),
                None => contents.malformed.push((job.id, *id, "its raw event is gone: its day was dropped".to_owned())),
            }
        }
    }
    // Jobs come in the order of their lanes; arrival is the order of event ids.
    contents.items.sort_by_key(|(_, item)| (item.raw_event_id, item.event.position));
    Ok(contents)
}

/// Adds the parts of one raw event that `job` shall write: its own tenant's, or, if it belongs to nobody, whatever has found
/// its tenant since.
fn locate(
    job: &Claimed<ProcessWebhook>,
    (raw_event_id, received_at): (RawEventId, DateTime<Utc>),
    events: &[ChannelEvent],
    channels: &HashMap<String, ChannelRef>,
    taken: &mut HashSet<(RawEventId, u32)>,
    contents: &mut Contents,
) {
    let (mut owners, mut unrouted) = (BTreeSet::new(), 0);
    for event in events.iter().filter(|event| job.payload.position.is_none_or(|position| position == event.position)) {
        let Some(external_id) = &event.channel_external_id else { continue };
        let Some(channel) = channels.get(external_id) else {
            unrouted += 1;
            continue;
        };
        owners.insert(channel.tenant_id);
        let its_own = job.tenant_id == channel.tenant_id || job.tenant_id == TenantId::NONE;
        if its_own && taken.insert((raw_event_id, event.position)) {
            contents.items.push((job.id, Located { channel: *channel, raw_event_id, received_at, event: event.clone() }));
        }
    }
    contents.unrouted += unrouted;
    if let (Some(owner), 1, 0, TenantId::NONE, None) = (owners.first(), owners.len(), unrouted, job.tenant_id, job.payload.position) {
        contents.found_owner.entry(*owner).or_default().insert(raw_event_id);
    }
}
