//! The calendar.

use crate::{
    prelude::*,
    request::{self, Patch},
};
use store::{
    PgConnection, StoreError, audit,
    calendar_events::{self, CalendarEvent, CalendarEventChanges, CalendarEventFilter, NewCalendarEvent},
    tickets,
};
use uuid::Uuid;

/// An appointment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventView {
    event_id: i32,
    title: String,
    description: Option<String>,
    start_time: Time,
    end_time: Time,
    created_by: Option<i32>,
    ticket_id: Option<i32>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct EventsQuery {
    /// Those that start then or later.
    #[salvo(parameter(value_type = Option<String>, format = "date-time"))]
    start: Option<Time>,
    /// Those that end then or earlier.
    #[salvo(parameter(value_type = Option<String>, format = "date-time"))]
    end: Option<Time>,
    ticket_id: Option<i32>,
    /// A `user_id`.
    created_by: Option<i32>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// An appointment to make.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"title": "Demo", "description": "Demo event", "start_time": "2025-11-01T15:00:00Z", "end_time": "2025-11-01T15:30:00Z"})))]
pub(super) struct EventBody {
    #[salvo(schema(min_length = 1, max_length = 300))]
    title: String,
    #[salvo(schema(max_length = 20000))]
    description: Option<String>,
    start_time: Time,
    /// Not before `start_time`.
    end_time: Time,
    ticket_id: Option<i32>,
}

/// What to change; absent fields stay, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"title": "Demo, postponed"})))]
pub(super) struct EventPatch {
    #[salvo(schema(min_length = 1, max_length = 300))]
    title: Option<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 20000))]
    description: Patch<String>,
    start_time: Option<Time>,
    end_time: Option<Time>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<i32>))]
    ticket_id: Patch<i32>,
}

impl From<&CalendarEvent> for EventView {
    fn from(row: &CalendarEvent) -> Self {
        Self {
            event_id: row.number,
            title: row.title.clone(),
            description: row.description.clone(),
            start_time: Time(row.start_time),
            end_time: Time(row.end_time),
            created_by: row.created_by_number,
            ticket_id: row.ticket_number,
        }
    }
}

async fn read(conn: &mut PgConnection, caller: &Caller, number: i32) -> Result<EventView, ApiError> {
    let row = calendar_events::get(conn, caller.tenant, number).await?.ok_or_else(|| ApiError::not_found("Event"))?;
    Ok((&row).into())
}

async fn ticket(conn: &mut PgConnection, caller: &Caller, number: i32) -> Result<Uuid, ApiError> {
    let found = tickets::get(conn, caller.tenant, number).await?;
    Ok(found.ok_or_else(|| ApiError::invalid_field("ticket_id", "There is no such ticket"))?.id)
}

fn ends_too_early() -> ApiError {
    ApiError::invalid_field("end_time", "must not be before start_time")
}

/// List appointments
///
/// In the order in which they start.
#[endpoint]
pub(super) async fn list_events(app: App, caller: Caller, query: Query<EventsQuery>) -> Result<Ok200<Vec<EventView>>, ApiError> {
    let Query(query) = query;
    let filter = CalendarEventFilter {
        start: query.start.map(|time| time.0),
        end: query.end.map(|time| time.0),
        ticket_number: query.ticket_id,
        created_by_number: query.created_by,
    };
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&calendar_events::list(&mut tx, caller.tenant, filter, page).await?.iter().map(EventView::from).collect())
}

/// Read an appointment
#[endpoint]
pub(super) async fn get_event(app: App, caller: Caller, event_id: Path<i32>) -> Result<Ok200<EventView>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&read(&mut tx, &caller, event_id.0).await?)
}

/// Make an appointment
///
/// `created_by` is whoever the token is for.
#[endpoint]
pub(super) async fn post_event(app: App, caller: Caller, body: Body<EventBody>, key: RequestKey) -> Result<Created<EventView>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let title = fields.text(&body.title, "title", 300);
    fields.at_most(body.description.as_deref(), "description", 20_000);
    fields.check(body.end_time >= body.start_time, "end_time", "must not be before start_time");
    fields.finish()?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let ticket = match body.ticket_id {
        Some(number) => Some(ticket(&mut work, &caller, number).await?),
        None => None,
    };
    let new = NewCalendarEvent {
        title: &title,
        description: body.description.as_deref(),
        start_time: body.start_time.0,
        end_time: body.end_time.0,
        created_by: Some(caller.user.0),
        ticket,
    };
    let number = calendar_events::create(&mut work, caller.tenant, &new).await?;
    audit::note(&mut work, caller.tenant, &caller.act("event.create", number)).await?;
    let view = read(&mut work, &caller, number).await?;
    work.answer(&view).await
}

/// Change an appointment
#[endpoint]
pub(super) async fn patch_event(
    app: App,
    caller: Caller,
    event_id: Path<i32>,
    body: Body<EventPatch>,
) -> Result<Ok200<EventView>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let title = body.title.map(|text| fields.text(&text, "title", 300));
    let description = body.description.given();
    fields.at_most(description.as_ref().and_then(Option::as_deref), "description", 20_000);
    fields.finish()?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    read(&mut tx, &caller, event_id.0).await?;
    let ticket = match body.ticket_id.given() {
        Some(Some(number)) => Some(Some(ticket(&mut tx, &caller, number).await?)),
        Some(None) => Some(None),
        None => None,
    };
    let changes = CalendarEventChanges {
        title,
        description,
        start_time: body.start_time.map(|time| time.0),
        end_time: body.end_time.map(|time| time.0),
        ticket,
    };
    let refused = |error: StoreError| match error.violated() {
        Some("calendar_events_check") => ends_too_early(),
        _ => error.into(),
    };
    calendar_events::update(&mut tx, caller.tenant, event_id.0, &changes).await.map_err(refused)?;
    audit::note(&mut tx, caller.tenant, &caller.act("event.update", event_id.0)).await?;
    let view = read(&mut tx, &caller, event_id.0).await?;
    tx.commit().await?;
    Ok200::new(&view)
}

/// Delete an appointment
#[endpoint]
pub(super) async fn delete_event(app: App, caller: Caller, event_id: Path<i32>) -> Result<NoContent, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !calendar_events::delete(&mut tx, caller.tenant, event_id.0).await? {
        return Err(ApiError::not_found("Event"));
    }
    audit::note(&mut tx, caller.tenant, &caller.act("event.delete", event_id.0)).await?;
    tx.commit().await?;
    Ok(NoContent)
}
