//! Tickets of the helpdesk. Rows are known to its contract by number.

use crate::{StoreError, counts};
use chrono::{DateTime, Utc};
use domain::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

/// A ticket, with the numbers of whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub id: Uuid,
    pub number: i32,
    pub customer_number: i64,
    pub conversation_id: Option<Uuid>,
    pub subject: String,
    pub description: Option<String>,
    /// `high medium low`.
    pub priority: String,
    /// `open in_progress closed`.
    pub status: String,
    pub assigned_number: Option<i32>,
    pub due_at: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A ticket to make. Its customer, conversation and users are the tenant's; whoever calls has looked.
#[derive(Clone, Debug)]
pub struct NewTicket<'a> {
    pub customer: Uuid,
    pub conversation: Option<Uuid>,
    pub subject: &'a str,
    pub description: Option<&'a str>,
    pub priority: &'a str,
    pub status: &'a str,
    pub assigned_to: Option<Uuid>,
    pub due_at: Option<DateTime<Utc>>,
    /// `None`: an agent.
    pub created_by: Option<Uuid>,
}

/// What to change; `None` leaves as it is, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct TicketChanges {
    pub customer: Option<Uuid>,
    pub subject: Option<String>,
    pub description: Option<Option<String>>,
    pub priority: Option<&'static str>,
    pub status: Option<&'static str>,
    pub assigned_to: Option<Option<Uuid>>,
    pub due_at: Option<Option<DateTime<Utc>>>,
}

/// Every `status` there is.
pub const STATUSES: &[&str] = &["open", "in_progress", "closed"];
/// Every `priority` there is.
pub const PRIORITIES: &[&str] = &["high", "medium", "low"];

/// Which tickets.
#[derive(Clone, Copy, Debug)]
pub struct TicketFilter<'a> {
    pub statuses: &'a [&'a str],
    pub priorities: &'a [&'a str],
    pub assigned_number: Option<i32>,
    pub customer_number: Option<i64>,
}

/// Tickets of the tenant, newest first. For each status and priority that is asked for, as many index entries are read as are
/// shown and skipped; a customer has few.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: TicketFilter<'_>,
    page: (i64, i64),
) -> Result<Vec<Ticket>, StoreError> {
    let (limit, offset) = page;
    let TicketFilter { statuses, priorities, assigned_number, customer_number } = filter;
    let numbers = match (customer_number, assigned_number) {
        (Some(customer), assigned) => {
            sqlx::query_scalar!(
                "SELECT t.number FROM tickets t
                 WHERE t.tenant_id = $1 AND t.customer_id = (SELECT id FROM customers WHERE tenant_id = $1 AND number = $2)
                   AND t.status = ANY($3) AND t.priority = ANY($4)
                   AND ($5::int4 IS NULL OR t.assigned_to = (SELECT id FROM users WHERE tenant_id = $1 AND number = $5))
                 ORDER BY t.number DESC LIMIT $6 OFFSET $7",
                tenant.0,
                customer,
                statuses as _,
                priorities as _,
                assigned,
                limit,
                offset
            )
            .fetch_all(&mut *conn)
            .await?
        }
        (None, Some(assigned)) => {
            sqlx::query_scalar!(
                "SELECT x.number FROM unnest($3::text[]) s(status) CROSS JOIN unnest($4::text[]) p(priority) CROSS JOIN LATERAL (
                   SELECT t.number FROM tickets t
                   WHERE t.tenant_id = $1 AND t.assigned_to = (SELECT id FROM users WHERE tenant_id = $1 AND number = $2)
                     AND t.status = s.status AND t.priority = p.priority
                   ORDER BY t.number DESC LIMIT $5::int8 + $6::int8) x
                 ORDER BY x.number DESC LIMIT $5 OFFSET $6",
                tenant.0,
                assigned,
                statuses as _,
                priorities as _,
                limit,
                offset
            )
            .fetch_all(&mut *conn)
            .await?
        }
        (None, None) => {
            sqlx::query_scalar!(
                "SELECT x.number FROM unnest($2::text[]) s(status) CROSS JOIN unnest($3::text[]) p(priority) CROSS JOIN LATERAL (
                   SELECT t.number FROM tickets t WHERE t.tenant_id = $1 AND t.status = s.status AND t.priority = p.priority
                   ORDER BY t.number DESC LIMIT $4::int8 + $5::int8) x
                 ORDER BY x.number DESC LIMIT $4 OFFSET $5",
                tenant.0,
                statuses as _,
                priorities as _,
                limit,
                offset
            )
            .fetch_all(&mut *conn)
            .await?
        }
    };
    some(conn, tenant, &numbers).await
}

/// These tickets, the newest first.
async fn some(conn: &mut PgConnection, tenant: TenantId, numbers: &[i32]) -> Result<Vec<Ticket>, StoreError> {
    Ok(sqlx::query_as!(
        Ticket,
        r#"
        SELECT t.id, t.number, c.number AS customer_number, t.conversation_id, t.subject, t.description, t.priority, t.status,
               u.number AS "assigned_number?", t.due_at, t.resolved_at, t.created_at, t.updated_at
        FROM tickets t JOIN customers c ON c.tenant_id = t.tenant_id AND c.id = t.customer_id
        LEFT JOIN users u ON u.tenant_id = t.tenant_id AND u.id = t.assigned_to
        WHERE t.tenant_id = $1 AND t.number = ANY($2) ORDER BY t.number DESC
        "#,
        tenant.0,
        numbers
    )
    .fetch_all(conn)
    .await?)
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, number: i32) -> Result<Option<Ticket>, StoreError> {
    Ok(some(conn, tenant, &[number]).await?.pop())
}

/// Makes a ticket and returns its number. One that is made from a conversation is named in that conversation's `meta`.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, new: &NewTicket<'_>) -> Result<i32, StoreError> {
    let number = sqlx::query_scalar!(
        "INSERT INTO tickets (tenant_id, id, customer_id, conversation_id, subject, description, priority, status, assigned_to, due_at, created_by, resolved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $8 = 'closed' THEN now() END) RETURNING number",
        tenant.0,
        Uuid::now_v7(),
        new.customer,
        new.conversation,
        new.subject,
        new.description,
        new.priority,
        new.status,
        new.assigned_to,
        new.due_at,
        new.created_by
    )
    .fetch_one(&mut *conn)
    .await?;
    if let Some(conversation) = new.conversation {
        sqlx::query!(
            "UPDATE chat_conversations SET meta = meta || jsonb_build_object('ticket_id', $3::int4), updated_at = now() WHERE tenant_id = $1 AND id = $2",
            tenant.0,
            conversation,
            number
        )
        .execute(conn)
        .await?;
    }
    Ok(number)
}

/// Changes a ticket. Closing it resolves it, opening it again takes that back. False: there is none.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, number: i32, changes: &TicketChanges) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "UPDATE tickets
         SET customer_id = coalesce($3, customer_id), subject = coalesce($4, subject),
             description = CASE WHEN $5 THEN $6 ELSE description END, priority = coalesce($7, priority), status = coalesce($8, status),
             resolved_at = CASE WHEN coalesce($8, status) <> 'closed' THEN NULL ELSE coalesce(resolved_at, now()) END,
             assigned_to = CASE WHEN $9 THEN $10 ELSE assigned_to END, due_at = CASE WHEN $11 THEN $12 ELSE due_at END, updated_at = now()
         WHERE tenant_id = $1 AND number = $2",
        tenant.0,
        number,
        changes.customer,
        changes.subject,
        changes.description.is_some(),
        changes.description.clone().flatten(),
        changes.priority,
        changes.status,
        changes.assigned_to.is_some(),
        changes.assigned_to.flatten(),
        changes.due_at.is_some(),
        changes.due_at.flatten()
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Deletes a ticket; events that name it stay, and its conversation does not name it any more. False: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, number: i32) -> Result<bool, StoreError> {
    let gone = sqlx::query!("DELETE FROM tickets WHERE tenant_id = $1 AND number = $2 RETURNING conversation_id", tenant.0, number)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(gone) = gone else { return Ok(false) };
    if let Some(conversation) = gone.conversation_id {
        sqlx::query!(
            "UPDATE chat_conversations SET meta = meta - 'ticket_id', updated_at = now()
             WHERE tenant_id = $1 AND id = $2 AND meta -> 'ticket_id' = to_jsonb($3::int4)",
            tenant.0,
            conversation,
            number
        )
        .execute(conn)
        .await?;
    }
    Ok(true)
}

/// Tickets by status: `[open, in_progress, closed]`.
pub async fn by_status(conn: &mut PgConnection, tenant: TenantId) -> Result<[i64; 3], StoreError> {
    let measures = STATUSES.iter().map(|status| format!("ticket:{status}")).collect::<Vec<_>>();
    let counted = counts::by_day(conn, tenant, &measures, None).await?;
    let of = |status: &str| counted.iter().filter(|count| count.measure.strip_prefix("ticket:") == Some(status)).map(|count| count.n).sum();
    Ok([of("open"), of("in_progress"), of("closed")])
}

/// The id of a customer by number; one that was merged away is the one that it was merged into.
pub async fn customer_id(conn: &mut PgConnection, tenant: TenantId, number: i64) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(merged_into, id) AS "id!" FROM customers WHERE tenant_id = $1 AND number = $2"#,
        tenant.0,
        number
    )
    .fetch_optional(conn)
    .await?)
}
