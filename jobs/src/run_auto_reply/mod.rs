//! RunAutoReply: has the tenant's agent answer what waits in a conversation.
//!
//! The model is asked outside of any transaction; its answer counts only if no person wrote meanwhile, and is written together with its SendOutbound and
//! the job's end. A run that dies is done again: the model may be asked twice, the customer is answered once.

mod run;
mod turn;

use crate::{Done, Job, JobContext, JobError, Policy, new_job, queue};
use domain::{ConversationId, MessageId, TenantId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use store::{PgConnection, StoreError, agents, inbound::WrittenMessage, ledger::NewJob};
use uuid::Uuid;

/// Which conversation. Several may wait for one: the first that runs answers all that is there, the others find nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAutoReply {
    pub conversation_id: ConversationId,
    /// Somebody waits for the answer: no cooldown holds, and its words are told as they come.
    #[serde(default)]
    pub chat: bool,
}

impl Job for RunAutoReply {
    const KIND: &'static str = "run_auto_reply";
    const POLICY: Policy = Policy {
        queue: queue::AGENTS.name,
        max_attempts: 6,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(2),
        timeout: Duration::from_mins(3),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        Box::pin(run::run(&self, ctx)).await
    }
}

/// The jobs for new messages of customers, of tenants whose agent answers.
pub async fn jobs_for(conn: &mut PgConnection, messages: &[WrittenMessage], trace: Option<&str>) -> Result<Vec<NewJob>, StoreError> {
    let conversations: BTreeSet<(TenantId, ConversationId)> =
        messages.iter().filter(|message| message.inbound).map(|message| (message.tenant_id, message.conversation_id)).collect();
    let tenants: BTreeSet<TenantId> = conversations.iter().map(|(tenant, _)| *tenant).collect();
    if tenants.is_empty() {
        return Ok(Vec::new());
    }
    let answering: BTreeSet<TenantId> = agents::with_answering(conn, &tenants.into_iter().collect::<Vec<_>>()).await?.into_iter().collect();
    let answered = conversations.into_iter().filter(|(tenant, _)| answering.contains(tenant));
    Ok(answered
        .map(|(tenant, conversation_id)| NewJob {
            ordering_key: Some(conversation_id.to_string()),
            ..new_job(tenant, &RunAutoReply { conversation_id, chat: false }, trace)
        })
        .collect())
}

/// The job that goes on with what a tool has answered (its call's id). While one lives for it, another is not written.
pub fn callback_job(tenant: TenantId, conversation_id: ConversationId, call: Uuid) -> NewJob {
    NewJob {
        ordering_key: Some(conversation_id.to_string()),
        idempotency_key: Some(format!("tool:{call}")),
        ..new_job(tenant, &RunAutoReply { conversation_id, chat: false }, None)
    }
}

/// The job for something that was said on a website. While one lives for the same message, another is not written.
pub fn chat_job(tenant: TenantId, conversation_id: ConversationId, message: MessageId) -> NewJob {
    NewJob {
        ordering_key: Some(conversation_id.to_string()),
        idempotency_key: Some(format!("chat:{message}")),
        ..new_job(tenant, &RunAutoReply { conversation_id, chat: true }, None)
    }
}
