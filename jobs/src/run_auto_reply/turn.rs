//! What becomes of a turn: the answer and all that goes with it, in one transaction with the job's end.

use super::RunAutoReply;
use crate::{
    Done, Job, JobContext, JobError, send_outbound,
    thinking::{Answer, Took, compose},
};
use ai::Turn;
use domain::{Change, ConversationId, MessageId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{
    PgConnection, StoreError,
    agent_runs::{self, NewRun},
    answering::Answering,
    auto_reply::{self, Waiting},
    escalations::{self, RaisedBy},
    model_settings::{self, Taken},
    outbound::{self, NewOutbound},
    retrieval::Passage,
    tool_callbacks::{self, Untold},
    tools,
};

/// An agent, and what it is to answer.
pub(super) struct AgentTurn<'a> {
    pub ctx: &'a JobContext,
    pub answering: Answering,
    pub waiting: Waiting,
    /// What the tenant's documents say about it.
    pub passages: Vec<Passage>,
    /// What tools have answered meanwhile.
    pub results: Vec<Untold>,
    /// Where somebody waits for the words.
    pub listener: Option<ConversationId>,
}

impl AgentTurn<'_> {
    pub(super) fn prompt(&self) -> Vec<Turn> {
        let Answering { agent, format, .. } = &self.answering;
        compose(agent, format.as_ref(), &self.passages, &self.waiting.history, &self.results)
    }

    /// Writes the answer, and calls a person if one is asked for.
    pub(super) async fn reply(&self, answer: Answer, took: &Took) -> Result<Done, JobError> {
        let (ctx, conversation) = (self.ctx, self.waiting.conversation);
        let mut tx = ctx.begin().await?;
        let (mut outcome, mut message) = ("overtaken", None);
        if self.claim(&mut tx).await? {
            outcome = "replied";
            if !answer.text.is_empty() {
                message = Some(self.write(&mut tx, answer.text, answer.data).await?);
            }
            if let Some(reason) = answer.escalation {
                outcome = "escalated";
                self.escalate(&mut tx, RaisedBy::Agent, &reason).await?;
            }
        }
        self.note(&mut tx, outcome, message, took, None).await?;
        tracing::info!(%conversation, agent = self.answering.agent.name, outcome, "an agent answered");
        ctx.commit(tx).await
    }

    /// A service has the turn, and answers by itself.
    pub(super) async fn handed_over(&self) -> Result<Done, JobError> {
        let mut tx = self.ctx.begin().await?;
        let outcome = if self.claim(&mut tx).await? { "handed_over" } else { "overtaken" };
        self.note(&mut tx, outcome, None, &Took::default(), None).await?;
        self.ctx.commit(tx).await
    }

    /// Whoever waited for the answer is gone. What they said waits on: it is answered when they come back, or say something else.
    pub(super) async fn abandon(&self, took: &Took) -> Result<Done, JobError> {
        let mut tx = self.ctx.begin().await?;
        self.note(&mut tx, "abandoned", None, took, None).await?;
        tracing::info!(conversation = %self.waiting.conversation, "nobody waits for the answer any more: the model was stopped");
        self.ctx.commit(tx).await
    }

    /// The customer is sent nothing; a person is called, who sees why. `again`: it may go better later.
    pub(super) async fn fail(&self, took: &Took, again: Option<JobError>, why: &str) -> Result<Done, JobError> {
        let ctx = self.ctx;
        let may_pass = match again {
            Some(again) if !ctx.is_last_attempt => {
                // It was taken all the same.
                if let Some(model) = &took.model {
                    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
                    model_settings::count(&mut conn, ctx.tenant, model, self.taken(took)).await?;
                }
                return Err(again);
            }
            trouble => trouble.is_some(),
        };
        let mut tx = ctx.begin().await?;
        self.escalate(&mut tx, RaisedBy::Failure, &format!("The agent could not answer: {why}")).await?;
        if may_pass {
            // Driven again, it answers what still waits then, with what its tools have answered.
            agent_runs::note(&mut tx, ctx.tenant, &self.run_of("failed", None, took, &json!(took.steps), Some(why))).await?;
            let error = JobError::fail("model_unavailable", why);
            let burials: Vec<_> = ctx.only_job().map(|job| error.burial(job, RunAutoReply::KIND, ctx.attempt)).into_iter().collect();
            tracing::error!(%error, conversation = %self.waiting.conversation, "dead letter: an agent's model could not be asked");
            metrics::counter!("switchboard_jobs_dead_total", "kind" => RunAutoReply::KIND).increment(1);
            return ctx.commit_burying(tx, &burials).await;
        }
        tracing::warn!(error = why, conversation = %self.waiting.conversation, agent = self.answering.agent.name, "an agent gave no answer");
        self.tell_results(&mut tx).await?;
        if let Some(newest) = self.waiting.newest {
            auto_reply::pass_over(&mut tx, ctx.tenant, self.waiting.conversation, newest).await?;
        }
        self.note(&mut tx, "failed", None, took, Some(why)).await?;
        ctx.commit(tx).await
    }

    /// Takes the conversation for the answer. False: the answer must not go out.
    async fn claim(&self, conn: &mut PgConnection) -> Result<bool, StoreError> {
        let Waiting { conversation, human_epoch, newest, .. } = &self.waiting;
        let may = auto_reply::answer(conn, self.ctx.tenant, *conversation, *human_epoch, *newest).await?;
        if may {
            self.tell_results(conn).await?;
        }
        Ok(may)
    }

    async fn tell_results(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let ids: Vec<_> = self.results.iter().map(|result| result.id).collect();
        if ids.is_empty() { Ok(()) } else { tool_callbacks::told(conn, self.ctx.tenant, &ids).await }
    }

    async fn write(&self, conn: &mut PgConnection, text: String, data: Option<Value>) -> Result<MessageId, JobError> {
        let ctx = self.ctx;
        let new = NewOutbound {
            conversation: self.waiting.conversation,
            message_type: "text",
            content: Some(text),
            media: None,
            reply_to: None,
            meta: self.meta(data),
            by: None,
        };
        let written = outbound::write(conn, ctx.tenant, &new, chrono::TimeDelta::zero()).await?;
        let written = written.ok_or_else(|| JobError::fail("defect", "the conversation is gone"))?;
        if !written.is_delivered {
            let job = send_outbound::job_for(ctx.tenant, written.conversation, written.id, ctx.trace.as_deref());
            ctx.enqueue(conn, &[job]).await?;
        }
        self.tell(
            conn,
            [Change::MessageCreated { message: written.id }, Change::ConversationUpdated { conversation: written.conversation }],
        )
        .await?;
        Ok(written.id)
    }

    /// Who answered, on what grounds, and the whole of an answer in JSON.
    fn meta(&self, data: Option<Value>) -> Value {
        let mut meta = json!({"agent_id": self.answering.agent.id, "human_epoch": self.waiting.human_epoch});
        let cite = |passage: &Passage| json!({"document_id": passage.document_id, "document_name": passage.document_name, "page": passage.page, "chunk": passage.ordinal});
        if let Some(meta) = meta.as_object_mut() {
            meta.extend(data.map(|data| ("output".to_owned(), data)));
            if !self.passages.is_empty() {
                meta.insert("citations".to_owned(), self.passages.iter().map(cite).collect());
            }
        }
        meta
    }

    async fn escalate(&self, conn: &mut PgConnection, by: RaisedBy, reason: &str) -> Result<(), JobError> {
        let (tenant, conversation) = (self.ctx.tenant, self.waiting.conversation);
        if escalations::raise(conn, tenant, conversation, by, reason).await? == Some(true) {
            self.tell(conn, [Change::ConversationUpdated { conversation }]).await?;
        }
        Ok(())
    }

    async fn tell(&self, conn: &mut PgConnection, changes: impl IntoIterator<Item = Change>) -> Result<(), JobError> {
        Ok(self.ctx.tell(conn, &BTreeMap::from([(self.ctx.tenant, changes.into_iter().collect())])).await?)
    }

    /// The run ends: it is noted, and nobody asks again what its tools answered.
    async fn note(
        &self,
        conn: &mut PgConnection,
        outcome: &'static str,
        message: Option<MessageId>,
        took: &Took,
        error: Option<&str>,
    ) -> Result<(), JobError> {
        if let Some(job) = self.ctx.only_job() {
            tools::forget_results(conn, self.ctx.tenant, job).await?;
        }
        Ok(agent_runs::note(conn, self.ctx.tenant, &self.run_of(outcome, message, took, &json!(took.steps), error)).await?)
    }

    fn run_of<'a>(
        &self,
        outcome: &'static str,
        message: Option<MessageId>,
        took: &'a Took,
        steps: &'a Value,
        error: Option<&'a str>,
    ) -> NewRun<'a> {
        NewRun {
            job: self.ctx.only_job(),
            agent: self.answering.agent.id,
            conversation: self.waiting.conversation,
            message,
            outcome,
            model: took.model.as_deref(),
            taken: self.taken(took),
            steps,
            error,
        }
    }

    fn taken(&self, took: &Took) -> Taken {
        self.ctx.services.agents.prices.taken(took.model.as_deref().unwrap_or_default(), took.usage)
    }
}
