//! Names of schemas and operations: short, and of the characters that OpenAPI allows.

use serde_json::Value;

/// Rust's paths become `contract.module.Name`; of a generic type `Outer.of.Inner`.
pub(super) fn shorten(document: &mut Value) {
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        *schemas = std::mem::take(schemas).into_iter().map(|(name, schema)| (short(&name), schema)).collect();
    }
    rewrite(document);
}

fn rewrite(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "$ref" || name == "operationId" => *text = short(text),
                    other => rewrite(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}

fn short(name: &str) -> String {
    name.replace("api.contracts.", "").replace("api.", "").replace('<', ".of.").replace('>', "").replace([',', ' '], ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_allowed() {
        let name = short("api.contracts.cloud.dialect.Success<api.contracts.cloud.messages.Messages>");
        assert_eq!(name, "cloud.dialect.Success.of.cloud.messages.Messages");
        assert_eq!(short("#/components/schemas/api.contracts.desk.users.UserView"), "#/components/schemas/desk.users.UserView");
    }
}
