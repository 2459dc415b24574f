//! What agents did: their runs, with the tools they used and whom they asked.

use crate::{
    StoreError,
    model_settings::{self, Taken},
};
use chrono::{DateTime, Utc};
use domain::{AgentId, ConversationId, JobId, MessageId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// What an agent did.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    pub job: Option<JobId>,
    pub agent: AgentId,
    pub conversation: ConversationId,
    /// Its answer, if it went out.
    pub message: Option<MessageId>,
    /// `replied overtaken failed escalated handed_over abandoned`.
    pub outcome: &'static str,
    pub model: Option<&'a str>,
    pub taken: Taken,
    /// `[{tool, arguments, result}]`
    pub steps: &'a Value,
    pub error: Option<&'a str>,
}

/// Notes a run, and counts what it took.
pub async fn note(conn: &mut PgConnection, tenant: TenantId, run: &NewRun<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO agent_runs (tenant_id, id, job_id, agent_id, conversation_id, message_id, outcome, model, prompt_tokens, completion_tokens, cost_micros, steps, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        tenant.0,
        Uuid::now_v7(),
        run.job.map(|id| id.0),
        run.agent.0,
        run.conversation.0,
        run.message.map(|id| id.0),
        run.outcome,
        run.model,
        tokens(run.taken.prompt_tokens),
        tokens(run.taken.completion_tokens),
        run.taken.cost_micros,
        run.steps,
        run.error
    )
    .execute(&mut *conn)
    .await?;
    match run.model {
        Some(model) => model_settings::count(conn, tenant, model, run.taken).await,
        None => Ok(()),
    }
}

fn tokens(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What one agent asked another.
#[derive(Clone, Debug)]
pub struct NewCollaboration<'a> {
    pub job: JobId,
    pub conversation: ConversationId,
    pub team: Uuid,
    pub asked_by: AgentId,
    pub agent: AgentId,
    pub question: &'a str,
    pub answer: &'a str,
    pub model: &'a str,
    pub taken: Taken,
}

/// Notes it, and counts what it took.
pub async fn note_collaboration(conn: &mut PgConnection, tenant: TenantId, new: &NewCollaboration<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO agent_collaborations (tenant_id, id, job_id, conversation_id, team_id, asked_by, agent_id, question, answer, model, prompt_tokens, completion_tokens)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant.0,
        Uuid::now_v7(),
        new.job.0,
        new.conversation.0,
        new.team,
        new.asked_by.0,
        new.agent.0,
        new.question,
        new.answer,
        new.model,
        tokens(new.taken.prompt_tokens),
        tokens(new.taken.completion_tokens)
    )
    .execute(&mut *conn)
    .await?;
    model_settings::count(conn, tenant, new.model, new.taken).await
}

/// A run, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetails {
    pub id: Uuid,
    pub agent_id: Uuid,
    pub message_id: Option<Uuid>,
    pub outcome: String,
    pub model: Option<String>,
    pub prompt_tokens: i32,
    pub completion_tokens: i32,
    pub cost_micros: i64,
    pub steps: Value,
    /// `[{agent_id, asked_by, question, answer, model, created_at}]`
    pub collaborations: Value,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// The runs of a conversation, the newest first.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    (limit, offset): (i64, i64),
) -> Result<Vec<RunDetails>, StoreError> {
    Ok(sqlx::query_as!(
        RunDetails,
        r#"SELECT r.id, r.agent_id, r.message_id, r.outcome, r.model, r.prompt_tokens, r.completion_tokens, r.cost_micros, r.steps, r.error, r.created_at,
                  (SELECT coalesce(jsonb_agg(jsonb_build_object('agent_id', c.agent_id, 'asked_by', c.asked_by, 'question', c.question, 'answer', c.answer,
                                                                'model', c.model,
                                                                'created_at', to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ORDER BY c.id), '[]')
                   FROM agent_collaborations c
                   WHERE c.tenant_id = r.tenant_id AND c.conversation_id = r.conversation_id AND c.job_id = r.job_id) AS "collaborations!"
           FROM agent_runs r WHERE r.tenant_id = $1 AND r.conversation_id = $2 ORDER BY r.id DESC LIMIT $3 OFFSET $4"#,
        tenant.0,
        conversation.0,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}
