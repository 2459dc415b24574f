//! Our copies of customers' files.

use crate::StoreError;
use domain::{ChannelInstanceId, MessageId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;

/// A message with a file.
#[derive(Clone, Debug)]
pub struct MessageFile {
    pub channel: ChannelInstanceId,
    /// `{type, id, url, mime_type, ...}`, and `{stored: {key, size, mime_type}}` once there is a copy.
    pub media: Value,
}

/// A message's file. `None`: it has none.
pub async fn file_of(conn: &mut PgConnection, tenant: TenantId, id: MessageId) -> Result<Option<MessageFile>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT channel_instance_id, media AS "media!" FROM chat_messages WHERE tenant_id = $1 AND id = $2 AND media IS NOT NULL"#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| MessageFile { channel: ChannelInstanceId(row.channel_instance_id), media: row.media }))
}

/// Where our copy of a message's file is, whoever's message it is: who asks has shown a link that we signed.
pub async fn stored(conn: &mut PgConnection, id: MessageId) -> Result<Option<Value>, StoreError> {
    let found = sqlx::query_scalar!("SELECT media -> 'stored' FROM chat_messages WHERE id = $1", id.0).fetch_optional(conn).await?;
    Ok(found.flatten())
}

/// Adds to what is known of a message's file: `stored`, or `error` (why there is no copy).
pub async fn note(conn: &mut PgConnection, tenant: TenantId, id: MessageId, name: &str, value: &Value) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE chat_messages SET media = (media - 'error') || jsonb_build_object($3::text, $4::jsonb) WHERE tenant_id = $1 AND id = $2 AND media IS NOT NULL",
        tenant.0,
        id.0,
        name,
        value
    )
    .execute(conn)
    .await?;
    Ok(())
}
