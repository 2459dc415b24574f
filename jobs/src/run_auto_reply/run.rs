//! One run: look, ask, write.

use super::{
    RunAutoReply,
    prompt::{self, MOST_MESSAGES},
};
use crate::{Done, Job, JobContext, JobError, send_outbound};
use ai::{AiError, Completion, Usage};
use domain::{AgentId, Change, ConversationId, MessageId};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use store::{
    StoreError,
    agents::{self, Agent},
    auto_reply::{self, Run, Waiting},
    outbound::{self, NewOutbound},
};

/// How long is waited when a model is busy and does not say how long.
const BUSY: Duration = Duration::from_secs(5);
/// The longest that it is believed.
const LONGEST_BUSY: Duration = Duration::from_mins(10);

pub(super) async fn run(conversation: ConversationId, ctx: &JobContext) -> Result<Done, JobError> {
    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
    let waiting = auto_reply::look(&mut conn, ctx.tenant, conversation, ctx.services.agents.cooldown, MOST_MESSAGES).await?;
    let agent = agents::answering(&mut conn, ctx.tenant).await?;
    // The model may take its time: nobody waits for this connection meanwhile.
    drop(conn);
    let (Some(waiting), Some(agent)) = (waiting, agent) else { return Ok(Done::WITHOUT_EFFECTS) };
    let Some(newest) = waiting.newest.filter(|_| !waiting.taken) else { return Ok(Done::WITHOUT_EFFECTS) };
    if let Some(left) = waiting.cooldown {
        return Err(JobError::Snooze(left.to_std().unwrap_or_default()));
    }
    let turn = AgentTurn { ctx, agent, waiting, newest };
    match turn.ask().await {
        Ok(completion) => turn.reply(&completion).await,
        Err(error) => turn.fail(error).await,
    }
}

/// An agent, and what it is to answer.
struct AgentTurn<'a> {
    ctx: &'a JobContext,
    agent: Agent,
    waiting: Waiting,
    newest: MessageId,
}

impl AgentTurn<'_> {
    async fn ask(&self) -> Result<Completion, AiError> {
        let (services, history) = (&self.ctx.services, &self.waiting.history);
        let prompt = prompt::compose(&self.agent, &services.agents.default_model, history);
        if let Some(model) = &services.agents.model {
            return model.complete(&services.http, &prompt).await;
        }
        let text = ai::echo(&prompt::last_words(history));
        Ok(Completion { text, model: "echo".to_owned(), usage: Usage::default() })
    }

    async fn reply(&self, completion: &Completion) -> Result<Done, JobError> {
        let (ctx, conversation) = (self.ctx, self.waiting.conversation);
        let mut tx = ctx.begin().await?;
        let may = auto_reply::answer(&mut tx, ctx.tenant, conversation, self.waiting.human_epoch, self.newest).await?;
        let mut run = self.run_of("overtaken", Some(completion), None);
        if may {
            let new = NewOutbound {
                conversation,
                message_type: "text",
                content: Some(completion.text.clone()),
                media: None,
                reply_to: None,
                meta: json!({"agent_id": self.agent.id, "human_epoch": self.waiting.human_epoch}),
                by: None,
            };
            let written = outbound::write(&mut tx, ctx.tenant, &new, chrono::TimeDelta::zero()).await?;
            let written = written.ok_or_else(|| JobError::fail("defect", "the conversation is gone"))?;
            (run.outcome, run.message) = ("replied", Some(written.id));
            let job = send_outbound::job_for(ctx.tenant, written.conversation, written.id, ctx.trace.as_deref());
            ctx.enqueue(&mut tx, &[job]).await?;
            let changes =
                vec![Change::MessageCreated { message: written.id }, Change::ConversationUpdated { conversation: written.conversation }];
            ctx.tell(&mut tx, &BTreeMap::from([(ctx.tenant, changes)])).await?;
        }
        auto_reply::note(&mut tx, ctx.tenant, &run).await?;
        tracing::info!(%conversation, agent = self.agent.name, outcome = run.outcome, "an agent answered");
        ctx.commit(tx).await
    }

    /// The customer is sent nothing; people see why.
    async fn fail(&self, error: AiError) -> Result<Done, JobError> {
        let ctx = self.ctx;
        let (may_pass, told) = match &error {
            AiError::Busy { retry_after, .. } => (true, Some(retry_after.unwrap_or(BUSY).min(LONGEST_BUSY))),
            AiError::Unavailable(_) => (true, None),
            AiError::Refused(_) | AiError::Unusable(_) => (false, None),
        };
        let message = error.to_string();
        if may_pass && !ctx.is_last_attempt {
            return Err(match told {
                Some(delay) => JobError::RetryAfter { delay, class: "model_busy", message },
                None => JobError::retry("model_unavailable", message),
            });
        }
        let mut tx = ctx.begin().await?;
        auto_reply::note(&mut tx, ctx.tenant, &self.run_of("failed", None, Some(&message))).await?;
        if may_pass {
            // Driven again, it answers what still waits then.
            let error = JobError::fail("model_unavailable", message);
            let burials: Vec<_> = ctx.only_job().map(|job| error.burial(job, RunAutoReply::KIND, ctx.attempt)).into_iter().collect();
            tracing::error!(%error, conversation = %self.waiting.conversation, "dead letter: an agent's model could not be asked");
            metrics::counter!("switchboard_jobs_dead_total", "kind" => RunAutoReply::KIND).increment(1);
            return ctx.commit_burying(tx, &burials).await;
        }
        tracing::warn!(error = message, conversation = %self.waiting.conversation, agent = self.agent.name, "an agent's model gave no answer");
        auto_reply::pass_over(&mut tx, ctx.tenant, self.waiting.conversation, self.newest).await?;
        ctx.commit(tx).await
    }

    fn run_of<'a>(&'a self, outcome: &'static str, completion: Option<&'a Completion>, error: Option<&'a str>) -> Run<'a> {
        let count = |tokens: u32| i32::try_from(tokens).unwrap_or(i32::MAX);
        let usage = completion.map(|completion| completion.usage).unwrap_or_default();
        Run {
            agent: AgentId(self.agent.id),
            conversation: self.waiting.conversation,
            message: None,
            outcome,
            model: completion.map(|completion| completion.model.as_str()),
            prompt_tokens: count(usage.prompt_tokens),
            completion_tokens: count(usage.completion_tokens),
            error,
        }
    }
}
