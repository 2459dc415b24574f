//! Messages of channels that Switchboard does not speak itself: whoever does posts them in one normalized shape to
//! `/internal/inbound`, and they go through the same inbox as webhooks. The body here is what the API has checked and written, a
//! JSON array of [`Inbound`], so it is read strictly.

#[cfg(test)]
mod tests;

use crate::{ParseError, registry::ChannelKind};
use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use domain::{ChannelEvent, ChannelNaming, Direction, EventBody, Media, NewMessage, PersonRef};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The kind of these bodies.
pub const KIND: &str = "normalized";

/// What the registry lists.
pub const CHANNEL: ChannelKind = ChannelKind { kind: KIND, naming: ChannelNaming::InstanceId, by_address: false, route, parse };

/// One message of a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inbound {
    /// `channel_instances.id`.
    pub channel_instance_id: String,
    /// The message's id on its channel; [`Inbound::fingerprint`] if the channel has none.
    pub external_id: String,
    pub phone: Option<String>,
    pub user_id: Option<String>,
    pub name: Option<String>,
    /// The chat's id on the channel, where that is not the person's.
    pub external_conversation_id: Option<String>,
    pub text: Option<String>,
    pub attachments: Vec<Attachment>,
    pub sent_at: DateTime<Utc>,
    /// What the channel sent, kept for later.
    pub raw: Value,
}

/// Something that came with a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    #[serde(rename = "type")]
    pub kind: String,
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Whatever else the channel tells: hashes, keys, a place.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, Value>,
}

impl Inbound {
    /// An id for a message that has none: the same message posted again has the same one.
    pub fn fingerprint(&self) -> String {
        let said =
            json!([self.channel_instance_id, self.phone, self.user_id, self.sent_at.timestamp_millis(), self.text, self.attachments]);
        let hash = digest(&SHA256, said.to_string().as_bytes());
        format!("normalized:{}", hex::encode(hash.as_ref().get(..16).unwrap_or_default()))
    }
}

fn read(body: &[u8]) -> Result<Vec<Inbound>, ParseError> {
    Ok(serde_json::from_slice(body)?)
}

/// The channels of a body, each once.
pub fn route(body: &[u8]) -> Result<Vec<String>, ParseError> {
    let mut ids: Vec<String> = read(body)?.into_iter().map(|message| message.channel_instance_id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The messages of a body.
pub fn parse(body: &[u8]) -> Result<Vec<ChannelEvent>, ParseError> {
    let messages = read(body)?.into_iter().zip(0..);
    Ok(messages
        .map(|(message, position)| ChannelEvent {
            channel_external_id: Some(message.channel_instance_id.clone()),
            position,
            body: EventBody::Message(Box::new(new_message(message))),
        })
        .collect())
}

fn new_message(message: Inbound) -> NewMessage {
    /// `chat_messages.message_type` holds no more.
    const LONGEST_TYPE: usize = 32;
    let first = message.attachments.first();
    let message_type = first.map_or_else(|| "text".to_owned(), |first| first.kind.to_lowercase().chars().take(LONGEST_TYPE).collect());
    let media = first.map(|first| Media {
        kind: message_type.clone(),
        id: None,
        url: first.url.clone(),
        mime_type: first.mime_type.clone(),
        sha256: None,
        filename: first.filename.clone(),
        extra: serde_json::Map::new(),
    });
    let mut meta = serde_json::Map::new();
    if let Some(id) = &message.external_conversation_id {
        meta.insert("external_conversation_id".to_owned(), json!(id));
    }
    if message.attachments.len() > 1 || first.is_some_and(|first| !first.extra.is_empty()) {
        meta.insert("attachments".to_owned(), json!(message.attachments));
    }
    NewMessage {
        external_id: message.external_id,
        direction: Direction::Inbound,
        from_business_phone: false,
        may_be_ours: false,
        person: PersonRef { phone: message.phone, user_id: message.user_id, name: message.name },
        message_type,
        content: message.text,
        media,
        reply_to: None,
        sent_at: Some(message.sent_at),
        meta: if meta.is_empty() { Value::Null } else { Value::Object(meta) },
    }
}
