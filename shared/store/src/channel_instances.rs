//! Which channel, and so which tenant, a webhook is for.

use crate::StoreError;
use domain::{ChannelInstanceId, ChannelNaming, ChannelType, TenantId};
use sqlx::PgPool;
use uuid::Uuid;

/// A channel as ingest needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelRef {
    pub tenant_id: TenantId,
    pub id: ChannelInstanceId,
    pub kind: ChannelType,
}

/// Finds channels by the ids that webhooks name them by. Ids that nobody has are absent from the answer.
pub async fn find(pool: &PgPool, naming: ChannelNaming, ids: &[String]) -> Result<Vec<(String, ChannelRef)>, StoreError> {
    match naming {
        ChannelNaming::ExternalId(kind) => {
            let rows = sqlx::query!(
                r#"SELECT external_id AS "external_id!", tenant_id, id FROM channel_instances WHERE type = $1 AND external_id = ANY($2)"#,
                kind.as_str(),
                ids
            )
            .fetch_all(pool)
            .await?;
            Ok(rows.into_iter().map(|row| (row.external_id, channel(row.tenant_id, row.id, kind))).collect())
        }
        ChannelNaming::InstanceId => {
            let ids: Vec<Uuid> = ids.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
            let rows = sqlx::query!("SELECT tenant_id, id, type FROM channel_instances WHERE id = ANY($1)", &ids).fetch_all(pool).await?;
            Ok(rows
                .into_iter()
                .filter_map(|row| Some((row.id.to_string(), channel(row.tenant_id, row.id, ChannelType::parse(&row.r#type)?))))
                .collect())
        }
    }
}

fn channel(tenant: i32, id: Uuid, kind: ChannelType) -> ChannelRef {
    ChannelRef { tenant_id: TenantId(tenant), id: ChannelInstanceId(id), kind }
}
