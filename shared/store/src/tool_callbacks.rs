//! Calls of tools that answer later, and what they answered.

use crate::StoreError;
use domain::{ConversationId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A call that is about to be made.
#[derive(Clone, Debug)]
pub struct NewCallback<'a> {
    pub id: Uuid,
    pub conversation: ConversationId,
    /// The tool's name.
    pub tool: &'a str,
    pub arguments: &'a Value,
}

/// Notes a call. The same again is noted once.
pub async fn expect(conn: &mut PgConnection, tenant: TenantId, new: &NewCallback<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO tool_callbacks (tenant_id, id, conversation_id, tool, arguments) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        tenant.0,
        new.id,
        new.conversation.0,
        new.tool,
        new.arguments
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is kept; the agent of this conversation is to go on with it.
    Now(ConversationId),
    Before,
    Unknown,
}

/// Keeps what a tool answers, if nothing was answered before.
pub async fn answer(conn: &mut PgConnection, tenant: TenantId, id: Uuid, result: &str) -> Result<Answered, StoreError> {
    let kept = sqlx::query_scalar!(
        "UPDATE tool_callbacks SET answered_at = ledger_now(), result = $3
         WHERE tenant_id = $1 AND id = $2 AND answered_at IS NULL RETURNING conversation_id",
        tenant.0,
        id,
        result
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(conversation) = kept {
        return Ok(Answered::Now(ConversationId(conversation)));
    }
    let is_known =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM tool_callbacks WHERE tenant_id = $1 AND id = $2) AS "known!""#, tenant.0, id)
            .fetch_one(conn)
            .await?;
    Ok(if is_known { Answered::Before } else { Answered::Unknown })
}

/// An answer that the customer has not been told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Untold {
    pub id: Uuid,
    pub tool: String,
    pub arguments: Value,
    pub result: String,
}

/// The answers of a conversation that the customer has not been told of, the oldest first.
pub async fn untold(conn: &mut PgConnection, tenant: TenantId, conversation: ConversationId) -> Result<Vec<Untold>, StoreError> {
    /// More are told another time.
    const MOST: i64 = 10;
    Ok(sqlx::query_as!(
        Untold,
        r#"SELECT id, tool, arguments, result AS "result!" FROM tool_callbacks
           WHERE tenant_id = $1 AND conversation_id = $2 AND answered_at IS NOT NULL AND told_at IS NULL ORDER BY id LIMIT $3"#,
        tenant.0,
        conversation.0,
        MOST
    )
    .fetch_all(conn)
    .await?)
}

/// The customer is told of them, or nobody will be.
pub async fn told(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE tool_callbacks SET told_at = ledger_now() WHERE tenant_id = $1 AND id = ANY($2) AND told_at IS NULL",
        tenant.0,
        ids
    )
    .execute(conn)
    .await?;
    Ok(())
}
