//! One run: look, think, write.

use super::{RunAutoReply, turn::AgentTurn};
use crate::{
    Done, JobContext, JobError,
    agent_tools::{Scene, Toolbox},
    live::Live,
    thinking::{self, MOST_MESSAGES, Source, Team, Thinker, Thought, Took, last_words},
};
use ai::{
    AiError,
    service::{Handed, Reply},
};
use serde_json::json;
use store::{
    StoreError,
    answering::{self, Colleague},
    auto_reply, tool_callbacks,
};

pub(super) async fn run(job: &RunAutoReply, ctx: &JobContext) -> Result<Done, JobError> {
    let outcome = Box::pin(answer(job, ctx)).await;
    // Whoever waits looks what became of it; what is tried again has not ended.
    if job.chat && outcome.is_ok() {
        ctx.services.live.tell(job.conversation_id, Live::Ended);
    }
    outcome
}

async fn answer(job: &RunAutoReply, ctx: &JobContext) -> Result<Done, JobError> {
    let services = &ctx.services;
    let mut conn = services.pool.acquire().await.map_err(StoreError::from)?;
    let waiting = auto_reply::look(&mut conn, ctx.tenant, job.conversation_id, services.agents.cooldown, MOST_MESSAGES).await?;
    let Some(waiting) = waiting.filter(|waiting| !waiting.taken && (waiting.newest.is_some() || waiting.has_results)) else {
        return Ok(Done::WITHOUT_EFFECTS);
    };
    if let Some(left) = waiting.cooldown.filter(|_| !job.chat) {
        return Err(JobError::Snooze(left.to_std().unwrap_or_default()));
    }
    let Some(answering) = answering::find(&mut conn, ctx.tenant).await? else { return Ok(Done::WITHOUT_EFFECTS) };
    let colleagues = match answering.team {
        Some(team) => answering::colleagues(&mut conn, ctx.tenant, team).await?,
        None => Vec::new(),
    };
    let permitted = answering.permitted_tools.as_deref();
    let toolbox = Toolbox::of(&mut conn, ctx.tenant, &answering.agent.tool_ids, permitted).await?.for_customers(&colleagues);
    let results = if waiting.has_results { tool_callbacks::untold(&mut conn, ctx.tenant, waiting.conversation).await? } else { Vec::new() };
    // The model may take its time: nobody waits for this connection meanwhile.
    drop(conn);
    let question = last_words(&waiting.history);
    let passages = services.knowledge.find(&services.pool, &services.http, ctx.tenant, answering.knowledge_changes, &question).await?;
    let turn = AgentTurn { ctx, answering, waiting, passages, results, listener: job.chat.then_some(job.conversation_id) };
    let source = match thinking::over_budget(&turn.answering) {
        Some(why) => Err(why),
        None => Source::of(services, ctx.tenant, &turn.answering.model),
    };
    match source {
        Ok(Source::Echo) => echo(&turn).await,
        Ok(Source::Model { model, http, name }) => think(&turn, &toolbox, &colleagues, (&model, &http, &name)).await,
        Ok(Source::Service(service)) => hand_over(&turn, &service).await,
        Err(why) => turn.fail(&Took::default(), None, &why).await,
    }
}

async fn echo(turn: &AgentTurn<'_>) -> Result<Done, JobError> {
    let text = ai::echo(&last_words(&turn.waiting.history));
    if let Some(listener) = turn.listener {
        turn.ctx.services.live.tell(listener, Live::Began);
        turn.ctx.services.live.tell(listener, Live::Words { text: text.clone() });
    }
    let took = Took { model: Some("echo".to_owned()), ..Took::default() };
    turn.reply(thinking::Answer { text, data: None, escalation: None }, &took).await
}

async fn think(
    turn: &AgentTurn<'_>,
    toolbox: &Toolbox,
    colleagues: &[Colleague],
    (model, http, model_name): (&ai::Model, &reqwest::Client, &str),
) -> Result<Done, JobError> {
    let AgentTurn { ctx, answering, waiting, .. } = turn;
    let permitted_tools = answering.permitted_tools.as_deref();
    let team = answering.team.map(|id| Team { id, colleagues, permitted_tools, history: &waiting.history });
    let thinker = Thinker {
        ctx,
        speaker: &answering.agent,
        model,
        http,
        model_name,
        toolbox,
        format: answering.format.as_ref(),
        team: team.as_ref(),
        scene: Scene {
            conversation: waiting.conversation,
            customer: waiting.customer,
            knowledge_changes: answering.knowledge_changes,
            scope: "",
        },
        listener: turn.listener,
    };
    let (thought, took) = thinker.think(turn.prompt()).await?;
    match thought {
        Thought::Answer(answer) => turn.reply(answer, &took).await,
        Thought::Nothing(error) => no_answer(turn, &took, &error).await,
        Thought::Abandoned => turn.abandon(&took).await,
    }
}

async fn hand_over(turn: &AgentTurn<'_>, service: &ai::service::AgentService) -> Result<Done, JobError> {
    let AgentTurn { ctx, answering, waiting, .. } = turn;
    let agent = &answering.agent;
    let prompt = turn.prompt();
    let handed = Handed {
        turn_id: ctx.only_job().map(|job| job.to_string()).unwrap_or_default(),
        tenant_id: ctx.tenant.0,
        conversation_id: waiting.conversation.to_string(),
        human_epoch: waiting.human_epoch,
        agent: json!({"id": agent.id, "name": agent.name, "model": agent.model, "temperature": agent.temperature, "max_tokens": agent.max_tokens}),
        turns: &prompt,
    };
    match service.hand(&ctx.services.http, &handed).await {
        Ok(Reply::Now { text, escalate, model, usage }) => {
            let took = Took { model: Some(model), usage, steps: Vec::new() };
            let (text, data) = match thinking::read(answering.format.as_ref(), &text) {
                Ok(answer) => answer,
                Err(_) if text.is_empty() => (text, None),
                Err(wrong) => return no_answer(turn, &took, &AiError::Unusable(wrong)).await,
            };
            if let Some(listener) = turn.listener {
                ctx.services.live.tell(listener, Live::Began);
                ctx.services.live.tell(listener, Live::Words { text: text.clone() });
            }
            turn.reply(thinking::Answer { text, data, escalation: escalate }, &took).await
        }
        Ok(Reply::Later) => turn.handed_over().await,
        Err(error) => no_answer(turn, &Took::default(), &error).await,
    }
}

async fn no_answer(turn: &AgentTurn<'_>, took: &Took, error: &AiError) -> Result<Done, JobError> {
    turn.fail(took, JobError::of_model(error), &error.to_string()).await
}
