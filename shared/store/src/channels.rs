//! Channels as their tenants set them up. Secrets come and go sealed: see `platform::Sealing`.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ChannelInstanceId, ChannelType, TenantId};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

/// A channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub id: ChannelInstanceId,
    pub kind: ChannelType,
    pub external_id: Option<String>,
    pub name: String,
    /// `DISCONNECTED CONNECTING CONNECTED ERROR`.
    pub status: String,
    /// What may be shown.
    pub config: Map<String, Value>,
    pub metadata: Map<String, Value>,
    /// Sealed values by name.
    pub secrets: Map<String, Value>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

struct ChannelRow {
    id: Uuid,
    kind: String,
    external_id: Option<String>,
    name: String,
    status: String,
    config: Value,
    metadata: Value,
    secrets: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

impl ChannelRow {
    fn read(self) -> Option<Channel> {
        Some(Channel {
            id: ChannelInstanceId(self.id),
            kind: ChannelType::parse(&self.kind)?,
            external_id: self.external_id,
            name: self.name,
            status: self.status,
            config: object(self.config),
            metadata: object(self.metadata),
            secrets: object(self.secrets),
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// The tenant's channels, oldest first; with `kind`, those of that type.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, kind: Option<ChannelType>) -> Result<Vec<Channel>, StoreError> {
    let rows = sqlx::query_as!(
        ChannelRow,
        "SELECT id, type AS kind, external_id, name, status, config, metadata, secrets, created_at, updated_at FROM channel_instances
         WHERE tenant_id = $1 AND ($2::text IS NULL OR type = $2) ORDER BY created_at, id",
        tenant.0,
        kind.map(ChannelType::as_str)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(ChannelRow::read).collect())
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: ChannelInstanceId) -> Result<Option<Channel>, StoreError> {
    let row = sqlx::query_as!(
        ChannelRow,
        "SELECT id, type AS kind, external_id, name, status, config, metadata, secrets, created_at, updated_at FROM channel_instances
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(ChannelRow::read))
}

/// One channel, which nobody else changes until the transaction ends: what is written depends on what is there.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, id: ChannelInstanceId) -> Result<Option<Channel>, StoreError> {
    let row = sqlx::query_as!(
        ChannelRow,
        "SELECT id, type AS kind, external_id, name, status, config, metadata, secrets, created_at, updated_at FROM channel_instances
         WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(ChannelRow::read))
}

/// Makes a channel. An external id that somebody has is a violation of `channel_instances_external`.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, channel: &Channel) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO channel_instances (tenant_id, id, type, external_id, name, status, config, metadata, secrets, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tenant.0,
        channel.id.0,
        channel.kind.as_str(),
        channel.external_id,
        channel.name,
        channel.status,
        Value::Object(channel.config.clone()),
        Value::Object(channel.metadata.clone()),
        Value::Object(channel.secrets.clone()),
        channel.created_at,
        channel.updated_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes everything of a channel but its type; returns when.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, channel: &Channel) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(
        "UPDATE channel_instances SET external_id = $3, name = $4, status = $5, config = $6, metadata = $7, secrets = $8, updated_at = now()
         WHERE tenant_id = $1 AND id = $2 RETURNING updated_at",
        tenant.0,
        channel.id.0,
        channel.external_id,
        channel.name,
        channel.status,
        Value::Object(channel.config.clone()),
        Value::Object(channel.metadata.clone()),
        Value::Object(channel.secrets.clone())
    )
    .fetch_one(conn)
    .await?)
}

/// Deletes a channel that nobody wrote on. Conversations or people on it are a violation of a foreign key, which
/// [`StoreError::violated`] names. False: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: ChannelInstanceId) -> Result<bool, StoreError> {
    let result = sqlx::query!("DELETE FROM channel_instances WHERE tenant_id = $1 AND id = $2", tenant.0, id.0).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}

/// What a provider says of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// `CONNECTED` or `ERROR`.
    pub status: &'static str,
    /// A sentence for people, shown in the metadata.
    pub error: Option<&'a str>,
}

/// Writes what a provider says of a channel, unless its secrets have been replaced since. True if its status is another now, which is told to
/// those who watch.
pub async fn report(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: ChannelInstanceId,
    secrets: &Map<String, Value>,
    report: Report<'_>,
) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "WITH updated AS (
         UPDATE channel_instances
         SET status = $4, metadata = (metadata - 'error') || CASE WHEN $5::text IS NULL THEN '{}' ELSE jsonb_build_object('error', $5::text) END,
             updated_at = now()
         WHERE tenant_id = $1 AND id = $2 AND secrets = $3 AND (status, metadata ->> 'error') IS DISTINCT FROM ($4, $5::text)
         RETURNING tenant_id, id)
         INSERT INTO realtime_events (tenant_id, events)
         SELECT tenant_id, jsonb_build_array(jsonb_build_object('kind', 'channel_status', 'channel', id)) FROM updated",
        tenant.0,
        id.0,
        Value::Object(secrets.clone()),
        report.status,
        report.error
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Where a secret of a channel is sealed for.
pub fn secret_place(id: ChannelInstanceId, name: &str) -> String {
    format!("channel:{id}:{name}")
}
