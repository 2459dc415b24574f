//! SubmitTemplate: has Meta look at a template.

use super::{POLICY, account, again, deletion, sentence, sync::whole_list};
use crate::{Done, Job, JobContext, JobError, Policy, provider_call};
use channels::{
    sending::{Account, Then},
    whatsapp_cloud::templates::{self, Draft, Submission},
};
use domain::TemplateId;
use serde::{Deserialize, Serialize};
use store::{
    StoreError,
    templates::{self as stored_templates, Template},
    templates_at_meta::{self, Verdict},
};

/// Submits a template, if the tenant has an account. Without one it waits for the list of one to be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitTemplate {
    pub template_id: TemplateId,
}

impl Job for SubmitTemplate {
    const KIND: &'static str = "submit_template";
    const POLICY: Policy = POLICY;

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        let found = stored_templates::get(&mut conn, ctx.tenant, self.template_id).await?;
        drop(conn);
        let Some(template) = found.filter(|template| template.external_id.is_none()) else { return Ok(Done::WITHOUT_EFFECTS) };
        let Some(account) = account(ctx, None).await? else { return Ok(Done::WITHOUT_EFFECTS) };
        let draft =
            Draft { name: &template.name, language: &template.language, category: &template.category, components: &template.components };
        let answer = provider_call::make(&ctx.services.http, &templates::submit(&account, &draft)).await;
        // An answer that was lost may have been good: next time Meta says that it has the template.
        let (status, retry_after, body) = answer.map_err(|lost| JobError::retry("unreachable", lost.what()))?;
        let refusal = match templates::read_submission(status, retry_after, &body) {
            Submission::Taken { external_id, status } => {
                let verdict = Verdict::Taken { account: &account.external_id, external_id: &external_id, status };
                return self.note(ctx, &template, verdict).await;
            }
            Submission::AlreadyThere => return self.adopt(ctx, &template, &account).await,
            Submission::Unclear(what) => return Err(JobError::retry("unclear", what)),
            Submission::Refused(refusal) => refusal,
        };
        if let Some(error) = again(&refusal) {
            return Err(error);
        }
        let reason = sentence(&refusal);
        let verdict =
            if refusal.then == Then::Reconnect { Verdict::Waiting { reason: &reason } } else { Verdict::Rejected { reason: &reason } };
        self.note(ctx, &template, verdict).await
    }
}

impl SubmitTemplate {
    async fn note(&self, ctx: &JobContext, template: &Template, verdict: Verdict<'_>) -> Result<Done, JobError> {
        let mut tx = ctx.begin().await?;
        let is_there = templates_at_meta::note(&mut tx, ctx.tenant, self.template_id, verdict).await?;
        if let (false, Verdict::Taken { account, external_id, .. }) = (is_there, verdict) {
            // It was deleted here while it was submitted.
            ctx.enqueue(&mut tx, &[deletion(ctx.tenant, Some(account.to_owned()), &template.name, external_id)]).await?;
        }
        ctx.commit(tx).await
    }

    /// Meta has it already: submitted by a run whose answer was lost, or made in WhatsApp Manager.
    async fn adopt(&self, ctx: &JobContext, template: &Template, account: &Account) -> Result<Done, JobError> {
        let list = whole_list(ctx, account).await?;
        let found = list.iter().find(|listed| listed.name == template.name && listed.language == template.language);
        let listed = found.ok_or_else(|| JobError::retry("not_listed", "Meta has the template, but does not list it yet"))?;
        let verdict = Verdict::Taken { account: &account.external_id, external_id: &listed.external_id, status: listed.status };
        self.note(ctx, template, verdict).await
    }
}
