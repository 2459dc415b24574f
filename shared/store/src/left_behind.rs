//! What jobs leave behind that end without a word of their own: an operator cancelled them, or the engine buried them, since their
//! process died, they took too long or they panicked. Whoever waits for them is told that nothing comes.
//!
//! Only what still waits is touched, so a job that has said itself how it ended keeps its own words.

use crate::{
    StoreError, auto_reply,
    escalations::{self, RaisedBy},
    realtime,
};
use chrono::TimeDelta;
use domain::{Change, ConversationId, TenantId};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Messages of a conversation among which one that waits for an answer is looked for.
const MOST_MESSAGES: i64 = 20;
/// Why a cancelled job ended.
pub(crate) const CANCELLED: &str = "an operator cancelled it";

/// A job that is over.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ended {
    pub tenant_id: i32,
    pub kind: String,
    pub args: Value,
    /// Ends a sentence: `the job ran longer than 60s`.
    pub why: String,
}

impl Ended {
    /// What the job of this kind was about. Arguments that cannot be read are about nothing.
    fn subject(&self, kind: &str, name: &str) -> Option<(i32, Uuid, &str)> {
        let subject = (self.kind == kind).then(|| self.args.get(name)?.as_str()?.parse().ok()).flatten()?;
        Some((self.tenant_id, subject, &self.why))
    }
}

/// Tells whoever waits for these jobs, in the transaction that ends them.
pub(crate) async fn tell(conn: &mut PgConnection, ended: &[Ended]) -> Result<(), StoreError> {
    let of = |kind: &str, name: &str| -> Vec<(i32, Uuid, &str)> { ended.iter().filter_map(|job| job.subject(kind, name)).collect() };
    messages(conn, &of("send_outbound", "message_id")).await?;
    documents(conn, &of("ingest_document", "document_id")).await?;
    imports(conn, &of("import_contacts", "import_id")).await?;
    conversations(conn, of("run_auto_reply", "conversation_id")).await
}

type Columns<'a> = (Vec<i32>, Vec<Uuid>, Vec<&'a str>);

fn columns<'a>(subjects: &[(i32, Uuid, &'a str)]) -> Columns<'a> {
    let mut columns = Columns::default();
    for (tenant, id, why) in subjects {
        columns.0.push(*tenant);
        columns.1.push(*id);
        columns.2.push(why);
    }
    columns
}

/// One that is `sending` may have arrived.
async fn messages(conn: &mut PgConnection, subjects: &[(i32, Uuid, &str)]) -> Result<(), StoreError> {
    if subjects.is_empty() {
        return Ok(());
    }
    let (tenants, ids, why) = columns(subjects);
    sqlx::query!(
        "WITH updated AS (
           UPDATE chat_messages m
           SET status = CASE m.status WHEN 'sending' THEN 'unknown' ELSE 'failed' END,
               errors = jsonb_build_array(jsonb_build_object('code', NULL, 'message', NULL, 'title',
                          CASE m.status WHEN 'sending' THEN 'It may or may not have arrived: ' ELSE 'It was not sent: ' END || e.why))
           FROM unnest($1::int4[], $2::uuid[], $3::text[]) e(tenant_id, id, why)
           WHERE m.tenant_id = e.tenant_id AND m.id = e.id AND m.status IN ('pending', 'sending')
           RETURNING m.tenant_id, m.id, m.status)
         INSERT INTO realtime_events (tenant_id, events)
         SELECT tenant_id, jsonb_agg(jsonb_build_object('kind', 'message_status', 'message', id, 'status', status)) FROM updated GROUP BY tenant_id",
        &tenants,
        &ids,
        &why as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn documents(conn: &mut PgConnection, subjects: &[(i32, Uuid, &str)]) -> Result<(), StoreError> {
    if subjects.is_empty() {
        return Ok(());
    }
    let (tenants, ids, why) = columns(subjects);
    sqlx::query!(
        "UPDATE knowledge_documents d SET status = 'failed', error = 'It was not read: ' || e.why, updated_at = now()
         FROM unnest($1::int4[], $2::uuid[], $3::text[]) e(tenant_id, id, why)
         WHERE d.tenant_id = e.tenant_id AND d.id = e.id AND d.status IN ('queued', 'ingesting')
           -- A newer version has a job of its own.
           AND NOT EXISTS (SELECT FROM jobs j WHERE j.kind = 'ingest_document' AND j.ordering_key = d.id::text)",
        &tenants,
        &ids,
        &why as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The file is kept: a job that is put back goes on where this one was.
async fn imports(conn: &mut PgConnection, subjects: &[(i32, Uuid, &str)]) -> Result<(), StoreError> {
    if subjects.is_empty() {
        return Ok(());
    }
    let (tenants, ids, why) = columns(subjects);
    sqlx::query!(
        "UPDATE contact_imports i SET status = 'failed', error = 'It was not finished: ' || e.why, finished_at = now()
         FROM unnest($1::int4[], $2::uuid[], $3::text[]) e(tenant_id, id, why)
         WHERE i.tenant_id = e.tenant_id AND i.id = e.id AND i.status IN ('pending', 'running')",
        &tenants,
        &ids,
        &why as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A customer who waits for an agent's answer gets a person's.
async fn conversations(conn: &mut PgConnection, mut subjects: Vec<(i32, Uuid, &str)>) -> Result<(), StoreError> {
    // In one order, whoever else locks some of them.
    subjects.sort_unstable();
    let mut changes: BTreeMap<TenantId, Vec<Change>> = BTreeMap::new();
    for (tenant, conversation, why) in subjects {
        let tenant = TenantId(tenant);
        let Some(waiting) = auto_reply::look(conn, tenant, ConversationId(conversation), TimeDelta::zero(), MOST_MESSAGES).await? else {
            continue;
        };
        if waiting.taken || (waiting.newest.is_none() && !waiting.has_results) {
            continue;
        }
        let conversation = waiting.conversation;
        let reason = format!("The agent could not answer: {why}");
        if escalations::raise(conn, tenant, conversation, RaisedBy::Failure, &reason).await? == Some(true) {
            changes.entry(tenant).or_default().push(Change::ConversationUpdated { conversation });
        }
    }
    realtime::tell(conn, &changes).await
}
