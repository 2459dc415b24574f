//! A team's lead asks its members. What they said is kept with the run, like what tools answer: asked once, however often the run is done again.

use super::{
    prompt::transcript,
    thinker::{Thinker, Thought},
};
use crate::{
    JobError,
    agent_tools::{Scene, Todo, Toolbox, what_stands},
};
use ai::Turn;
use store::{
    StoreError,
    agent_runs::{self, NewCollaboration},
    answering::Colleague,
    auto_reply::Said,
    model_settings, tools,
};
use uuid::Uuid;

/// Whom a lead may ask.
#[derive(Debug)]
pub(crate) struct Team<'a> {
    pub id: Uuid,
    pub colleagues: &'a [Colleague],
    /// Tools that the tenant may use; `None`: all.
    pub permitted_tools: Option<&'a [Uuid]>,
    pub history: &'a [Said],
}

impl Team<'_> {
    pub(super) fn find(&self, agent: Uuid) -> Option<&Colleague> {
        self.colleagues.iter().find(|colleague| colleague.speaker.id.0 == agent)
    }
}

impl Thinker<'_> {
    /// Asks a colleague, who may use their own tools but asks nobody.
    pub(super) async fn consult(&self, colleague: &Colleague, todo: &Todo<'_>) -> Result<String, JobError> {
        let (ctx, speaker) = (self.ctx, &colleague.speaker);
        let (Some(team), Some(job)) = (self.team, ctx.only_job()) else {
            return Err(JobError::fail("defect", "a run without a job or a team"));
        };
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        let toolbox = Toolbox::of(&mut conn, ctx.tenant, &speaker.tool_ids, team.permitted_tools).await?;
        drop(conn);
        let question = todo.text("question");
        let turns = vec![
            Turn::System(speaker.system_prompt.clone()),
            Turn::System(
                "A colleague who talks with a customer asks you. Answer your colleague; the customer does not read it.".to_owned(),
            ),
            Turn::User(format!("What was said so far:\n{}\n\nYour colleague asks: {question}", transcript(team.history))),
        ];
        let scene = Scene { scope: todo.key(), ..self.scene };
        let thinker = Thinker { speaker, toolbox: &toolbox, format: None, team: None, scene, listener: None, ..*self };
        let (thought, took) = thinker.think(turns).await?;
        let model = took.model.unwrap_or_default();
        let taken = ctx.services.agents.prices.taken(&model, took.usage);
        let answer = match thought {
            Thought::Answer(answer) => answer.text,
            no_answer => {
                // It was taken all the same.
                if !model.is_empty() {
                    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
                    model_settings::count(&mut conn, ctx.tenant, &model, taken).await?;
                }
                let why = if let Thought::Nothing(error) = no_answer { format!(": {error}") } else { String::new() };
                return Ok(format!("{} cannot answer{why}.", speaker.name));
            }
        };
        let collaboration = NewCollaboration {
            job,
            conversation: self.scene.conversation,
            team: team.id,
            asked_by: self.speaker.id,
            agent: speaker.id,
            question,
            answer: &answer,
            model: &model,
            taken,
        };
        let mut tx = ctx.begin().await?;
        if tools::keep_result(&mut tx, ctx.tenant, job, todo.key(), &answer).await? {
            agent_runs::note_collaboration(&mut tx, ctx.tenant, &collaboration).await?;
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(answer);
        }
        tx.rollback().await.map_err(StoreError::from)?;
        what_stands(ctx, job, todo.key()).await
    }
}
