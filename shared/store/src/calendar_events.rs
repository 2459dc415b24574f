//! Appointments of the helpdesk's calendar, known to its contract by number.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

/// An appointment, with the numbers of its maker and ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarEvent {
    pub number: i32,
    pub title: String,
    pub description: Option<String>,
    pub start_time: DateTime<Utc>,
    pub end_time: DateTime<Utc>,
    pub created_by_number: Option<i32>,
    pub ticket_number: Option<i32>,
}

/// An appointment to make. It ends no earlier than it starts; its ticket is the tenant's.
#[derive(Clone, Debug)]
pub struct NewCalendarEvent<'a> {
    pub title: &'a str,
    pub description: Option<&'a str>,
    pub start_time: DateTime<Utc>,
    pub end_time: DateTime<Utc>,
    /// `None`: an agent.
    pub created_by: Option<Uuid>,
    pub ticket: Option<Uuid>,
}

/// What to change; `None` leaves as it is, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct CalendarEventChanges {
    pub title: Option<String>,
    pub description: Option<Option<String>>,
    pub start_time: Option<DateTime<Utc>>,
    pub end_time: Option<DateTime<Utc>>,
    pub ticket: Option<Option<Uuid>>,
}

/// Which appointments.
#[derive(Clone, Copy, Debug, Default)]
pub struct CalendarEventFilter {
    /// Those that start then or later.
    pub start: Option<DateTime<Utc>>,
    /// Those that end then or earlier.
    pub end: Option<DateTime<Utc>>,
    pub ticket_number: Option<i32>,
    pub created_by_number: Option<i32>,
}

/// Appointments of the tenant, in the order in which they start.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: CalendarEventFilter,
    page: (i64, i64),
) -> Result<Vec<CalendarEvent>, StoreError> {
    let (limit, offset) = page;
    Ok(sqlx::query_as!(
        CalendarEvent,
        r#"
        SELECT e.number, e.title, e.description, e.start_time, e.end_time, u.number AS "created_by_number?", t.number AS "ticket_number?"
        FROM (
          SELECT * FROM calendar_events e
          WHERE e.tenant_id = $1 AND e.start_time >= coalesce($2, '-infinity'::timestamptz)
            -- What ends by then has started by then: with that the index can stop.
            AND e.end_time <= coalesce($3, 'infinity'::timestamptz) AND e.start_time <= coalesce($3, 'infinity'::timestamptz)
            AND ($4::int4 IS NULL OR e.ticket_id = (SELECT id FROM tickets WHERE tenant_id = $1 AND number = $4))
            AND ($5::int4 IS NULL OR e.created_by = (SELECT id FROM users WHERE tenant_id = $1 AND number = $5))
          ORDER BY e.start_time, e.number LIMIT $6 OFFSET $7) e
        LEFT JOIN users u ON u.tenant_id = e.tenant_id AND u.id = e.created_by
        LEFT JOIN tickets t ON t.tenant_id = e.tenant_id AND t.id = e.ticket_id
        ORDER BY e.start_time, e.number
        "#,
        tenant.0,
        filter.start,
        filter.end,
        filter.ticket_number,
        filter.created_by_number,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, number: i32) -> Result<Option<CalendarEvent>, StoreError> {
    Ok(sqlx::query_as!(
        CalendarEvent,
        r#"
        SELECT e.number, e.title, e.description, e.start_time, e.end_time, u.number AS "created_by_number?", t.number AS "ticket_number?"
        FROM calendar_events e LEFT JOIN users u ON u.tenant_id = e.tenant_id AND u.id = e.created_by
        LEFT JOIN tickets t ON t.tenant_id = e.tenant_id AND t.id = e.ticket_id
        WHERE e.tenant_id = $1 AND e.number = $2
        "#,
        tenant.0,
        number
    )
    .fetch_optional(conn)
    .await?)
}

/// Makes an appointment and returns its number.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, new: &NewCalendarEvent<'_>) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO calendar_events (tenant_id, id, title, description, start_time, end_time, created_by, ticket_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING number",
        tenant.0,
        Uuid::now_v7(),
        new.title,
        new.description,
        new.start_time,
        new.end_time,
        new.created_by,
        new.ticket
    )
    .fetch_one(conn)
    .await?)
}

/// Changes an appointment. False: there is none. That it ends before it starts is a violation of `calendar_events_check`.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, number: i32, changes: &CalendarEventChanges) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "UPDATE calendar_events
         SET title = coalesce($3, title), description = CASE WHEN $4 THEN $5 ELSE description END, start_time = coalesce($6, start_time),
             end_time = coalesce($7, end_time), ticket_id = CASE WHEN $8 THEN $9 ELSE ticket_id END, updated_at = now()
         WHERE tenant_id = $1 AND number = $2",
        tenant.0,
        number,
        changes.title,
        changes.description.is_some(),
        changes.description.clone().flatten(),
        changes.start_time,
        changes.end_time,
        changes.ticket.is_some(),
        changes.ticket.flatten()
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Deletes an appointment. False: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, number: i32) -> Result<bool, StoreError> {
    let result = sqlx::query!("DELETE FROM calendar_events WHERE tenant_id = $1 AND number = $2", tenant.0, number).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}

/// How many appointments lie ahead.
pub async fn upcoming(conn: &mut PgConnection, tenant: TenantId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM calendar_events WHERE tenant_id = $1 AND start_time >= now()"#, tenant.0)
        .fetch_one(conn)
        .await?)
}
