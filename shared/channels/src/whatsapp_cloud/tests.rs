//! The channel's tests: what each documented shape becomes, what odd and hostile bodies become, and the recorded payloads.

mod hostile;
mod messages;
mod people;
mod recorded;
mod routing;
mod sending;
mod templates;
mod updates;

use super::parse;
use domain::{EventBody, NewMessage};
use serde_json::{Value, json};

/// Bodies written from Meta's documented shapes, with values of our own.
const FIXTURES: [(&str, &str); 13] = [
    ("text", include_str!("fixtures/text.json")),
    ("media", include_str!("fixtures/media.json")),
    ("location_and_contacts", include_str!("fixtures/location_and_contacts.json")),
    ("interactive", include_str!("fixtures/interactive.json")),
    ("button_and_order", include_str!("fixtures/button_and_order.json")),
    ("circumstances", include_str!("fixtures/circumstances.json")),
    ("reaction_edit_revoke", include_str!("fixtures/reaction_edit_revoke.json")),
    ("system", include_str!("fixtures/system.json")),
    ("unsupported", include_str!("fixtures/unsupported.json")),
    ("username_only", include_str!("fixtures/username_only.json")),
    ("echoes", include_str!("fixtures/echoes.json")),
    ("statuses", include_str!("fixtures/statuses.json")),
    ("other_fields", include_str!("fixtures/other_fields.json")),
];

const OUR_NUMBER: &str = "200000000000002";

fn fixture(name: &str) -> &'static str {
    FIXTURES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// The events of a fixture, without their positions.
fn events_of(name: &str) -> Vec<EventBody> {
    bodies(fixture(name))
}

fn bodies(body: &str) -> Vec<EventBody> {
    parse(body.as_bytes()).unwrap().into_iter().map(|event| event.body).collect()
}

/// A body with one change of the field `messages`.
fn body_with(value: &Value) -> String {
    let mut value = value.clone();
    value["metadata"] = json!({"phone_number_id": OUR_NUMBER});
    json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}).to_string()
}

/// The message with this id.
fn message<'e>(events: &'e [EventBody], id: &str) -> &'e NewMessage {
    messages_in(events).into_iter().find(|message| message.external_id == id).unwrap_or_else(|| panic!("no message {id} in {events:?}"))
}

fn messages_in(events: &[EventBody]) -> Vec<&NewMessage> {
    let messages = events.iter().filter_map(|event| if let EventBody::Message(message) = event { Some(&**message) } else { None });
    messages.collect()
}

/// The fields of all `Other` events.
fn others_in(events: &[EventBody]) -> Vec<&str> {
    events.iter().filter_map(|event| if let EventBody::Other { field } = event { Some(field.as_str()) } else { None }).collect()
}
