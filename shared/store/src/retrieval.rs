//! Finding passages of a tenant's documents.

use crate::StoreError;
use domain::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

/// A chunk, by its document and its place in it.
pub type ChunkKey = (Uuid, i32);

/// The tenant's documents with vectors of this embedder, and their versions.
pub async fn versions(conn: &mut PgConnection, tenant: TenantId, embedder: &str) -> Result<Vec<(Uuid, i32)>, StoreError> {
    let rows =
        sqlx::query!("SELECT document_id, version FROM knowledge_vectors WHERE tenant_id = $1 AND embedder = $2", tenant.0, embedder)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|row| (row.document_id, row.version)).collect())
}

/// The vectors of a document.
#[derive(Debug)]
pub struct DocumentVectors {
    pub document_id: Uuid,
    pub version: i32,
    /// As the comment of the table `knowledge_vectors` says.
    pub vectors: Vec<u8>,
}

pub async fn vectors(
    conn: &mut PgConnection,
    tenant: TenantId,
    embedder: &str,
    documents: &[Uuid],
) -> Result<Vec<DocumentVectors>, StoreError> {
    Ok(sqlx::query_as!(
        DocumentVectors,
        "SELECT document_id, version, vectors FROM knowledge_vectors WHERE tenant_id = $1 AND embedder = $2 AND document_id = ANY($3)",
        tenant.0,
        embedder,
        documents
    )
    .fetch_all(conn)
    .await?)
}

/// Chunks that hold rare words of `question`, the best first. Words that are in more than `common` chunks tell little apart, and are not asked for; of the others
/// the rarest are, as long as no more than `most` chunks have to be looked at.
pub async fn by_words(
    conn: &mut PgConnection,
    tenant: TenantId,
    question: &str,
    (common, most): (i32, i64),
    limit: i64,
) -> Result<Vec<ChunkKey>, StoreError> {
    /// So many words of a question are asked for, the rarest.
    const MOST_WORDS: i64 = 8;
    let rare = sqlx::query_scalar!(
        r#"SELECT string_agg('''' || replace(replace(word, '\', '\\'), '''', '''''') || '''', ' | ') FROM (
             SELECT word, sum(chunks) OVER (ORDER BY chunks, word) AS reached FROM knowledge_words
             WHERE tenant_id = $1 AND word = ANY(tsvector_to_array(to_tsvector('simple', $2))) AND chunks BETWEEN 1 AND $3 ORDER BY chunks, word LIMIT $4) w
           WHERE reached <= $5"#,
        tenant.0,
        question,
        common,
        MOST_WORDS,
        most
    )
    .fetch_one(&mut *conn)
    .await?;
    let Some(rare) = rare else { return Ok(Vec::new()) };
    let rows = sqlx::query!(
        r#"SELECT document_id AS "document_id!", ordinal AS "ordinal!" FROM search_passages($1, $2::text::tsquery, $3)"#,
        tenant.0,
        rare,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.document_id, row.ordinal)).collect())
}

/// A passage, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    pub document_id: Uuid,
    pub ordinal: i32,
    pub document_name: String,
    pub page: i32,
    pub content: String,
}

/// These chunks, in this order; those that are gone are left out.
pub async fn passages(conn: &mut PgConnection, tenant: TenantId, keys: &[ChunkKey]) -> Result<Vec<Passage>, StoreError> {
    Ok(sqlx::query_as!(
        Passage,
        r#"SELECT c.document_id, c.ordinal, d.name AS document_name, c.page, c.content
           FROM unnest($2::uuid[], $3::int4[]) WITH ORDINALITY k(document_id, ordinal, place)
           JOIN knowledge_chunks c ON c.tenant_id = $1 AND c.document_id = k.document_id AND c.ordinal = k.ordinal
           JOIN knowledge_documents d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
           ORDER BY k.place"#,
        tenant.0,
        &keys.iter().map(|key| key.0).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.1).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?)
}
