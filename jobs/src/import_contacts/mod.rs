//! ImportContacts: takes a CSV file of contacts over, some hundred rows in a transaction, each of which also moves how far it is.
//! Killed half-way, it goes on there.

pub mod cells;
pub mod file;

use crate::{Done, Job, JobContext, JobError, Policy, new_job, queue};
use domain::{ContactImportId, TenantId};
use file::Row;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, time::Duration};
use store::{
    PgConnection, StoreError,
    contact_imports::{self, ImportedRow, Progress},
    contacts::{self, NewContact, Upserted},
    ledger::NewJob,
};

/// Rows in a transaction.
const ROWS: usize = 500;

/// Takes over the file of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportContacts {
    pub tenant_id: TenantId,
    pub import_id: ContactImportId,
}

impl Job for ImportContacts {
    const KIND: &'static str = "import_contacts";
    const POLICY: Policy = Policy {
        queue: queue::CHORES.name,
        max_attempts: 10,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(5),
        timeout: Duration::from_mins(10),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let Self { tenant_id: tenant, import_id: import } = self;
        let mut tx = ctx.begin().await?;
        ctx.hold(&mut tx).await?;
        let file = contact_imports::begin(&mut tx, tenant, import).await?;
        let rows = match file.map(read).transpose() {
            Ok(rows) => rows.unwrap_or_default(),
            Err(error) => {
                contact_imports::fail(&mut tx, tenant, import, &error.to_string()).await?;
                return ctx.commit(tx).await;
            }
        };
        tx.commit().await.map_err(StoreError::from)?;
        loop {
            let mut tx = ctx.begin().await?;
            // Over already, if this job ran before and only its end was lost.
            let Some(read) = contact_imports::lock(&mut tx, tenant, import).await? else { return ctx.commit(tx).await };
            let read = usize::try_from(read).unwrap_or(0);
            let next = rows.get(read..).unwrap_or_default();
            let next = next.get(..ROWS).unwrap_or(next);
            let finished = read + next.len() >= rows.len();
            let written = match write(&mut tx, tenant, read, next).await {
                Err(StoreError::Data(error)) => {
                    drop(tx);
                    tracing::error!(%import, %error, "the database refuses rows of an import");
                    let problem = format!("rows {} to {} cannot be stored", read + 1, read + next.len());
                    let mut tx = ctx.begin().await?;
                    contact_imports::fail(&mut tx, tenant, import, &problem).await?;
                    return ctx.commit(tx).await;
                }
                other => other?,
            };
            let progress = Progress { rows: written, finished };
            contact_imports::advance(&mut tx, tenant, import, &progress).await?;
            if finished {
                tracing::info!(%import, rows = rows.len(), "contacts imported");
                return ctx.commit(tx).await;
            }
            tx.commit().await.map_err(StoreError::from)?;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the file is not needed any more")]
fn read(file: Vec<u8>) -> Result<Vec<Row>, file::FileError> {
    file::read(&file)
}

/// Writes some rows, and says what became of each. A number that comes again is brought up to date again, in the file's order.
async fn write(conn: &mut PgConnection, tenant: TenantId, before: usize, rows: &[Row]) -> Result<Vec<ImportedRow>, StoreError> {
    let number = |index: usize| i32::try_from(before + index + 1).unwrap_or(i32::MAX);
    let mut report = Vec::with_capacity(rows.len());
    let mut waiting: Vec<(usize, &NewContact)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match row {
            Ok(contact) => waiting.push((index, contact)),
            Err(reason) => {
                report.push(ImportedRow { row_number: number(index), outcome: "invalid".to_owned(), reason: Some(reason.clone()) });
            }
        }
    }
    while !waiting.is_empty() {
        let mut seen = HashSet::new();
        let (now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, contact)| seen.insert(contact.phone_number.as_str()));
        let contacts: Vec<&NewContact> = now.iter().map(|(_, contact)| *contact).collect();
        let outcomes = contacts::upsert(conn, tenant, &contacts).await?;
        for ((index, _), outcome) in now.iter().zip(outcomes) {
            let outcome = match outcome {
                Upserted::Created => "created",
                Upserted::Updated => "updated",
                Upserted::Unchanged => "unchanged",
            };
            report.push(ImportedRow { row_number: number(*index), outcome: outcome.to_owned(), reason: None });
        }
        waiting = later;
    }
    Ok(report)
}

/// The job of an import that was just kept.
pub fn job_for(tenant_id: TenantId, import_id: ContactImportId, trace: Option<&str>) -> NewJob {
    NewJob { idempotency_key: Some(import_id.to_string()), ..new_job(tenant_id, &ImportContacts { tenant_id, import_id }, trace) }
}
