//! Conversations that wait for a person, or are with one. A conversation waits once: whoever escalates it again finds what is there.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ConversationId, TenantId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

/// Who says that a person is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaisedBy {
    /// The agent asked for it.
    Agent,
    /// Somebody of the tenant did. An answer that an agent is thinking of does not go out any more.
    Person,
    /// The agent's model failed.
    Failure,
}

impl RaisedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Person => "person",
            Self::Failure => "failure",
        }
    }
}

/// An escalation, with whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    pub id: Uuid,
    pub conversation_id: Uuid,
    pub channel_source: String,
    pub customer_id: Uuid,
    pub customer_name: Option<String>,
    pub customer_phone: Option<String>,
    pub unread_count: i32,
    pub last_message_at: Option<DateTime<Utc>>,
    /// `agent person failure`.
    pub raised_by: String,
    pub reason: String,
    pub assigned_to: Option<Uuid>,
    pub assignee_name: Option<String>,
    pub assigned_at: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub note: Option<String>,
    pub created_at: DateTime<Utc>,
    /// Until somebody took it, or until now.
    pub waiting_seconds: i64,
}

/// Which escalations to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Nobody has them yet.
    Waiting,
    /// Somebody has them.
    Assigned,
    /// Neither is over.
    Open,
}

/// Raises one, or makes one that only a failure had raised somebody's will. `None`: there is no such conversation. `Some(false)`: it was raised before.
pub async fn raise(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    by: RaisedBy,
    reason: &str,
) -> Result<Option<bool>, StoreError> {
    // The conversation's lock comes first, so that an answer that is just being written is either before this or after it.
    let found = sqlx::query_scalar!(
        "UPDATE chat_conversations SET human_epoch = human_epoch + $3, updated_at = now()
         WHERE tenant_id = $1 AND id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)
         RETURNING id",
        tenant.0,
        conversation.0,
        i32::from(by == RaisedBy::Person)
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = found else { return Ok(None) };
    let result = sqlx::query!(
        "INSERT INTO escalations (tenant_id, id, conversation_id, raised_by, reason, created_at) VALUES ($1, $2, $3, $4, $5, ledger_now())
         ON CONFLICT (tenant_id, conversation_id) WHERE resolved_at IS NULL DO UPDATE SET raised_by = excluded.raised_by, reason = excluded.reason
           WHERE escalations.raised_by = 'failure' AND excluded.raised_by <> 'failure'",
        tenant.0,
        Uuid::now_v7(),
        id,
        by.as_str(),
        reason
    )
    .execute(conn)
    .await?;
    Ok(Some(result.rows_affected() == 1))
}

/// The conversation's open escalation, else its last. `None`: it has none.
pub async fn of(conn: &mut PgConnection, tenant: TenantId, conversation: ConversationId) -> Result<Option<Escalation>, StoreError> {
    Ok(sqlx::query_as!(
        Escalation,
        r#"SELECT e.id, e.conversation_id, v.channel_source, v.customer_id, c.name AS customer_name, c.phone_number AS customer_phone,
                  v.unread_count, v.last_message_at, e.raised_by, e.reason, e.assigned_to, u.name AS "assignee_name?", e.assigned_at, e.resolved_at, e.note,
                  e.created_at, extract(epoch FROM coalesce(e.assigned_at, e.resolved_at, ledger_now()) - e.created_at)::int8 AS "waiting_seconds!"
           FROM escalations e
           JOIN chat_conversations v ON v.tenant_id = e.tenant_id AND v.id = e.conversation_id
           JOIN customers c ON c.tenant_id = v.tenant_id AND c.id = v.customer_id
           LEFT JOIN users u ON u.tenant_id = e.tenant_id AND u.id = e.assigned_to
           WHERE e.tenant_id = $1
             AND e.conversation_id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)
           ORDER BY e.resolved_at IS NOT NULL, e.id DESC LIMIT 1"#,
        tenant.0,
        conversation.0
    )
    .fetch_optional(conn)
    .await?)
}

/// The tenant's open escalations, the oldest first; of `assignee` alone, if one is given.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    which: Which,
    assignee: Option<UserId>,
    (limit, offset): (i64, i64),
) -> Result<Vec<Escalation>, StoreError> {
    Ok(sqlx::query_as!(
        Escalation,
        r#"SELECT e.id, e.conversation_id, v.channel_source, v.customer_id, c.name AS customer_name, c.phone_number AS customer_phone,
                  v.unread_count, v.last_message_at, e.raised_by, e.reason, e.assigned_to, u.name AS "assignee_name?", e.assigned_at, e.resolved_at, e.note,
                  e.created_at, extract(epoch FROM coalesce(e.assigned_at, e.resolved_at, ledger_now()) - e.created_at)::int8 AS "waiting_seconds!"
           FROM (SELECT * FROM escalations
                 WHERE tenant_id = $1 AND resolved_at IS NULL AND ($2::bool IS NULL OR (assigned_to IS NOT NULL) = $2) AND ($3::uuid IS NULL OR assigned_to = $3)
                 ORDER BY tenant_id, created_at, id LIMIT $4 OFFSET $5) e
           JOIN chat_conversations v ON v.tenant_id = e.tenant_id AND v.id = e.conversation_id
           JOIN customers c ON c.tenant_id = v.tenant_id AND c.id = v.customer_id
           LEFT JOIN users u ON u.tenant_id = e.tenant_id AND u.id = e.assigned_to
           ORDER BY e.created_at, e.id"#,
        tenant.0,
        match which {
            Which::Waiting => Some(false),
            Which::Assigned => Some(true),
            Which::Open => None,
        },
        assignee.map(|user| user.0),
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

/// Gives an open escalation, and its conversation, to a user, unless somebody else has it. False: somebody else has, or it is over. A user who is none
/// of the tenant's is a violation of `escalations_assigned`.
pub async fn assign(conn: &mut PgConnection, tenant: TenantId, escalation: Uuid, to: UserId) -> Result<bool, StoreError> {
    let taken = sqlx::query_scalar!(
        "UPDATE escalations SET assigned_to = $3, assigned_at = coalesce(assigned_at, ledger_now())
         WHERE tenant_id = $1 AND id = $2 AND resolved_at IS NULL AND (assigned_to IS NULL OR assigned_to = $3)
         RETURNING conversation_id",
        tenant.0,
        escalation,
        to.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(conversation) = taken else { return Ok(false) };
    sqlx::query!(
        "UPDATE chat_conversations SET assigned_to = $3, updated_at = now() WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        conversation,
        to.0
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Ends an open escalation; the conversation is the agent's again. False: it was over.
pub async fn resolve(conn: &mut PgConnection, tenant: TenantId, escalation: Uuid, note: Option<&str>) -> Result<bool, StoreError> {
    let ended = sqlx::query_scalar!(
        "UPDATE escalations SET resolved_at = ledger_now(), note = $3 WHERE tenant_id = $1 AND id = $2 AND resolved_at IS NULL RETURNING conversation_id",
        tenant.0,
        escalation,
        note
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(conversation) = ended else { return Ok(false) };
    crate::conversations::release(conn, tenant, ConversationId(conversation)).await
}

/// A user, and how many escalations they have.
#[derive(Clone, Debug)]
pub struct Staff {
    pub id: Uuid,
    pub name: String,
    pub email: Option<String>,
    pub role: String,
    pub open_sessions: i64,
}

/// The tenant's active users, who has least to do first.
pub async fn staff(conn: &mut PgConnection, tenant: TenantId, (limit, offset): (i64, i64)) -> Result<Vec<Staff>, StoreError> {
    Ok(sqlx::query_as!(
        Staff,
        r#"SELECT u.id, u.name, u.email, u.role,
                  (SELECT count(*) FROM escalations e WHERE e.tenant_id = u.tenant_id AND e.assigned_to = u.id AND e.resolved_at IS NULL) AS "open_sessions!"
           FROM users u WHERE u.tenant_id = $1 AND u.active ORDER BY 5, u.number LIMIT $2 OFFSET $3"#,
        tenant.0,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}
