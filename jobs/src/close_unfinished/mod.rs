//! CloseUnfinished: closes what a job left that ended without a word of its own, since an operator cancelled it or the engine buried it. Whoever
//! waits for it is told.
//!
//! Only what still waits is touched, and nothing for which the job was put back meanwhile: done twice, or late, it does no more.

use crate::{
    Done, Job, JobContext, JobError, Policy, import_contacts::ImportContacts, ingest_document::IngestDocument,
    run_auto_reply::RunAutoReply, send_outbound::SendOutbound, thinking::MOST_MESSAGES,
};
use chrono::TimeDelta;
use domain::{Change, JobId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use store::{
    PgConnection, answering, auto_reply, contact_imports,
    escalations::{self, RaisedBy},
    knowledge,
    ledger::unfinished,
    sending,
};

/// The job that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseUnfinished {
    pub job_id: JobId,
    pub kind: String,
    pub args: Value,
    /// `cancelled`, or the class of its last error.
    pub class: String,
}

impl Job for CloseUnfinished {
    const KIND: &'static str = unfinished::CLOSE_UNFINISHED;
    const POLICY: Policy = Policy {
        queue: unfinished::CLOSE_UNFINISHED_QUEUE,
        max_attempts: unfinished::CLOSE_UNFINISHED_ATTEMPTS,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(5),
        timeout: Duration::from_secs(30),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let (tenant, why) = (ctx.tenant, reason(&self.class));
        let mut tx = ctx.begin().await?;
        if let Some(job) = self.of::<SendOutbound>() {
            sending::close(&mut tx, tenant, job.message_id, why).await?;
            ctx.told([tenant]);
        } else if let Some(job) = self.of::<IngestDocument>() {
            knowledge::close(&mut tx, tenant, job.document_id, job.version, why).await?;
        } else if let Some(job) = self.of::<ImportContacts>() {
            contact_imports::close(&mut tx, tenant, job.import_id, why, self.job_id).await?;
        } else if let Some(job) = self.of::<RunAutoReply>() {
            call_a_person(&mut tx, ctx, &job, why).await?;
        }
        ctx.commit(tx).await
    }
}

/// For people of the tenant; what exactly went wrong is kept with the job.
fn reason(class: &str) -> &'static str {
    match class {
        "cancelled" => "an operator cancelled it",
        "crashed" => "the process that worked on it died",
        "timed_out" => "it took too long",
        _ => "something is wrong on our side",
    }
}

impl CloseUnfinished {
    /// Arguments that cannot be read are about nothing.
    fn of<J: Job + DeserializeOwned>(&self) -> Option<J> {
        (self.kind == J::KIND).then(|| J::deserialize(&self.args).ok()).flatten()
    }
}

/// A customer who waits for an agent's answer gets a person's.
async fn call_a_person(conn: &mut PgConnection, ctx: &JobContext, job: &RunAutoReply, why: &str) -> Result<(), JobError> {
    let tenant = ctx.tenant;
    let Some(waiting) = auto_reply::look(conn, tenant, job.conversation_id, TimeDelta::zero(), MOST_MESSAGES).await? else {
        return Ok(());
    };
    if waiting.taken || (waiting.newest.is_none() && !waiting.has_results) {
        return Ok(());
    }
    let conversation = waiting.conversation;
    // The next job answers all that waits, and without an agent nobody was to.
    let keys = [job.conversation_id, conversation].map(|id| id.to_string());
    if unfinished::is_live(conn, RunAutoReply::KIND, &keys).await? || answering::find(conn, tenant).await?.is_none() {
        return Ok(());
    }
    let reason = format!("The agent could not answer: {why}");
    if escalations::raise(conn, tenant, conversation, RaisedBy::Failure, &reason).await? == Some(true) {
        ctx.tell(conn, &BTreeMap::from([(tenant, vec![Change::ConversationUpdated { conversation }])])).await?;
    }
    Ok(())
}
