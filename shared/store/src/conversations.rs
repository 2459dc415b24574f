//! Conversations: who has them, and until when a person keeps the bot away.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ConversationId, TenantId, UserId};
use sqlx::PgConnection;

/// Ends a human override that was set to end at `expires_at`. False: it was prolonged, ended or set anew meanwhile, so there is
/// nothing to do. A conversation that was merged away is the one that it was merged into.
pub async fn clear_override(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: ConversationId,
    expires_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "UPDATE chat_conversations SET human_override_until = NULL
         WHERE tenant_id = $1 AND human_override_until = $3
           AND id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)",
        tenant_id.0,
        id.0,
        expires_at
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// What people change of a conversation; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct ConversationChanges {
    /// `open`, `closed` or `snoozed`.
    pub status: Option<&'static str>,
    /// `Some(None)`: nobody.
    pub assigned_to: Option<Option<UserId>>,
    pub tags: Option<Vec<String>>,
}

/// Changes a conversation. False: there is none. A customer has at most one that is not closed on a channel: opening another is a
/// violation of `chat_conversations_live`; somebody who is no user of the tenant one of `chat_conversations_assigned`. Nobody is waited for in one that is
/// closed.
pub async fn update(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: ConversationId,
    changes: &ConversationChanges,
) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "UPDATE chat_conversations
         SET status = coalesce($3, status),
             closed_at = CASE WHEN coalesce($3, status) <> 'closed' THEN NULL WHEN status = 'closed' THEN closed_at ELSE now() END,
             assigned_to = CASE WHEN $4 THEN $5 ELSE assigned_to END,
             tags = coalesce($6, tags), updated_at = now()
         WHERE tenant_id = $1 AND id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)",
        tenant_id.0,
        id.0,
        changes.status,
        changes.assigned_to.is_some(),
        changes.assigned_to.flatten().map(|user| user.0),
        changes.tags.as_deref()
    )
    .execute(&mut *conn)
    .await?;
    if changes.status == Some("closed") {
        sqlx::query!(
            "UPDATE escalations SET resolved_at = ledger_now() WHERE tenant_id = $1 AND resolved_at IS NULL
               AND conversation_id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)",
            tenant_id.0,
            id.0
        )
        .execute(conn)
        .await?;
    }
    Ok(result.rows_affected() == 1)
}

/// Nothing in the conversation is unread any more. False: there is none.
pub async fn mark_read(conn: &mut PgConnection, tenant_id: TenantId, id: ConversationId) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "UPDATE chat_conversations SET unread_count = 0, updated_at = now()
         WHERE tenant_id = $1 AND id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Ends a human override at once, and nobody has the conversation any more. False: there is none.
pub async fn release(conn: &mut PgConnection, tenant_id: TenantId, id: ConversationId) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "UPDATE chat_conversations SET human_override_until = NULL, assigned_to = NULL, updated_at = now()
         WHERE tenant_id = $1 AND id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}
