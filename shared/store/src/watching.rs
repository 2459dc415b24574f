//! What a client may watch.

use crate::StoreError;
use domain::{ChannelInstanceId, ConversationId, TenantId};
use sqlx::PgConnection;

/// Has the tenant this channel?
pub async fn has_channel(conn: &mut PgConnection, tenant: TenantId, id: ChannelInstanceId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM channel_instances WHERE tenant_id = $1 AND id = $2) AS "has!""#, tenant.0, id.0)
        .fetch_one(conn)
        .await?)
}

/// The tenant's conversation of this id, or the one that it was joined into.
pub async fn conversation(conn: &mut PgConnection, tenant: TenantId, id: ConversationId) -> Result<Option<ConversationId>, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT coalesce(merged_into, id) AS "id!" FROM chat_conversations WHERE tenant_id = $1 AND id = $2"#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(ConversationId))
}
