//! AI agents, as their tenants set them up.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{AgentId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

/// An agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub system_prompt: String,
    /// `None`: the one that the server is set up with.
    pub model: Option<String>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    pub max_tokens: Option<i32>,
    pub active: bool,
    /// Its tools: of the table `tools`, or built in.
    pub tool_ids: Vec<Uuid>,
    pub output_format_id: Option<Uuid>,
    /// The teams that it leads or is a member of.
    pub team_ids: Vec<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What an agent is like: to make one, or to put in the place of what was.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    pub name: String,
    pub description: Option<String>,
    pub system_prompt: String,
    pub model: Option<String>,
    pub temperature: Option<f32>,
    pub max_tokens: Option<i32>,
    pub active: bool,
    pub tool_ids: Vec<Uuid>,
    pub output_format_id: Option<Uuid>,
}

/// The tenant's agents, the oldest first.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, (limit, offset): (i64, i64)) -> Result<Vec<Agent>, StoreError> {
    Ok(sqlx::query_as!(
        Agent,
        r#"SELECT id, name, description, system_prompt, model, temperature, max_tokens, active, tool_ids, output_format_id, teams_of(agents) AS "team_ids!",
                created_at, updated_at FROM agents
         WHERE tenant_id = $1 ORDER BY created_at, id LIMIT $2 OFFSET $3"#,
        tenant.0,
        limit,
        offset
    )
    .fetch_all(conn)
    .await?)
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: AgentId) -> Result<Option<Agent>, StoreError> {
    Ok(sqlx::query_as!(
        Agent,
        r#"SELECT id, name, description, system_prompt, model, temperature, max_tokens, active, tool_ids, output_format_id, teams_of(agents) AS "team_ids!",
                created_at, updated_at FROM agents
         WHERE tenant_id = $1 AND id = $2"#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Those of `tenants` that have an agent which answers. One index probe for each.
pub async fn with_answering(conn: &mut PgConnection, tenants: &[TenantId]) -> Result<Vec<TenantId>, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT t.id AS "id!" FROM unnest($1::int4[]) t(id) WHERE EXISTS (SELECT FROM agents a WHERE a.tenant_id = t.id AND a.active AND may_answer(a))"#,
        &tenants.iter().map(|tenant| tenant.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(TenantId).collect())
}

/// Makes an agent. A name that is taken is a violation of `agents_tenant_id_name_key`, a format that is not there one of `agents_output_format`.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, new: &AgentSettings) -> Result<Agent, StoreError> {
    Ok(sqlx::query_as!(
        Agent,
        r#"INSERT INTO agents (tenant_id, id, name, description, system_prompt, model, temperature, max_tokens, active, tool_ids, output_format_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         RETURNING id, name, description, system_prompt, model, temperature, max_tokens, active, tool_ids, output_format_id, teams_of(agents) AS "team_ids!",
                created_at, updated_at"#,
        tenant.0,
        AgentId::generate().0,
        new.name,
        new.description,
        new.system_prompt,
        new.model,
        new.temperature,
        new.max_tokens,
        new.active,
        &new.tool_ids,
        new.output_format_id
    )
    .fetch_one(conn)
    .await?)
}

/// Puts settings in the place of what was. `None`: there is no such agent. A name that is taken: see [`create`].
pub async fn replace(conn: &mut PgConnection, tenant: TenantId, id: AgentId, with: &AgentSettings) -> Result<Option<Agent>, StoreError> {
    Ok(sqlx::query_as!(
        Agent,
        r#"UPDATE agents SET name = $3, description = $4, system_prompt = $5, model = $6, temperature = $7, max_tokens = $8, active = $9, tool_ids = $10,
                output_format_id = $11, updated_at = now()
         WHERE tenant_id = $1 AND id = $2
         RETURNING id, name, description, system_prompt, model, temperature, max_tokens, active, tool_ids, output_format_id, teams_of(agents) AS "team_ids!",
                created_at, updated_at"#,
        tenant.0,
        id.0,
        with.name,
        with.description,
        with.system_prompt,
        with.model,
        with.temperature,
        with.max_tokens,
        with.active,
        &with.tool_ids,
        with.output_format_id
    )
    .fetch_optional(conn)
    .await?)
}

/// Deletes an agent. False: there is none. One that leads a team is a violation of `agent_teams_lead`.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: AgentId) -> Result<bool, StoreError> {
    let result = sqlx::query!("DELETE FROM agents WHERE tenant_id = $1 AND id = $2", tenant.0, id.0).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}
