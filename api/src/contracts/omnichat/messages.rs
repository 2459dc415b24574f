//! Sending, and what a message looks like in the inbox.

use crate::{
    outbound::{Author, Draft, MEDIA_TYPES, Saying, Submitted},
    prelude::*,
    request::{http_url, parse_uuid},
};
use ::channels::registry;
use domain::{ConversationId, CustomerId, MessageId};
use serde_json::{Map, Value};
use store::{
    messages::{self, Message},
    outbound,
};
use uuid::Uuid;

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InboxMessage {
    id: Uuid,
    conversation_id: Uuid,
    channel_instance_id: Uuid,
    /// The provider's id; null until it was sent.
    external_id: Option<String>,
    /// `INBOUND`, `OUTBOUND` or `SYSTEM`.
    direction: String,
    /// `text`, `image`, `video`, `audio`, `document`, or another word of the channel.
    r#type: String,
    text: Option<String>,
    attachments: Vec<AttachmentView>,
    /// `PENDING`, `SENT`, `DELIVERED`, `READ` or `FAILED`; an inbound message is `DELIVERED`.
    status: String,
    /// The provider's id of the message that it answers.
    reply_to: Option<String>,
    #[salvo(schema(value_type = Option<Object>))]
    errors: Option<Value>,
    #[salvo(schema(value_type = Option<Object>))]
    meta: Option<Value>,
    created_at: Time,
}

/// A file that came, or goes, with a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttachmentView {
    r#type: String,
    /// Null where the channel gives an id to fetch it by.
    url: Option<String>,
    mime_type: Option<String>,
    filename: Option<String>,
    /// What else the channel tells: `fileId`, sizes.
    #[salvo(schema(value_type = Object))]
    extra: Map<String, Value>,
}

impl From<&Message> for InboxMessage {
    fn from(row: &Message) -> Self {
        let status = match row.status.as_str() {
            "sent" => "SENT",
            "delivered" | "received" => "DELIVERED",
            "read" => "READ",
            "failed" => "FAILED",
            _ => "PENDING",
        };
        Self {
            id: row.id,
            conversation_id: row.conversation_id,
            channel_instance_id: row.channel_instance_id,
            external_id: row.external_id.clone(),
            direction: row.direction.to_uppercase(),
            r#type: row.message_type.clone(),
            text: row.content.clone(),
            attachments: row.media.as_ref().map(attachment).into_iter().collect(),
            status: status.to_owned(),
            reply_to: row.reply_to.clone(),
            errors: row.errors.clone(),
            meta: row.meta.clone(),
            created_at: Time(row.sent_at),
        }
    }
}

fn attachment(media: &Value) -> AttachmentView {
    let text = |name: &str| media.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut extra = media.get("extra").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, shown) in [("id", "mediaId"), ("sha256", "sha256")] {
        if let Some(value) = media.get(name) {
            extra.insert(shown.to_owned(), value.clone());
        }
    }
    AttachmentView {
        r#type: text("type").unwrap_or_default(),
        url: text("url"),
        mime_type: text("mime_type"),
        filename: text("filename"),
        extra,
    }
}

/// What to send, and to whom: `conversationId`, or `customerId` for the conversation that was last active; `text`, or `attachments`, or both. `replyTo`: the id of the message of the same
/// conversation that it (the first, if it becomes several) answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"conversationId": "018f4f3e-0000-7000-8000-000000000000", "text": "Your order is on its way", "attachments": []})))]
pub(super) struct SendBody {
    #[salvo(schema(format = "uuid"))]
    conversation_id: Option<String>,
    #[salvo(schema(format = "uuid"))]
    customer_id: Option<String>,
    #[salvo(schema(max_length = 4096))]
    text: Option<String>,
    #[salvo(schema(max_items = 10))]
    attachments: Option<Vec<AttachmentBody>>,
    #[salvo(schema(value_type = Option<String>, format = "uuid"))]
    reply_to: Option<String>,
}

/// A file to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttachmentBody {
    /// `image`, `video`, `audio` or `document`.
    r#type: String,
    /// http or https.
    #[salvo(schema(format = "uri", max_length = 2048))]
    url: String,
    filename: Option<String>,
}

/// What waits to be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queued {
    /// The first message.
    message: InboxMessage,
    queue: QueueEntry,
    /// All messages, in the order in which they are sent: a channel may need several for what is to be said.
    messages: Vec<InboxMessage>,
}

/// An entry of the queue of outbound messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueEntry {
    message_id: Uuid,
    channel_instance_id: Uuid,
    /// `PENDING`, `SENDING`, `SENT`, `FAILED` or `DEAD`.
    status: String,
    attempts: i32,
    next_retry_at: Option<Time>,
}

/// Send a message
///
/// It is answered at once and sent by a worker, in the order of its conversation; the bot stays away from now on. Several attachments, or a text with one
/// where the channel takes no caption, become several messages.
#[endpoint]
pub(super) async fn send_message(app: App, caller: Caller, body: Body<SendBody>, key: RequestKey) -> Result<Accepted<Queued>, ApiError> {
    let wanted = checked(body.0)?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let conversation = match wanted.to {
        To::Conversation(id) => id,
        To::Customer(id) => {
            let found = outbound::last_conversation_of(&mut work, caller.tenant, id).await?;
            found.ok_or_else(|| ApiError::not_found("A conversation with this customer"))?
        }
    };
    let kind =
        outbound::channel_type_of(&mut work, caller.tenant, conversation).await?.ok_or_else(|| ApiError::not_found("Conversation"))?;
    let captions = registry::sender(kind).map_or(&[][..], |sender| sender.captions);
    let mut submitted: Vec<Submitted> = Vec::new();
    let mut answers = wanted.answers;
    for draft in drafts(wanted.text, wanted.files, captions) {
        let saying = Saying { draft, answers: answers.take() };
        submitted.push(app.submit(&mut work, caller.tenant, conversation, saying, Author::Person(&caller)).await?);
    }
    let ids: Vec<Uuid> = submitted.iter().map(|submitted| submitted.id.0).collect();
    let mut rows = messages::by_ids(&mut work, caller.tenant, &ids).await?;
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    let messages: Vec<InboxMessage> = rows.iter().map(InboxMessage::from).collect();
    let first = rows.first().ok_or_else(|| ApiError::not_found("Message"))?;
    let entry =
        outbound::queue_entry(&mut work, caller.tenant, MessageId(first.id)).await?.ok_or_else(|| ApiError::not_found("Message"))?;
    let queue = QueueEntry {
        message_id: first.id,
        channel_instance_id: first.channel_instance_id,
        status: entry.status,
        attempts: entry.attempts,
        next_retry_at: entry.next_retry_at.map(Time),
    };
    let reply = work.answer(&Queued { message: first.into(), queue, messages }).await?;
    for submitted in submitted {
        app.announce(caller.tenant, submitted);
    }
    Ok(reply)
}

enum To {
    Conversation(ConversationId),
    Customer(CustomerId),
}

struct File {
    kind: &'static str,
    url: String,
    name: Option<String>,
}

struct Wanted {
    to: To,
    text: Option<String>,
    files: Vec<File>,
    answers: Option<MessageId>,
}

/// The longest text that goes out on any channel.
const LONGEST_TEXT: usize = 4_096;
const MOST_FILES: usize = 10;

fn checked(body: SendBody) -> Result<Wanted, ApiError> {
    let mut fields = Fields::default();
    let to = match (&body.conversation_id, &body.customer_id) {
        (Some(id), _) => fields.need(parse_uuid(id), "conversationId", "must be a UUID").map(|id| To::Conversation(ConversationId(id))),
        (None, Some(id)) => fields.need(parse_uuid(id), "customerId", "must be a UUID").map(|id| To::Customer(CustomerId(id))),
        (None, None) => fields.need(None, "conversationId", "is required, or customerId"),
    };
    let text = body.text.filter(|text| !text.trim().is_empty());
    let text = text.map(|text| fields.text(&text, "text", LONGEST_TEXT));
    let mut files = Vec::new();
    let given = body.attachments.unwrap_or_default();
    fields.check(given.len() <= MOST_FILES, "attachments", "must be at most 10");
    for (index, file) in given.into_iter().enumerate() {
        let kind = if file.r#type == "file" { "document" } else { &file.r#type };
        let kind = MEDIA_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(kind));
        let url = http_url(&file.url);
        if kind.is_none() {
            fields.wrong(format!("attachments.{index}.type"), "must be image, video, audio or document");
        }
        if url.is_none() {
            fields.wrong(format!("attachments.{index}.url"), "must be an http or https address");
        }
        let name = file.filename.map(|name| fields.text(&name, "attachments.filename", 240));
        files.extend(kind.zip(url).map(|(kind, url)| File { kind, url, name }));
    }
    fields.check(text.is_some() || !files.is_empty(), "text", "is required unless there are attachments");
    let answers = body.reply_to.and_then(|id| fields.need(parse_uuid(&id), "replyTo", "must be a UUID")).map(MessageId);
    fields.finish()?;
    let to = to.ok_or_else(|| ApiError::invalid_field("conversationId", "is required"))?;
    Ok(Wanted { to, text, files, answers })
}

/// The text goes with the first file if the channel takes a caption with it, and otherwise before it.
fn drafts(text: Option<String>, files: Vec<File>, captions: &[&str]) -> Vec<Draft> {
    /// Longer ones are no captions on any channel (Telegram, WhatsApp: 1,024).
    const LONGEST_CAPTION: usize = 1_024;
    let fits = |text: &String| text.chars().count() <= LONGEST_CAPTION;
    let takes_caption = files.first().is_some_and(|file| captions.contains(&file.kind)) && text.as_ref().is_some_and(fits);
    let (mut caption, before) = if takes_caption { (text, None) } else { (None, text) };
    let files = files.into_iter().map(|File { kind, url, name }| Draft::Media { kind, url, caption: caption.take(), file_name: name });
    before.map(Draft::Text).into_iter().chain(files).collect()
}
