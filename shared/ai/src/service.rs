//! Agents that run elsewhere: a turn is handed to a service over HTTP, which answers at once, or later by itself. The wire is Switchboard's own; `ops/runbook.md`
//! describes it for those who write such a service.

use crate::{AiError, Turn, Usage, answer, messages, read, retry_after, unreachable};
use platform::Secret;
use serde_json::{Value, json};
use std::time::Duration;

/// More of a reason is not kept.
const MOST_REASON_CHARS: usize = 1_000;

/// An agent service.
#[derive(Clone, Debug)]
pub struct AgentService {
    /// Turns are POSTed here.
    pub url: String,
    /// Sent as `X-Internal-Secret`.
    pub secret: Secret,
    /// The longest that an answer is waited for.
    pub patience: Duration,
}

/// A turn, as a service gets it.
#[derive(Clone, Debug)]
pub struct Handed<'a> {
    /// The same turn again has the same id, also as `Idempotency-Key`.
    pub turn_id: String,
    pub tenant_id: i32,
    pub conversation_id: String,
    /// To send back with an answer that comes later: it is refused if a person wrote since.
    pub human_epoch: i32,
    /// `{id, name, model, temperature, max_tokens}`
    pub agent: Value,
    pub turns: &'a [Turn],
}

/// What the service makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Now {
        /// Empty only if a person is asked for.
        text: String,
        /// Why a person is asked for.
        escalate: Option<String>,
        model: String,
        usage: Usage,
    },
    /// It posts its answer itself.
    Later,
}

impl AgentService {
    /// Hands a turn over.
    pub async fn hand(&self, http: &reqwest::Client, turn: &Handed<'_>) -> Result<Reply, AiError> {
        let body = json!({"turn_id": turn.turn_id, "tenant_id": turn.tenant_id, "conversation_id": turn.conversation_id,
            "human_epoch": turn.human_epoch, "agent": turn.agent, "messages": messages(turn.turns)});
        let request = http.post(&self.url).timeout(self.patience).header("x-internal-secret", self.secret.expose());
        let request = request.header("idempotency-key", &turn.turn_id).json(&body);
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let bytes = read(&mut response).await?;
        said(status, retry_after, &bytes)
    }
}

fn said(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Reply, AiError> {
    if status == 202 {
        return Ok(Reply::Later);
    }
    if !(200..300).contains(&status) {
        return Err(answer::refused(status, retry_after, body));
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = |name: &str| body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let escalate: Option<String> = words("escalate").map(|reason| reason.replace('\0', "").chars().take(MOST_REASON_CHARS).collect());
    if words("content").is_none() && escalate.is_some() {
        return Ok(Reply::Now { text: String::new(), escalate, model: "http".to_owned(), usage: Usage::default() });
    }
    let (model, usage) = (words("model").or(Some("http")), body.get("usage"));
    let completion = answer::complete(words("content").unwrap_or_default(), Vec::new(), None, model, usage)?;
    Ok(Reply::Now { text: completion.text, escalate, model: completion.model, usage: completion.usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(body: &Value) -> Result<Reply, AiError> {
        said(200, None, body.to_string().as_bytes())
    }

    #[test]
    fn an_answer_comes_now_or_later() {
        let usage = Usage { prompt_tokens: 3, completion_tokens: 2 };
        assert_eq!(
            now(&json!({"content": " Nine. ", "model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 2}})),
            Ok(Reply::Now { text: "Nine.".to_owned(), escalate: None, model: "m".to_owned(), usage })
        );
        let called =
            Reply::Now { text: String::new(), escalate: Some("upset".to_owned()), model: "http".to_owned(), usage: Usage::default() };
        assert_eq!(now(&json!({"escalate": "upset"})), Ok(called));
        assert_eq!(said(202, None, b""), Ok(Reply::Later));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in [json!({}), json!({"content": " "}), json!({"content": 7}), json!([])] {
            assert!(matches!(now(&body), Err(AiError::Unusable(_))), "{body}");
        }
        assert!(matches!(said(503, None, b""), Err(AiError::Unavailable(_))));
        assert!(matches!(said(401, None, b""), Err(AiError::Refused(_))));
    }
}
