//! Asking a model until it answers.

use super::{colleagues::Team, format};
use crate::{
    JobContext, JobError,
    agent_tools::{Prepared, Scene, ToolRun, Toolbox},
    live::Live,
};
use ai::{AiError, Completion, Model, Prompt, ToolCall, Turn, Usage};
use domain::ConversationId;
use serde_json::{Value, json};
use store::answering::{Format, Speaker};

/// How often a model is asked for one answer: each time but the last it may ask for tools.
const MOST_ROUNDS: usize = 6;
/// Tools that it may ask for each time; what is more is not done.
const MOST_CALLS: usize = 8;
/// How often it is told that its answer has not the form that it must have.
const MOST_CORRECTIONS: usize = 2;
/// More of a reason is not kept.
const MOST_REASON_CHARS: usize = 1_000;
/// Of what tools were given and what they said, this much is kept to look at.
const MOST_STEP_CHARS: usize = 500;

/// An agent that thinks.
pub(crate) struct Thinker<'a> {
    pub ctx: &'a JobContext,
    pub speaker: &'a Speaker,
    pub model: &'a Model,
    pub http: &'a reqwest::Client,
    /// Of agents that name no model.
    pub model_name: &'a str,
    pub toolbox: &'a Toolbox,
    pub format: Option<&'a Format>,
    /// Whom it may ask.
    pub team: Option<&'a Team<'a>>,
    pub scene: Scene<'a>,
    /// Where somebody waits for the words.
    pub listener: Option<ConversationId>,
}

/// What it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Empty only if a person is asked for.
    pub text: String,
    /// The whole of an answer in JSON.
    pub data: Option<Value>,
    /// Why a person is asked for.
    pub escalation: Option<String>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Thought {
    Answer(Answer),
    Nothing(AiError),
    /// Nobody listens any more, and nothing was done yet.
    Abandoned,
}

/// What it took, in any case.
#[derive(Debug, Default)]
pub(crate) struct Took {
    pub model: Option<String>,
    pub usage: Usage,
    /// `[{tool, arguments, result}]`
    pub steps: Vec<Value>,
}

impl Thinker<'_> {
    pub(crate) async fn think(&self, turns: Vec<Turn>) -> Result<(Thought, Took), JobError> {
        let mut took = Took::default();
        let thought = self.rounds(turns, &mut took).await?;
        Ok((thought, took))
    }

    async fn rounds(&self, turns: Vec<Turn>, took: &mut Took) -> Result<Thought, JobError> {
        let mut prompt = Prompt {
            model: self.speaker.model.clone().unwrap_or_else(|| self.model_name.to_owned()),
            temperature: self.speaker.temperature,
            max_tokens: self.speaker.max_tokens.and_then(|most| u32::try_from(most).ok()),
            turns,
            tools: self.toolbox.offered(),
            answer_schema: self.format.and_then(|format| format.json.as_ref()).map(|(schema, _)| schema.clone()),
        };
        let mut tools = ToolRun::new(self.ctx, self.toolbox, self.scene);
        let mut corrections = 0;
        for _ in 0..MOST_ROUNDS {
            self.say(Live::Began);
            let mut completion = match self.ask(&prompt, took.steps.is_empty()).await {
                Some(Ok(completion)) => completion,
                Some(Err(error)) => return Ok(Thought::Nothing(error)),
                None => return Ok(Thought::Abandoned),
            };
            took.usage = took.usage.and(completion.usage);
            took.model = Some(completion.model.clone());
            let escalation = self.escalation(&completion);
            if completion.calls.is_empty() || escalation.is_some() {
                if completion.text.is_empty() {
                    return Ok(Thought::Answer(Answer { text: String::new(), data: None, escalation }));
                }
                match format::read(self.format, &completion.text) {
                    Ok((text, data)) => {
                        if self.hides_words() {
                            self.say(Live::Words { text: text.clone() });
                        }
                        return Ok(Thought::Answer(Answer { text, data, escalation }));
                    }
                    // A person who is called reads it whatever its form.
                    Err(_) if escalation.is_some() => return Ok(Thought::Answer(Answer { text: String::new(), data: None, escalation })),
                    Err(wrong) if corrections == MOST_CORRECTIONS => {
                        return Ok(Thought::Nothing(AiError::Unusable(format!("it has not the form that it must have: {wrong}"))));
                    }
                    Err(wrong) => {
                        corrections += 1;
                        prompt.turns.push(Turn::Assistant(completion.text));
                        prompt
                            .turns
                            .push(Turn::System(format!("This answer has not the form that it must have: {wrong}. Give it in that form.")));
                        continue;
                    }
                }
            }
            let mut results = Vec::with_capacity(completion.calls.len());
            for call in completion.calls.iter().take(MOST_CALLS) {
                self.say(Live::Tool { name: call.name.clone() });
                let text = self.call(&mut tools, call).await?;
                took.steps.push(json!({"tool": call.name, "arguments": cut(&call.arguments), "result": cut(&text)}));
                results.push(Turn::Result { call: call.id.clone(), text });
            }
            completion.calls.truncate(MOST_CALLS);
            prompt.turns.push(Turn::Calls { text: completion.text, calls: completion.calls });
            prompt.turns.extend(results);
        }
        Ok(Thought::Nothing(AiError::Unusable(format!("it asked for tools {MOST_ROUNDS} times and never answered"))))
    }

    /// `None`: whoever listened is gone, which ends it only if it `may_end`.
    async fn ask(&self, prompt: &Prompt, may_end: bool) -> Option<Result<Completion, AiError>> {
        let Some(listener) = self.listener else { return Some(self.model.complete(self.http, prompt).await) };
        let live = &self.ctx.services.live;
        let hides = self.hides_words();
        let asking = self.model.stream(self.http, prompt, |words| {
            if !hides {
                live.tell(listener, Live::Words { text: words.to_owned() });
            }
        });
        tokio::select! {
            asked = asking => Some(asked),
            () = live.gone(listener), if may_end => None,
        }
    }

    async fn call(&self, tools: &mut ToolRun<'_>, call: &ToolCall) -> Result<String, JobError> {
        match tools.prepare(call).await? {
            Prepared::Said(said) => Ok(said),
            Prepared::Do(todo) => match self.team.and_then(|team| team.find(todo.tool_id())) {
                Some(colleague) => Box::pin(self.consult(colleague, &todo)).await,
                None => tools.run(&todo).await,
            },
        }
    }

    /// What is not meant to be read as it comes.
    fn hides_words(&self) -> bool {
        self.format.is_some_and(|format| format.json.is_some())
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
}

fn cut(text: &str) -> String {
    // Nothing that is stored holds U+0000.
    text.replace('\0', "").chars().take(MOST_STEP_CHARS).collect()
}
