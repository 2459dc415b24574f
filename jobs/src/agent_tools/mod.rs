//! Tools: what agents may do besides talking. Some are built in; tenants configure copies of them. Nothing that a model says reaches another tenant: tools
//! get their tenant and conversation from the job.

pub mod base;
mod callbacks;
mod http_request;
mod run;

pub use callbacks::CallbackLinks;
pub use http_request::check_config;
pub(crate) use run::{Prepared, Scene, Todo, ToolRun, Toolbox, what_stands};

use jsonschema::Validator;
use serde_json::Value;

/// What is wrong with a schema of arguments, if anything is. It must describe an object, as models want it, and may not refer to other documents.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("must be a JSON Schema of type object".to_owned());
    }
    validator(schema).map(drop)
}

fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::validator_for(schema)
        .map_err(|error| format!("is no JSON Schema: {}", error.to_string().chars().take(300).collect::<String>()))
}

/// What is wrong with arguments, if anything is.
pub(crate) fn check_arguments(schema: &Value, arguments: &Value) -> Result<(), String> {
    /// More is not told at once.
    const MOST: usize = 5;
    let wrong: Vec<String> =
        validator(schema)?.iter_errors(arguments).take(MOST).map(|error| error.to_string().chars().take(300).collect()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Does it hold U+0000, which nothing that is stored may?
pub(crate) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_and_arguments_are_checked() {
        let schema =
            json!({"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"], "additionalProperties": false});
        assert_eq!(check_schema(&schema), Ok(()));
        assert_eq!(check_arguments(&schema, &json!({"order": 7})), Ok(()));
        for bad in [json!({}), json!({"order": "7"}), json!({"order": 7, "tenant_id": 2}), json!([]), json!(null)] {
            assert!(check_arguments(&schema, &bad).is_err(), "{bad}");
        }
        for bad in [
            json!({}),
            json!([]),
            json!({"type": "string"}),
            json!({"type": "object", "properties": 7}),
            json!({"type": "object", "$ref": "https://example.com/x"}),
        ] {
            assert!(check_schema(&bad).is_err(), "{bad}");
        }
    }
}
