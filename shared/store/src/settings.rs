//! What a tenant sets for itself.

use crate::StoreError;
use domain::TenantId;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

/// A tenant and its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSettings {
    pub public_id: Uuid,
    pub name: String,
    /// What may be shown: `webhookConfig {verifyToken, enabled}`, `humanOverrideTtlSeconds`.
    pub settings: Map<String, Value>,
}

impl TenantSettings {
    /// How long a person's message keeps the bot away, if the tenant says so.
    pub fn human_override_ttl(&self) -> Option<Duration> {
        self.settings.get("humanOverrideTtlSeconds").and_then(Value::as_u64).map(Duration::from_secs)
    }
}

fn read(public_id: Uuid, name: String, settings: Value) -> TenantSettings {
    let settings = if let Value::Object(settings) = settings { settings } else { Map::new() };
    TenantSettings { public_id, name, settings }
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<TenantSettings>, StoreError> {
    let row = sqlx::query!("SELECT public_id, store_name, settings FROM tenants WHERE id = $1", tenant.0).fetch_optional(conn).await?;
    Ok(row.map(|row| read(row.public_id, row.store_name, row.settings)))
}

/// The settings, which nobody else changes until the transaction ends.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<TenantSettings>, StoreError> {
    let row = sqlx::query!("SELECT public_id, store_name, settings FROM tenants WHERE id = $1 FOR NO KEY UPDATE", tenant.0)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| read(row.public_id, row.store_name, row.settings)))
}

/// Writes name and settings.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, new: &TenantSettings) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE tenants SET store_name = $2, settings = $3, updated_at = now() WHERE id = $1",
        tenant.0,
        new.name,
        Value::Object(new.settings.clone())
    )
    .execute(conn)
    .await?;
    Ok(())
}
