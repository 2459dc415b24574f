#![doc = include_str!("../README.md")]

mod answer;
pub mod embedding;
pub mod service;
mod stream;

use platform::Secret;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// More of an answer than this is not read.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// An OpenAI-compatible endpoint.
#[derive(Clone, Debug)]
pub struct Model {
    /// Without a slash at the end, for example `https://api.openai.com/v1`.
    pub base_url: String,
    pub key: Secret,
    /// The longest that an answer is waited for.
    pub patience: Duration,
}

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Instructions: nothing that a customer wrote.
    System(String),
    User(String),
    Assistant(String),
    /// The model said `text`, which may be empty, and wants these tools.
    Calls {
        text: String,
        calls: Vec<ToolCall>,
    },
    /// What the tool of the call with this id said.
    Result {
        call: String,
        text: String,
    },
}

/// Something that a model may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Letters, digits, `_` and `-`, at most 64.
    pub name: String,
    pub description: String,
    /// A JSON Schema of its arguments.
    pub parameters: Value,
}

/// A tool that a model asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The model's, to tell which result is whose.
    pub id: String,
    pub name: String,
    /// JSON, if the model kept to it.
    pub arguments: String,
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct Prompt {
    pub model: String,
    /// 0 to 2; `None`: the model's own.
    pub temperature: Option<f32>,
    /// The most tokens of the answer.
    pub max_tokens: Option<u32>,
    pub turns: Vec<Turn>,
    /// What it may ask for.
    pub tools: Vec<Tool>,
    /// A JSON Schema that its answer is to fit.
    pub answer_schema: Option<Value>,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Empty only if there are calls.
    pub text: String,
    pub calls: Vec<ToolCall>,
    /// The model that answered, as it names itself.
    pub model: String,
    pub usage: Usage,
}

/// What an answer took, as the model counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
}

impl Usage {
    /// Of two answers together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AiError {
    /// Too many requests, or out of quota for now.
    #[error("the model takes no more requests just now: {said}")]
    Busy { retry_after: Option<Duration>, said: String },
    /// Not reached, too slow, or its own trouble.
    #[error("the model cannot answer just now: {0}")]
    Unavailable(String),
    /// The request will not get better: a bad key, an unknown model, a prompt that is too long.
    #[error("the model refused the request: {0}")]
    Refused(String),
    /// It answered, but said nothing that can be sent.
    #[error("the model's answer cannot be used: {0}")]
    Unusable(String),
}

impl Model {
    /// Asks once.
    pub async fn complete(&self, http: &reqwest::Client, prompt: &Prompt) -> Result<Completion, AiError> {
        let mut response = self.request(http, &body(prompt)).await?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let bytes = read(&mut response).await?;
        answer::read(status, retry_after, &bytes)
    }

    /// Asks once, and tells the words as they come. What is returned is all of it.
    pub async fn stream(&self, http: &reqwest::Client, prompt: &Prompt, mut tell: impl FnMut(&str)) -> Result<Completion, AiError> {
        let mut body = body(prompt);
        if let Some(body) = body.as_object_mut() {
            body.insert("stream".to_owned(), json!(true));
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        let mut response = self.request(http, &body).await?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let streams =
            response.headers().get(reqwest::header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !(200..300).contains(&status) || !streams {
            let bytes = read(&mut response).await?;
            let completion = answer::read(status, retry_after, &bytes)?;
            tell(&completion.text);
            return Ok(completion);
        }
        let mut assembled = stream::Assembler::default();
        let mut length = 0;
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            length += chunk.len();
            if length > LONGEST_ANSWER {
                return Err(AiError::Unusable("it is longer than any answer".to_owned()));
            }
            if assembled.feed(&chunk, &mut tell)? {
                break;
            }
        }
        assembled.finish()
    }

    async fn request(&self, http: &reqwest::Client, body: &Value) -> Result<reqwest::Response, AiError> {
        let request = http.post(format!("{}/chat/completions", self.base_url)).timeout(self.patience).bearer_auth(self.key.expose());
        request.json(body).send().await.map_err(unreachable)
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let header = response.headers().get(reqwest::header::RETRY_AFTER)?;
    header.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

async fn read(response: &mut reqwest::Response) -> Result<Vec<u8>, AiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > LONGEST_ANSWER {
            return Err(AiError::Unusable("it is longer than any answer".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn body(prompt: &Prompt) -> Value {
    let mut body = Map::from_iter([("model".to_owned(), json!(prompt.model)), ("messages".to_owned(), messages(&prompt.turns))]);
    body.extend(prompt.temperature.map(|temperature| ("temperature".to_owned(), json!(temperature))));
    body.extend(prompt.max_tokens.map(|most| ("max_tokens".to_owned(), json!(most))));
    if !prompt.tools.is_empty() {
        let tool = |tool: &Tool| {
            let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
            json!({"type": "function", "function": function})
        };
        body.insert("tools".to_owned(), prompt.tools.iter().map(tool).collect());
    }
    if let Some(schema) = &prompt.answer_schema {
        // <https://platform.openai.com/docs/guides/structured-outputs>
        body.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}));
    }
    Value::Object(body)
}

fn messages(turns: &[Turn]) -> Value {
    turns.iter().map(message).collect()
}

fn message(turn: &Turn) -> Value {
    match turn {
        Turn::System(text) => json!({"role": "system", "content": text}),
        Turn::User(text) => json!({"role": "user", "content": text}),
        Turn::Assistant(text) => json!({"role": "assistant", "content": text}),
        Turn::Calls { text, calls } => {
            let call =
                |call: &ToolCall| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
            let text = Some(text).filter(|text| !text.is_empty());
            json!({"role": "assistant", "content": text, "tool_calls": calls.iter().map(call).collect::<Vec<_>>()})
        }
        Turn::Result { call, text } => json!({"role": "tool", "tool_call_id": call, "content": text}),
    }
}

fn unreachable(error: reqwest::Error) -> AiError {
    AiError::Unavailable(platform::http::describe(error))
}

/// The answer where no model is set up.
pub fn echo(said: &str) -> String {
    /// Enough to recognise one's own words.
    const MOST_CHARS: usize = 300;
    let said: String = said.chars().take(MOST_CHARS).collect();
    format!("Thank you for your message: \"{said}\". Somebody will get back to you.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_asked_as_documented() {
        let call = ToolCall { id: "call_1".to_owned(), name: "look_up".to_owned(), arguments: r#"{"id":7}"#.to_owned() };
        let turns = vec![
            Turn::System("Be kind.".to_owned()),
            Turn::User("Hi".to_owned()),
            Turn::Assistant("Hello".to_owned()),
            Turn::User("Help".to_owned()),
            Turn::Calls { text: String::new(), calls: vec![call] },
            Turn::Result { call: "call_1".to_owned(), text: "seven".to_owned() },
        ];
        let parameters = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
        let tools = vec![Tool { name: "look_up".to_owned(), description: "Looks up".to_owned(), parameters: parameters.clone() }];
        let prompt = Prompt { model: "m".to_owned(), temperature: Some(0.5), max_tokens: Some(100), turns, tools, answer_schema: None };
        let messages = json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Help"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{\"id\":7}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "seven"}]);
        let tools = json!([{"type": "function", "function": {"name": "look_up", "description": "Looks up", "parameters": parameters}}]);
        assert_eq!(body(&prompt), json!({"model": "m", "temperature": 0.5, "max_tokens": 100, "messages": messages, "tools": tools}));
        let plain = Prompt { temperature: None, max_tokens: None, turns: Vec::new(), tools: Vec::new(), ..prompt };
        assert_eq!(body(&plain), json!({"model": "m", "messages": []}));
        let shaped = Prompt { answer_schema: Some(json!({"type": "object"})), ..plain };
        assert_eq!(
            body(&shaped)["response_format"],
            json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}})
        );
    }

    #[test]
    fn an_echo_is_never_longer_than_a_message_may_be() {
        assert!(echo("hello").contains("\"hello\""));
        assert!(echo(&"é".repeat(10_000)).chars().count() < 400);
    }
}
