//! SyncTemplates: takes over the list of an account's templates.

use super::{POLICY, REFUSED, account_of_channel, refused, submission};
use crate::{Done, Job, JobContext, JobError, Policy, provider_call};
use channels::{sending::Account, whatsapp_cloud::templates};
use domain::{ChannelInstanceId, ListedTemplate};
use serde::{Deserialize, Serialize};
use store::{StoreError, templates_at_meta};

/// Takes over the list of the account that a channel is set up with, then has submitted what no account has yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTemplates {
    pub channel_id: ChannelInstanceId,
}

/// More pages than any account has templates for (<https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/overview>).
const MOST_PAGES: usize = 200;

impl Job for SyncTemplates {
    const KIND: &'static str = "sync_templates";
    const POLICY: Policy = POLICY;

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let Some(account) = account_of_channel(ctx, self.channel_id).await? else { return Ok(Done::WITHOUT_EFFECTS) };
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        let at = templates_at_meta::reading_since(&mut conn).await?;
        drop(conn);
        let list = match whole_list(ctx, &account).await {
            // Messages may go out all the same; another token has it done.
            Err(JobError::Fail { class: REFUSED, message }) => {
                tracing::warn!(channel = %self.channel_id, message, "Meta does not show the account's templates to this channel's token");
                return Ok(Done::WITHOUT_EFFECTS);
            }
            read => read?,
        };
        let ids: Vec<String> = list.iter().map(|listed| listed.external_id.clone()).collect();
        let mut tx = ctx.begin().await?;
        templates_at_meta::take_over(&mut tx, ctx.tenant, &account.external_id, &list, at).await?;
        let retired = templates_at_meta::retire(&mut tx, ctx.tenant, &account.external_id, &ids, at).await?;
        let waiting = templates_at_meta::not_submitted(&mut tx, ctx.tenant).await?;
        let jobs: Vec<_> = waiting.iter().map(|id| submission(ctx.tenant, *id)).collect();
        ctx.enqueue(&mut tx, &jobs).await?;
        tracing::info!(account = account.external_id, listed = list.len(), retired, submitted = jobs.len(), "took over Meta's templates");
        ctx.commit(tx).await
    }
}

/// Reads an account's whole list, or fails.
pub(super) async fn whole_list(ctx: &JobContext, account: &Account) -> Result<Vec<ListedTemplate>, JobError> {
    let (mut list, mut after) = (Vec::new(), None::<String>);
    for _ in 0..MOST_PAGES {
        let url = templates::list_url(account, after.as_deref());
        let answer = provider_call::get(&ctx.services.http, &url, Some(&account.token)).await;
        let (status, retry_after, body) = answer.map_err(|lost| JobError::retry("unreachable", lost.what()))?;
        if !(200..300).contains(&status) {
            return Err(refused(status, retry_after, &body));
        }
        let page = templates::read_page(&body);
        let (page, next) = page.ok_or_else(|| JobError::retry("unclear", "Meta's answer is no list of templates"))?;
        list.extend(page);
        if next.is_none() {
            return Ok(list);
        }
        after = next;
    }
    Err(JobError::fail("too_many", format!("an account with more than {MOST_PAGES} pages of templates")))
}
