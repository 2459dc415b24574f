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

/// A channel that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundChannel {
    pub channel: ChannelRef,
    /// False: the tenant has its webhooks held (`webhookConfig.enabled`), or an operator has paused it.
    pub enabled: bool,
}

/// Finds channels by the ids that webhooks name them by. Ids that nobody has are absent from the answer. A WhatsApp Business account's id is as good
/// as that of a number in it: the oldest channel that is set up with it.
pub async fn find(pool: &PgPool, naming: ChannelNaming, ids: &[String]) -> Result<Vec<(String, FoundChannel)>, StoreError> {
    match naming {
        ChannelNaming::ExternalId(kind) => {
            let rows = sqlx::query!(
                r#"SELECT DISTINCT ON (c.name) c.name AS "name!", c.tenant_id AS "tenant_id!", c.id AS "id!",
                          coalesce((t.settings #>> '{webhookConfig,enabled}')::bool, true) AND t.paused_at IS NULL AS "enabled!"
                   FROM (SELECT 0 AS rank, external_id AS name, tenant_id, id, created_at FROM channel_instances
                         WHERE type = $1 AND external_id = ANY($2)
                         UNION ALL
                         SELECT 1, config ->> 'businessAccountId', tenant_id, id, created_at FROM channel_instances
                         WHERE $1 = 'WHATSAPP' AND type = 'WHATSAPP' AND config ->> 'businessAccountId' = ANY($2) AND external_id IS NOT NULL) c
                   JOIN tenants t ON t.id = c.tenant_id
                   -- Nobody takes a number by naming it as their account.
                   ORDER BY c.name, c.rank, c.created_at, c.id"#,
                kind.as_str(),
                ids
            )
            .fetch_all(pool)
            .await?;
            Ok(rows.into_iter().map(|row| (row.name, found(row.tenant_id, row.id, kind, row.enabled))).collect())
        }
        ChannelNaming::InstanceId => {
            let ids: Vec<Uuid> = ids.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
            let rows = sqlx::query!(
                r#"SELECT c.tenant_id, c.id, c.type, coalesce((t.settings #>> '{webhookConfig,enabled}')::bool, true) AND t.paused_at IS NULL AS "enabled!"
                   FROM channel_instances c JOIN tenants t ON t.id = c.tenant_id WHERE c.id = ANY($1)"#,
                &ids
            )
            .fetch_all(pool)
            .await?;
            Ok(rows
                .into_iter()
                .filter_map(|row| Some((row.id.to_string(), found(row.tenant_id, row.id, ChannelType::parse(&row.r#type)?, row.enabled))))
                .collect())
        }
    }
}

/// A sealed secret of a channel.
#[derive(Clone, Debug)]
pub struct ChannelSecret {
    pub channel: ChannelRef,
    pub sealed: String,
}

/// The sealed secrets of this name of the channels that webhooks name so. Those that have none are absent.
pub async fn secrets_of(pool: &PgPool, naming: ChannelNaming, ids: &[String], name: &str) -> Result<Vec<ChannelSecret>, StoreError> {
    let channels: Vec<ChannelRef> = find(pool, naming, ids).await?.into_iter().map(|(_, found)| found.channel).collect();
    let rows = sqlx::query!(
        r#"SELECT id, secrets ->> $2 AS "sealed!" FROM channel_instances WHERE id = ANY($1) AND secrets ->> $2 IS NOT NULL"#,
        &channels.iter().map(|channel| channel.id.0).collect::<Vec<_>>(),
        name
    )
    .fetch_all(pool)
    .await?;
    let with_secret = rows.into_iter().filter_map(|row| {
        let channel = channels.iter().find(|channel| channel.id.0 == row.id)?;
        Some(ChannelSecret { channel: *channel, sealed: row.sealed })
    });
    Ok(with_secret.collect())
}

/// Is it what a tenant, or a channel, lets Meta show at the handshake?
pub async fn is_verify_token(pool: &PgPool, token: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM tenants WHERE settings #>> '{webhookConfig,verifyToken}' = $1)
               OR EXISTS (SELECT FROM channel_instances WHERE config ->> 'verifyToken' = $1) AS "known!""#,
        token
    )
    .fetch_one(pool)
    .await?)
}

fn found(tenant: i32, id: Uuid, kind: ChannelType, enabled: bool) -> FoundChannel {
    FoundChannel { channel: ChannelRef { tenant_id: TenantId(tenant), id: ChannelInstanceId(id), kind }, enabled }
}
