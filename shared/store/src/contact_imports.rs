//! Imports of contacts: a file, how far it is taken over, and what became of each row.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ContactImportId, JobId, TenantId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

/// An import, without its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactImport {
    pub id: Uuid,
    pub file_name: Option<String>,
    /// `pending running done failed`.
    pub status: String,
    /// Why it failed.
    pub error: Option<String>,
    /// `None` until it is known.
    pub rows_total: Option<i32>,
    pub rows_read: i32,
    pub created: i32,
    pub updated: i32,
    pub unchanged: i32,
    pub invalid: i32,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What became of one row; row 1 is the first behind the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedRow {
    pub row_number: i32,
    /// `created updated unchanged invalid`.
    pub outcome: String,
    pub reason: Option<String>,
}

/// What became of the next rows of a file.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub rows: Vec<ImportedRow>,
    /// This was all of it.
    pub finished: bool,
}

/// Keeps a file that is to be imported.
pub async fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    file_name: Option<&str>,
    file: &[u8],
    rows_total: i32,
    by: UserId,
) -> Result<ContactImportId, StoreError> {
    let id = ContactImportId::generate();
    sqlx::query!(
        "INSERT INTO contact_imports (tenant_id, id, file_name, file, rows_total, created_by) VALUES ($1, $2, $3, $4, $5, $6)",
        tenant.0,
        id.0,
        file_name,
        file,
        rows_total,
        by.0
    )
    .execute(conn)
    .await?;
    Ok(id)
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: ContactImportId) -> Result<Option<ContactImport>, StoreError> {
    Ok(sqlx::query_as!(
        ContactImport,
        "SELECT id, file_name, status, error, rows_total, rows_read, created, updated, unchanged, invalid, created_at, finished_at
         FROM contact_imports WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// The tenant's imports, the newest first.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, limit: i64) -> Result<Vec<ContactImport>, StoreError> {
    Ok(sqlx::query_as!(
        ContactImport,
        "SELECT id, file_name, status, error, rows_total, rows_read, created, updated, unchanged, invalid, created_at, finished_at
         FROM contact_imports WHERE tenant_id = $1 ORDER BY created_at DESC LIMIT $2",
        tenant.0,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// What became of its rows, in their order; with `outcome`, of those with that one.
pub async fn rows(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: ContactImportId,
    outcome: Option<&str>,
    (limit, offset): (i64, i64),
) -> Result<Vec<ImportedRow>, StoreError> {
    Ok(sqlx::query_as!(
        ImportedRow,
        "SELECT row_number, outcome, reason FROM contact_import_rows
         WHERE tenant_id = $1 AND import_id = $2 AND ($3::text IS NULL OR outcome = $3) ORDER BY row_number LIMIT $4 OFFSET $5",
        tenant.0,
        id.0,
        outcome,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

/// A job begins with it, or goes on: its file, unless it is over. One whose job was given up still has its file.
pub async fn begin(conn: &mut PgConnection, tenant: TenantId, id: ContactImportId) -> Result<Option<Vec<u8>>, StoreError> {
    let file = sqlx::query_scalar!(
        "UPDATE contact_imports SET status = 'running', error = NULL, finished_at = NULL
         WHERE tenant_id = $1 AND id = $2 AND status <> 'done' AND file IS NOT NULL RETURNING file",
        tenant.0,
        id.0
    );
    Ok(file.fetch_optional(conn).await?.flatten())
}

/// How many rows are taken over; nobody else goes on with this import until the transaction ends. `None`: it is over.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, id: ContactImportId) -> Result<Option<i32>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT rows_read FROM contact_imports WHERE tenant_id = $1 AND id = $2 AND status = 'running' FOR UPDATE",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Notes what became of the next rows, in the transaction that wrote them.
pub async fn advance(conn: &mut PgConnection, tenant: TenantId, id: ContactImportId, progress: &Progress) -> Result<(), StoreError> {
    let count = |outcome: &str| progress.rows.iter().filter(|row| row.outcome == outcome).count();
    let count = |outcome: &str| i32::try_from(count(outcome)).unwrap_or(i32::MAX);
    sqlx::query!(
        "WITH noted AS (
           INSERT INTO contact_import_rows (tenant_id, import_id, row_number, outcome, reason)
           SELECT $1, $2, * FROM unnest($3::int4[], $4::text[], $5::text[]))
         UPDATE contact_imports
         SET rows_read = rows_read + cardinality($3), created = created + $6, updated = updated + $7, unchanged = unchanged + $8, invalid = invalid + $9,
             status = CASE WHEN $10 THEN 'done' ELSE status END, finished_at = CASE WHEN $10 THEN now() END, file = CASE WHEN $10 THEN NULL ELSE file END
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
        &progress.rows.iter().map(|row| row.row_number).collect::<Vec<_>>(),
        &progress.rows.iter().map(|row| row.outcome.as_str()).collect::<Vec<_>>() as _,
        &progress.rows.iter().map(|row| row.reason.as_deref()).collect::<Vec<_>>() as _,
        count("created"),
        count("updated"),
        count("unchanged"),
        count("invalid"),
        progress.finished
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The import cannot go on.
pub async fn fail(conn: &mut PgConnection, tenant: TenantId, id: ContactImportId, error: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE contact_imports SET status = 'failed', error = $3, finished_at = now(), file = NULL WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
        error
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Its job was given up, so that nobody goes on with it, unless it was put back since. The file is kept as long as the job may be.
pub async fn close(conn: &mut PgConnection, tenant: TenantId, id: ContactImportId, why: &str, job: JobId) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE contact_imports SET status = 'failed', error = 'It was not finished: ' || $3, finished_at = now(),
                file = CASE WHEN EXISTS (SELECT FROM jobs_dead WHERE id = $4) THEN file END
         WHERE tenant_id = $1 AND id = $2 AND status IN ('pending', 'running')
           AND NOT EXISTS (SELECT FROM jobs WHERE kind = 'import_contacts' AND idempotency_key = $2::text)",
        tenant.0,
        id.0,
        why,
        job.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
