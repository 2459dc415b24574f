//! An answer that comes in pieces: server-sent events of `chat.completion.chunk`
//! (<https://platform.openai.com/docs/api-reference/chat-streaming>). Tool calls come in fragments that an index joins; `[DONE]` may be missing.

use crate::{AiError, Completion, ToolCall, answer};
use serde_json::Value;

/// More tools are not asked for at once.
const MOST_CALLS: usize = 64;

/// Puts the pieces together.
#[derive(Default)]
pub(crate) struct Assembler {
    /// A line whose end has not come.
    line: Vec<u8>,
    text: String,
    calls: Vec<ToolCall>,
    refusal: String,
    ended: Option<String>,
    model: Option<String>,
    usage: Option<Value>,
}

impl Assembler {
    /// Takes bytes as they come, and tells the words in them. True: there is nothing more to come.
    pub(crate) fn feed(&mut self, bytes: &[u8], tell: &mut impl FnMut(&str)) -> Result<bool, AiError> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if self.line_is(&line, tell)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn line_is(&mut self, line: &[u8], tell: &mut impl FnMut(&str)) -> Result<bool, AiError> {
        // Comments, names of events and empty lines say nothing.
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { return Ok(false) };
        if data == b"[DONE]" {
            return Ok(true);
        }
        let chunk: Value = serde_json::from_slice(data).map_err(|_| AiError::Unusable("a piece of it is not JSON".to_owned()))?;
        if let Some(error) = chunk.get("error") {
            let said = error.get("message").and_then(Value::as_str).unwrap_or("it broke off");
            return Err(AiError::Unavailable(said.chars().take(500).collect()));
        }
        if let Some(model) = chunk.get("model").and_then(Value::as_str) {
            self.model = Some(model.to_owned());
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
        }
        let Some(choice) = chunk.pointer("/choices/0") else { return Ok(false) };
        if let Some(ended) = choice.get("finish_reason").and_then(Value::as_str) {
            self.ended = Some(ended.to_owned());
        }
        let Some(delta) = choice.get("delta") else { return Ok(false) };
        if let Some(words) = delta.get("content").and_then(Value::as_str).filter(|words| !words.is_empty()) {
            self.text.push_str(words);
            tell(words);
        }
        if let Some(words) = delta.get("refusal").and_then(Value::as_str) {
            self.refusal.push_str(words);
        }
        for fragment in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.join(fragment)?;
        }
        Ok(false)
    }

    fn join(&mut self, fragment: &Value) -> Result<(), AiError> {
        // Some endpoints leave the index out when there is one call only.
        let index = fragment.get("index").and_then(Value::as_u64).unwrap_or(0);
        let index = usize::try_from(index).ok().filter(|index| *index < MOST_CALLS);
        let index = index.ok_or_else(|| AiError::Unusable("it asks for too many tools".to_owned()))?;
        while self.calls.len() <= index {
            self.calls.push(ToolCall { id: String::new(), name: String::new(), arguments: String::new() });
        }
        let Some(call) = self.calls.get_mut(index) else { return Ok(()) };
        let part = |pointer: &str| fragment.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        call.id.push_str(part("/id"));
        call.name.push_str(part("/function/name"));
        call.arguments.push_str(part("/function/arguments"));
        Ok(())
    }

    /// All of it, once nothing more comes. Without a reason why it ended it was cut off, and is no answer.
    pub(crate) fn finish(self) -> Result<Completion, AiError> {
        if !self.refusal.is_empty() {
            return Err(AiError::Unusable(format!("it will not answer this: {}", self.refusal.chars().take(500).collect::<String>())));
        }
        let Some(ended) = self.ended else { return Err(AiError::Unavailable("its answer was cut off".to_owned())) };
        let calls = self.calls.into_iter().filter(|call| !call.name.is_empty()).collect();
        answer::complete(&self.text, calls, Some(&ended), self.model.as_deref(), self.usage.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Usage;
    use serde_json::json;

    fn event(delta: &Value, ended: Option<&str>) -> String {
        let chunk =
            json!({"object": "chat.completion.chunk", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": ended}]});
        format!("data: {chunk}\n\n")
    }

    /// What comes of it in pieces of `size` bytes, and which words were told.
    fn assemble(stream: &str, size: usize) -> (Result<Completion, AiError>, Vec<String>) {
        let (mut assembled, mut told) = (Assembler::default(), Vec::new());
        for piece in stream.as_bytes().chunks(size) {
            match assembled.feed(piece, &mut |words: &str| told.push(words.to_owned())) {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => return (Err(error), told),
            }
        }
        (assembled.finish(), told)
    }

    #[test]
    fn pieces_of_any_size_become_the_same_answer() {
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}});
        let stream = format!(
            ": hello\r\n\r\n{}{}{}{}data: {usage}\n\ndata: [DONE]\n\n",
            event(&json!({"role": "assistant", "content": ""}), None),
            event(&json!({"content": "Grüß "}), None),
            event(&json!({"content": "Gott"}), None),
            event(&json!({}), Some("stop"))
        );
        for size in [1, 2, 3, 7, 100, 10_000] {
            let (completion, told) = assemble(&stream, size);
            let completion = completion.unwrap();
            assert_eq!((completion.text.as_str(), completion.model.as_str()), ("Grüß Gott", "m-1"), "{size}");
            assert_eq!(completion.usage, Usage { prompt_tokens: 5, completion_tokens: 2 });
            assert_eq!(told, ["Grüß ", "Gott"]);
        }
    }

    #[test]
    fn fragments_of_tool_calls_are_joined_by_their_index() {
        let call = |index: u64, rest: Value| {
            let mut call = rest;
            call["index"] = json!(index);
            event(&json!({"tool_calls": [call]}), None)
        };
        let stream = [
            call(0, json!({"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}})),
            call(1, json!({"id": "call_2", "function": {"name": "escalate", "arguments": "{"}})),
            call(0, json!({"function": {"arguments": "{\"id\":"}})),
            call(1, json!({"function": {"arguments": "}"}})),
            call(0, json!({"function": {"arguments": "7}"}})),
            event(&json!({}), Some("tool_calls")),
        ]
        .concat();
        // The end may come without [DONE].
        let calls = assemble(&stream, 11).0.unwrap().calls;
        let calls: Vec<_> = calls.iter().map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!(calls, [("call_1", "look_up", "{\"id\":7}"), ("call_2", "escalate", "{}")]);
        assert!(matches!(assemble(&call(64, json!({})), 100).0, Err(AiError::Unusable(_))));
    }

    #[test]
    fn what_breaks_off_is_no_answer() {
        let begun = event(&json!({"content": "We op"}), None);
        assert!(matches!(assemble(&begun, 9).0, Err(AiError::Unavailable(_))));
        assert!(matches!(assemble(&format!("{begun}data: [DONE]\n\n"), 9).0, Err(AiError::Unavailable(_))));
        let error = format!("{begun}data: {}\n\n", json!({"error": {"message": "overloaded"}}));
        assert_eq!(assemble(&error, 9).0, Err(AiError::Unavailable("overloaded".to_owned())));
        assert!(matches!(assemble(&format!("{begun}data: <html>\n\n"), 9).0, Err(AiError::Unusable(_))));
        let refused = format!("{}{}", event(&json!({"refusal": "No."}), None), event(&json!({}), Some("stop")));
        assert!(matches!(assemble(&refused, 9).0, Err(AiError::Unusable(_))));
    }
}
