//! What agents did in a session: their runs, with the tools they used and whom they asked.

use super::agents::PageQuery;
use crate::{prelude::*, request};
use domain::ConversationId;
use serde_json::Value;
use store::{
    agent_runs::{self, RunDetails},
    chat_sessions,
};
use uuid::Uuid;

/// A run of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunView {
    id: Uuid,
    agent_id: Uuid,
    /// Its answer, if it went out.
    message_id: Option<Uuid>,
    /// `replied`, `escalated`: it called a person, `overtaken`: a person was faster, `failed`, `handed_over`: to the agent service, `abandoned`: nobody waited for
    /// the answer any more.
    outcome: String,
    model: Option<String>,
    prompt_tokens: i32,
    completion_tokens: i32,
    /// In dollars.
    cost: f64,
    /// The tools that it used, `[{tool, arguments, result}]`, each cut short.
    #[salvo(schema(value_type = Vec<Object>))]
    steps: Value,
    /// What it asked its colleagues, `[{agent_id, asked_by, question, answer, model, created_at}]`.
    #[salvo(schema(value_type = Vec<Object>))]
    collaborations: Value,
    error: Option<String>,
    created_at: Time,
}

impl From<RunDetails> for RunView {
    fn from(row: RunDetails) -> Self {
        Self {
            id: row.id,
            agent_id: row.agent_id,
            message_id: row.message_id,
            outcome: row.outcome,
            model: row.model,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            cost: super::model::dollars(row.cost_micros),
            steps: row.steps,
            collaborations: row.collaborations,
            error: row.error,
            created_at: Time(row.created_at),
        }
    }
}

/// List what agents did in a session
///
/// For owners and admins; the newest first.
#[endpoint]
pub(super) async fn list_runs(
    app: App,
    caller: Admin,
    session_id: Path<Uuid>,
    query: Query<PageQuery>,
) -> Result<Ok200<Vec<RunView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let session = chat_sessions::get(&mut tx, caller.tenant, ConversationId(session_id.0)).await?;
    let session = session.ok_or_else(|| ApiError::not_found("Session"))?;
    let rows = agent_runs::list(&mut tx, caller.tenant, ConversationId(session.id), page).await?;
    Ok200::new(&rows.into_iter().map(RunView::from).collect())
}
