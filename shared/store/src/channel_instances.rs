//! Which channel, and so which tenant, a provider's id belongs to.

use crate::StoreError;
use domain::{ChannelInstanceId, TenantId};
use sqlx::PgPool;

/// A channel as ingest needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelRef {
    pub tenant_id: TenantId,
    pub id: ChannelInstanceId,
}

/// Finds the channels of a type (`WHATSAPP`) by the provider's ids. Ids that nobody has are absent from the answer.
pub async fn find_by_external_ids(
    pool: &PgPool,
    channel_type: &str,
    external_ids: &[String],
) -> Result<Vec<(String, ChannelRef)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT external_id AS "external_id!", tenant_id, id FROM channel_instances WHERE type = $1 AND external_id = ANY($2)"#,
        channel_type,
        external_ids
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|r| (r.external_id, ChannelRef { tenant_id: TenantId(r.tenant_id), id: ChannelInstanceId(r.id) })).collect())
}
