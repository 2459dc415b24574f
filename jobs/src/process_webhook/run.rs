//! One run: read and parse the batch, write it set-wise, split off what cannot be written, settle.

use super::{
    ProcessWebhook,
    read::{Contents, read},
};
use crate::{BatchJob, Claimed, Done, JobContext, JobError, enqueue::of_kind, expire_override};
use domain::{JobId, RawEventId, TenantId};
use std::{collections::BTreeMap, time::Duration};
use store::{
    PgConnection, StoreError,
    inbound::{self, Located, Written},
    ledger::NewJob,
    raw_events,
};

/// From this many crashes on, a job of several events is taken apart: one of them may be what kills the process.
const TAKE_APART_AT: i16 = 2;
/// How often a batch starts over in this run because it lost a race for a person or a conversation.
const RACES: usize = 5;

pub(super) async fn run(batch: Vec<Claimed<ProcessWebhook>>, ctx: &JobContext) -> Result<Done, JobError> {
    if ctx.crashes >= TAKE_APART_AT && batch.iter().any(|job| job.payload.event_ids.len() > 1) {
        return take_apart(&batch, ctx).await;
    }
    let mut isolating = false;
    for _ in 0..RACES {
        match write(&batch, ctx, isolating).await {
            Err(Attempt::Stale) => ctx.services.people.clear(),
            Err(Attempt::Refused) if !isolating => isolating = true,
            Err(Attempt::Refused) => return Err(JobError::fail("defect", "data refused outside of a message")),
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(done) => return Ok(done),
        }
    }
    Err(JobError::Snooze(Duration::from_millis(100)))
}

/// Why one try to write the batch did not work.
enum Attempt {
    /// Start over: what was known of a person is out of date, or another batch was faster.
    Stale,
    /// Postgres refused the data of some message: find it.
    Refused,
    Failed(JobError),
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale(_) | StoreError::Conflict(_) => Self::Stale,
            StoreError::Data(_) => Self::Refused,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<JobError> for Attempt {
    fn from(error: JobError) -> Self {
        Self::Failed(error)
    }
}

async fn write(batch: &[Claimed<ProcessWebhook>], ctx: &JobContext, isolating: bool) -> Result<Done, Attempt> {
    let services = &ctx.services;
    let mut tx = ctx.begin().await?;
    let Contents { items, malformed, found_owner, unrouted } = read(&mut tx, batch, ctx).await?;
    let (owners, items): (Vec<JobId>, Vec<Located>) = items.into_iter().unzip();
    let (mut written, refused) = if isolating {
        inbound::write_isolating(&mut tx, &services.people, &items, services.human_override_ttl).await?
    } else {
        (inbound::write(&mut tx, &services.people, &items, services.human_override_ttl).await?, Vec::new())
    };
    let mut split = Vec::new();
    for (job, event, reason) in &malformed {
        split.push(split_off(batch, *job, *event, None, "malformed", reason, ctx)?);
    }
    for (index, reason) in &refused {
        if let (Some(job), Some(item)) = (owners.get(*index), items.get(*index)) {
            split.push(split_off(batch, *job, item.raw_event_id, Some(item.event.position), "refused_by_database", reason, ctx)?);
        }
    }
    follow_up(&mut tx, ctx, &written, &split).await?;
    for (tenant, events) in found_owner {
        raw_events::assign_tenant(&mut tx, tenant, &events.into_iter().collect::<Vec<_>>()).await?;
    }
    let done = ctx.commit(tx).await?;
    written.remember(&services.people);
    report(batch, &written, unrouted, split.len());
    Ok(done)
}

/// Jobs that follow from what was really written.
async fn follow_up(conn: &mut PgConnection, ctx: &JobContext, written: &Written, split: &[NewJob]) -> Result<(), StoreError> {
    let overrides = written.overrides.iter().map(|set| expire_override::job_for(set, ctx.trace.as_deref()));
    let jobs: Vec<NewJob> = overrides.chain(split.iter().cloned()).collect();
    if jobs.is_empty() { Ok(()) } else { ctx.enqueue(conn, &jobs).await }
}

/// A job of its own for one part that cannot be processed, so that the rest of the batch commits. If that part is all the
/// batch consists of, the job itself has failed.
fn split_off(
    batch: &[Claimed<ProcessWebhook>],
    job: JobId,
    event: RawEventId,
    position: Option<u32>,
    class: &'static str,
    reason: &str,
    ctx: &JobContext,
) -> Result<NewJob, JobError> {
    if let [alone] = batch
        && alone.payload.event_ids.len() == 1
        && alone.payload.position == position
    {
        return Err(JobError::fail(class, format!("raw event {event}: {reason}")));
    }
    let tenant = batch.iter().find(|claimed| claimed.id == job).map_or(TenantId::NONE, |claimed| claimed.tenant_id);
    let payload = ProcessWebhook { event_ids: vec![event], position };
    let key = position.map_or_else(|| format!("{tenant}:{event}"), |position| format!("{tenant}:{event}:{position}"));
    Ok(NewJob { idempotency_key: Some(key), ..of_kind(ProcessWebhook::KIND, &ProcessWebhook::POLICY, tenant, &payload, ctx.trace.as_deref()) })
}

/// Replaces jobs of several events by jobs of one event each, which inherit the crashes and so run alone.
async fn take_apart(batch: &[Claimed<ProcessWebhook>], ctx: &JobContext) -> Result<Done, JobError> {
    let mut parts = Vec::new();
    for job in batch {
        for event in &job.payload.event_ids {
            let payload = ProcessWebhook { event_ids: vec![*event], position: job.payload.position };
            let part = of_kind(ProcessWebhook::KIND, &ProcessWebhook::POLICY, job.tenant_id, &payload, ctx.trace.as_deref());
            parts.push(NewJob { crashes: ctx.crashes, ..part });
        }
    }
    tracing::warn!(parts = parts.len(), crashes = ctx.crashes, "taking a job apart that was running in several crashes");
    let mut tx = ctx.begin().await?;
    ctx.enqueue(&mut tx, &parts).await?;
    ctx.commit(tx).await
}

fn report(batch: &[Claimed<ProcessWebhook>], written: &Written, unrouted: usize, split: usize) {
    let mut tenants: BTreeMap<TenantId, usize> = BTreeMap::new();
    for job in batch {
        *tenants.entry(job.tenant_id).or_default() += job.payload.event_ids.len();
    }
    let events: usize = tenants.values().sum();
    metrics::counter!("switchboard_messages_written_total").increment(written.messages.len() as u64);
    metrics::counter!("switchboard_receipts_applied_total").increment(written.statuses as u64);
    metrics::counter!("switchboard_webhook_parts_unrouted_total").increment(unrouted as u64);
    metrics::counter!("switchboard_webhook_parts_split_off_total").increment(split as u64);
    tracing::info!(
        jobs = batch.len(),
        events,
        tenants = tenants.len(),
        messages = written.messages.len(),
        receipts = written.statuses,
        changes = written.changes,
        unrouted,
        split,
        "webhooks processed"
    );
}
