//! Messages: list, read, send.

use super::{
    dialect::Success,
    message_view::{Direction, MessageView, Status, kinds},
    wire::{Page, Pagination},
};
use crate::{
    outbound::{Author, Draft, MEDIA_TYPES, Saying},
    prelude::*,
    request::{http_url, normalized_phone},
};
use domain::{ConversationId, MessageId};
use serde_json::{Value, json};
use store::{
    messages::{self, MessageFilter, Order},
    outbound,
};
use uuid::Uuid;

#[derive(Debug, Deserialize, ToParameters)]
#[serde(rename_all = "camelCase")]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ListQuery {
    /// Only messages of this conversation.
    #[salvo(parameter(value_type = Option<String>, format = "uuid"))]
    conversation_id: Option<String>,
    #[salvo(parameter(minimum = 1))]
    page: Option<i64>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    direction: Option<Direction>,
    status: Option<Status>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Messages {
    messages: Vec<MessageView>,
    pagination: Pagination,
}

/// A message to send. `content` is, by `type`: `{text}`; `{mediaUrl, caption?, fileName?}`; `{name, language, components?}`; `{interactive}`,
/// buttons or a list in WhatsApp's shape. `replyTo`: the id of the message of the same conversation that it answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"to": "+1234567890", "type": "text", "content": {"text": "Hello from API!"}})))]
pub(super) struct SendBody {
    /// The customer's number, in international form.
    to: String,
    r#type: SendType,
    content: SendContent,
    #[salvo(schema(value_type = Option<String>, format = "uuid"))]
    reply_to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SendType {
    Text,
    Image,
    Video,
    Audio,
    Document,
    Template,
    Interactive,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SendContent {
    text: Option<String>,
    media_url: Option<String>,
    caption: Option<String>,
    file_name: Option<String>,
    name: Option<String>,
    language: Option<String>,
    components: Option<Vec<Value>>,
    #[salvo(schema(value_type = Option<Object>))]
    interactive: Option<Value>,
}

/// List messages
///
/// In the order of arrival, the newest first; within a conversation by the provider's time.
#[endpoint]
pub(super) async fn list(app: App, caller: Caller, query: Query<ListQuery>) -> Result<Ok200<Success<Messages>>, ApiError> {
    let Query(query) = query;
    let page = Page::of(query.page, query.limit)?;
    let filter = MessageFilter { kinds: kinds(query.direction, query.status) };
    let conversation = match &query.conversation_id {
        Some(text) => Some(crate::request::parse_uuid(text).ok_or_else(|| ApiError::invalid_field("conversationId", "must be a UUID"))?),
        None => None,
    };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let (mut found, total) = if filter.kinds.is_empty() {
        (Vec::new(), 0)
    } else if let Some(id) = conversation.map(ConversationId) {
        let found = messages::list_in(&mut tx, caller.tenant, id, &filter, Order::NewestFirst, (page.limit, page.offset)).await?;
        (found, messages::count_in(&mut tx, caller.tenant, id, &filter).await?)
    } else {
        messages::list(&mut tx, caller.tenant, &filter, page.limit, page.offset).await?
    };
    app.link_media(&mut found);
    let messages = found.iter().map(|message| MessageView::new(message, caller.tenant_public_id)).collect();
    Ok200::new(&Success::new(Messages { messages, pagination: Pagination::new(&page, total) }))
}

/// Read a message
#[endpoint]
pub(super) async fn get(app: App, caller: Caller, id: Path<Uuid>) -> Result<Ok200<Success<MessageView>>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let mut found = messages::get(&mut tx, caller.tenant, MessageId(id.0)).await?.ok_or_else(|| ApiError::not_found("Message"))?;
    app.link_media([&mut found]);
    Ok200::new(&Success::new(MessageView::new(&found, caller.tenant_public_id)))
}

/// Send a message
///
/// It is answered as `PENDING` and sent by a worker, in the order of its conversation. When the customer last wrote more than 24 hours
/// ago, only a template can be sent.
#[endpoint]
pub(super) async fn create(
    app: App,
    caller: Caller,
    body: Body<SendBody>,
    key: RequestKey,
) -> Result<Created<Success<MessageView>>, ApiError> {
    let (to, saying) = checked(body.0)?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let channel = outbound::whatsapp_channel(&mut work, caller.tenant).await?;
    let channel =
        channel.ok_or_else(|| ApiError::conflict("no_channel", "There is no WhatsApp number yet: set whatsappConfig in the settings"))?;
    let conversation = outbound::conversation_with(&mut work, caller.tenant, channel, &to).await?;
    let submitted = app.submit(&mut work, caller.tenant, conversation, saying, Author::Person(&caller)).await?;
    let message = messages::get(&mut work, caller.tenant, submitted.id).await?.ok_or_else(|| ApiError::not_found("Message"))?;
    let reply = work.answer(&Success::new(MessageView::new(&message, caller.tenant_public_id))).await?;
    app.announce(caller.tenant, submitted);
    Ok(reply)
}

/// The longest text and caption that WhatsApp takes
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>).
const LONGEST_TEXT: usize = 4_096;
const LONGEST_CAPTION: usize = 1_024;

fn checked(body: SendBody) -> Result<(String, Saying), ApiError> {
    let SendBody { to, r#type, content, reply_to } = body;
    let mut fields = Fields::default();
    let to = fields.need(normalized_phone(&to), "to", "must be a phone number in international form, for example +1234567890");
    let draft = match r#type {
        SendType::Text => {
            let text = fields.need(content.text, "content.text", "is required").unwrap_or_default();
            Draft::Text(fields.text(&text, "content.text", LONGEST_TEXT))
        }
        SendType::Template => {
            let name = fields.need(content.name, "content.name", "is required").unwrap_or_default();
            let language = fields.need(content.language, "content.language", "is required").unwrap_or_default();
            let (name, language) = (fields.text(&name, "content.name", 512), fields.text(&language, "content.language", 15));
            Draft::Template { name, language, components: json!(content.components.unwrap_or_default()) }
        }
        SendType::Interactive => {
            let interactive = fields.need(content.interactive, "content.interactive", "is required").unwrap_or_default();
            check_interactive(&interactive, &mut fields);
            let text = interactive.pointer("/body/text").and_then(Value::as_str).map(str::to_owned);
            Draft::Interactive { text, interactive }
        }
        media => {
            let url = fields.need(content.media_url.as_deref().and_then(http_url), "content.mediaUrl", "must be an http(s) address");
            let caption = content.caption.filter(|caption| !caption.trim().is_empty());
            let caption = caption.map(|caption| fields.text(&caption, "content.caption", LONGEST_CAPTION));
            let file_name = content.file_name.map(|name| fields.text(&name, "content.fileName", 240));
            Draft::Media { kind: media_kind(media), url: url.unwrap_or_default(), caption, file_name }
        }
    };
    let answers = reply_to.and_then(|id| fields.need(crate::request::parse_uuid(&id), "replyTo", "must be a UUID")).map(MessageId);
    fields.finish()?;
    Ok((to.unwrap_or_default(), Saying { draft, answers }))
}

/// What can be known here of buttons and lists
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages#interactive-object>); WhatsApp knows the rest.
fn check_interactive(interactive: &Value, fields: &mut Fields) {
    const TYPES: [&str; 9] =
        ["button", "list", "cta_url", "flow", "product", "product_list", "catalog_message", "location_request_message", "address_message"];
    const MOST_BYTES: usize = 32 * 1024;
    let kind = interactive.get("type").and_then(Value::as_str).filter(|kind| TYPES.contains(kind));
    fields.check(kind.is_some(), "content.interactive.type", "must be a type of interactive message, for example button or list");
    fields.check(interactive.get("action").is_some_and(Value::is_object), "content.interactive.action", "must be an object");
    let text = interactive.pointer("/body/text").and_then(Value::as_str).map_or(0, |text| text.trim().chars().count());
    let has_text = (1..=LONGEST_CAPTION).contains(&text) || kind == Some("product") && text == 0;
    fields.check(has_text, "content.interactive.body.text", "must have 1 to 1024 characters");
    fields.check(interactive.to_string().len() <= MOST_BYTES, "content.interactive", "must have at most 32 KiB");
}

fn media_kind(kind: SendType) -> &'static str {
    let [image, video, audio, document] = MEDIA_TYPES;
    match kind {
        SendType::Video => video,
        SendType::Audio => audio,
        SendType::Document => document,
        SendType::Image | SendType::Text | SendType::Template | SendType::Interactive => image,
    }
}
