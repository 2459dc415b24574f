//! Tickets.

use crate::{
    prelude::*,
    request::{self, Patch},
};
use domain::ConversationId;
use store::{
    PgConnection, audit, conversation_lists,
    tickets::{self, NewTicket, PRIORITIES, STATUSES, Ticket, TicketChanges, TicketFilter},
    users,
};
use uuid::Uuid;

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TicketView {
    ticket_id: i32,
    client_id: i64,
    /// The conversation that it was made from.
    conversation_id: Option<Uuid>,
    subject: String,
    description: Option<String>,
    priority: Priority,
    status: Status,
    created_at: Time,
    updated_at: Time,
    due_at: Option<Time>,
    /// When it was closed.
    resolved_at: Option<Time>,
    assigned_to: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Priority {
    Alta,
    Media,
    Baja,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Abierto,
    EnProgreso,
    Cerrado,
}

impl Priority {
    fn stored(self) -> &'static str {
        match self {
            Self::Alta => "high",
            Self::Media => "medium",
            Self::Baja => "low",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "high" => Self::Alta,
            "low" => Self::Baja,
            _ => Self::Media,
        }
    }
}

impl Status {
    fn stored(self) -> &'static str {
        match self {
            Self::Abierto => "open",
            Self::EnProgreso => "in_progress",
            Self::Cerrado => "closed",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "in_progress" => Self::EnProgreso,
            "closed" => Self::Cerrado,
            _ => Self::Abierto,
        }
    }
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct TicketsQuery {
    status: Option<Status>,
    priority: Option<Priority>,
    /// A `user_id`.
    assigned_to: Option<i32>,
    client_id: Option<i64>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// A ticket to make.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"client_id": 55, "subject": "Cannot login", "description": "User can't log in since yesterday", "priority": "alta"})))]
pub(super) struct TicketBody {
    client_id: i64,
    /// Made from this conversation, which must be the client's; its `meta` then names the ticket.
    conversation_id: Option<Uuid>,
    #[salvo(schema(min_length = 1, max_length = 300))]
    subject: String,
    #[salvo(schema(max_length = 20000))]
    description: Option<String>,
    /// `media` unless given.
    priority: Option<Priority>,
    /// `abierto` unless given.
    status: Option<Status>,
    due_at: Option<Time>,
    /// A `user_id`.
    assigned_to: Option<i32>,
}

/// What to change; absent fields stay, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"status": "en_progreso"})))]
pub(super) struct TicketPatch {
    client_id: Option<i64>,
    #[salvo(schema(min_length = 1, max_length = 300))]
    subject: Option<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 20000))]
    description: Patch<String>,
    priority: Option<Priority>,
    status: Option<Status>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<Time>))]
    due_at: Patch<Time>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<i32>))]
    assigned_to: Patch<i32>,
}

impl From<&Ticket> for TicketView {
    fn from(row: &Ticket) -> Self {
        Self {
            ticket_id: row.number,
            client_id: row.customer_number,
            conversation_id: row.conversation_id,
            subject: row.subject.clone(),
            description: row.description.clone(),
            priority: Priority::read(&row.priority),
            status: Status::read(&row.status),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
            due_at: row.due_at.map(Time),
            resolved_at: row.resolved_at.map(Time),
            assigned_to: row.assigned_number,
        }
    }
}

/// A customer of the tenant.
async fn client(conn: &mut PgConnection, caller: &Caller, number: i64) -> Result<Uuid, ApiError> {
    tickets::customer_id(conn, caller.tenant, number).await?.ok_or_else(|| ApiError::invalid_field("client_id", "There is no such client"))
}

/// An active user of the tenant.
async fn assignee(conn: &mut PgConnection, caller: &Caller, number: i32) -> Result<Uuid, ApiError> {
    let user = users::get_by_number(conn, caller.tenant, number).await?.filter(|user| user.active);
    Ok(user.ok_or_else(|| ApiError::invalid_field("assigned_to", "There is no such active user"))?.id.0)
}

async fn read(conn: &mut PgConnection, caller: &Caller, number: i32) -> Result<TicketView, ApiError> {
    let row = tickets::get(conn, caller.tenant, number).await?.ok_or_else(|| ApiError::not_found("Ticket"))?;
    Ok((&row).into())
}

/// List tickets
///
/// The newest first.
#[endpoint]
pub(super) async fn list_tickets(app: App, caller: Caller, query: Query<TicketsQuery>) -> Result<Ok200<Vec<TicketView>>, ApiError> {
    let Query(query) = query;
    let (status, priority) = (query.status.map(Status::stored), query.priority.map(Priority::stored));
    let filter = TicketFilter {
        statuses: status.as_ref().map_or(STATUSES, std::slice::from_ref),
        priorities: priority.as_ref().map_or(PRIORITIES, std::slice::from_ref),
        assigned_number: query.assigned_to,
        customer_number: query.client_id,
    };
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&tickets::list(&mut tx, caller.tenant, filter, page).await?.iter().map(TicketView::from).collect())
}

/// Read a ticket
#[endpoint]
pub(super) async fn get_ticket(app: App, caller: Caller, ticket_id: Path<i32>) -> Result<Ok200<TicketView>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&read(&mut tx, &caller, ticket_id.0).await?)
}

/// Make a ticket
#[endpoint]
pub(super) async fn post_ticket(
    app: App,
    caller: Caller,
    body: Body<TicketBody>,
    key: RequestKey,
) -> Result<Created<TicketView>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let subject = fields.text(&body.subject, "subject", 300);
    fields.at_most(body.description.as_deref(), "description", 20_000);
    fields.finish()?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let customer = client(&mut work, &caller, body.client_id).await?;
    let conversation = match body.conversation_id {
        Some(id) => {
            let found = conversation_lists::get(&mut work, caller.tenant, ConversationId(id)).await?;
            let found = found.filter(|found| found.customer_id == customer);
            Some(found.ok_or_else(|| ApiError::invalid_field("conversation_id", "There is no such conversation of this client"))?.id)
        }
        None => None,
    };
    let assigned_to = match body.assigned_to {
        Some(number) => Some(assignee(&mut work, &caller, number).await?),
        None => None,
    };
    let new = NewTicket {
        customer,
        conversation,
        subject: &subject,
        description: body.description.as_deref(),
        priority: body.priority.unwrap_or(Priority::Media).stored(),
        status: body.status.unwrap_or(Status::Abierto).stored(),
        assigned_to,
        due_at: body.due_at.map(|time| time.0),
        created_by: Some(caller.user.0),
    };
    let number = tickets::create(&mut work, caller.tenant, &new).await?;
    audit::note(&mut work, caller.tenant, &caller.act("ticket.create", number)).await?;
    let view = read(&mut work, &caller, number).await?;
    work.answer(&view).await
}

/// Change a ticket
///
/// Closing it (`cerrado`) sets `resolved_at`, opening it again clears that.
#[endpoint]
pub(super) async fn patch_ticket(
    app: App,
    caller: Caller,
    ticket_id: Path<i32>,
    body: Body<TicketPatch>,
) -> Result<Ok200<TicketView>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let subject = body.subject.map(|text| fields.text(&text, "subject", 300));
    let description = body.description.given();
    fields.at_most(description.as_ref().and_then(Option::as_deref), "description", 20_000);
    fields.finish()?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    read(&mut tx, &caller, ticket_id.0).await?;
    let customer = match body.client_id {
        Some(number) => Some(client(&mut tx, &caller, number).await?),
        None => None,
    };
    let assigned_to = match body.assigned_to.given() {
        Some(Some(number)) => Some(Some(assignee(&mut tx, &caller, number).await?)),
        Some(None) => Some(None),
        None => None,
    };
    let changes = TicketChanges {
        customer,
        subject,
        description,
        priority: body.priority.map(Priority::stored),
        status: body.status.map(Status::stored),
        assigned_to,
        due_at: body.due_at.given().map(|due| due.map(|time| time.0)),
    };
    tickets::update(&mut tx, caller.tenant, ticket_id.0, &changes).await?;
    audit::note(&mut tx, caller.tenant, &caller.act("ticket.update", ticket_id.0)).await?;
    let view = read(&mut tx, &caller, ticket_id.0).await?;
    tx.commit().await?;
    Ok200::new(&view)
}

/// Delete a ticket
#[endpoint]
pub(super) async fn delete_ticket(app: App, caller: Caller, ticket_id: Path<i32>) -> Result<NoContent, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !tickets::delete(&mut tx, caller.tenant, ticket_id.0).await? {
        return Err(ApiError::not_found("Ticket"));
    }
    audit::note(&mut tx, caller.tenant, &caller.act("ticket.delete", ticket_id.0)).await?;
    tx.commit().await?;
    Ok(NoContent)
}
