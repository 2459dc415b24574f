//! Knowledge, as the agent platform shows it: documents that agents read passages of.

use crate::{
    prelude::*,
    request::{self, DocumentUpload},
};
use documents::Format;
use domain::DocumentId;
use jobs::{ingest_document, queue};
use salvo::{Request, http::StatusCode};
use serde_json::{Value, json};
use store::{
    audit,
    knowledge::{self, Document, NewDocument},
    ledger,
};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// Documents that are named at once.
const MOST_IDS: usize = 500;
/// Of a document's metadata, as JSON.
const MOST_METADATA_BYTES: usize = 16 * 1024;

/// A document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentView {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    /// `pdf docx html text`, by what is in the file.
    format: String,
    size_bytes: i64,
    /// `uploaded queued ingesting ready failed`.
    status: String,
    /// How often it was to be ingested.
    version: i32,
    /// Percent of the ingestion.
    progress: i16,
    page_count: i32,
    chunk_count: i32,
    /// Why it failed.
    error: Option<String>,
    #[salvo(schema(value_type = Object))]
    metadata: Value,
    created_at: Time,
    updated_at: Time,
    ingested_at: Option<Time>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct DocumentsQuery {
    status: Option<DocumentStatus>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DocumentStatus {
    Uploaded,
    Queued,
    Ingesting,
    Ready,
    Failed,
}

impl DocumentStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Queued => "queued",
            Self::Ingesting => "ingesting",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// Which documents.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"document_ids": ["0190f3a0-0000-7000-8000-000000000001"]})))]
pub(super) struct DocumentIdsBody {
    /// One's own, if it is given.
    tenant_id: Option<Value>,
    document_ids: Vec<String>,
}

/// What was queued.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queued {
    /// Always `accepted`.
    status: String,
    document_ids: Vec<Uuid>,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deleted {
    deleted: usize,
}

/// Figures of a tenant's documents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatsView {
    tenant_id: Uuid,
    documents: i64,
    /// Passages that agents can find.
    chunks: i64,
    size_bytes: i64,
    uploaded: i64,
    /// Queued, or being ingested.
    pending: i64,
    ready: i64,
    failed: i64,
    last_ingested_at: Option<Time>,
}

impl DocumentView {
    fn new(row: Document, caller: &Caller) -> Self {
        Self {
            id: row.id,
            tenant_id: caller.tenant_public_id,
            name: row.name,
            format: row.format,
            size_bytes: row.size_bytes,
            status: row.status,
            version: row.version,
            progress: row.progress,
            page_count: row.page_count,
            chunk_count: row.chunk_count,
            error: row.error,
            metadata: row.metadata,
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
            ingested_at: row.ingested_at.map(Time),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Document")
}

/// Requests may name the tenant, which is the caller's.
fn must_be_own(caller: &Caller, named: Option<&Value>) -> Result<(), ApiError> {
    let is_own = match named {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => request::parse_uuid(text) == Some(caller.tenant_public_id) || *text == caller.tenant.to_string(),
        Some(Value::Number(number)) => number.as_i64() == Some(i64::from(caller.tenant.0)),
        Some(_) => false,
    };
    if is_own { Ok(()) } else { Err(ApiError::not_found("Tenant")) }
}

/// Upload a document
///
/// By owners and admins: PDF, DOCX, HTML, Markdown or text in UTF-8, up to 20 MiB; what it is, its content says. The form's field `file` holds it; `tenant_id`
/// and `metadata` (a JSON object) may be beside it. It is kept; `POST /api/admin/knowledge/ingest` makes agents know it.
#[endpoint]
pub(super) async fn upload(app: App, caller: Admin, sent: DocumentUpload) -> Result<Created<DocumentView>, ApiError> {
    let Admin(caller) = caller;
    must_be_own(&caller, sent.tenant_id.map(Value::String).as_ref())?;
    let metadata = match sent.metadata {
        None => json!({}),
        Some(text) => metadata(&text)?,
    };
    if sent.bytes.is_empty() {
        return Err(ApiError::invalid_field("file", "is empty"));
    }
    let format = Format::of(&sent.bytes).ok_or_else(|| {
        let message = "file: is neither PDF, DOCX, HTML nor text in UTF-8";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    })?;
    let id = DocumentId::generate();
    let storage_key = format!("knowledge/{}/{id}", caller.tenant);
    let size_bytes = i64::try_from(sent.bytes.len()).unwrap_or(i64::MAX);
    // The file first: a row without a file would be a document that nobody can read.
    let mut writer = app.media.writer(&storage_key);
    let kept = match writer.write_all(&sent.bytes).await {
        Ok(()) => writer.shutdown().await,
        Err(error) => Err(error),
    };
    kept.map_err(|error| {
        tracing::error!(%error, "a document's file cannot be kept");
        ApiError::unavailable("The file cannot be kept just now: try again")
    })?;
    let new = NewDocument { id, name: &sent.name, format: format.as_str(), size_bytes, storage_key: &storage_key, metadata: &metadata };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let document = knowledge::create(&mut tx, caller.tenant, &new).await?;
    audit::note(&mut tx, caller.tenant, &caller.act("document.upload", id)).await?;
    tx.commit().await?;
    Created::new(&DocumentView::new(document, &caller))
}

fn metadata(text: &str) -> Result<Value, ApiError> {
    let wrong = || ApiError::invalid_field("metadata", "must be a JSON object of at most 16 KiB");
    if text.len() > MOST_METADATA_BYTES {
        return Err(wrong());
    }
    serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() && !text.contains("\\u0000")).ok_or_else(wrong)
}

/// Ingest documents
///
/// By owners and admins: each is read, cut into passages and made findable, by a worker; `GET /api/admin/knowledge/documents/{document_id}` shows how far it is.
/// Documents that were ingested before are ingested anew, and known as before until that is done.
#[endpoint]
pub(super) async fn ingest(app: App, caller: Admin, body: Body<DocumentIdsBody>) -> Result<Accepted<Queued>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    must_be_own(&caller, body.tenant_id.as_ref())?;
    let ids = ids(body.document_ids.iter().map(String::as_str))?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let queued = knowledge::queue(&mut tx, caller.tenant, &ids).await?;
    if queued.len() < ids.len() {
        return Err(not_found());
    }
    let jobs: Vec<_> = queued.iter().map(|(id, version)| ingest_document::job_for(caller.tenant, *id, *version)).collect();
    ledger::enqueue(&mut tx, &jobs).await?;
    audit::note(&mut tx, caller.tenant, &caller.act("document.ingest", queued.len())).await?;
    tx.commit().await?;
    app.waker.ring(queue::DOCUMENTS.name, [caller.tenant]);
    Accepted::new(&Queued { status: "accepted".to_owned(), document_ids: queued.iter().map(|(id, _)| id.0).collect() })
}

/// Each once, and at least one.
fn ids<'a>(given: impl Iterator<Item = &'a str>) -> Result<Vec<Uuid>, ApiError> {
    let wrong = || ApiError::invalid_field("document_ids", "must be 1 to 500 documents' ids");
    let mut ids = given.map(|text| request::parse_uuid(text.trim()).ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() > MOST_IDS { Err(wrong()) } else { Ok(ids) }
}

/// List documents
///
/// For owners and admins; the newest first.
#[endpoint]
pub(super) async fn list_documents(app: App, caller: Admin, query: Query<DocumentsQuery>) -> Result<Ok200<Vec<DocumentView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let rows = knowledge::list(&mut tx, caller.tenant, query.status.map(DocumentStatus::as_str), page).await?;
    Ok200::new(&rows.into_iter().map(|row| DocumentView::new(row, &caller)).collect())
}

/// Read a document's state
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_document(app: App, caller: Admin, document_id: Path<Uuid>) -> Result<Ok200<DocumentView>, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let row = knowledge::get(&mut tx, caller.tenant, DocumentId(document_id.0)).await?.ok_or_else(not_found)?;
    Ok200::new(&DocumentView::new(row, &caller))
}

/// Read the knowledge's figures
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_stats(app: App, caller: Admin) -> Result<Ok200<StatsView>, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let stats = knowledge::stats(&mut tx, caller.tenant).await?;
    Ok200::new(&StatsView {
        tenant_id: caller.tenant_public_id,
        documents: stats.documents,
        chunks: stats.chunks,
        size_bytes: stats.size_bytes,
        uploaded: stats.uploaded,
        pending: stats.pending,
        ready: stats.ready,
        failed: stats.failed,
        last_ingested_at: stats.last_ingested_at.map(Time),
    })
}

/// Delete documents
///
/// By owners and admins. `document_ids` in the body, or in the query, separated by commas. Agents do not know them any more. Ids of nobody are left out.
#[endpoint]
pub(super) async fn delete_documents(app: App, caller: Admin, req: &mut Request) -> Result<Ok200<Deleted>, ApiError> {
    let Admin(caller) = caller;
    let ids = if let Some(listed) = req.query::<String>("document_ids") {
        ids(listed.split(','))?
    } else {
        let Body(body) = Body::<DocumentIdsBody>::read(req).await?;
        must_be_own(&caller, body.tenant_id.as_ref())?;
        ids(body.document_ids.iter().map(String::as_str))?
    };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let files = knowledge::delete(&mut tx, caller.tenant, &ids).await?;
    audit::note(&mut tx, caller.tenant, &caller.act("document.delete", files.len())).await?;
    tx.commit().await?;
    for key in &files {
        // A file that stays costs room, and nobody can read it.
        if let Err(error) = app.media.remove(key).await {
            tracing::warn!(%error, key, "a deleted document's file cannot be removed");
        }
    }
    Ok200::new(&Deleted { deleted: files.len() })
}
