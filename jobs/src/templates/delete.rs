//! DeleteTemplate: what was deleted here is deleted at Meta.

use super::{POLICY, account, refused};
use crate::{Done, Job, JobContext, JobError, Policy, provider_call};
use channels::whatsapp_cloud::templates;
use serde::{Deserialize, Serialize};

/// Deletes one template of an account. Not those of the same name in other languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTemplate {
    /// The account; `None`: it is not known, so the tenant's.
    pub account_id: Option<String>,
    pub name: String,
    pub external_id: String,
}

impl Job for DeleteTemplate {
    const KIND: &'static str = "delete_template";
    const POLICY: Policy = POLICY;

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let Some(account) = account(ctx, self.account_id.as_deref()).await? else { return Ok(Done::WITHOUT_EFFECTS) };
        let url = templates::delete_url(&account, &self.name, &self.external_id);
        let answer = provider_call::delete(&ctx.services.http, &url, &account.token).await;
        match answer.map_err(|lost| JobError::retry("unreachable", lost.what()))? {
            (200..=299 | 404, ..) => Ok(Done::WITHOUT_EFFECTS),
            (status, retry_after, body) => match refused(status, retry_after, &body) {
                // It is not there, or not ours to delete.
                JobError::Fail { message, .. } => {
                    tracing::info!(template = self.name, message, "Meta did not delete a template");
                    Ok(Done::WITHOUT_EFFECTS)
                }
                error => Err(error),
            },
        }
    }
}
