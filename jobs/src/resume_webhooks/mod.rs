//! ResumeWebhooks: a tenant has enabled its webhooks again, or an operator has resumed it, so those that were held are processed.

use crate::{
    Done, Job, JobContext, JobError, Policy, new_job,
    process_webhook::{Lanes, StoredEvent, jobs_for},
    queue,
};
use domain::TenantId;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{StoreError, held_events, ledger::NewJob, raw_events};

/// Events in a transaction.
const CHUNK: i64 = 1_000;

/// Enqueues what is held for a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeWebhooks {
    pub tenant_id: TenantId,
}

impl Job for ResumeWebhooks {
    const KIND: &'static str = "resume_webhooks";
    const POLICY: Policy = Policy {
        queue: queue::CHORES.name,
        max_attempts: 10,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(5),
        timeout: Duration::from_mins(10),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let mut resumed = 0;
        loop {
            let mut tx = ctx.begin().await?;
            if held_events::must_wait(&mut tx, self.tenant_id).await? {
                tracing::info!(tenant = %self.tenant_id, resumed, "the tenant's webhooks are held still, or again");
                return ctx.commit(tx).await;
            }
            let taken = held_events::release(&mut tx, self.tenant_id, CHUNK).await?;
            let events = raw_events::sizes(&mut tx, &taken).await?;
            let stored: Vec<_> = events.into_iter().map(|(id, size)| StoredEvent { id, tenant_id: Some(self.tenant_id), size }).collect();
            let jobs = jobs_for(&stored, Lanes::PerTenant, ctx.trace.as_deref());
            if !jobs.is_empty() {
                ctx.enqueue(&mut tx, &jobs).await?;
            }
            resumed += stored.len();
            if i64::try_from(taken.len()).unwrap_or(CHUNK) < CHUNK {
                tracing::info!(tenant = %self.tenant_id, resumed, "webhooks that were held are processed now");
                return ctx.commit(tx).await;
            }
            tx.commit().await.map_err(StoreError::from)?;
        }
    }
}

/// The job for a tenant that has just enabled its webhooks, or was resumed.
pub fn job_for(tenant_id: TenantId) -> NewJob {
    new_job(tenant_id, &ResumeWebhooks { tenant_id }, None)
}
