//! Conversations: what one looks like, changing one. The list and reading one are on shared paths.

use super::{
    dialect::Success,
    message_view::MessageView,
    wire::{Page, Pagination},
};
use crate::prelude::*;
use domain::{Change, ConversationId, UserId};
use serde::{Serializer, ser::Error as _};
use serde_json::{Value, value::to_raw_value};
use store::{
    conversation_cards::ConversationCard,
    conversation_lists::{self, ListFilter, ListedConversation, SOURCES, STATUSES},
    conversations::{self, ConversationChanges},
    messages::{self, MessageFilter, Order},
    realtime,
};
use uuid::Uuid;

/// The state of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Open,
    Closed,
    Snoozed,
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConversationView {
    id: Uuid,
    phone_number: Option<String>,
    contact_name: Option<String>,
    contact: ContactView,
    channel_instance_id: Uuid,
    channel: String,
    status: Status,
    /// The id of the user who has it.
    assigned_to: Option<Uuid>,
    tags: Vec<String>,
    unread_count: i32,
    last_message: Option<LastMessage>,
    last_message_at: Option<Time>,
    /// While it lies ahead, the bot stays away.
    human_override_until: Option<Time>,
    meta: Value,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ContactView {
    id: Uuid,
    name: Option<String>,
    phone_number: Option<String>,
    email: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LastMessage {
    /// What it says; null if there is nothing to read.
    text: Option<String>,
    r#type: String,
    direction: String,
}

/// A conversation in a list: a [`ConversationView`], rendered once for as long as it stays as it is.
#[derive(Debug)]
struct Listed(ListedConversation);

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.rendered(|card| to_raw_value(&ConversationView::from(card))).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Conversations of a page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversations {
    #[salvo(schema(value_type = Vec<ConversationView>))]
    conversations: Vec<Listed>,
    pagination: Pagination,
}

/// A conversation with its newest messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationWithMessages {
    conversation: ConversationView,
    /// The newest 50, the oldest of them first.
    messages: Vec<MessageView>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"status": "CLOSED", "tags": ["support", "urgent"]})))]
pub(super) struct PatchBody {
    status: Option<Status>,
    /// A user's id; null: nobody.
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, format = "uuid"))]
    assigned_to: Patch<String>,
    #[salvo(schema(max_items = 50))]
    tags: Option<Vec<String>>,
}

impl From<&ConversationCard> for ConversationView {
    fn from(row: &ConversationCard) -> Self {
        let last_message = row.last_type.as_ref().map(|kind| LastMessage {
            text: row.last_content.clone(),
            r#type: kind.to_uppercase(),
            direction: row.last_direction.as_deref().unwrap_or_default().to_uppercase(),
        });
        Self {
            id: row.id,
            phone_number: row.customer_phone.clone(),
            contact_name: row.customer_name.clone(),
            contact: ContactView {
                id: row.customer_id,
                name: row.customer_name.clone(),
                phone_number: row.customer_phone.clone(),
                email: row.customer_email.clone(),
            },
            channel_instance_id: row.channel_instance_id,
            channel: row.channel_source.clone(),
            status: status(&row.status),
            assigned_to: row.assigned_to,
            tags: row.tags.clone(),
            unread_count: row.unread_count,
            last_message,
            last_message_at: row.last_message_at.map(Time),
            human_override_until: row.human_override_until.map(Time),
            meta: row.meta.clone(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn status(text: &str) -> Status {
    match text {
        "closed" => Status::Closed,
        "snoozed" => Status::Snoozed,
        _ => Status::Open,
    }
}

impl Status {
    fn stored(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Snoozed => "snoozed",
        }
    }
}

/// The list in this contract's shape.
pub(crate) async fn list(
    app: &App,
    caller: &Caller,
    page: Page,
    state: Option<Status>,
    search: Option<&str>,
) -> Result<Success<Conversations>, ApiError> {
    let stored = state.map(Status::stored);
    let filter = ListFilter { sources: SOURCES, statuses: stored.as_ref().map_or(STATUSES, std::slice::from_ref) };
    let found = if let Some(term) = search.map(str::trim).filter(|term| !term.is_empty()) {
        let mut tx = app.tenants.begin(caller.tenant).await?;
        conversation_lists::search(&mut tx, caller.tenant, term, filter, page.limit, page.offset).await?
    } else {
        conversation_lists::page(&app.tenants, &app.cards, caller.tenant, filter, page.limit, page.offset).await?
    };
    let conversations = found.conversations.into_iter().map(Listed).collect();
    Ok(Success::new(Conversations { conversations, pagination: Pagination::new(&page, found.total) }))
}

/// Messages shown with a conversation.
const RECENT: i64 = 50;

/// One with its newest messages, in this contract's shape.
pub(crate) async fn get(app: &App, caller: &Caller, id: ConversationId) -> Result<Success<ConversationWithMessages>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let row = conversation_lists::get(&mut tx, caller.tenant, id).await?.ok_or_else(|| ApiError::not_found("Conversation"))?;
    let all = MessageFilter::default();
    let mut recent = messages::list_in(&mut tx, caller.tenant, row.conversation(), &all, Order::NewestFirst, (RECENT, 0)).await?;
    app.link_media(&mut recent);
    let messages = recent.iter().rev().map(|message| MessageView::new(message, caller.tenant_public_id)).collect();
    Ok(Success::new(ConversationWithMessages { conversation: (&*row).into(), messages }))
}

/// Change a conversation
///
/// Its status, who has it, its tags.
#[endpoint]
pub(super) async fn update(
    app: App,
    caller: Caller,
    id: Path<Uuid>,
    body: Body<PatchBody>,
) -> Result<Ok200<Success<ConversationView>>, ApiError> {
    let (id, Body(body)) = (ConversationId(id.0), body);
    let mut fields = Fields::default();
    let assigned_to = match body.assigned_to.given() {
        Some(Some(text)) => fields.need(crate::request::parse_uuid(&text), "assignedTo", "must be a user's id").map(|id| Some(UserId(id))),
        Some(None) => Some(None),
        None => None,
    };
    let tags = body.tags.map(|tags| fields.tags(&tags, "tags"));
    fields.finish()?;
    let changes = ConversationChanges { status: body.status.map(Status::stored), assigned_to, tags };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !conversations::update(&mut tx, caller.tenant, id, &changes).await.map_err(impossible)? {
        return Err(ApiError::not_found("Conversation"));
    }
    store::audit::note(&mut tx, caller.tenant, &caller.act("conversation.update", id)).await?;
    realtime::tell_one(&mut tx, caller.tenant, Change::ConversationUpdated { conversation: id }).await?;
    let row = conversation_lists::get(&mut tx, caller.tenant, id).await?.ok_or_else(|| ApiError::not_found("Conversation"))?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok200::new(&Success::new((&*row).into()))
}

/// Mark a conversation as read
#[endpoint]
pub(super) async fn mark_read(app: App, caller: Caller, id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !conversations::mark_read(&mut tx, caller.tenant, ConversationId(id.0)).await? {
        return Err(ApiError::not_found("Conversation"));
    }
    realtime::tell_one(&mut tx, caller.tenant, Change::ConversationUpdated { conversation: ConversationId(id.0) }).await?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok(NoContent)
}

/// Give a conversation back to the bot
///
/// Nobody has it any more, and the bot answers again.
#[endpoint]
pub(super) async fn release(app: App, caller: Caller, id: Path<Uuid>) -> Result<Ok200<Success<ConversationView>>, ApiError> {
    let id = ConversationId(id.0);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !conversations::release(&mut tx, caller.tenant, id).await? {
        return Err(ApiError::not_found("Conversation"));
    }
    store::audit::note(&mut tx, caller.tenant, &caller.act("conversation.release", id)).await?;
    realtime::tell_one(&mut tx, caller.tenant, Change::ConversationUpdated { conversation: id }).await?;
    let row = conversation_lists::get(&mut tx, caller.tenant, id).await?.ok_or_else(|| ApiError::not_found("Conversation"))?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok200::new(&Success::new((&*row).into()))
}

fn impossible(error: store::StoreError) -> ApiError {
    match error.violated() {
        Some("chat_conversations_live") => {
            ApiError::conflict("another_is_open", "The customer has another conversation that is not closed")
        }
        Some("chat_conversations_assigned") => ApiError::invalid_field("assignedTo", "is no user of this tenant"),
        _ => error.into(),
    }
}
