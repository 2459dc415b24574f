//! LookUpProfile: asks a provider for the name and picture of a person whose webhooks do not tell it.

use crate::{Done, Job, JobContext, JobError, Policy, accounts, new_job, provider_call, queue};
use channels::{profiles::Profile, registry};
use domain::{Change, ChannelInstanceId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use store::{
    inbound::{self, NewIdentity},
    ledger::NewJob,
};

/// Looks a person up, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpProfile {
    pub channel_id: ChannelInstanceId,
    /// The person's id on the channel.
    pub external_id: String,
}

impl Job for LookUpProfile {
    const KIND: &'static str = "look_up_profile";
    const POLICY: Policy = Policy {
        queue: queue::CHORES.name,
        max_attempts: 8,
        backoff: Duration::from_secs(5),
        max_backoff: Duration::from_mins(30),
        timeout: Duration::from_mins(1),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let Some(channel) = accounts::channel(ctx, self.channel_id).await? else { return Ok(Done::WITHOUT_EFFECTS) };
        let Some(lookup) = registry::profile_lookup(channel.kind) else { return Ok(Done::WITHOUT_EFFECTS) };
        let Some(account) = accounts::account(ctx, &channel, lookup.token)? else { return Ok(Done::WITHOUT_EFFECTS) };
        let url = (lookup.url)(&account, &self.external_id);
        let answer = provider_call::get(&ctx.services.http, &url, Some(&account.token)).await;
        let (status, retry_after, body) = answer.map_err(|lost| JobError::retry("unreachable", lost.what()))?;
        match status {
            200..=299 => {}
            429 => {
                let delay = retry_after.unwrap_or(Duration::from_mins(1));
                return Err(JobError::RetryAfter { delay, class: "too_fast", message: "the provider wants fewer calls".to_owned() });
            }
            500.. => return Err(JobError::retry("refused", format!("HTTP {status}"))),
            // A person may keep their profile to themselves: they go by their id.
            _ => {
                tracing::debug!(channel = %channel.id, status, "a person's profile is not told");
                return Ok(Done::WITHOUT_EFFECTS);
            }
        }
        let Profile { name, picture } = (lookup.read)(&body);
        let mut tx = ctx.begin().await?;
        let identity = (ctx.tenant, self.channel_id, self.external_id.as_str());
        let shown_in = inbound::introduce(&mut tx, identity, name.as_deref(), picture.as_deref()).await?;
        let changes: Vec<Change> = shown_in.into_iter().map(|conversation| Change::ConversationUpdated { conversation }).collect();
        if !changes.is_empty() {
            ctx.tell(&mut tx, &BTreeMap::from([(ctx.tenant, changes)])).await?;
        }
        ctx.commit(tx).await
    }
}

/// The job for a person who is new, on a channel that tells more when it is asked.
pub fn job_for(identity: &NewIdentity, trace: Option<&str>) -> Option<NewJob> {
    registry::profile_lookup(identity.channel.kind)?;
    let payload = LookUpProfile { channel_id: identity.channel.id, external_id: identity.external_id.clone() };
    let job = new_job(identity.channel.tenant_id, &payload, trace);
    Some(NewJob { idempotency_key: Some(format!("{}:{}", identity.channel.id, identity.external_id)), ..job })
}
