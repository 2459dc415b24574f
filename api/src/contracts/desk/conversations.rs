//! Conversations and their messages, as the helpdesk shows them.

use crate::{
    outbound::{Author, Draft},
    prelude::*,
    request,
};
use domain::{ConversationId, MessageId};
use store::{
    conversation_lists::{self, ListFilter, ListedConversation},
    messages::{self, Message, MessageFilter, Order},
};
use uuid::Uuid;

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationView {
    conversation_id: Uuid,
    client_id: i64,
    channel: String,
    /// The provider's id of the customer.
    external_chat_id: Option<String>,
    /// False: it is closed.
    active: bool,
    /// False while a person has it.
    handled_by_bot: bool,
    created_at: Time,
    updated_at: Time,
    last_message_at: Option<Time>,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sender {
    Client,
    User,
    Bot,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageView {
    message_id: Uuid,
    conversation_id: Uuid,
    sender: Sender,
    content: Option<String>,
    external_message_id: Option<String>,
    created_at: Time,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct MessagesQuery {
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"content": "We are looking into it"})))]
pub(super) struct MessageBody {
    #[salvo(schema(min_length = 1, max_length = 4096))]
    content: String,
}

impl From<&ListedConversation> for ConversationView {
    fn from(row: &ListedConversation) -> Self {
        Self {
            conversation_id: row.id,
            client_id: row.customer_number,
            channel: row.channel_source.clone(),
            external_chat_id: row.external_id.clone(),
            active: row.status != "closed",
            handled_by_bot: !row.is_overridden() && row.assigned_to.is_none(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
            last_message_at: row.last_message_at.map(Time),
        }
    }
}

impl From<&Message> for MessageView {
    fn from(row: &Message) -> Self {
        let sender = match (row.direction.as_str(), row.human_override) {
            ("inbound", _) => Sender::Client,
            (_, true) => Sender::User,
            (_, false) => Sender::Bot,
        };
        Self {
            message_id: row.id,
            conversation_id: row.conversation_id,
            sender,
            content: row.content.clone(),
            external_message_id: row.external_id.clone(),
            created_at: Time(row.sent_at),
        }
    }
}

/// The list in this contract's shape.
pub(crate) async fn list(app: &App, caller: &Caller, limit: i64, offset: i64) -> Result<Vec<ConversationView>, ApiError> {
    let page = conversation_lists::page(&app.tenants, &app.cards, caller.tenant, ListFilter::default(), limit, offset).await?;
    Ok(page.conversations.iter().map(ConversationView::from).collect())
}

/// One in this contract's shape.
pub(crate) async fn get(app: &App, caller: &Caller, id: ConversationId) -> Result<ConversationView, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let row = conversation_lists::get(&mut tx, caller.tenant, id).await?.ok_or_else(|| ApiError::not_found("Conversation"))?;
    Ok((&row).into())
}

/// List a conversation's messages
///
/// The oldest first.
#[endpoint]
pub(super) async fn list_messages(
    app: App,
    caller: Caller,
    id: Path<Uuid>,
    query: Query<MessagesQuery>,
) -> Result<Ok200<Vec<MessageView>>, ApiError> {
    let page = (request::limit(query.0.limit)?, request::offset(query.0.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let found = conversation_lists::get(&mut tx, caller.tenant, ConversationId(id.0)).await?;
    let id = found.ok_or_else(|| ApiError::not_found("Conversation"))?.conversation();
    let rows = messages::list_in(&mut tx, caller.tenant, id, &MessageFilter::default(), Order::OldestFirst, page).await?;
    Ok200::new(&rows.iter().map(MessageView::from).collect())
}

/// Answer the customer
///
/// The message is sent by a worker; the bot stays away from now on.
#[endpoint]
pub(super) async fn create_message(
    app: App,
    caller: Caller,
    id: Path<Uuid>,
    body: Body<MessageBody>,
    key: RequestKey,
) -> Result<Created<MessageView>, ApiError> {
    let mut fields = Fields::default();
    let text = fields.text(&body.0.content, "content", 4_096);
    fields.finish()?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let submitted = app.submit(&mut work, caller.tenant, ConversationId(id.0), Draft::Text(text), Author::Person(&caller)).await?;
    let MessageId(message) = submitted.id;
    let row = messages::get(&mut work, caller.tenant, MessageId(message)).await?.ok_or_else(|| ApiError::not_found("Message"))?;
    let reply = work.answer(&MessageView::from(&row)).await?;
    app.announce(caller.tenant, submitted);
    Ok(reply)
}
