//! Tools that tenants have set up, and what they answered.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{JobId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredTool {
    pub id: Uuid,
    pub base_tool_id: Uuid,
    pub name: String,
    pub description: String,
    pub config: Value,
    /// Sealed values by name.
    pub secrets: Value,
    pub input_schema: Value,
    pub active: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a tool is like: to make one, or to put in the place of what was.
#[derive(Clone, Debug)]
pub struct ToolSettings {
    pub base_tool_id: Uuid,
    pub name: String,
    pub description: String,
    pub config: Value,
    pub secrets: Value,
    pub input_schema: Value,
    pub active: bool,
}

/// A secret's place, for `platform::sealing`.
pub fn secret_place(tool: Uuid, name: &str) -> String {
    format!("tool:{tool}:{name}")
}

/// The tenant's tools, the oldest first.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, (limit, offset): (i64, i64)) -> Result<Vec<ConfiguredTool>, StoreError> {
    Ok(sqlx::query_as!(
        ConfiguredTool,
        "SELECT id, base_tool_id, name, description, config, secrets, input_schema, active, created_at, updated_at FROM tools
         WHERE tenant_id = $1 ORDER BY created_at, id LIMIT $2 OFFSET $3",
        tenant.0,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

/// These tools.
pub async fn by_ids(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<ConfiguredTool>, StoreError> {
    Ok(sqlx::query_as!(
        ConfiguredTool,
        "SELECT id, base_tool_id, name, description, config, secrets, input_schema, active, created_at, updated_at FROM tools
         WHERE tenant_id = $1 AND id = ANY($2) ORDER BY created_at, id",
        tenant.0,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// Makes a tool. A name that is taken is a violation of `tools_tenant_id_name_key`.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, id: Uuid, new: &ToolSettings) -> Result<ConfiguredTool, StoreError> {
    Ok(sqlx::query_as!(
        ConfiguredTool,
        "INSERT INTO tools (tenant_id, id, base_tool_id, name, description, config, secrets, input_schema, active)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         RETURNING id, base_tool_id, name, description, config, secrets, input_schema, active, created_at, updated_at",
        tenant.0,
        id,
        new.base_tool_id,
        new.name,
        new.description,
        new.config,
        new.secrets,
        new.input_schema,
        new.active
    )
    .fetch_one(conn)
    .await?)
}

/// Puts settings in the place of what was. `None`: there is no such tool. A name that is taken: see [`create`].
pub async fn replace(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: Uuid,
    with: &ToolSettings,
) -> Result<Option<ConfiguredTool>, StoreError> {
    Ok(sqlx::query_as!(
        ConfiguredTool,
        "UPDATE tools SET base_tool_id = $3, name = $4, description = $5, config = $6, secrets = $7, input_schema = $8, active = $9, updated_at = now()
         WHERE tenant_id = $1 AND id = $2
         RETURNING id, base_tool_id, name, description, config, secrets, input_schema, active, created_at, updated_at",
        tenant.0,
        id,
        with.base_tool_id,
        with.name,
        with.description,
        with.config,
        with.secrets,
        with.input_schema,
        with.active
    )
    .fetch_optional(conn)
    .await?)
}

/// Deletes a tool. False: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
    let result = sqlx::query!("DELETE FROM tools WHERE tenant_id = $1 AND id = $2", tenant.0, id).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}

/// What a tool answered to this call of a run, if it was asked before the run was done again.
pub async fn result(conn: &mut PgConnection, tenant: TenantId, job: JobId, call: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT result FROM tool_results WHERE tenant_id = $1 AND job_id = $2 AND call = md5($3)",
        tenant.0,
        job.0,
        call
    )
    .fetch_optional(conn)
    .await?)
}

/// Keeps what it answered, with its effects if they are in this transaction. False: it was kept before, and the effects must not be.
pub async fn keep_result(conn: &mut PgConnection, tenant: TenantId, job: JobId, call: &str, result: &str) -> Result<bool, StoreError> {
    let kept = sqlx::query!(
        "INSERT INTO tool_results (tenant_id, job_id, call, result) VALUES ($1, $2, md5($3), $4) ON CONFLICT DO NOTHING",
        tenant.0,
        job.0,
        call,
        result
    )
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// The run has ended.
pub async fn forget_results(conn: &mut PgConnection, tenant: TenantId, job: JobId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM tool_results WHERE tenant_id = $1 AND job_id = $2", tenant.0, job.0).execute(conn).await?;
    Ok(())
}
