#![doc = include_str!("../README.md")]

mod answer;

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

/// Who says something in a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    System,
    User,
    Assistant,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub by: Speaker,
    pub text: String,
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
}

/// What a model said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub text: String,
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
        let request = http
            .post(format!("{}/chat/completions", self.base_url))
            .timeout(self.patience)
            .bearer_auth(self.key.expose())
            .json(&body(prompt));
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > LONGEST_ANSWER {
                return Err(AiError::Unusable("it is longer than any answer".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        answer::read(status, retry_after.map(Duration::from_secs), &bytes)
    }
}

fn body(prompt: &Prompt) -> Value {
    let messages: Vec<Value> = prompt
        .turns
        .iter()
        .map(|turn| {
            let role = match turn.by {
                Speaker::System => "system",
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            };
            json!({"role": role, "content": turn.text})
        })
        .collect();
    let mut body = Map::from_iter([("model".to_owned(), json!(prompt.model)), ("messages".to_owned(), json!(messages))]);
    body.extend(prompt.temperature.map(|temperature| ("temperature".to_owned(), json!(temperature))));
    body.extend(prompt.max_tokens.map(|most| ("max_tokens".to_owned(), json!(most))));
    Value::Object(body)
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
        let turn = |by, text: &str| Turn { by, text: text.to_owned() };
        let turns = vec![
            turn(Speaker::System, "Be kind."),
            turn(Speaker::User, "Hi"),
            turn(Speaker::Assistant, "Hello"),
            turn(Speaker::User, "Help"),
        ];
        let prompt = Prompt { model: "m".to_owned(), temperature: Some(0.5), max_tokens: Some(100), turns };
        let messages = json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Help"}]);
        assert_eq!(body(&prompt), json!({"model": "m", "temperature": 0.5, "max_tokens": 100, "messages": messages}));
        let plain = Prompt { temperature: None, max_tokens: None, turns: Vec::new(), ..prompt };
        assert_eq!(body(&plain), json!({"model": "m", "messages": []}));
    }

    #[test]
    fn an_echo_is_never_longer_than_a_message_may_be() {
        assert!(echo("hello").contains("\"hello\""));
        assert!(echo(&"é".repeat(10_000)).chars().count() < 400);
    }
}
