//! A message, as the WhatsApp business contract shows it.

use crate::prelude::*;
use serde_json::{Map, Value, json};
use store::messages::Message;
use uuid::Uuid;

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Direction {
    Inbound,
    Outbound,
    System,
}

/// How far a message has come. An inbound message is `DELIVERED`; one not yet sent is `PENDING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Pending,
    Sent,
    Delivered,
    Read,
    Failed,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView {
    id: Uuid,
    /// WhatsApp's id; null until it was sent.
    whatsapp_id: Option<String>,
    conversation_id: Uuid,
    direction: Direction,
    /// `TEXT`, `IMAGE`, `VIDEO`, `AUDIO`, `DOCUMENT`, `TEMPLATE`, or another type that WhatsApp knows.
    r#type: String,
    /// What it says, by its type: `text`; or `mediaUrl` and `caption`; or `name`, `language` and `components`.
    content: Value,
    status: Status,
    from: Option<String>,
    to: Option<String>,
    tenant_id: Uuid,
    /// WhatsApp's id of the message that it answers.
    reply_to: Option<String>,
    /// Why it failed, as the provider says it.
    errors: Option<Value>,
    meta: Option<Value>,
    created_at: Time,
}

impl MessageView {
    pub(crate) fn new(message: &Message, tenant_public_id: Uuid) -> Self {
        let (direction, from, to) = match message.direction.as_str() {
            "inbound" => (Direction::Inbound, &message.customer_phone, &message.channel_external_id),
            "outbound" => (Direction::Outbound, &message.channel_external_id, &message.customer_phone),
            _ => (Direction::System, &message.channel_external_id, &message.customer_phone),
        };
        let unknown = message.status == "unknown";
        Self {
            id: message.id,
            whatsapp_id: message.external_id.clone(),
            conversation_id: message.conversation_id,
            direction,
            r#type: message.message_type.to_uppercase(),
            content: content(message),
            status: status(message),
            from: from.clone(),
            to: to.clone(),
            tenant_id: tenant_public_id,
            reply_to: message.reply_to.clone(),
            errors: message.errors.clone(),
            meta: meta(message, unknown),
            created_at: Time(message.sent_at),
        }
    }
}

fn status(message: &Message) -> Status {
    match message.status.as_str() {
        "sent" => Status::Sent,
        "delivered" | "received" => Status::Delivered,
        "read" => Status::Read,
        "failed" => Status::Failed,
        _ => Status::Pending,
    }
}

fn meta(message: &Message, unknown: bool) -> Option<Value> {
    let mut meta = message.meta.clone();
    if unknown {
        // Its answer was lost: nobody knows whether it was sent.
        meta.get_or_insert_with(|| json!({}))["unknown"] = json!(true);
    }
    meta
}

fn content(message: &Message) -> Value {
    if let Some(template) = message.meta.as_ref().and_then(|meta| meta.get("template")) {
        return template.clone();
    }
    let Some(media) = &message.media else { return json!({"text": message.content}) };
    let mut content = Map::new();
    content.insert("mediaUrl".to_owned(), json!(media.get("url")));
    content.insert("caption".to_owned(), json!(message.content));
    for (name, shown) in [("id", "mediaId"), ("mime_type", "mimeType"), ("filename", "fileName"), ("sha256", "sha256")] {
        if let Some(value) = media.get(name) {
            content.insert(shown.to_owned(), value.clone());
        }
    }
    Value::Object(content)
}

/// What is stored for a direction and status that are asked for.
pub(crate) fn kinds(direction: Option<Direction>, status: Option<Status>) -> Vec<(&'static str, &'static str)> {
    type Shown = (Direction, Status, &'static [(&'static str, &'static str)]);
    const ALL: [Shown; 9] = [
        (Direction::Inbound, Status::Delivered, &[("inbound", "received")]),
        (Direction::System, Status::Delivered, &[("system", "received")]),
        (Direction::Outbound, Status::Pending, &[("outbound", "pending"), ("outbound", "sending"), ("outbound", "unknown")]),
        (Direction::Outbound, Status::Sent, &[("outbound", "sent")]),
        (Direction::Outbound, Status::Delivered, &[("outbound", "delivered")]),
        (Direction::Outbound, Status::Read, &[("outbound", "read")]),
        (Direction::Outbound, Status::Failed, &[("outbound", "failed")]),
        (Direction::System, Status::Pending, &[("system", "pending")]),
        (Direction::System, Status::Sent, &[("system", "sent")]),
    ];
    let wanted =
        ALL.iter().filter(|(d, s, _)| direction.is_none_or(|direction| direction == *d) && status.is_none_or(|status| status == *s));
    wanted.flat_map(|(_, _, kinds)| kinds.iter().copied()).collect()
}
