//! One run: read and parse the batch, write it set-wise, split off what cannot be written, settle.

use super::{
    ProcessWebhook,
    read::{Contents, read},
};
use crate::{
    BatchJob, Claimed, Done, JobContext, JobError, copy_media, enqueue::of_kind, expire_override, look_up_profile, run_auto_reply,
};
use domain::{JobId, RawEventId, TenantId};
use std::{collections::BTreeSet, time::Duration};
use store::{
    PgConnection, StoreError, held_events,
    inbound::{self, Located, Written},
    ledger::{Burial, NewJob},
    raw_events,
};

/// From this many crashes on, a job of several events is taken apart: one of them may be what kills the process.
const TAKE_APART_AT: i16 = 2;
/// How often a batch starts over in this run because it lost a race for a person or a conversation.
const RACES: u32 = 6;
/// What it waits before that, at most so much for each race that it lost before; the first time not at all.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn run(batch: Vec<Claimed<ProcessWebhook>>, ctx: &JobContext) -> Result<Done, JobError> {
    if ctx.crashes >= TAKE_APART_AT && batch.iter().any(|job| job.payload.event_ids.len() > 1) {
        return take_apart(&batch, ctx).await;
    }
    let mut isolating = false;
    for race in 0..RACES {
        match write(&batch, ctx, isolating).await {
            // Two that start over at once would meet again.
            Err(Attempt::Outrun) => tokio::time::sleep(PAUSE.mul_f64(rand::random::<f64>() * f64::from(race))).await,
            Err(Attempt::Refused) if !isolating => isolating = true,
            Err(Attempt::Refused) => return Err(JobError::fail("defect", "data refused outside of a message")),
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(done) => return Ok(done),
        }
    }
    // In a batch that means smaller company next time; alone, another attempt.
    Err(JobError::retry("contended", "lost every race against other batches"))
}

/// Why one try to write the batch did not work.
enum Attempt {
    /// Start over: another transaction was faster or in the way, or what was known of a person is out of date.
    Outrun,
    /// Postgres refused the data of some message: find it.
    Refused,
    Failed(JobError),
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale(_) | StoreError::Conflict(_) => Self::Outrun,
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
    let mut tx = ctx.begin_relaxed().await?;
    let Contents { items, malformed, found_owner, held, unrouted } = read(&mut tx, batch, (&services.channels, &services.pool)).await?;
    let (job_ids, items): (Vec<JobId>, Vec<Located>) = items.into_iter().unzip();
    let (mut written, refused) = if isolating {
        inbound::write_isolating(&mut tx, &services.people, &items, services.human_override_ttl).await?
    } else {
        (inbound::write(&mut tx, &services.people, &items, services.human_override_ttl).await?, Vec::new())
    };
    if !held.is_empty() {
        held_events::hold(&mut tx, &held).await?;
    }
    let mut rejected = Rejected::default();
    for (job, event, reason) in &malformed {
        rejected.add(batch, *job, None, (*event, None), &JobError::fail("malformed", format!("raw event {event}: {reason}")), ctx);
    }
    for (index, reason) in &refused {
        if let (Some(job), Some(item)) = (job_ids.get(*index), items.get(*index)) {
            let (event, position) = (item.raw_event_id, item.event.position);
            let error = JobError::fail("refused_by_database", format!("raw event {event}, part {position}: {reason}"));
            rejected.add(batch, *job, Some(item.channel.tenant_id), (event, Some(position)), &error, ctx);
        }
    }
    follow_up(&mut tx, ctx, &written, &rejected.split_off).await?;
    ctx.tell(&mut tx, &written.told()).await?;
    for (tenant, events) in found_owner {
        raw_events::assign_tenant(&mut tx, tenant, &events.into_iter().collect::<Vec<_>>()).await?;
    }
    let done = ctx.commit_burying(tx, &rejected.dead).await?;
    written.remember(&services.people);
    report(batch, &items, &written, unrouted, &rejected);
    Ok(done)
}

/// Jobs that follow from what was really written.
async fn follow_up(conn: &mut PgConnection, ctx: &JobContext, written: &Written, split: &[NewJob]) -> Result<(), StoreError> {
    let overrides = written.overrides.iter().map(|set| expire_override::job_for(set, ctx.trace.as_deref()));
    let profiles = written.identities.iter().filter_map(|identity| look_up_profile::job_for(identity, ctx.trace.as_deref()));
    let files = copy_media::jobs_for(&written.messages, ctx.trace.as_deref());
    let answers = run_auto_reply::jobs_for(conn, &written.messages, ctx.trace.as_deref()).await?;
    let jobs: Vec<NewJob> = overrides.chain(profiles).chain(files).chain(answers).chain(split.iter().cloned()).collect();
    if jobs.is_empty() { Ok(()) } else { ctx.enqueue(conn, &jobs).await }
}

/// What cannot be processed, kept from spoiling the rest of the batch.
#[derive(Default)]
struct Rejected {
    /// Jobs of their own for parts of larger jobs.
    split_off: Vec<NewJob>,
    /// Jobs that consist of nothing else: they have failed.
    dead: Vec<Burial>,
}

impl Rejected {
    fn add(
        &mut self,
        batch: &[Claimed<ProcessWebhook>],
        job: JobId,
        tenant: Option<TenantId>,
        (event, position): (RawEventId, Option<u32>),
        error: &JobError,
        ctx: &JobContext,
    ) {
        let Some(claimed) = batch.iter().find(|claimed| claimed.id == job) else { return };
        if claimed.payload.event_ids.len() == 1 && claimed.payload.position == position {
            tracing::error!(%error, "dead letter: see `switchboard jobs show {job}`");
            metrics::counter!("switchboard_jobs_dead_total", "kind" => ProcessWebhook::KIND).increment(1);
            self.dead.push(error.burial(job, ProcessWebhook::KIND, ctx.attempt));
            return;
        }
        let payload = ProcessWebhook { event_ids: vec![event], position };
        let key = position.map_or_else(|| event.to_string(), |position| format!("{event}:{position}"));
        let lane = tenant.unwrap_or(claimed.tenant_id);
        let part = of_kind(ProcessWebhook::KIND, &ProcessWebhook::POLICY, lane, &payload, ctx.trace.as_deref());
        self.split_off.push(NewJob { idempotency_key: Some(key), ..part });
    }
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

fn report(batch: &[Claimed<ProcessWebhook>], items: &[Located], written: &Written, unrouted: usize, rejected: &Rejected) {
    let events: usize = batch.iter().map(|job| job.payload.event_ids.len()).sum();
    let tenants: BTreeSet<TenantId> = items.iter().map(|item| item.channel.tenant_id).collect();
    metrics::counter!("switchboard_messages_written_total").increment(written.messages.len() as u64);
    metrics::counter!("switchboard_receipts_applied_total").increment(written.statuses.len() as u64);
    metrics::counter!("switchboard_webhook_parts_unrouted_total").increment(unrouted as u64);
    metrics::counter!("switchboard_webhook_parts_split_off_total").increment(rejected.split_off.len() as u64);
    if unrouted > 0 {
        tracing::warn!(
            unrouted,
            "webhooks for numbers that no channel has were kept: `switchboard replay --unroutable --dry-run` lists them, `switchboard seed --whatsapp-numbers` makes a channel"
        );
    }
    tracing::info!(
        jobs = batch.len(),
        events,
        tenants = tenants.len(),
        messages = written.messages.len(),
        receipts = written.statuses.len(),
        changes = written.changes.len(),
        unrouted,
        split_off = rejected.split_off.len(),
        dead = rejected.dead.len(),
        "webhooks processed"
    );
}
