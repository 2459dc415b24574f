//! What an endpoint answers (<https://platform.openai.com/docs/api-reference/chat/object>,
//! <https://platform.openai.com/docs/guides/error-codes>).

use crate::{AiError, Completion, ToolCall, Usage};
use serde_json::Value;
use std::time::Duration;

/// More of a text is not taken.
const LONGEST_TEXT: usize = 65_536;

pub(crate) fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<Completion, AiError> {
    if (200..300).contains(&status) {
        return completion(&serde_json::from_slice(body).unwrap_or_default());
    }
    Err(refused(status, retry_after, body))
}

/// Why an endpoint did not answer.
pub(crate) fn refused(status: u16, retry_after: Option<Duration>, body: &[u8]) -> AiError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = body
        .pointer("/error/message")
        .and_then(Value::as_str)
        .map_or_else(|| format!("HTTP {status}"), |said| said.chars().take(500).collect());
    match status {
        // Out of money is also a 429, and no waiting helps; but somebody pays, and then it goes on.
        429 => AiError::Busy { retry_after, said },
        408 | 409 | 500.. => AiError::Unavailable(said),
        _ => AiError::Refused(said),
    }
}

fn completion(body: &Value) -> Result<Completion, AiError> {
    let choice = body.pointer("/choices/0").ok_or_else(|| AiError::Unusable("it has no choices".to_owned()))?;
    let message = choice.get("message");
    if let Some(refusal) = message.and_then(|message| message.get("refusal")).and_then(Value::as_str) {
        return Err(AiError::Unusable(format!("it will not answer this: {}", refusal.chars().take(500).collect::<String>())));
    }
    let text = message.and_then(|message| message.get("content")).and_then(Value::as_str).unwrap_or_default();
    let calls = message.and_then(|message| message.get("tool_calls")).and_then(Value::as_array).into_iter().flatten().map(call).collect();
    let ended = choice.get("finish_reason").and_then(Value::as_str);
    complete(text, calls, ended, body.get("model").and_then(Value::as_str), body.get("usage"))
}

fn call(call: &Value) -> ToolCall {
    let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    ToolCall { id: text("/id"), name: text("/function/name"), arguments: text("/function/arguments") }
}

/// Puts together what was said; nothing at all is no answer.
pub(crate) fn complete(
    text: &str,
    calls: Vec<ToolCall>,
    ended: Option<&str>,
    model: Option<&str>,
    usage: Option<&Value>,
) -> Result<Completion, AiError> {
    // Nothing that is stored holds U+0000.
    let calls: Vec<ToolCall> = calls.into_iter().map(|call| ToolCall { name: call.name.replace('\0', ""), ..call }).collect();
    let text: String = text.replace('\0', "").trim().chars().take(LONGEST_TEXT).collect();
    if text.is_empty() && calls.is_empty() {
        return Err(AiError::Unusable(format!("it is empty (it ended with {})", ended.unwrap_or("nothing"))));
    }
    let count =
        |name: &str| usage.and_then(|usage| usage.get(name)).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    Ok(Completion {
        text,
        calls,
        model: model.unwrap_or_default().replace('\0', "").chars().take(200).collect(),
        usage: Usage { prompt_tokens: count("prompt_tokens"), completion_tokens: count("completion_tokens") },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good(message: &Value) -> Result<Completion, AiError> {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "m-1",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}});
        read(200, None, body.to_string().as_bytes())
    }

    #[test]
    fn a_good_answer_is_its_text_and_what_it_took() {
        let usage = Usage { prompt_tokens: 19, completion_tokens: 10 };
        let expected = Completion { text: "Hello!".to_owned(), calls: Vec::new(), model: "m-1".to_owned(), usage };
        assert_eq!(good(&json!({"role": "assistant", "content": " Hello!\n\0", "refusal": null})), Ok(expected));
    }

    #[test]
    fn tools_that_it_asks_for_are_an_answer_without_words() {
        let called = json!({"content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "escalate", "arguments": "{}"}}]});
        let calls = vec![ToolCall { id: "call_1".to_owned(), name: "escalate".to_owned(), arguments: "{}".to_owned() }];
        assert_eq!(good(&called).map(|completion| (completion.text, completion.calls)), Ok((String::new(), calls)));
        let with_nul = json!({"content": null, "tool_calls": [{"id": "call_1", "function": {"name": "esca\0late", "arguments": "{}"}}]});
        assert_eq!(good(&with_nul).map(|completion| completion.calls[0].name.clone()), Ok("escalate".to_owned()));
    }

    #[test]
    fn what_cannot_be_sent_is_no_answer() {
        for message in [json!({"content": ""}), json!({"content": null}), json!({"content": ["x"]}), json!({"refusal": "No."}), json!(null)]
        {
            assert!(matches!(good(&message), Err(AiError::Unusable(_))), "{message}");
        }
        for body in [&b""[..], b"{}", b"<html>", br#"{"choices": []}"#] {
            assert!(matches!(read(200, None, body), Err(AiError::Unusable(_))));
        }
        let long = good(&json!({"content": "x".repeat(100_000)})).map(|completion| completion.text.len());
        assert_eq!(long, Ok(LONGEST_TEXT));
    }

    #[test]
    fn errors_are_told_apart_by_what_can_be_done() {
        let error = |status| {
            read(status, Some(Duration::from_secs(7)), br#"{"error": {"message": "said", "type": "t", "code": "c"}}"#).unwrap_err()
        };
        assert_eq!(error(429), AiError::Busy { retry_after: Some(Duration::from_secs(7)), said: "said".to_owned() });
        for status in [500, 502, 503, 529, 408] {
            assert_eq!(error(status), AiError::Unavailable("said".to_owned()));
        }
        for status in [400, 401, 403, 404, 422] {
            assert_eq!(error(status), AiError::Refused("said".to_owned()));
        }
        assert_eq!(read(418, None, b"tea"), Err(AiError::Refused("HTTP 418".to_owned())));
    }
}
