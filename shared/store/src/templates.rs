//! WhatsApp message templates.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{TemplateId, TenantId, UserId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub id: Uuid,
    pub name: String,
    pub language: String,
    /// `MARKETING UTILITY AUTHENTICATION`.
    pub category: String,
    /// `PENDING APPROVED REJECTED PAUSED DISABLED`.
    pub status: String,
    /// The provider's id, once it has it.
    pub external_id: Option<String>,
    pub components: Value,
    pub rejected_reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A template to make.
#[derive(Clone, Debug)]
pub struct NewTemplate<'a> {
    pub name: &'a str,
    pub language: &'a str,
    pub category: &'a str,
    pub components: &'a Value,
    pub created_by: UserId,
}

/// Which templates; `None`: all.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateFilter<'a> {
    pub name: Option<&'a str>,
    pub status: Option<&'a str>,
    pub category: Option<&'a str>,
}

/// Templates by name and language, and how many there are. A provider allows some hundred.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: TemplateFilter<'_>,
    (limit, offset): (i64, i64),
) -> Result<(Vec<Template>, i64), StoreError> {
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) AS "n!" FROM message_templates
           WHERE tenant_id = $1 AND ($2::text IS NULL OR name = $2) AND ($3::text IS NULL OR status = $3) AND ($4::text IS NULL OR category = $4)"#,
        tenant.0,
        filter.name,
        filter.status,
        filter.category
    )
    .fetch_one(&mut *conn)
    .await?;
    let rows = sqlx::query_as!(
        Template,
        "SELECT id, name, language, category, status, external_id, components, rejected_reason, created_at, updated_at FROM message_templates
         WHERE tenant_id = $1 AND ($2::text IS NULL OR name = $2) AND ($3::text IS NULL OR status = $3) AND ($4::text IS NULL OR category = $4)
         ORDER BY name, language LIMIT $5 OFFSET $6",
        tenant.0,
        filter.name,
        filter.status,
        filter.category,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?;
    Ok((rows, total))
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: TemplateId) -> Result<Option<Template>, StoreError> {
    Ok(sqlx::query_as!(
        Template,
        "SELECT id, name, language, category, status, external_id, components, rejected_reason, created_at, updated_at FROM message_templates
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Makes a template. A name that is taken in its language is a violation of `message_templates_tenant_id_name_language_key`.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, new: NewTemplate<'_>) -> Result<Template, StoreError> {
    Ok(sqlx::query_as!(
        Template,
        "INSERT INTO message_templates (tenant_id, id, name, language, category, components, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, name, language, category, status, external_id, components, rejected_reason, created_at, updated_at",
        tenant.0,
        TemplateId::generate().0,
        new.name,
        new.language,
        new.category,
        new.components,
        new.created_by.0
    )
    .fetch_one(conn)
    .await?)
}

/// A template that is gone, as its provider knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    pub name: String,
    pub external_id: Option<String>,
    pub account_id: Option<String>,
}

/// Deletes a template. `None`: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: TemplateId) -> Result<Option<Gone>, StoreError> {
    Ok(sqlx::query_as!(
        Gone,
        "DELETE FROM message_templates WHERE tenant_id = $1 AND id = $2 RETURNING name, external_id, account_id",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}
