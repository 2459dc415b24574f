//! One run: look, ask, write.

use super::{
    RunAutoReply,
    prompt::{self, MOST_MESSAGES},
};
use crate::{
    Done, Job, JobContext, JobError,
    agent_tools::{ToolRun, Toolbox},
    live::Live,
    send_outbound,
};
use ai::{AiError, Completion, Turn, Usage};
use domain::{AgentId, Change, ConversationId, MessageId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{
    PgConnection, StoreError,
    agents::{self, Agent},
    auto_reply::{self, Run, Waiting},
    escalations::{self, RaisedBy},
    outbound::{self, NewOutbound},
    retrieval::Passage,
    tools,
};

/// How often a model is asked for one answer: each time but the last it may ask for tools.
const MOST_ROUNDS: usize = 6;
/// Tools that it may ask for each time; what is more is not done.
const MOST_CALLS: usize = 8;
/// More of a reason is not kept.
const MOST_REASON_CHARS: usize = 1_000;

pub(super) async fn run(job: &RunAutoReply, ctx: &JobContext) -> Result<Done, JobError> {
    let outcome = Box::pin(answer(job, ctx)).await;
    // Whoever waits looks what became of it; what is tried again has not ended.
    if job.chat && outcome.is_ok() {
        ctx.services.live.tell(job.conversation_id, Live::Ended);
    }
    outcome
}

async fn answer(job: &RunAutoReply, ctx: &JobContext) -> Result<Done, JobError> {
    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
    let waiting = auto_reply::look(&mut conn, ctx.tenant, job.conversation_id, ctx.services.agents.cooldown, MOST_MESSAGES).await?;
    let agent = agents::answering(&mut conn, ctx.tenant).await?;
    let toolbox = match &agent {
        Some(agent) => Toolbox::of(ctx, &mut conn, agent).await?,
        None => Toolbox::default(),
    };
    // The model may take its time: nobody waits for this connection meanwhile.
    drop(conn);
    let (Some(waiting), Some(agent)) = (waiting, agent) else { return Ok(Done::WITHOUT_EFFECTS) };
    let Some(newest) = waiting.newest.filter(|_| !waiting.taken) else { return Ok(Done::WITHOUT_EFFECTS) };
    if let Some(left) = waiting.cooldown.filter(|_| !job.chat) {
        return Err(JobError::Snooze(left.to_std().unwrap_or_default()));
    }
    let services = &ctx.services;
    let question = prompt::last_words(&waiting.history);
    let passages = services.knowledge.find(&services.pool, &services.http, ctx.tenant, &question).await?;
    let turn = AgentTurn { ctx, agent, toolbox, waiting, newest, passages, listener: job.chat.then_some(job.conversation_id) };
    match turn.ask().await? {
        Ok(completion) => turn.reply(&completion).await,
        Err(error) => turn.fail(error).await,
    }
}

/// An agent, and what it is to answer.
struct AgentTurn<'a> {
    ctx: &'a JobContext,
    agent: Agent,
    toolbox: Toolbox,
    waiting: Waiting,
    newest: MessageId,
    /// What the tenant's documents say about it.
    passages: Vec<Passage>,
    /// Where somebody waits for the words.
    listener: Option<ConversationId>,
}

impl AgentTurn<'_> {
    async fn ask(&self) -> Result<Result<Completion, AiError>, JobError> {
        let (services, history) = (&self.ctx.services, &self.waiting.history);
        let Some(model) = &services.agents.model else {
            let text = ai::echo(&prompt::last_words(history));
            self.say(Live::Began);
            self.say(Live::Words { text: text.clone() });
            return Ok(Ok(Completion { text, calls: Vec::new(), model: "echo".to_owned(), usage: Usage::default() }));
        };
        let mut prompt = prompt::compose(&self.agent, &services.agents.default_model, &self.passages, history);
        prompt.tools = self.toolbox.offered();
        let mut tools = ToolRun::new(self.ctx, &self.toolbox, self.waiting.conversation, self.waiting.customer);
        let mut used = Usage::default();
        for _ in 0..MOST_ROUNDS {
            self.say(Live::Began);
            let asked = match self.listener {
                Some(_) => model.stream(&services.http, &prompt, |words| self.say(Live::Words { text: words.to_owned() })).await,
                None => model.complete(&services.http, &prompt).await,
            };
            let mut completion = match asked {
                Ok(completion) => completion,
                Err(error) => return Ok(Err(error)),
            };
            used = used.and(completion.usage);
            if completion.calls.is_empty() || self.escalation(&completion).is_some() {
                completion.usage = used;
                return Ok(Ok(completion));
            }
            let mut results = Vec::with_capacity(completion.calls.len());
            for call in completion.calls.iter().take(MOST_CALLS) {
                self.say(Live::Tool { name: call.name.clone() });
                results.push(Turn::Result { call: call.id.clone(), text: tools.call(call).await? });
            }
            completion.calls.truncate(MOST_CALLS);
            prompt.turns.push(Turn::Calls { text: completion.text, calls: completion.calls });
            prompt.turns.extend(results);
        }
        Ok(Err(AiError::Unusable(format!("it asked for tools {MOST_ROUNDS} times and never answered"))))
    }

    /// Why the model wants a person, if it does.
    fn escalation(&self, completion: &Completion) -> Option<String> {
        let call = completion.calls.iter().find(|call| self.toolbox.is_escalation(call))?;
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let reason = arguments.get("reason").and_then(Value::as_str).map(str::trim).filter(|reason| !reason.is_empty());
        let reason = reason.unwrap_or("The agent asked for a person").replace('\0', "");
        Some(reason.chars().take(MOST_REASON_CHARS).collect())
    }

    fn say(&self, what: Live) {
        if let Some(listener) = self.listener {
            self.ctx.services.live.tell(listener, what);
        }
    }

    /// Writes the answer, and calls a person if the model asked for one.
    async fn reply(&self, completion: &Completion) -> Result<Done, JobError> {
        let (ctx, conversation) = (self.ctx, self.waiting.conversation);
        let mut tx = ctx.begin().await?;
        let may = auto_reply::answer(&mut tx, ctx.tenant, conversation, self.waiting.human_epoch, self.newest).await?;
        let mut run = self.run_of("overtaken", Some(completion), None);
        if may {
            run.outcome = "replied";
            if !completion.text.is_empty() {
                run.message = Some(self.write(&mut tx, &completion.text).await?);
            }
            if let Some(reason) = self.escalation(completion) {
                run.outcome = "escalated";
                self.escalate(&mut tx, RaisedBy::Agent, &reason).await?;
            }
        }
        auto_reply::note(&mut tx, ctx.tenant, &run).await?;
        self.forget_results(&mut tx).await?;
        tracing::info!(%conversation, agent = self.agent.name, outcome = run.outcome, "an agent answered");
        ctx.commit(tx).await
    }

    async fn write(&self, conn: &mut PgConnection, text: &str) -> Result<MessageId, JobError> {
        let ctx = self.ctx;
        let new = NewOutbound {
            conversation: self.waiting.conversation,
            message_type: "text",
            content: Some(text.to_owned()),
            media: None,
            reply_to: None,
            meta: self.meta(),
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

    /// The run ends: nobody asks again what its tools answered.
    async fn forget_results(&self, conn: &mut PgConnection) -> Result<(), JobError> {
        match self.ctx.only_job() {
            Some(job) => Ok(tools::forget_results(conn, self.ctx.tenant, job).await?),
            None => Ok(()),
        }
    }

    /// Who answered, and on what grounds.
    fn meta(&self) -> Value {
        let mut meta = json!({"agent_id": self.agent.id, "human_epoch": self.waiting.human_epoch});
        let cite = |passage: &Passage| json!({"document_id": passage.document_id, "document_name": passage.document_name, "page": passage.page, "chunk": passage.ordinal});
        if let Some(meta) = meta.as_object_mut().filter(|_| !self.passages.is_empty()) {
            meta.insert("citations".to_owned(), self.passages.iter().map(cite).collect());
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

    /// The customer is sent nothing; a person is called, who sees why.
    async fn fail(&self, error: AiError) -> Result<Done, JobError> {
        let ctx = self.ctx;
        let (message, may_pass) = (error.to_string(), JobError::of_model(&error));
        let may_pass = match may_pass {
            Some(again) if !ctx.is_last_attempt => return Err(again),
            trouble => trouble.is_some(),
        };
        let mut tx = ctx.begin().await?;
        auto_reply::note(&mut tx, ctx.tenant, &self.run_of("failed", None, Some(&message))).await?;
        self.escalate(&mut tx, RaisedBy::Failure, &format!("The agent could not answer: {message}")).await?;
        if may_pass {
            // Driven again, it answers what still waits then.
            let error = JobError::fail("model_unavailable", message);
            let burials: Vec<_> = ctx.only_job().map(|job| error.burial(job, RunAutoReply::KIND, ctx.attempt)).into_iter().collect();
            tracing::error!(%error, conversation = %self.waiting.conversation, "dead letter: an agent's model could not be asked");
            metrics::counter!("switchboard_jobs_dead_total", "kind" => RunAutoReply::KIND).increment(1);
            return ctx.commit_burying(tx, &burials).await;
        }
        tracing::warn!(error = message, conversation = %self.waiting.conversation, agent = self.agent.name, "an agent's model gave no answer");
        self.forget_results(&mut tx).await?;
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
