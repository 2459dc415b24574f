//! The settings of AI agents: which model they ask, and what it costs.

use super::{ConfigError, Source};
use crate::secret::Secret;
use std::time::Duration;

/// Settings of agents.
#[derive(Clone, Debug)]
pub struct AgentsConfig {
    /// `OPENAI_BASE_URL` (`https://api.openai.com/v1`): an OpenAI-compatible endpoint.
    pub openai_base_url: String,
    /// `OPENAI_API_KEY`: its key. Unset, and no agent service: agents repeat what they heard.
    pub openai_api_key: Option<Secret>,
    /// `OPENAI_MODEL` (gpt-4o-mini): the model of agents that name none.
    pub openai_model: String,
    /// `OPENAI_EMBEDDING_MODEL` (text-embedding-3-small): what makes vectors of documents; it must be able to make them of 256 numbers. After another is
    /// chosen, documents have to be ingested again.
    pub openai_embedding_model: String,
    /// `AGENT_SERVICE_URL`: a service that turns are handed to, with `INTERNAL_API_TOKEN` as `X-Internal-Secret`.
    pub service_url: Option<String>,
    /// `MODEL_PRICES` (none): what models cost, in dollars for a million tokens of prompt and of answer: `gpt-4o=2.50/10,gpt-4o-mini=0.15/0.60`. A name stands
    /// for all that begin with it; the longest that fits counts.
    pub prices: Vec<ModelPrice>,
    /// `AUTO_REPLY_COOLDOWN` (30 seconds): the least time between two of an agent's answers in a conversation.
    pub cooldown: Duration,
}

/// What a model costs, in millionths of a dollar for a million tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// What the names of the model begin with.
    pub model: String,
    pub prompt: u64,
    pub completion: u64,
}

impl AgentsConfig {
    pub(super) fn read(source: &Source<impl Fn(&str) -> Option<String>>) -> Result<Self, ConfigError> {
        let address = "give the address of an OpenAI-compatible API, https://api.openai.com/v1";
        let base_url = source.url("OPENAI_BASE_URL", &["http://", "https://"], address)?;
        let service_url = source.url("AGENT_SERVICE_URL", &["http://", "https://"], "give the address that turns are POSTed to")?;
        if service_url.is_some() && source.text("INTERNAL_API_TOKEN").is_none() {
            return Err(ConfigError {
                variable: "INTERNAL_API_TOKEN",
                problem: "is not set, but AGENT_SERVICE_URL is",
                advice: "set it: the service knows us by it",
            });
        }
        let prices: Option<Vec<ModelPrice>> = source.list("MODEL_PRICES").iter().map(|item| price(item)).collect();
        let wrong = ConfigError {
            variable: "MODEL_PRICES",
            problem: "cannot be read",
            advice: "give dollars for a million tokens, gpt-4o=2.50/10,gpt-4o-mini=0.15/0.60",
        };
        Ok(Self {
            openai_base_url: base_url.map_or_else(|| "https://api.openai.com/v1".to_owned(), |url| url.trim_end_matches('/').to_owned()),
            openai_api_key: source.text("OPENAI_API_KEY").map(Secret::new),
            openai_model: source.text("OPENAI_MODEL").unwrap_or_else(|| "gpt-4o-mini".to_owned()),
            openai_embedding_model: source.text("OPENAI_EMBEDDING_MODEL").unwrap_or_else(|| "text-embedding-3-small".to_owned()),
            service_url,
            prices: prices.ok_or(wrong)?,
            cooldown: Duration::from_secs(source.number("AUTO_REPLY_COOLDOWN", 0..=86_400)?.unwrap_or(30)),
        })
    }
}

/// `model=0.15/0.60`
fn price(item: &str) -> Option<ModelPrice> {
    let (model, dollars) = item.split_once('=')?;
    let (prompt, completion) = dollars.split_once('/')?;
    Some(ModelPrice { model: model.trim().to_owned(), prompt: micros(prompt)?, completion: micros(completion)? })
}

/// Millionths of a decimal number of dollars.
fn micros(dollars: &str) -> Option<u64> {
    let (whole, part) = dollars.trim().split_once('.').unwrap_or((dollars.trim(), ""));
    let is_digits = |text: &str| text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    format!("{whole}{part:0<6}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimal_dollars() {
        let expected = ModelPrice { model: "gpt-4o-mini".to_owned(), prompt: 150_000, completion: 10_000_000 };
        assert_eq!(price("gpt-4o-mini=0.15/10"), Some(expected));
        for bad in ["gpt", "gpt=1", "gpt=1/x", "gpt=-1/2", "gpt=1/", "gpt=.5/1", "gpt=1.0000001/2"] {
            assert_eq!(price(bad), None, "{bad}");
        }
    }
}
