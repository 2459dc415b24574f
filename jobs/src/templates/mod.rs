//! WhatsApp's message templates: submitted to Meta, deleted there, and its list taken over. What Meta decides later comes by webhook.

mod delete;
mod submit;
mod sync;

pub use delete::DeleteTemplate;
pub use submit::SubmitTemplate;
pub use sync::SyncTemplates;

use crate::{JobContext, JobError, Policy, accounts, new_job, queue};
use channels::{
    sending::{Account, Refusal, Then},
    whatsapp_cloud::templates::{ACCOUNT, TOKEN, read_refusal},
};
use domain::{ChannelInstanceId, ChannelType, TemplateId, TenantId};
use std::time::Duration;
use store::{
    StoreError,
    channels::{self as stored_channels, Channel},
    ledger::NewJob,
};

/// The class of errors that no other attempt would mend: a token that may not, a template that Meta does not know.
const REFUSED: &str = "refused";

const POLICY: Policy = Policy {
    queue: queue::CHORES.name,
    max_attempts: 10,
    backoff: Duration::from_secs(2),
    max_backoff: Duration::from_mins(10),
    timeout: Duration::from_mins(2),
};

/// The job that submits a template, once.
pub fn submission(tenant: TenantId, template_id: TemplateId) -> NewJob {
    NewJob { idempotency_key: Some(template_id.to_string()), ..new_job(tenant, &SubmitTemplate { template_id }, None) }
}

/// The job that deletes a template at Meta.
pub fn deletion(tenant: TenantId, account_id: Option<String>, name: &str, external_id: &str) -> NewJob {
    new_job(tenant, &DeleteTemplate { account_id, name: name.to_owned(), external_id: external_id.to_owned() }, None)
}

/// The job that takes over the list of a channel's account, if it has one.
pub fn synchronization(tenant: TenantId, channel: &Channel) -> Option<NewJob> {
    account_of(channel)?;
    let job = new_job(tenant, &SyncTemplates { channel_id: channel.id }, None);
    Some(NewJob { ordering_key: Some(channel.id.to_string()), ..job })
}

/// The WhatsApp Business account that a channel's templates are in.
pub fn account_of(channel: &Channel) -> Option<&str> {
    Some(channel)
        .filter(|channel| channel.kind == ChannelType::WhatsApp && channel.secrets.contains_key(TOKEN))?
        .config
        .get(ACCOUNT)?
        .as_str()
}

/// The tenant's account: this one, or that of its oldest channel with one. `None`: there is none.
async fn account(ctx: &JobContext, id: Option<&str>) -> Result<Option<Account>, JobError> {
    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
    let channels = stored_channels::list(&mut conn, ctx.tenant, Some(ChannelType::WhatsApp)).await?;
    drop(conn);
    let fits = |channel: &&Channel| account_of(channel).is_some_and(|account| id.is_none_or(|id| id == account));
    channels.iter().find(fits).map_or(Ok(None), |channel| opened(ctx, channel))
}

async fn account_of_channel(ctx: &JobContext, id: ChannelInstanceId) -> Result<Option<Account>, JobError> {
    accounts::channel(ctx, id).await?.map_or(Ok(None), |channel| opened(ctx, &channel))
}

fn opened(ctx: &JobContext, channel: &Channel) -> Result<Option<Account>, JobError> {
    let Some(id) = account_of(channel) else { return Ok(None) };
    Ok(accounts::account(ctx, channel, TOKEN)?.map(|number| Account { external_id: id.to_owned(), ..number }))
}

/// What a refusal that may pass means for the job. `None`: it will not pass by itself.
fn again(refusal: &Refusal) -> Option<JobError> {
    match refusal.then {
        Then::Retry | Then::Unavailable | Then::Move => Some(JobError::retry(REFUSED, refusal.reason.clone())),
        Then::Wait { delay, .. } => Some(JobError::RetryAfter { delay, class: "too_fast", message: refusal.reason.clone() }),
        Then::Reconnect | Then::GiveUp => None,
    }
}

/// What a person is told.
fn sentence(refusal: &Refusal) -> String {
    match &refusal.detail {
        Some(detail) => format!("{}: {detail}", refusal.reason),
        None => refusal.reason.clone(),
    }
}

/// An answer that is none of the 2xx. It fails for good (class `refused`) when nothing here can make it better.
fn refused(status: u16, retry_after: Option<Duration>, body: &[u8]) -> JobError {
    let refusal = read_refusal(status, retry_after, body);
    again(&refusal).unwrap_or_else(|| JobError::fail(REFUSED, sentence(&refusal)))
}
