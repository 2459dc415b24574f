//! ExpireOverride: gives a conversation back to its bot when a person's override has run out.

use crate::{Done, Job, JobContext, JobError, Policy, new_job, queue};
use chrono::{DateTime, Utc};
use domain::{Change, ConversationId, TenantId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use store::{conversations, inbound::OverrideSet, ledger::NewJob};

/// Clears the override of a conversation, if it still is the one that was set to end at `expires_at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpireOverride {
    pub tenant_id: TenantId,
    pub conversation_id: ConversationId,
    pub expires_at: DateTime<Utc>,
}

impl Job for ExpireOverride {
    const KIND: &'static str = "expire_override";
    const POLICY: Policy = Policy {
        queue: queue::OVERRIDES.name,
        max_attempts: 10,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(5),
        timeout: Duration::from_secs(10),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let mut tx = ctx.begin().await?;
        let cleared = conversations::clear_override(&mut tx, self.tenant_id, self.conversation_id, self.expires_at).await?;
        if cleared {
            let change = Change::ConversationUpdated { conversation: self.conversation_id };
            ctx.tell(&mut tx, &BTreeMap::from([(self.tenant_id, vec![change])])).await?;
        }
        tracing::debug!(conversation = %self.conversation_id, cleared, "human override ran out");
        ctx.commit(tx).await
    }
}

/// The job that ends `set`, due when the override runs out.
pub fn job_for(set: &OverrideSet, trace: Option<&str>) -> NewJob {
    let payload = ExpireOverride { tenant_id: set.tenant_id, conversation_id: set.conversation_id, expires_at: set.until };
    NewJob {
        run_at: Some(set.until),
        ordering_key: Some(set.conversation_id.to_string()),
        idempotency_key: Some(format!("{}:{}", set.conversation_id, set.until.timestamp_micros())),
        ..new_job(set.tenant_id, &payload, trace)
    }
}
