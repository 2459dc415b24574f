//! Tenants as their operators and owners administer them, and what they may use.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::TenantId;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantDetails {
    pub id: i32,
    pub public_id: Uuid,
    pub name: String,
    pub subdomain: Option<String>,
    pub settings: Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What to change; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct TenantChanges {
    pub name: Option<String>,
    pub subdomain: Option<String>,
    /// An object, whose members replace those of the same name.
    pub settings: Option<Value>,
}

/// All tenants, or one, by id.
pub async fn list(conn: &mut PgConnection, only: Option<TenantId>) -> Result<Vec<TenantDetails>, StoreError> {
    Ok(sqlx::query_as!(
        TenantDetails,
        "SELECT id, public_id, store_name AS name, subdomain, settings, created_at, updated_at FROM tenants WHERE $1::int4 IS NULL OR id = $1 ORDER BY id",
        only.map(|tenant| tenant.0)
    )
    .fetch_all(conn)
    .await?)
}

/// Makes a tenant. A subdomain that is taken is a violation of `tenants_subdomain`.
pub async fn create(conn: &mut PgConnection, name: &str, subdomain: Option<&str>, settings: &Value) -> Result<TenantDetails, StoreError> {
    Ok(sqlx::query_as!(
        TenantDetails,
        "INSERT INTO tenants (store_name, subdomain, settings) VALUES ($1, $2, $3)
         RETURNING id, public_id, store_name AS name, subdomain, settings, created_at, updated_at",
        name,
        subdomain,
        settings
    )
    .fetch_one(conn)
    .await?)
}

/// Changes a tenant. `None`: there is none. A subdomain that is taken: see [`create`].
pub async fn update(conn: &mut PgConnection, tenant: TenantId, changes: &TenantChanges) -> Result<Option<TenantDetails>, StoreError> {
    Ok(sqlx::query_as!(
        TenantDetails,
        "UPDATE tenants SET store_name = coalesce($2, store_name), subdomain = coalesce($3, subdomain), settings = settings || coalesce($4::jsonb, '{}'), updated_at = now()
         WHERE id = $1 RETURNING id, public_id, store_name AS name, subdomain, settings, created_at, updated_at",
        tenant.0,
        changes.name,
        changes.subdomain,
        changes.settings
    )
    .fetch_optional(conn)
    .await?)
}

/// Which agents and tools a tenant may use. `None`: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    pub agent_ids: Option<Vec<Uuid>>,
    pub tool_ids: Option<Vec<Uuid>>,
}

pub async fn permissions(conn: &mut PgConnection, tenant: TenantId) -> Result<Permissions, StoreError> {
    let found = sqlx::query_as!(Permissions, "SELECT agent_ids, tool_ids FROM tenant_permissions WHERE tenant_id = $1", tenant.0)
        .fetch_optional(conn)
        .await?;
    Ok(found.unwrap_or_default())
}

pub async fn set_permissions(conn: &mut PgConnection, tenant: TenantId, new: &Permissions) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO tenant_permissions (tenant_id, agent_ids, tool_ids) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET agent_ids = excluded.agent_ids, tool_ids = excluded.tool_ids, updated_at = now()",
        tenant.0,
        new.agent_ids.as_deref(),
        new.tool_ids.as_deref()
    )
    .execute(conn)
    .await?;
    Ok(())
}
