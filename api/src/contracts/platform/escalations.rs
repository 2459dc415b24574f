//! Conversations that wait for a person, as the agent platform shows them. A session is a conversation.

use crate::{
    auth::{NewPerson, check_password, create_user},
    prelude::*,
    request,
};
use domain::{Change, ConversationId, UserId, UserRole};
use platform::Secret;
use store::{
    PgConnection, audit,
    escalations::{self, Escalation, RaisedBy, Staff, Which},
    realtime,
};
use uuid::Uuid;

/// A session that waits for a person, or is with one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EscalationView {
    id: Uuid,
    session_id: Uuid,
    status: EscalationStatus,
    /// Why a person is needed.
    reason: String,
    raised_by: String,
    /// Until somebody took it, or until now.
    waiting_seconds: i64,
    channel: String,
    customer: CustomerView,
    unread_count: i32,
    last_message_at: Option<Time>,
    assigned_to: Option<AssigneeView>,
    created_at: Time,
    assigned_at: Option<Time>,
    resolved_at: Option<Time>,
    /// What was said when it was resolved.
    note: Option<String>,
}

/// Where an escalation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EscalationStatus {
    /// Nobody has it yet.
    Escalated,
    Assigned,
    Resolved,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomerView {
    id: Uuid,
    name: Option<String>,
    phone_number: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AssigneeView {
    id: Uuid,
    name: Option<String>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct QueueQuery {
    /// `escalated` unless given: those that nobody has yet.
    status: Option<QueueStatus>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum QueueStatus {
    Escalated,
    Assigned,
    All,
}

#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"reason": "Wants to speak to the manager"})))]
pub(super) struct EscalateBody {
    #[salvo(schema(min_length = 1, max_length = 1_000))]
    reason: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({})))]
pub(super) struct AssignBody {
    /// A user; oneself unless given.
    #[salvo(schema(format = "uuid"))]
    supporter_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"note": "Refunded"})))]
pub(super) struct ResolveBody {
    #[salvo(schema(min_length = 1, max_length = 2_000))]
    note: Option<String>,
}

/// Somebody who can take escalations.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StaffView {
    id: Uuid,
    name: String,
    email: Option<String>,
    role: String,
    /// Escalated sessions that they have.
    open_sessions: i64,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct StaffQuery {
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// A supporter to make.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"email": "sam@company.com", "password": "SecurePass123!", "name": "Sam Supporter"})))]
pub(super) struct StaffBody {
    #[salvo(schema(format = "email", max_length = 254))]
    email: String,
    /// 8 to 256 characters.
    #[salvo(schema(min_length = 8, max_length = 256))]
    password: String,
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: String,
}

impl From<&Escalation> for EscalationView {
    fn from(row: &Escalation) -> Self {
        let status = match (row.resolved_at, row.assigned_to) {
            (Some(_), _) => EscalationStatus::Resolved,
            (None, Some(_)) => EscalationStatus::Assigned,
            (None, None) => EscalationStatus::Escalated,
        };
        Self {
            id: row.id,
            session_id: row.conversation_id,
            status,
            reason: row.reason.clone(),
            raised_by: row.raised_by.clone(),
            waiting_seconds: row.waiting_seconds,
            channel: row.channel_source.clone(),
            customer: CustomerView { id: row.customer_id, name: row.customer_name.clone(), phone_number: row.customer_phone.clone() },
            unread_count: row.unread_count,
            last_message_at: row.last_message_at.map(Time),
            assigned_to: row.assigned_to.map(|id| AssigneeView { id, name: row.assignee_name.clone() }),
            created_at: Time(row.created_at),
            assigned_at: row.assigned_at.map(Time),
            resolved_at: row.resolved_at.map(Time),
            note: row.note.clone(),
        }
    }
}

impl From<Staff> for StaffView {
    fn from(row: Staff) -> Self {
        Self { id: row.id, name: row.name, email: row.email, role: row.role, open_sessions: row.open_sessions }
    }
}

fn no_session() -> ApiError {
    ApiError::not_found("Session")
}

/// The session's escalation, if it has one.
pub(super) async fn of(conn: &mut PgConnection, caller: &Caller, session: ConversationId) -> Result<Escalation, ApiError> {
    escalations::of(conn, caller.tenant, session).await?.ok_or_else(|| ApiError::not_found("Escalated session"))
}

/// Who has it already.
pub(super) fn somebody_elses(escalation: &Escalation) -> ApiError {
    let name = escalation.assignee_name.as_deref().unwrap_or("somebody else");
    ApiError::conflict("assigned", format!("{name} has this session"))
}

/// Notes what was done to a session, and tells those who watch it.
async fn note(conn: &mut PgConnection, caller: &Caller, act: &'static str, session: ConversationId) -> Result<(), ApiError> {
    audit::note(conn, caller.tenant, &caller.act(act, session)).await?;
    Ok(realtime::tell_one(conn, caller.tenant, Change::ConversationUpdated { conversation: session }).await?)
}

/// List the escalation queue
///
/// Sessions that wait for a person, who has waited longest first.
#[endpoint]
pub(super) async fn list_queue(app: App, caller: Caller, query: Query<QueueQuery>) -> Result<Ok200<Vec<EscalationView>>, ApiError> {
    let Query(query) = query;
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let which = match query.status.unwrap_or(QueueStatus::Escalated) {
        QueueStatus::Escalated => Which::Waiting,
        QueueStatus::Assigned => Which::Assigned,
        QueueStatus::All => Which::Open,
    };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&escalations::list(&mut tx, caller.tenant, which, None, page).await?.iter().map(EscalationView::from).collect())
}

/// Escalate a session to a person
///
/// The agent keeps quiet until it is resolved. A session that is escalated already stays as it is.
#[endpoint]
pub(super) async fn escalate(
    app: App,
    caller: Caller,
    session_id: Path<Uuid>,
    body: Body<EscalateBody>,
) -> Result<Ok200<EscalationView>, ApiError> {
    let session = ConversationId(session_id.0);
    let mut fields = Fields::default();
    let reason = body.0.reason.map(|reason| fields.text(&reason, "reason", 1_000));
    fields.finish()?;
    let reason = reason.unwrap_or_else(|| "Escalated by hand".to_owned());
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let raised = escalations::raise(&mut tx, caller.tenant, session, RaisedBy::Person, &reason).await?.ok_or_else(no_session)?;
    let escalation = of(&mut tx, &caller, session).await?;
    if raised {
        note(&mut tx, &caller, "session.escalate", ConversationId(escalation.conversation_id)).await?;
    }
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok200::new(&EscalationView::from(&escalation))
}

/// Assign an escalated session
///
/// To oneself, or by owners and admins to anybody. 409 if somebody else has it: a session is never assigned twice.
#[endpoint]
pub(super) async fn assign(
    app: App,
    caller: Caller,
    session_id: Path<Uuid>,
    body: Body<AssignBody>,
) -> Result<Ok200<EscalationView>, ApiError> {
    let session = ConversationId(session_id.0);
    let given = body.0.supporter_id.map(|text| request::parse_uuid(&text).ok_or_else(not_a_user)).transpose()?;
    let to = given.map_or(caller.user, UserId);
    if to != caller.user && !caller.role.is_admin() {
        return Err(ApiError::forbidden("Only an owner or admin may assign a session to somebody else"));
    }
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let before = of(&mut tx, &caller, session).await?;
    let taken = escalations::assign(&mut tx, caller.tenant, before.id, to).await.map_err(impossible)?;
    let after = of(&mut tx, &caller, session).await?;
    if !taken {
        return Err(if after.resolved_at.is_some() { not_escalated() } else { somebody_elses(&after) });
    }
    note(&mut tx, &caller, "session.assign", ConversationId(after.conversation_id)).await?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok200::new(&EscalationView::from(&after))
}

/// Resolve an escalated session
///
/// By whoever has it, or by owners and admins. The conversation is the agent's again.
#[endpoint]
pub(super) async fn resolve(
    app: App,
    caller: Caller,
    session_id: Path<Uuid>,
    body: Body<ResolveBody>,
) -> Result<Ok200<EscalationView>, ApiError> {
    let session = ConversationId(session_id.0);
    let mut fields = Fields::default();
    let said = body.0.note.map(|text| fields.text(&text, "note", 2_000));
    fields.finish()?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let before = of(&mut tx, &caller, session).await?;
    if before.assigned_to.is_some_and(|user| user != caller.user.0) && !caller.role.is_admin() {
        return Err(somebody_elses(&before));
    }
    // Resolving what is resolved changes nothing.
    if escalations::resolve(&mut tx, caller.tenant, before.id, said.as_deref()).await? {
        note(&mut tx, &caller, "session.resolve", ConversationId(before.conversation_id)).await?;
    }
    let after = of(&mut tx, &caller, session).await?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok200::new(&EscalationView::from(&after))
}

/// List the support staff
///
/// Active users, who has the fewest escalated sessions first.
#[endpoint]
pub(super) async fn list_staff(app: App, caller: Caller, query: Query<StaffQuery>) -> Result<Ok200<Vec<StaffView>>, ApiError> {
    let page = (request::limit(query.0.limit)?, request::offset(query.0.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&escalations::staff(&mut tx, caller.tenant, page).await?.into_iter().map(StaffView::from).collect())
}

/// Make a supporter
///
/// By owners and admins. A supporter is a user with the role `agent`.
#[endpoint]
pub(super) async fn post_staff(app: App, caller: Admin, body: Body<StaffBody>, key: RequestKey) -> Result<Created<StaffView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut fields = Fields::default();
    let email = fields.email(&body.email, "email");
    let name = fields.text(&body.name, "name", 200);
    check_password(&mut fields, "password", &body.password);
    fields.finish()?;
    let new = NewPerson { email, username: None, name, role: UserRole::Agent, password: Secret::new(body.password) };
    let new = app.prepare_user(&caller, new).await?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let user = create_user(&mut work, &caller, &new).await?;
    let made = StaffView { id: user.id.0, name: user.name, email: user.email, role: user.role.as_str().to_owned(), open_sessions: 0 };
    work.answer(&made).await
}

/// Nobody has escalated it, or it is over.
pub(super) fn not_escalated() -> ApiError {
    ApiError::conflict("not_escalated", "This session is not escalated: escalate it first")
}

fn not_a_user() -> ApiError {
    ApiError::invalid_field("supporter_id", "is no user of this tenant")
}

fn impossible(error: store::StoreError) -> ApiError {
    match error.violated() {
        Some("escalations_assigned") => not_a_user(),
        _ => error.into(),
    }
}
