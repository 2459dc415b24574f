//! Documents that a tenant's agents know: what people upload, and what becomes of it.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{DocumentId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub id: Uuid,
    pub name: String,
    /// `pdf docx html text`.
    pub format: String,
    pub size_bytes: i64,
    pub storage_key: String,
    pub metadata: Value,
    /// `uploaded queued ingesting ready failed`.
    pub status: String,
    /// How often it was to be ingested.
    pub version: i32,
    /// Percent.
    pub progress: i16,
    pub page_count: i32,
    pub chunk_count: i32,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub ingested_at: Option<DateTime<Utc>>,
}

/// A document to keep.
#[derive(Clone, Debug)]
pub struct NewDocument<'a> {
    pub id: DocumentId,
    pub name: &'a str,
    pub format: &'static str,
    pub size_bytes: i64,
    pub storage_key: &'a str,
    pub metadata: &'a Value,
}

pub async fn create(conn: &mut PgConnection, tenant: TenantId, new: &NewDocument<'_>) -> Result<Document, StoreError> {
    Ok(sqlx::query_as!(
        Document,
        "INSERT INTO knowledge_documents (tenant_id, id, name, format, size_bytes, storage_key, metadata) VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, name, format, size_bytes, storage_key, metadata, status, version, progress, page_count, chunk_count, error, created_at, updated_at,
                   ingested_at",
        tenant.0,
        new.id.0,
        new.name,
        new.format,
        new.size_bytes,
        new.storage_key,
        new.metadata
    )
    .fetch_one(conn)
    .await?)
}

/// Documents, the newest first; of one status, if one is given.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    status: Option<&str>,
    (limit, offset): (i64, i64),
) -> Result<Vec<Document>, StoreError> {
    Ok(sqlx::query_as!(
        Document,
        "SELECT id, name, format, size_bytes, storage_key, metadata, status, version, progress, page_count, chunk_count, error, created_at, updated_at,
                ingested_at
         FROM knowledge_documents WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4",
        tenant.0,
        status,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: DocumentId) -> Result<Option<Document>, StoreError> {
    Ok(sqlx::query_as!(
        Document,
        "SELECT id, name, format, size_bytes, storage_key, metadata, status, version, progress, page_count, chunk_count, error, created_at, updated_at,
                ingested_at
         FROM knowledge_documents WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Documents that are to be ingested, again if they were before: each one's id and new version. Ids of nobody are left out.
pub async fn queue(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<(DocumentId, i32)>, StoreError> {
    let rows = sqlx::query!(
        "UPDATE knowledge_documents d SET status = 'queued', version = d.version + 1, progress = 0, error = NULL, updated_at = now()
         FROM (SELECT id FROM knowledge_documents WHERE tenant_id = $1 AND id = ANY($2) ORDER BY id FOR UPDATE) o
         WHERE d.tenant_id = $1 AND d.id = o.id RETURNING d.id, d.version",
        tenant.0,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (DocumentId(row.id), row.version)).collect())
}

/// Deletes documents with all that was made of them. Returns the keys of their files.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<String>, StoreError> {
    changed(&mut *conn, tenant).await?;
    forget_words(&mut *conn, tenant, ids).await?;
    Ok(sqlx::query_scalar!("DELETE FROM knowledge_documents WHERE tenant_id = $1 AND id = ANY($2) RETURNING storage_key", tenant.0, ids)
        .fetch_all(conn)
        .await?)
}

/// Figures of a tenant's documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub documents: i64,
    pub chunks: i64,
    pub size_bytes: i64,
    pub uploaded: i64,
    /// Queued, or being ingested.
    pub pending: i64,
    pub ready: i64,
    pub failed: i64,
    pub last_ingested_at: Option<DateTime<Utc>>,
}

pub async fn stats(conn: &mut PgConnection, tenant: TenantId) -> Result<Stats, StoreError> {
    Ok(sqlx::query_as!(
        Stats,
        r#"SELECT count(*) AS "documents!", coalesce(sum(chunk_count), 0)::int8 AS "chunks!", coalesce(sum(size_bytes), 0)::int8 AS "size_bytes!",
                  count(*) FILTER (WHERE status = 'uploaded') AS "uploaded!", count(*) FILTER (WHERE status IN ('queued', 'ingesting')) AS "pending!",
                  count(*) FILTER (WHERE status = 'ready') AS "ready!", count(*) FILTER (WHERE status = 'failed') AS "failed!",
                  max(ingested_at) AS last_ingested_at
           FROM knowledge_documents WHERE tenant_id = $1"#,
        tenant.0
    )
    .fetch_one(conn)
    .await?)
}

/// A version of a document is being ingested. `None`: it is gone, or a newer version is to be.
pub async fn begin(conn: &mut PgConnection, tenant: TenantId, id: DocumentId, version: i32) -> Result<Option<Document>, StoreError> {
    Ok(sqlx::query_as!(
        Document,
        "UPDATE knowledge_documents SET status = 'ingesting', updated_at = now()
         WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status IN ('queued', 'ingesting', 'failed')
         RETURNING id, name, format, size_bytes, storage_key, metadata, status, version, progress, page_count, chunk_count, error, created_at, updated_at,
                   ingested_at",
        tenant.0,
        id.0,
        version
    )
    .fetch_optional(conn)
    .await?)
}

/// How far it is.
pub async fn advance(conn: &mut PgConnection, tenant: TenantId, id: DocumentId, version: i32, percent: i16) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE knowledge_documents SET progress = $4, updated_at = now() WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status = 'ingesting'",
        tenant.0,
        id.0,
        version,
        percent
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It cannot be ingested. What was there before stays.
pub async fn fail(conn: &mut PgConnection, tenant: TenantId, id: DocumentId, version: i32, error: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE knowledge_documents SET status = 'failed', error = $4, updated_at = now() WHERE tenant_id = $1 AND id = $2 AND version = $3",
        tenant.0,
        id.0,
        version,
        error
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The job of this version was given up, so that nobody ingests it, unless it was put back since. What was there before stays.
pub async fn close(conn: &mut PgConnection, tenant: TenantId, id: DocumentId, version: i32, why: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE knowledge_documents SET status = 'failed', error = 'It was not read: ' || $4, updated_at = now()
         WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status IN ('queued', 'ingesting')
           AND NOT EXISTS (SELECT FROM jobs WHERE kind = 'ingest_document' AND ordering_key = $2::text AND args ->> 'version' = $3::int4::text)",
        tenant.0,
        id.0,
        version,
        why
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What became of a document.
#[derive(Clone, Debug)]
pub struct Ingested<'a> {
    pub page_count: i32,
    /// Page and text, in order.
    pub chunks: &'a [(i32, &'a str)],
    /// Which embedder made the vectors.
    pub embedder: &'a str,
    /// As the table's comment says.
    pub vectors: &'a [u8],
}

/// Puts it in the place of what was. False: the document is gone, or a newer version is to be ingested.
pub async fn replace(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: DocumentId,
    version: i32,
    new: &Ingested<'_>,
) -> Result<bool, StoreError> {
    // The tenant's documents change one at a time, so that words are counted right.
    changed(&mut *conn, tenant).await?;
    let current = sqlx::query!(
        "UPDATE knowledge_documents SET status = 'ready', progress = 100, page_count = $4, chunk_count = $5, error = NULL, updated_at = now(), ingested_at = now()
         WHERE tenant_id = $1 AND id = $2 AND version = $3",
        tenant.0,
        id.0,
        version,
        new.page_count,
        i32::try_from(new.chunks.len()).unwrap_or(i32::MAX)
    )
    .execute(&mut *conn)
    .await?;
    if current.rows_affected() == 0 {
        return Ok(false);
    }
    forget_words(&mut *conn, tenant, &[id.0]).await?;
    sqlx::query!("DELETE FROM knowledge_chunks WHERE tenant_id = $1 AND document_id = $2", tenant.0, id.0).execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO knowledge_chunks (tenant_id, document_id, ordinal, page, content)
         SELECT $1, $2, n.ordinal - 1, n.page, n.content FROM unnest($3::int4[], $4::text[]) WITH ORDINALITY n(page, content, ordinal)",
        tenant.0,
        id.0,
        &new.chunks.iter().map(|(page, _)| *page).collect::<Vec<_>>(),
        &new.chunks.iter().map(|(_, text)| *text).collect::<Vec<_>>() as _
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO knowledge_words AS k (tenant_id, word, chunks)
         SELECT $1, w.word, count(*)::int4 FROM knowledge_chunks c CROSS JOIN unnest(tsvector_to_array(c.words)) w(word)
         WHERE c.tenant_id = $1 AND c.document_id = $2 GROUP BY w.word ORDER BY w.word
         ON CONFLICT (tenant_id, word) DO UPDATE SET chunks = k.chunks + excluded.chunks",
        tenant.0,
        id.0
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO knowledge_vectors (tenant_id, document_id, version, embedder, vectors) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, document_id) DO UPDATE SET version = excluded.version, embedder = excluded.embedder, vectors = excluded.vectors",
        tenant.0,
        id.0,
        version,
        new.embedder,
        new.vectors
    )
    .execute(conn)
    .await?;
    Ok(true)
}

async fn changed(conn: &mut PgConnection, tenant: TenantId) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO knowledge_changes AS c (tenant_id, changes) VALUES ($1, 1) ON CONFLICT (tenant_id) DO UPDATE SET changes = c.changes + 1",
        tenant.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The words of these documents' chunks count no longer.
async fn forget_words(conn: &mut PgConnection, tenant: TenantId, documents: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH gone AS (SELECT w.word, count(*)::int4 AS n FROM knowledge_chunks c CROSS JOIN unnest(tsvector_to_array(c.words)) w(word)
                       WHERE c.tenant_id = $1 AND c.document_id = ANY($2) GROUP BY w.word)
         UPDATE knowledge_words k SET chunks = k.chunks - g.n FROM gone g WHERE k.tenant_id = $1 AND k.word = g.word",
        tenant.0,
        documents
    )
    .execute(conn)
    .await?;
    Ok(())
}
