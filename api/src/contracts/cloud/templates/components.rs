//! What a template is made of
//! (<https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates/components>).

use crate::request::Fields;
use serde_json::Value;

const BODY_MOST: usize = 1_024;
const LINE_MOST: usize = 60;
const BUTTONS_MOST: usize = 10;
const FORMATS: [&str; 5] = ["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION"];

/// Notes what is wrong with `components`.
pub(super) fn check(components: &[Value], fields: &mut Fields) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, component) in components.iter().enumerate() {
        let mut wrong = |field: &str, problem: &'static str| fields.wrong(format!("components.{index}{field}"), problem);
        let text = |name: &str| component.get(name).and_then(Value::as_str);
        let Some(kind) = text("type").filter(|kind| ["HEADER", "BODY", "FOOTER", "BUTTONS"].contains(kind)) else {
            wrong(".type", "must be HEADER, BODY, FOOTER or BUTTONS");
            continue;
        };
        if seen.contains(&kind) {
            wrong(".type", "is there twice");
        }
        seen.push(kind);
        let has_text = |most: usize| text("text").is_some_and(|text| !text.trim().is_empty() && text.chars().count() <= most);
        match kind {
            "BODY" if !has_text(BODY_MOST) => wrong(".text", "must have 1 to 1024 characters"),
            "BODY" if !counts_up(text("text").unwrap_or_default()) => wrong(".text", "must number its variables {{1}}, {{2}} and so on"),
            "FOOTER" if !has_text(LINE_MOST) => wrong(".text", "must have 1 to 60 characters"),
            "HEADER" => {
                let format = text("format").unwrap_or("TEXT");
                if !FORMATS.contains(&format) {
                    wrong(".format", "must be TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION");
                } else if format == "TEXT" && !has_text(LINE_MOST) {
                    wrong(".text", "must have 1 to 60 characters");
                }
            }
            "BUTTONS" => {
                let buttons = component.get("buttons").and_then(Value::as_array);
                if !buttons.is_some_and(|buttons| (1..=BUTTONS_MOST).contains(&buttons.len()) && buttons.iter().all(Value::is_object)) {
                    wrong(".buttons", "must be 1 to 10 objects");
                }
            }
            _ => {}
        }
    }
    fields.check(seen.contains(&"BODY"), "components", "must have a BODY");
}

/// True if the numbered variables are 1, 2, 3, …; named ones are fine as well.
fn counts_up(text: &str) -> bool {
    let mut numbers: Vec<usize> =
        text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).filter_map(|(name, _)| name.trim().parse().ok()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.iter().copied().eq(1..=numbers.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(components: &Value) -> String {
        let mut fields = Fields::default();
        check(components.as_array().unwrap(), &mut fields);
        fields.finish().map_or_else(|error| error.message.into_owned(), |()| String::new())
    }

    #[test]
    fn components_are_checked() {
        let body = json!({"type": "BODY", "text": "Hello {{1}}, {{2}} and {{1}} {{name}}"});
        assert_eq!(
            problems(
                &json!([body, {"type": "HEADER", "format": "IMAGE"}, {"type": "FOOTER", "text": "x"}, {"type": "BUTTONS", "buttons": [{}]}])
            ),
            ""
        );
        for (components, problem) in [
            (json!([]), "must have a BODY"),
            (json!([body, body]), "is there twice"),
            (json!([{"type": "BODY", "text": "{{2}}"}]), "must number"),
            (json!([{"type": "BODY", "text": "x".repeat(1_025)}]), "1024"),
            (json!([body, {"type": "HEADER", "text": "x".repeat(61)}]), "60"),
            (json!([body, {"type": "HEADER", "format": "GIF"}]), "must be TEXT"),
            (json!([body, {"type": "BUTTONS", "buttons": []}]), "1 to 10"),
            (json!([body, "x"]), "must be HEADER"),
        ] {
            assert!(problems(&components).contains(problem), "{components}: {}", problems(&components));
        }
    }
}
