//! The tools that are built in.

use serde_json::{Value, json};
use uuid::{Uuid, uuid};

/// A tool that is built in.
#[derive(Clone, Copy, Debug)]
pub struct BaseTool {
    /// Never changes.
    pub id: Uuid,
    /// As models know it.
    pub name: &'static str,
    pub description: &'static str,
    /// A JSON Schema of its arguments; a configured copy may have its own.
    pub input_schema: fn() -> Value,
    /// It does nothing unless a tenant configures a copy.
    pub needs_config: bool,
}

pub const HTTP_REQUEST: Uuid = uuid!("5b0a4c52-0000-4000-8000-000000000001");
pub const KNOWLEDGE_SEARCH: Uuid = uuid!("5b0a4c52-0000-4000-8000-000000000002");
pub const ESCALATE: Uuid = uuid!("5b0a4c52-0000-4000-8000-000000000003");
pub const CREATE_TICKET: Uuid = uuid!("5b0a4c52-0000-4000-8000-000000000004");
pub const CREATE_CALENDAR_EVENT: Uuid = uuid!("5b0a4c52-0000-4000-8000-000000000005");
pub const CUSTOMER_LOOKUP: Uuid = uuid!("5b0a4c52-0000-4000-8000-000000000006");

/// All of them.
pub static ALL: [BaseTool; 6] = [
    BaseTool {
        id: HTTP_REQUEST,
        name: "http_request",
        description: "Calls an address of the business, which a configured copy names.",
        input_schema: || json!({"type": "object", "properties": {}}),
        needs_config: true,
    },
    BaseTool {
        id: KNOWLEDGE_SEARCH,
        name: "knowledge_search",
        description: "Looks for passages of the business's documents. What the conversation asks for is looked up without it; use it for something else.",
        input_schema: || text_argument("query", "What to look for", 1_000),
        needs_config: false,
    },
    BaseTool {
        id: ESCALATE,
        name: "escalate_to_human",
        description: "Hands the conversation over to a person of the team, who will see it in their queue. Use it when the customer asks for a person, or when you \
                      cannot help.",
        input_schema: || text_argument("reason", "Why a person is needed, in a sentence that helps them to take over", 1_000),
        needs_config: false,
    },
    BaseTool {
        id: CREATE_TICKET,
        name: "create_ticket",
        description: "Makes a ticket of what the customer asks for, which people will work on.",
        input_schema: || {
            json!({"type": "object", "required": ["subject"], "additionalProperties": false, "properties": {
                "subject": {"type": "string", "minLength": 1, "maxLength": 200},
                "description": {"type": "string", "maxLength": 5_000},
                "priority": {"enum": ["low", "medium", "high"]}}})
        },
        needs_config: false,
    },
    BaseTool {
        id: CREATE_CALENDAR_EVENT,
        name: "create_calendar_event",
        description: "Makes an appointment in the business's calendar.",
        input_schema: || {
            json!({"type": "object", "required": ["title", "start_time", "end_time"], "additionalProperties": false, "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 200},
                "description": {"type": "string", "maxLength": 5_000},
                "start_time": {"type": "string", "description": "ISO 8601 with an offset, for example 2026-11-27T10:00:00Z"},
                "end_time": {"type": "string", "description": "Later than the start"}}})
        },
        needs_config: false,
    },
    BaseTool {
        id: CUSTOMER_LOOKUP,
        name: "customer_lookup",
        description: "Tells what is known of the customer of this conversation: name, phone number, e-mail address and tags.",
        input_schema: || json!({"type": "object", "properties": {}, "additionalProperties": false}),
        needs_config: false,
    },
];

/// The one with this id.
pub fn find(id: Uuid) -> Option<&'static BaseTool> {
    ALL.iter().find(|tool| tool.id == id)
}

pub(super) fn text_argument(name: &str, description: &str, most: usize) -> Value {
    let argument = json!({"type": "string", "description": description, "minLength": 1, "maxLength": most});
    json!({"type": "object", "properties": {name: argument}, "required": [name]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent_tools::check_schema;

    #[test]
    fn each_has_an_id_a_name_and_a_good_schema() {
        for tool in &ALL {
            assert_eq!(check_schema(&(tool.input_schema)()), Ok(()), "{}", tool.name);
            assert_eq!(find(tool.id).map(|found| found.name), Some(tool.name));
        }
        assert!(find(Uuid::nil()).is_none());
    }
}
