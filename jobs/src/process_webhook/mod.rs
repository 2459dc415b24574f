//! ProcessWebhook: turns raw webhook events into customers, conversations, messages and receipts.

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

/// Raw events of one tenant to process. The same event may be named by jobs of several tenants: each job writes only what
/// belongs to its own.
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

/// Events per job: a lost or failing job concerns no more than these.
const EVENTS_PER_JOB: usize = 300;
/// A body counts as one unit of weight for each of these bytes, so that a batch of large bodies stays small.
const BYTES_PER_WEIGHT: usize = 4 * 1024;

/// So many unrouted events of a new channel are taken up at once; what is beyond is left to `switchboard replay --unroutable`.
const UNROUTED_AT_ONCE: i64 = 10_000;

/// The jobs for the raw events of one commit: `(tenant, event, body size in bytes)`, an event once for each tenant it concerns.
pub fn jobs_for_commit(events: &[(TenantId, RawEventId, usize)], trace: Option<&str>) -> Vec<NewJob> {
    let mut by_tenant: BTreeMap<TenantId, Vec<(RawEventId, usize)>> = BTreeMap::new();
    for (tenant, event, size) in events {
        by_tenant.entry(*tenant).or_default().push((*event, *size));
    }
    let jobs = by_tenant
        .into_iter()
        .flat_map(|(tenant, events)| events.chunks(EVENTS_PER_JOB).map(|part| job(tenant, part, trace)).collect::<Vec<_>>());
    jobs.collect()
}

/// Enqueues the recent events that named `external_id` while nobody had that channel: call it when the channel was made.
/// Calling it again is harmless. Returns how many events there are.
pub async fn requeue_unrouted(conn: &mut PgConnection, external_id: &str, since: DateTime<Utc>) -> Result<usize, StoreError> {
    let events: Vec<_> =
        raw_events::unrouted(conn, external_id, since, UNROUTED_AT_ONCE).await?.into_iter().map(|id| (TenantId::NONE, id, 0)).collect();
    ledger::enqueue(conn, &jobs_for_commit(&events, None)).await?;
    Ok(events.len())
}

fn job(tenant: TenantId, events: &[(RawEventId, usize)], trace: Option<&str>) -> NewJob {
    let payload = ProcessWebhook { event_ids: events.iter().map(|(id, _)| *id).collect(), position: None };
    let weight: usize = events.iter().map(|(_, size)| 1 + size / BYTES_PER_WEIGHT).sum();
    NewJob {
        weight: i32::try_from(weight).unwrap_or(i32::MAX),
        ..of_kind(ProcessWebhook::KIND, &ProcessWebhook::POLICY, tenant, &payload, trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_makes_one_job_per_tenant_and_splits_large_ones() {
        let event = RawEventId::generate;
        let mut events: Vec<_> = (0..301).map(|_| (TenantId(1), event(), 900)).collect();
        events.push((TenantId(2), event(), 9_000));
        let jobs = jobs_for_commit(&events, Some("trace"));
        let shape: Vec<_> = jobs.iter().map(|job| (job.tenant_id.0, job.weight, job.trace.as_deref())).collect();
        assert_eq!(shape, [(1, 300, Some("trace")), (1, 1, Some("trace")), (2, 3, Some("trace"))]);
    }

    #[test]
    fn arguments_without_a_position_are_those_of_a_whole_event() {
        let id = RawEventId::generate();
        let payload: ProcessWebhook = serde_json::from_value(serde_json::json!({"event_ids": [id]})).unwrap();
        assert_eq!(payload, ProcessWebhook { event_ids: vec![id], position: None });
    }
}
