//! Chats of all tenants.

use crate::{auth::Operator, prelude::*, reply::Array, request};
use domain::{ConversationId, TenantId};
use futures::stream;
use serde_json::Value;
use store::{
    PgConnection,
    conversation_lists::{self, Cursor, ListFilter, ListedConversation, SOURCES, STATUSES},
    messages::{self, Message, MessageFilter, Order},
    tenants,
};
use uuid::Uuid;

/// Rows that are read at once of what is answered whole.
const PAGE: i64 = 1_000;

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatView {
    id: Uuid,
    tenant_id: i32,
    /// The person's name, else number, else the channel's id of the person.
    name: String,
    display_name: Option<String>,
    external_user_id: Option<String>,
    /// What the newest message says; `[image]` and the like if it has no text.
    last_message: Option<String>,
    timestamp: Time,
    status: Status,
    /// A person keeps the bot away.
    is_locked: bool,
    channel: String,
    avatar_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Open,
    HumanHandling,
    HumanOverride,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Channel {
    Whatsapp,
    Instagram,
    Facebook,
    Telegram,
    Widget,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageView {
    id: Uuid,
    role: Role,
    /// Null if there is only media.
    content: Option<String>,
    media: Option<MediaView>,
    timestamp: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
    System,
}

#[derive(Debug, Serialize, ToSchema)]
struct MediaView {
    /// Null until there is a copy of our own, if the provider gives an id only.
    url: Option<String>,
    /// `image`, `video`, `audio`, `document` or `sticker`.
    r#type: String,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ChatsQuery {
    tenant_id: Option<i32>,
    channel: Option<Channel>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct SummaryQuery {
    tenant_id: Option<i32>,
    channel: Option<Channel>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
}

impl Channel {
    fn source(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Instagram => "instagram",
            Self::Facebook => "facebook",
            Self::Telegram => "telegram",
            Self::Widget => "widget",
        }
    }
}

impl From<&ListedConversation> for ChatView {
    fn from(row: &ListedConversation) -> Self {
        let status = match (row.is_overridden(), row.assigned_to) {
            (true, _) => Status::HumanOverride,
            (false, Some(_)) => Status::HumanHandling,
            (false, None) => Status::Open,
        };
        let without_text = || row.last_type.as_ref().map(|kind| format!("[{kind}]"));
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            name: row.display_name().to_owned(),
            display_name: row.customer_name.clone(),
            external_user_id: row.external_id.clone(),
            last_message: row.last_content.clone().or_else(without_text),
            timestamp: Time(row.last_message_at.unwrap_or(row.created_at)),
            status,
            is_locked: row.is_overridden(),
            channel: row.channel_source.clone(),
            avatar_url: None,
        }
    }
}

impl From<&Message> for MessageView {
    fn from(row: &Message) -> Self {
        let role = match row.direction.as_str() {
            "inbound" => Role::User,
            "outbound" => Role::Assistant,
            _ => Role::System,
        };
        let text = |media: &Value, field: &str| media.get(field).and_then(Value::as_str).map(str::to_owned);
        Self {
            id: row.id,
            role,
            content: row.content.clone(),
            media: row.media.as_ref().map(|media| MediaView { url: text(media, "url"), r#type: text(media, "type").unwrap_or_default() }),
            timestamp: Time(row.sent_at),
        }
    }
}

/// List chats
///
/// All of them, those with the newest messages first: `GET /admin/chats/summary` has the newest.
#[endpoint]
pub(super) async fn list_chats(app: App, _operator: Operator, query: Query<ChatsQuery>) -> Result<Array<ChatView>, ApiError> {
    let tenants = tenants_of(&mut *app.operator_conn().await?, query.0.tenant_id).await?;
    let source = query.0.channel.map(Channel::source);
    let pages = stream::try_unfold(Some(None::<Cursor>), move |place| {
        let (app, tenants) = (app.clone(), tenants.clone());
        async move {
            let Some(after) = place else { return Ok(None) };
            let filter = ListFilter { sources: source.as_ref().map_or(SOURCES, std::slice::from_ref), statuses: STATUSES };
            let rows = conversation_lists::list_behind(&mut *app.operator_conn().await?, &app.cards, &tenants, filter, after, PAGE).await?;
            let next = rows.last().map(|last| Some(last.cursor())).filter(|_| is_full(&rows));
            Ok(Some((rows.iter().map(ChatView::from).collect(), next)))
        }
    });
    Array::of_pages(pages).await
}

/// The newest chats
///
/// 50 unless `limit` says otherwise, 200 at most.
#[endpoint]
pub(super) async fn summary(app: App, _operator: Operator, query: Query<SummaryQuery>) -> Result<Ok200<Vec<ChatView>>, ApiError> {
    let limit = request::limit(query.0.limit)?;
    let source = query.0.channel.map(Channel::source);
    let filter = ListFilter { sources: source.as_ref().map_or(SOURCES, std::slice::from_ref), ..ListFilter::default() };
    let newest = match (query.0.tenant_id, source) {
        (Some(id), _) => conversation_lists::page(&app.tenants, &app.cards, TenantId(id), filter, limit, 0).await?.conversations,
        (None, None) => conversation_lists::newest(&mut *app.operator_conn().await?, &app.cards, limit).await?,
        (None, Some(_)) => {
            let mut conn = app.operator_conn().await?;
            let tenants = tenants_of(&mut conn, None).await?;
            conversation_lists::list_behind(&mut conn, &app.cards, &tenants, filter, None, limit).await?
        }
    };
    Ok200::new(&newest.iter().map(ChatView::from).collect())
}

/// The tenant that is asked for, else all.
async fn tenants_of(conn: &mut PgConnection, asked: Option<i32>) -> Result<Vec<TenantId>, ApiError> {
    if let Some(id) = asked {
        return Ok(vec![TenantId(id)]);
    }
    Ok(tenants::list(conn, None).await?.into_iter().map(|row| TenantId(row.id)).collect())
}

/// List a chat's messages
///
/// All of them, the oldest first.
#[endpoint]
pub(super) async fn list_messages(app: App, _operator: Operator, conversation_id: Path<Uuid>) -> Result<Array<MessageView>, ApiError> {
    let mut conn = app.operator_conn().await?;
    let not_found = || ApiError::not_found("Conversation");
    let tenant = conversation_lists::tenant_of(&mut conn, ConversationId(conversation_id.0)).await?.ok_or_else(not_found)?;
    let found = conversation_lists::get(&mut conn, tenant, ConversationId(conversation_id.0)).await?;
    let id = found.ok_or_else(not_found)?.conversation();
    drop(conn);
    let pages = stream::try_unfold(Some(0), move |place| {
        let app = app.clone();
        async move {
            let Some(offset) = place else { return Ok(None) };
            let conn = &mut *app.operator_conn().await?;
            let mut rows = messages::list_in(conn, tenant, id, &MessageFilter::default(), Order::OldestFirst, (PAGE, offset)).await?;
            app.link_media(&mut rows);
            let next = is_full(&rows).then_some(offset + PAGE);
            Ok(Some((rows.iter().map(MessageView::from).collect(), next)))
        }
    });
    Array::of_pages(pages).await
}

/// True if there may be more behind these rows.
fn is_full<T>(rows: &[T]) -> bool {
    i64::try_from(rows.len()).is_ok_and(|rows| rows == PAGE)
}
