//! How agents' answers must look.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::TenantId;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A format.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputFormat {
    pub id: Uuid,
    pub name: String,
    /// What the model is told.
    pub instructions: String,
    /// Of what the customer is sent.
    pub max_chars: Option<i32>,
    /// The answer is JSON that fits this schema.
    pub json_schema: Option<Value>,
    /// The member of it that the customer is sent.
    pub text_field: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a format is like: to make one, or to put in the place of what was.
#[derive(Clone, Debug)]
pub struct FormatSettings {
    pub name: String,
    pub instructions: String,
    pub max_chars: Option<i32>,
    /// The schema, and the member that the customer is sent.
    pub json: Option<(Value, String)>,
}

/// The tenant's formats, the oldest first.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, (limit, offset): (i64, i64)) -> Result<Vec<OutputFormat>, StoreError> {
    Ok(sqlx::query_as!(
        OutputFormat,
        "SELECT id, name, instructions, max_chars, json_schema, text_field, created_at, updated_at FROM output_formats
         WHERE tenant_id = $1 ORDER BY created_at, id LIMIT $2 OFFSET $3",
        tenant.0,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: Uuid) -> Result<Option<OutputFormat>, StoreError> {
    Ok(sqlx::query_as!(
        OutputFormat,
        "SELECT id, name, instructions, max_chars, json_schema, text_field, created_at, updated_at FROM output_formats WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// Makes a format, or puts it in the place of the one with this id. A name that is taken is a violation of `output_formats_tenant_id_name_key`.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, id: Uuid, new: &FormatSettings) -> Result<OutputFormat, StoreError> {
    let (schema, field) = new.json.clone().unzip();
    Ok(sqlx::query_as!(
        OutputFormat,
        "INSERT INTO output_formats (tenant_id, id, name, instructions, max_chars, json_schema, text_field) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, instructions = excluded.instructions, max_chars = excluded.max_chars,
           json_schema = excluded.json_schema, text_field = excluded.text_field, updated_at = now()
         RETURNING id, name, instructions, max_chars, json_schema, text_field, created_at, updated_at",
        tenant.0,
        id,
        new.name,
        new.instructions,
        new.max_chars,
        schema,
        field
    )
    .fetch_one(conn)
    .await?)
}

/// Deletes a format. False: there is none. One that agents use is a violation of `agents_output_format`.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
    let result = sqlx::query!("DELETE FROM output_formats WHERE tenant_id = $1 AND id = $2", tenant.0, id).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}
