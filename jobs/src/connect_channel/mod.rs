//! ConnectChannel: tells a provider where a channel's webhooks go.

use crate::{Done, Job, JobContext, JobError, Policy, accounts, new_job, provider_call, queue};
use channels::registry;
use domain::{ChannelInstanceId, TenantId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{
    channels::{self as stored_channels, Report},
    ledger::NewJob,
};

/// Connects a channel, if its type needs it and it is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectChannel {
    pub channel_id: ChannelInstanceId,
    /// Where providers reach us, without a slash at the end.
    pub public_url: String,
}

impl Job for ConnectChannel {
    const KIND: &'static str = "connect_channel";
    const POLICY: Policy = Policy {
        queue: queue::CHORES.name,
        max_attempts: 10,
        backoff: Duration::from_secs(2),
        max_backoff: Duration::from_mins(5),
        timeout: Duration::from_mins(1),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let services = &ctx.services;
        let Some(channel) = accounts::channel(ctx, self.channel_id).await? else { return Ok(Done::WITHOUT_EFFECTS) };
        let Some(connector) = registry::connector(channel.kind) else { return Ok(Done::WITHOUT_EFFECTS) };
        let (Some(token), Some(secret)) =
            (accounts::open(ctx, &channel, connector.token)?, accounts::open(ctx, &channel, connector.secret)?)
        else {
            return Ok(Done::WITHOUT_EFFECTS);
        };
        let address = format!("{}{}/{}", self.public_url, connector.path, channel.id);
        let call = (connector.call)(&services.providers, &token, &address, &secret);
        let answer = provider_call::make(&services.http, &call).await.map_err(|lost| JobError::retry("unreachable", lost.what()))?;
        let (status, retry_after, body) = answer;
        let refusal = match (status, (connector.read)(status, &body)) {
            (_, Ok(())) => None,
            (429, Err(reason)) => {
                let delay = retry_after.unwrap_or(Duration::from_secs(5));
                return Err(JobError::RetryAfter { delay, class: "too_fast", message: reason });
            }
            (500.., Err(reason)) => return Err(JobError::retry("refused", reason)),
            (_, Err(reason)) => Some(reason),
        };
        let report = match &refusal {
            None => Report { status: "CONNECTED", error: None },
            Some(reason) => Report { status: "ERROR", error: Some(reason) },
        };
        tracing::info!(channel = %channel.id, status = report.status, reason = refusal.as_deref(), "asked the provider for a channel's webhooks");
        let mut tx = ctx.begin().await?;
        if stored_channels::report(&mut tx, ctx.tenant, channel.id, &channel.secrets, report).await? {
            ctx.told([ctx.tenant]);
        }
        ctx.commit(tx).await
    }
}

/// The job for a channel whose token is new.
pub fn job_for(tenant: TenantId, channel_id: ChannelInstanceId, public_url: &str) -> NewJob {
    let job = new_job(tenant, &ConnectChannel { channel_id, public_url: public_url.to_owned() }, None);
    NewJob { ordering_key: Some(channel_id.to_string()), ..job }
}
