//! Conversations: who has them, and until when a person keeps the bot away.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ConversationId, TenantId};
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
