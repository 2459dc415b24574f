//! Contacts as CSV files.

use super::{dialect::Success, wire::Page};
use crate::{prelude::*, reply::CsvFile, request::CsvUpload};
use bytes::Bytes;
use domain::ContactImportId;
use futures::stream;
use jobs::{
    import_contacts::{
        self,
        cells::neutralized,
        file::{self, COLUMNS, FileError},
    },
    queue,
};
use store::{
    audit,
    contact_imports::{self, ContactImport, ImportedRow},
    contacts::{self, Contact, ContactFilter},
    ledger,
};
use uuid::Uuid;

/// Contacts that are read at once.
const PAGE: i64 = 1_000;

/// An import, how far it is, and what became of its rows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportView {
    id: Uuid,
    file_name: Option<String>,
    status: ImportStatus,
    /// Why it failed.
    error: Option<String>,
    rows_total: Option<i32>,
    rows_read: i32,
    created: i32,
    updated: i32,
    unchanged: i32,
    invalid: i32,
    created_at: Time,
    finished_at: Option<Time>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportReport {
    #[serde(flatten)]
    import: ImportView,
    /// A page of them, in the file's order.
    rows: Vec<RowView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RowView {
    /// 1 is the first behind the header.
    row: i32,
    outcome: Outcome,
    /// Why it is invalid.
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ImportStatus {
    Pending,
    Running,
    Done,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Created,
    Updated,
    Unchanged,
    Invalid,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Imports {
    imports: Vec<ImportView>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ExportQuery {
    /// As in the list.
    search: Option<String>,
    tag: Option<String>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ReportQuery {
    /// Rows with this outcome only.
    outcome: Option<Outcome>,
    #[salvo(parameter(minimum = 1))]
    page: Option<i64>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ImportsQuery {
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
}

impl Outcome {
    fn stored(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Invalid => "invalid",
        }
    }
}

impl From<&ImportedRow> for RowView {
    fn from(row: &ImportedRow) -> Self {
        let outcome = match row.outcome.as_str() {
            "created" => Outcome::Created,
            "updated" => Outcome::Updated,
            "unchanged" => Outcome::Unchanged,
            _ => Outcome::Invalid,
        };
        Self { row: row.row_number, outcome, reason: row.reason.clone() }
    }
}

impl From<ContactImport> for ImportView {
    fn from(row: ContactImport) -> Self {
        let status = match row.status.as_str() {
            "running" => ImportStatus::Running,
            "done" => ImportStatus::Done,
            "failed" => ImportStatus::Failed,
            _ => ImportStatus::Pending,
        };
        Self {
            id: row.id,
            file_name: row.file_name,
            status,
            error: row.error,
            rows_total: row.rows_total,
            rows_read: row.rows_read,
            created: row.created,
            updated: row.updated,
            unchanged: row.unchanged,
            invalid: row.invalid,
            created_at: Time(row.created_at),
            finished_at: row.finished_at.map(Time),
        }
    }
}

/// Export contacts
///
/// A CSV file with the columns phoneNumber, name, email and tags (separated by `;`), written while it is read. Texts that a spreadsheet would
/// run get a `'` in front, which an import takes off again.
#[endpoint]
pub(super) async fn export_contacts(app: App, caller: Caller, query: Query<ExportQuery>) -> Result<CsvFile, ApiError> {
    let Query(ExportQuery { search, tag }) = query;
    if search.is_some() || tag.is_some() {
        let filter = ContactFilter { term: search.as_deref(), tag: tag.as_deref() };
        let mut tx = app.tenants.begin(caller.tenant).await?;
        let (rows, _) = contacts::list(&mut tx, caller.tenant, filter, (contacts::MOST_FOUND.into(), 0)).await?;
        let file = lines(&rows, true)?;
        return CsvFile::of_pages("contacts.csv", stream::once(async { Ok(file) })).await;
    }
    let tenant = caller.tenant;
    let pages = stream::try_unfold(Some(Uuid::nil()), move |place| {
        let app = app.clone();
        async move {
            let Some(after) = place else { return Ok(None) };
            let mut tx = app.tenants.begin(tenant).await?;
            let rows = contacts::list_after(&mut tx, tenant, after, PAGE).await?;
            let next = rows.last().map(|last| last.id).filter(|_| i64::try_from(rows.len()).is_ok_and(|rows| rows == PAGE));
            Ok(Some((lines(&rows, after.is_nil())?, next)))
        }
    });
    CsvFile::of_pages("contacts.csv", pages).await
}

fn lines(contacts: &[Contact], with_header: bool) -> Result<Bytes, ApiError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| ApiError::internal(&error);
    if with_header {
        writer.write_record(COLUMNS).map_err(failed)?;
    }
    for contact in contacts {
        let text = |value: &Option<String>| neutralized(value.as_deref().unwrap_or_default()).into_owned();
        // A phone number begins with + and is none that a spreadsheet runs.
        let phone = contact.phone_number.clone().unwrap_or_default();
        let tags = neutralized(&contact.tags.join(";")).into_owned();
        writer.write_record([phone, text(&contact.name), text(&contact.email), tags]).map_err(failed)?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| ApiError::internal(&error))
}

/// Import contacts
///
/// A CSV file (UTF-8, at most 10 MiB and 200,000 rows) with the columns phoneNumber, name, email and tags (separated by `;`), of which the
/// first is needed. Numbers that are known are brought up to date: what the file gives replaces, tags are added. It is done in the
/// background: `GET /api/contacts/import/{id}` shows how far it is and what became of each row.
#[endpoint]
pub(super) async fn import_contacts_csv(app: App, caller: Caller, upload: CsvUpload) -> Result<Accepted<Success<ImportView>>, ApiError> {
    let CsvUpload { name, bytes } = upload;
    let file = bytes.clone();
    let rows =
        tokio::task::spawn_blocking(move || file::read(&file).map(|rows| rows.len())).await.map_err(|error| ApiError::internal(&error))?;
    let rows = rows.map_err(|error: FileError| ApiError::invalid_field("file", error.to_string()))?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let rows = i32::try_from(rows).unwrap_or(i32::MAX);
    let id = contact_imports::create(&mut tx, caller.tenant, name.as_deref(), &bytes, rows, caller.user).await?;
    ledger::enqueue(&mut tx, &[import_contacts::job_for(caller.tenant, id, None)]).await?;
    audit::note(&mut tx, caller.tenant, &caller.act("contact.import", id)).await?;
    let import = contact_imports::get(&mut tx, caller.tenant, id).await?.ok_or_else(|| ApiError::not_found("Import"))?;
    tx.commit().await?;
    app.waker.ring(queue::CHORES.name, [caller.tenant]);
    Accepted::new(&Success::new(import.into()))
}

/// List imports
///
/// The newest first.
#[endpoint]
pub(super) async fn list_imports(app: App, caller: Caller, query: Query<ImportsQuery>) -> Result<Ok200<Success<Imports>>, ApiError> {
    let limit = crate::request::limit(query.0.limit)?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let imports = contact_imports::list(&mut tx, caller.tenant, limit).await?.into_iter().map(ImportView::from).collect();
    Ok200::new(&Success::new(Imports { imports }))
}

/// How far is an import?
///
/// With a page of what became of its rows.
#[endpoint]
pub(super) async fn get_import(
    app: App,
    caller: Caller,
    id: Path<Uuid>,
    query: Query<ReportQuery>,
) -> Result<Ok200<Success<ImportReport>>, ApiError> {
    let page = Page::of(query.0.page, query.0.limit)?;
    let id = ContactImportId(id.0);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let import = contact_imports::get(&mut tx, caller.tenant, id).await?.ok_or_else(|| ApiError::not_found("Import"))?;
    let outcome = query.0.outcome.map(Outcome::stored);
    let rows = contact_imports::rows(&mut tx, caller.tenant, id, outcome, (page.limit, page.offset)).await?;
    Ok200::new(&Success::new(ImportReport { import: import.into(), rows: rows.iter().map(RowView::from).collect() }))
}
