//! What a supporter sees and says, as the agent platform shows it.

use super::escalations::{EscalationView, not_escalated, of, somebody_elses};
use crate::{
    outbound::{Author, Draft},
    prelude::*,
    request,
};
use domain::{ConversationId, MessageId};
use store::{
    escalations::{self, Which},
    messages::{self, Message},
};
use uuid::Uuid;

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct SessionsQuery {
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// What to say to the customer of an escalated session.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"session_id": "0190f3a0-0000-7000-8000-000000000001", "message": "Hello, this is Sam. How can I help?"})))]
pub(super) struct SupporterMessageBody {
    #[salvo(schema(format = "uuid"))]
    session_id: String,
    #[salvo(schema(min_length = 1, max_length = 4_096))]
    message: String,
}

/// A message of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SupporterMessageView {
    id: Uuid,
    session_id: Uuid,
    message: Option<String>,
    status: String,
    created_at: Time,
}

impl From<&Message> for SupporterMessageView {
    fn from(row: &Message) -> Self {
        Self {
            id: row.id,
            session_id: row.conversation_id,
            message: row.content.clone(),
            status: row.status.clone(),
            created_at: Time(row.sent_at),
        }
    }
}

/// List one's own escalated sessions
///
/// Those that are assigned to whoever asks, the oldest first.
#[endpoint]
pub(super) async fn list_sessions(app: App, caller: Member, query: Query<SessionsQuery>) -> Result<Ok200<Vec<EscalationView>>, ApiError> {
    let (Member(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let rows = escalations::list(&mut tx, caller.tenant, Which::Assigned, Some(caller.user), page).await?;
    Ok200::new(&rows.iter().map(EscalationView::from).collect())
}

/// Write as a supporter
///
/// In an escalated session: one's own, or one that nobody has, which is one's own from then on. The message is sent by a worker, and the agent keeps quiet.
#[endpoint]
pub(super) async fn post_message(
    app: App,
    caller: Member,
    body: Body<SupporterMessageBody>,
    key: RequestKey,
) -> Result<Created<SupporterMessageView>, ApiError> {
    let (Member(caller), Body(body)) = (caller, body);
    let mut fields = Fields::default();
    let session = fields.need(request::parse_uuid(&body.session_id), "session_id", "must be a session's id");
    let text = fields.text(&body.message, "message", 4_096);
    fields.finish()?;
    let session = ConversationId(session.unwrap_or_default());
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let escalation = of(&mut work, &caller, session).await?;
    if escalation.resolved_at.is_some() {
        return Err(not_escalated());
    }
    let own = escalations::assign(&mut work, caller.tenant, escalation.id, caller.user).await?;
    if !own && !caller.role.is_admin() {
        return Err(somebody_elses(&of(&mut work, &caller, session).await?));
    }
    let submitted = app.submit(&mut work, caller.tenant, session, Draft::Text(text), Author::Person(&caller)).await?;
    let MessageId(message) = submitted.id;
    let row = messages::get(&mut work, caller.tenant, MessageId(message)).await?.ok_or_else(|| ApiError::not_found("Message"))?;
    let reply = work.answer(&SupporterMessageView::from(&row)).await?;
    app.announce(caller.tenant, submitted);
    Ok(reply)
}
