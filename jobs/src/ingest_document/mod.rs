//! IngestDocument: makes passages of a document that agents can find.
//!
//! The file is read in a process of its own, and vectors are made outside of any transaction; then chunks, vectors and the document's state replace what was
//! there, together with the job's end. A run that dies is done again, and does the same.

use crate::{Done, Job, JobContext, JobError, Policy, new_job, queue};
use ai::{AiError, embedding};
use documents::{Chunk, Unreadable};
use domain::{DocumentId, TenantId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{
    StoreError,
    knowledge::{self, Document, Ingested},
    ledger::NewJob,
};

/// Which version of which document: a newer version makes this one void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestDocument {
    pub document_id: DocumentId,
    pub version: i32,
}

impl Job for IngestDocument {
    const KIND: &'static str = "ingest_document";
    const POLICY: Policy = Policy {
        queue: queue::DOCUMENTS.name,
        max_attempts: 6,
        backoff: Duration::from_secs(2),
        max_backoff: Duration::from_mins(5),
        timeout: Duration::from_mins(15),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        Box::pin(run(&self, ctx)).await
    }
}

/// The job for a version of a document.
pub fn job_for(tenant: TenantId, document_id: DocumentId, version: i32) -> NewJob {
    NewJob { ordering_key: Some(document_id.to_string()), ..new_job(tenant, &IngestDocument { document_id, version }, None) }
}

async fn run(job: &IngestDocument, ctx: &JobContext) -> Result<Done, JobError> {
    let mut tx = ctx.begin().await?;
    ctx.hold(&mut tx).await?;
    let begun = knowledge::begin(&mut tx, ctx.tenant, job.document_id, job.version).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let Some(document) = begun else { return Ok(Done::WITHOUT_EFFECTS) };
    let pages = match read(ctx, &document).await {
        Ok(Ok(pages)) => pages,
        // Reading it again would end the same.
        Ok(Err(why)) => return fail(job, ctx, &why.to_string()).await,
        Err(away) if ctx.is_last_attempt => return fail(job, ctx, &away).await,
        Err(away) => return Err(JobError::retry("file_away", away)),
    };
    let page_count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    let chunks = tokio::task::spawn_blocking(move || documents::chunks(&pages)).await;
    let chunks = chunks.map_err(|error| JobError::fail("defect", error.to_string()))?;
    let vectors = match embed(job, ctx, &chunks).await {
        Ok(vectors) => vectors,
        Err(error) => return cannot_embed(job, ctx, &error).await,
    };
    let rows: Vec<(i32, &str)> = chunks.iter().map(|chunk| (i32::try_from(chunk.page).unwrap_or(i32::MAX), chunk.text.as_str())).collect();
    let new = Ingested { page_count, chunks: &rows, embedder: ctx.services.knowledge.embedder.name(), vectors: &vectors };
    let mut tx = ctx.begin().await?;
    let replaced = knowledge::replace(&mut tx, ctx.tenant, job.document_id, job.version, &new).await?;
    tracing::info!(document = %job.document_id, pages = page_count, chunks = rows.len(), replaced, "a document was ingested");
    ctx.commit(tx).await
}

/// Its pages. `Err`: it could not be tried.
async fn read(ctx: &JobContext, document: &Document) -> Result<Result<Vec<String>, Unreadable>, String> {
    let away = |error: &dyn std::fmt::Display| format!("the document's file cannot be read: {error}");
    let found = ctx.services.media.get(&document.storage_key).await.map_err(|error| away(&error))?;
    let bytes = found.ok_or_else(|| away(&"it is gone"))?.bytes().await.map_err(|error| away(&error))?;
    let read = documents::extract(bytes.into()).await.map_err(|error| format!("no process reads the file: {error}"))?;
    Ok(read.map(|read| read.pages))
}

/// The vectors of all chunks, as they are stored. How far it is, people see.
async fn embed(job: &IngestDocument, ctx: &JobContext, chunks: &[Chunk]) -> Result<Vec<u8>, AiError> {
    let mut vectors = Vec::with_capacity(chunks.len() * embedding::STORED_BYTES);
    let mut told = 0;
    for (done, part) in chunks.chunks(embedding::MOST_TEXTS).enumerate() {
        let texts: Vec<&str> = part.iter().map(|chunk| chunk.text.as_str()).collect();
        let made = ctx.services.knowledge.embedder.embed(&ctx.services.http, &texts).await?;
        for vector in &made {
            vector.store(&mut vectors);
        }
        let percent = ((done + 1) * embedding::MOST_TEXTS).min(chunks.len()) * 100 / chunks.len().max(1);
        if percent >= told + 10 {
            told = percent;
            let percent = i16::try_from(percent).unwrap_or(100);
            // Only for show: nothing depends on it.
            if let Ok(mut conn) = ctx.services.pool.acquire().await
                && let Err(error) = knowledge::advance(&mut conn, ctx.tenant, job.document_id, job.version, percent).await
            {
                tracing::debug!(%error, "how far a document is cannot be said");
            }
        }
    }
    Ok(vectors)
}

async fn cannot_embed(job: &IngestDocument, ctx: &JobContext, error: &AiError) -> Result<Done, JobError> {
    match JobError::of_model(error) {
        Some(again) if !ctx.is_last_attempt => Err(again),
        _ => fail(job, ctx, &error.to_string()).await,
    }
}

async fn fail(job: &IngestDocument, ctx: &JobContext, why: &str) -> Result<Done, JobError> {
    let mut tx = ctx.begin().await?;
    knowledge::fail(&mut tx, ctx.tenant, job.document_id, job.version, why).await?;
    tracing::warn!(document = %job.document_id, why, "a document cannot be ingested");
    ctx.commit(tx).await
}
