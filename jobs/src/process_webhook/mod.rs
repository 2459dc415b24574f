//! ProcessWebhook: turns raw webhook events into customers, conversations, messages and receipts.

pub mod preview;
mod read;
mod run;

use crate::{BatchJob, Claimed, Done, JobContext, JobError, Policy, enqueue::of_kind, queue};
use chrono::{DateTime, Utc};
use domain::{RawEventId, TenantId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use store::{
    PgConnection, StoreError,
    ledger::{self, NewJob},
    raw_events,
};

/// Raw events to process, each part of them for the tenant who has its channel by then. The job's own tenant says only in
/// whose lane it waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessWebhook {
    pub event_ids: Vec<RawEventId>,
    /// Only this event of the body (see `ChannelEvent::position`): a part that spoilt its batch and was split off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
}

impl BatchJob for ProcessWebhook {
    const KIND: &'static str = "process_webhook";
    const POLICY: Policy = Policy {
        queue: queue::WEBHOOKS.name,
        max_attempts: 10,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(10),
        timeout: Duration::from_mins(1),
    };

    async fn run(batch: Vec<Claimed<Self>>, ctx: &JobContext) -> Result<Done, JobError> {
        run::run(batch, ctx).await
    }
}

/// Events per job, and their weight together: a lost or failing job concerns no more than these.
const EVENTS_PER_JOB: usize = 300;
const WEIGHT_PER_JOB: usize = 1_000;
/// A body counts as one unit of weight for each of these bytes, so that a batch of large bodies stays small.
const BYTES_PER_WEIGHT: usize = 4 * 1024;

/// So many unrouted events of a new channel are taken up at once; what is beyond is left to `switchboard replay --unroutable`.
const UNROUTED_AT_ONCE: i64 = 10_000;

/// A stored raw event that waits for its job.
#[derive(Clone, Copy, Debug)]
pub struct StoredEvent {
    pub id: RawEventId,
    /// Whose it is, and in whose lane it waits. `None`: nobody has its channels (yet), or several have them.
    pub tenant_id: Option<TenantId>,
    /// Of its body, in bytes.
    pub size: usize,
}

/// Whether tenants share jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// They do: the cheapest, while nothing waits for long.
    Shared,
    /// Each has its own, so that they can take turns when much waits.
    PerTenant,
}

/// The jobs for raw events that were stored together.
pub fn jobs_for(events: &[StoredEvent], lanes: Lanes, trace: Option<&str>) -> Vec<NewJob> {
    let mut by_lane: BTreeMap<TenantId, Vec<StoredEvent>> = BTreeMap::new();
    for event in events {
        let lane = match (event.tenant_id, lanes) {
            (Some(tenant), Lanes::Shared) => tenant.shared_lane(),
            (Some(tenant), Lanes::PerTenant) => tenant,
            (None, _) => TenantId::NONE,
        };
        by_lane.entry(lane).or_default().push(*event);
    }
    let jobs = by_lane.iter().flat_map(|(lane, events)| {
        // Those of one tenant need not share.
        let tenant = events.first().and_then(|first| first.tenant_id);
        let lane = tenant.filter(|_| events.iter().all(|event| event.tenant_id == tenant)).unwrap_or(*lane);
        parts(events).map(move |part| job(lane, part, trace))
    });
    jobs.collect()
}

/// Cuts `events` into what one job may hold. One that is too heavy by itself still is a part.
fn parts(mut events: &[StoredEvent]) -> impl Iterator<Item = &[StoredEvent]> {
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = events.iter().take(EVENTS_PER_JOB).take_while(|event| {
            sum += weight(event);
            sum <= WEIGHT_PER_JOB
        });
        let (part, rest) = events.split_at_checked(fits.count().max(1))?;
        events = rest;
        Some(part)
    })
}

fn weight(event: &StoredEvent) -> usize {
    1 + event.size / BYTES_PER_WEIGHT
}

/// Enqueues the recent events that named `external_id` while nobody had that channel: call it when the channel was made.
/// Calling it again is harmless. Returns how many events there are.
pub async fn requeue_unrouted(conn: &mut PgConnection, external_id: &str, since: DateTime<Utc>) -> Result<usize, StoreError> {
    let events: Vec<_> = raw_events::unrouted(conn, external_id, since, UNROUTED_AT_ONCE)
        .await?
        .into_iter()
        .map(|(id, size)| StoredEvent { id, tenant_id: None, size })
        .collect();
    ledger::enqueue(conn, &jobs_for(&events, Lanes::PerTenant, None)).await?;
    Ok(events.len())
}

fn job(lane: TenantId, events: &[StoredEvent], trace: Option<&str>) -> NewJob {
    let payload = ProcessWebhook { event_ids: events.iter().map(|event| event.id).collect(), position: None };
    NewJob {
        weight: i32::try_from(events.iter().map(weight).sum::<usize>()).unwrap_or(i32::MAX),
        ..of_kind(ProcessWebhook::KIND, &ProcessWebhook::POLICY, lane, &payload, trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(tenant: i32, size: usize) -> StoredEvent {
        StoredEvent { id: RawEventId::generate(), tenant_id: Some(TenantId(tenant)).filter(|id| *id != TenantId::NONE), size }
    }

    /// Lane, weight and number of events of each job.
    fn shape(events: &[StoredEvent], lanes: Lanes) -> Vec<(i32, i32, usize)> {
        let jobs = jobs_for(events, lanes, Some("trace"));
        assert!(jobs.iter().all(|job| job.trace.as_deref() == Some("trace")));
        let count = |job: &NewJob| serde_json::from_value::<ProcessWebhook>(job.args.clone()).unwrap().event_ids.len();
        jobs.iter().map(|job| (job.tenant_id.0, job.weight, count(job))).collect()
    }

    #[test]
    fn tenants_have_jobs_of_their_own_when_they_take_turns_and_share_those_of_their_shard_otherwise() {
        let events = [event(1, 900), event(2, 9_000), event(3, 900), event(1, 900), event(0, 900)];
        assert_eq!(shape(&events, Lanes::PerTenant), [(0, 1, 1), (1, 2, 2), (2, 3, 1), (3, 1, 1)]);
        assert_eq!(shape(&events, Lanes::Shared), [(-2, 3, 3), (2, 3, 1), (0, 1, 1)]);
    }

    #[test]
    fn a_job_holds_so_many_events_and_so_much_weight() {
        let small: Vec<_> = (0..301).map(|_| event(1, 900)).collect();
        assert_eq!(shape(&small, Lanes::Shared), [(1, 300, 300), (1, 1, 1)]);
        let large: Vec<_> = [3_000_000, 3_000_000, 8_000_000, 900].map(|size| event(1, size)).into();
        assert_eq!(shape(&large, Lanes::PerTenant).iter().map(|job| job.2).collect::<Vec<_>>(), [1, 1, 1, 1]);
    }

    #[test]
    fn arguments_without_a_position_are_those_of_a_whole_event() {
        let id = RawEventId::generate();
        let payload: ProcessWebhook = serde_json::from_value(serde_json::json!({"event_ids": [id]})).unwrap();
        assert_eq!(payload, ProcessWebhook { event_ids: vec![id], position: None });
    }
}
