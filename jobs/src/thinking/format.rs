//! The form that an answer must have.

use crate::agent_tools::{check_arguments, check_schema as is_schema, has_nul};
use serde_json::Value;
use store::answering::Format;

/// The longest text that every channel takes.
const LONGEST_TEXT: usize = 4_096;

/// What is wrong with a schema of answers, if anything is: it describes an object, one of whose texts the customer is sent.
pub fn check_schema(schema: &Value, text_field: &str) -> Result<(), String> {
    is_schema(schema)?;
    let is_text = schema.get("properties").and_then(|properties| properties.get(text_field)).is_some_and(|field| field["type"] == "string");
    if is_text { Ok(()) } else { Err(format!("has no text named {text_field}, which is what the customer is sent")) }
}

/// What the model is told of it.
pub(super) fn instructions(format: &Format) -> String {
    let mut told = format.instructions.clone();
    if let Some((schema, _)) = &format.json {
        told = format!("{told}\n\nAnswer with JSON that fits this JSON Schema, and nothing else:\n{schema}");
    }
    if let Some(most) = format.max_chars {
        told = format!("{told}\n\nWhat the customer reads has at most {most} characters.");
    }
    told
}

/// What the customer is sent, and the whole of it where it is JSON; or what is wrong.
pub(crate) fn read(format: Option<&Format>, said: &str) -> Result<(String, Option<Value>), String> {
    let Some(format) = format else { return Ok((cut(said), None)) };
    let (text, data) = match &format.json {
        None => (said.to_owned(), None),
        Some((schema, field)) => {
            let data: Value = serde_json::from_str(without_fence(said)).map_err(|_| "it is not JSON".to_owned())?;
            if has_nul(&data) {
                return Err("it holds the character U+0000".to_owned());
            }
            check_arguments(schema, &data)?;
            let text = data.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| format!("its {field} is empty"))?.to_owned();
            (text, Some(data))
        }
    };
    let length = text.chars().count();
    match format.max_chars.and_then(|most| usize::try_from(most).ok()) {
        Some(most) if length > most => Err(format!("what the customer reads has {length} characters, more than {most}")),
        _ => Ok((cut(&text), data)),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// Models like to wrap JSON in a fence of Markdown.
fn without_fence(said: &str) -> &str {
    let inner = said.trim().strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    inner.map_or(said.trim(), |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn format(max_chars: Option<i32>, json: Option<(Value, String)>) -> Format {
        Format { instructions: "Be brief.".to_owned(), max_chars, json }
    }

    #[test]
    fn a_text_is_as_long_as_it_may_be() {
        assert_eq!(read(None, &"é".repeat(10_000)).unwrap().0.chars().count(), LONGEST_TEXT);
        assert_eq!(read(Some(&format(Some(5), None)), "Hello"), Ok(("Hello".to_owned(), None)));
        assert!(read(Some(&format(Some(5), None)), "Hello!").unwrap_err().contains("more than 5"));
    }

    #[test]
    fn of_json_the_customer_is_sent_one_member() {
        let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}, "mood": {"enum": ["good", "bad"]}}, "required": ["answer", "mood"]});
        assert_eq!(check_schema(&schema, "answer"), Ok(()));
        for (schema, field) in
            [(schema.clone(), "mood"), (schema.clone(), "other"), (json!({"type": "text"}), "answer"), (json!([]), "answer")]
        {
            assert!(check_schema(&schema, field).is_err(), "{schema} {field}");
        }
        let shaped = format(None, Some((schema, "answer".to_owned())));
        let data = json!({"answer": "At nine.", "mood": "good"});
        for said in [data.to_string(), format!("```json\n{data}\n```"), format!("```\n{data}```")] {
            assert_eq!(read(Some(&shaped), &said), Ok(("At nine.".to_owned(), Some(data.clone()))), "{said}");
        }
        for said in [
            "At nine.",
            r#"{"answer": "At nine."}"#,
            r#"{"answer": " ", "mood": "good"}"#,
            r#"{"answer": "x", "mood": "so so"}"#,
            r#"{"answer": "a\u0000b", "mood": "good"}"#,
            "",
        ] {
            assert!(read(Some(&shaped), said).is_err(), "{said}");
        }
        assert!(instructions(&shaped).contains("JSON Schema"));
    }
}
