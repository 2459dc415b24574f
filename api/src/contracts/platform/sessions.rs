//! Sessions, as the agent platform shows them: conversations, on whatever channel, and what was said in them.

use crate::{prelude::*, request};
use domain::{Change, ConversationId, CustomerId};
use store::{
    audit,
    chat_sessions::{self, ChatSession},
    conversations::{self, ConversationChanges},
    messages::{self, Message, MessageFilter, Order},
    realtime,
};
use uuid::Uuid;

/// What is shown of a session at once.
const MOST_MESSAGES: i64 = 200;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    session_id: Uuid,
    user_id: Uuid,
    user_name: Option<String>,
    channel: String,
    status: SessionStatus,
    assigned_to: Option<Uuid>,
    unread_count: i32,
    last_message_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SessionStatus {
    /// The agent has it.
    Active,
    /// It waits for a person.
    Escalated,
    /// A person has it.
    Assigned,
    /// It is closed.
    Resolved,
}

impl SessionStatus {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Active, "active"), (Self::Escalated, "escalated"), (Self::Assigned, "assigned"), (Self::Resolved, "resolved")];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("active", |(_, text)| text)
    }

    fn read(text: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == text).map_or(Self::Active, |(status, _)| *status)
    }
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct SessionsQuery {
    /// Of one chat user.
    user_id: Option<Uuid>,
    status: Option<SessionStatus>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// A session with what was said in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionWithMessages {
    #[serde(flatten)]
    session: SessionView,
    /// The oldest first; of a long session the newest 200.
    messages: Vec<SessionMessage>,
}

/// A message of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionMessage {
    id: Uuid,
    /// `user assistant system`.
    role: &'static str,
    content: Option<String>,
    message_type: String,
    status: String,
    /// A person wrote it, not an agent.
    by_person: bool,
    created_at: Time,
}

impl From<ChatSession> for SessionView {
    fn from(row: ChatSession) -> Self {
        Self {
            session_id: row.id,
            user_id: row.user_id,
            user_name: row.user_name,
            channel: row.channel_source,
            status: SessionStatus::read(&row.status),
            assigned_to: row.assigned_to,
            unread_count: row.unread_count,
            last_message_at: row.last_message_at.map(Time),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

impl From<&Message> for SessionMessage {
    fn from(row: &Message) -> Self {
        let role = match row.direction.as_str() {
            "inbound" => "user",
            "outbound" => "assistant",
            _ => "system",
        };
        Self {
            id: row.id,
            role,
            content: row.content.clone(),
            message_type: row.message_type.clone(),
            status: row.status.clone(),
            by_person: row.human_override,
            created_at: Time(row.sent_at),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Session")
}

async fn find(app: &App, caller: &Caller, query: SessionsQuery) -> Result<Ok200<Vec<SessionView>>, ApiError> {
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let status = query.status.map(SessionStatus::as_str);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let rows = match query.user_id {
        Some(user) => chat_sessions::of_user(&mut tx, caller.tenant, CustomerId(user), status, page).await?,
        None => chat_sessions::list(&mut tx, caller.tenant, status, page).await?,
    };
    Ok200::new(&rows.into_iter().map(SessionView::from).collect())
}

async fn read(app: &App, caller: &Caller, id: Uuid) -> Result<Ok200<SessionWithMessages>, ApiError> {
    let mut tx = app.tenants.begin_planning(caller.tenant).await?;
    let session = chat_sessions::get(&mut tx, caller.tenant, ConversationId(id)).await?.ok_or_else(not_found)?;
    let id = ConversationId(session.id);
    let rows = messages::list_in(&mut tx, caller.tenant, id, &MessageFilter::default(), Order::NewestFirst, (MOST_MESSAGES, 0)).await?;
    Ok200::new(&SessionWithMessages { session: session.into(), messages: rows.iter().rev().map(SessionMessage::from).collect() })
}

/// List sessions
///
/// Of all users, those with the newest messages first; of one, the newest first.
#[endpoint]
pub(super) async fn list_sessions(app: App, caller: Member, query: Query<SessionsQuery>) -> Result<Ok200<Vec<SessionView>>, ApiError> {
    find(&app, &caller.0, query.0).await
}

/// Read a session
#[endpoint]
pub(super) async fn get_session(app: App, caller: Member, session_id: Path<Uuid>) -> Result<Ok200<SessionWithMessages>, ApiError> {
    read(&app, &caller.0, session_id.0).await
}

/// Close a session
///
/// It is resolved. It opens again when its user writes.
#[endpoint]
pub(super) async fn delete_session(app: App, caller: Member, session_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let (Member(caller), id) = (caller, ConversationId(session_id.0));
    let closed = ConversationChanges { status: Some("closed"), ..ConversationChanges::default() };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !conversations::update(&mut tx, caller.tenant, id, &closed).await? {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("session.close", id)).await?;
    realtime::tell_one(&mut tx, caller.tenant, Change::ConversationUpdated { conversation: id }).await?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok(NoContent)
}

/// List all sessions
///
/// For owners and admins.
#[endpoint]
pub(super) async fn list_all_sessions(app: App, caller: Admin, query: Query<SessionsQuery>) -> Result<Ok200<Vec<SessionView>>, ApiError> {
    find(&app, &caller.0, query.0).await
}

/// Read any session
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_any_session(app: App, caller: Admin, session_id: Path<Uuid>) -> Result<Ok200<SessionWithMessages>, ApiError> {
    read(&app, &caller.0, session_id.0).await
}
