//! Agents, as the agent platform shows them.

use crate::{prelude::*, request};
use domain::AgentId;
use jobs::agent_tools::base;
use store::{
    PgConnection,
    agents::{self, Agent, AgentSettings},
    audit, tools,
};
use uuid::Uuid;

/// An agent. The oldest active one answers customers when no person does.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentView {
    id: Uuid,
    name: String,
    description: Option<String>,
    system_prompt: String,
    /// Null: the model that the server is set up with.
    model: Option<String>,
    temperature: Option<f32>,
    max_tokens: Option<i32>,
    is_active: bool,
    /// Built-in tools, or the tenant's own; `GET /api/admin/tools` lists them. Every agent can call a person.
    tool_ids: Vec<Uuid>,
    /// How its answers must look; null: as it likes.
    output_format_id: Option<Uuid>,
    /// The teams that it leads or is a member of.
    team_ids: Vec<Uuid>,
    created_at: Time,
    updated_at: Time,
}

/// A page of a list.
#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct PageQuery {
    #[salvo(parameter(minimum = 1))]
    pub limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    pub offset: Option<i64>,
}

/// An agent to make, or what to change of one: absent fields stay as they are, null takes away. `name` and `system_prompt` are required to make one.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "Front desk", "description": "Answers first", "system_prompt": "You answer questions about our opening hours."})))]
pub(super) struct AgentBody {
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: Option<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 2_000))]
    description: Patch<String>,
    /// What the model is told before the conversation.
    #[salvo(schema(min_length = 1, max_length = 20_000))]
    system_prompt: Option<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, min_length = 1, max_length = 200))]
    model: Patch<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<f32>, minimum = 0, maximum = 2))]
    temperature: Patch<f32>,
    /// The most tokens of an answer.
    #[serde(default)]
    #[salvo(schema(value_type = Option<i32>, minimum = 1, maximum = 32_000))]
    max_tokens: Patch<i32>,
    /// True unless given.
    is_active: Option<bool>,
    tool_ids: Option<Vec<Uuid>>,
    /// `GET /api/admin/output-formats` lists them.
    #[serde(default)]
    #[salvo(schema(value_type = Option<Uuid>))]
    output_format_id: Patch<Uuid>,
}

/// What was read again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    agents: usize,
}

const MOST_TOKENS: i32 = 32_000;
const MOST_TOOLS: usize = 50;

impl From<&Agent> for AgentView {
    fn from(row: &Agent) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            description: row.description.clone(),
            system_prompt: row.system_prompt.clone(),
            model: row.model.clone(),
            temperature: row.temperature,
            max_tokens: row.max_tokens,
            is_active: row.active,
            tool_ids: row.tool_ids.clone(),
            output_format_id: row.output_format_id,
            team_ids: row.team_ids.clone(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Agent")
}

fn taken(error: store::StoreError) -> ApiError {
    match error.violated() {
        Some("agents_tenant_id_name_key") => ApiError::conflict("taken", "There is an agent of this name already"),
        Some("agents_output_format") => ApiError::invalid_field("output_format_id", "is no output format of this tenant"),
        Some("agent_teams_lead") => ApiError::conflict("in_use", "It leads a team: give that another lead first"),
        _ => error.into(),
    }
}

/// What the agent is to be like; what is not given is as it was `before`.
fn settings(body: AgentBody, before: Option<&Agent>) -> Result<AgentSettings, ApiError> {
    let mut fields = Fields::default();
    let name = body.name.map(|name| fields.text(&name, "name", 200)).or_else(|| before.map(|agent| agent.name.clone()));
    let prompt = body.system_prompt.map(|prompt| fields.text(&prompt, "system_prompt", 20_000));
    let prompt = prompt.or_else(|| before.map(|agent| agent.system_prompt.clone()));
    let name = fields.need(name, "name", "is required");
    let prompt = fields.need(prompt, "system_prompt", "is required");
    let description = body.description.or_before(before.and_then(|agent| agent.description.clone()));
    fields.at_most(description.as_deref(), "description", 2_000);
    let model = body.model.map(|model| fields.text(&model, "model", 200)).or_before(before.and_then(|agent| agent.model.clone()));
    let temperature = body.temperature.or_before(before.and_then(|agent| agent.temperature));
    fields.check(temperature.is_none_or(|degree| (0.0..=2.0).contains(&degree)), "temperature", "must be from 0 to 2");
    let max_tokens = body.max_tokens.or_before(before.and_then(|agent| agent.max_tokens));
    fields.check(max_tokens.is_none_or(|most| (1..=MOST_TOKENS).contains(&most)), "max_tokens", "must be from 1 to 32000");
    fields.check(body.tool_ids.as_ref().is_none_or(|ids| ids.len() <= MOST_TOOLS), "tool_ids", "must be at most 50");
    fields.finish()?;
    Ok(AgentSettings {
        name: name.unwrap_or_default(),
        description,
        system_prompt: prompt.unwrap_or_default(),
        model,
        temperature,
        max_tokens,
        active: body.is_active.unwrap_or_else(|| before.is_none_or(|agent| agent.active)),
        tool_ids: body.tool_ids.or_else(|| before.map(|agent| agent.tool_ids.clone())).unwrap_or_default(),
        output_format_id: body.output_format_id.or_before(before.and_then(|agent| agent.output_format_id)),
    })
}

/// Every one of them is there.
async fn must_be_tools(conn: &mut PgConnection, caller: &Caller, ids: &[Uuid]) -> Result<(), ApiError> {
    let own: Vec<Uuid> = ids.iter().copied().filter(|id| base::find(*id).is_none()).collect();
    let known: Vec<Uuid> = tools::by_ids(conn, caller.tenant, &own).await?.into_iter().map(|tool| tool.id).collect();
    match own.iter().find(|id| !known.contains(id)) {
        Some(id) => Err(ApiError::invalid_field("tool_ids", format!("holds {id}, which is no tool of this tenant"))),
        None => Ok(()),
    }
}

/// List agents
///
/// For owners and admins; the oldest first.
#[endpoint]
pub(super) async fn list_agents(app: App, caller: Admin, query: Query<PageQuery>) -> Result<Ok200<Vec<AgentView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&agents::list(&mut tx, caller.tenant, page).await?.iter().map(AgentView::from).collect())
}

/// Read an agent
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_agent(app: App, caller: Admin, agent_id: Path<Uuid>) -> Result<Ok200<AgentView>, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let agent = agents::get(&mut tx, caller.tenant, AgentId(agent_id.0)).await?.ok_or_else(not_found)?;
    Ok200::new(&AgentView::from(&agent))
}

/// Make an agent
///
/// By owners and admins.
#[endpoint]
pub(super) async fn post_agent(app: App, caller: Admin, body: Body<AgentBody>, key: RequestKey) -> Result<Created<AgentView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let new = settings(body, None)?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    must_be_tools(&mut work, &caller, &new.tool_ids).await?;
    let agent = agents::create(&mut work, caller.tenant, &new).await.map_err(taken)?;
    audit::note(&mut work, caller.tenant, &caller.act("agent.create", agent.id)).await?;
    work.answer(&AgentView::from(&agent)).await
}

/// Change an agent
///
/// By owners and admins. It counts from the next answer on.
#[endpoint]
pub(super) async fn put_agent(app: App, caller: Admin, agent_id: Path<Uuid>, body: Body<AgentBody>) -> Result<Ok200<AgentView>, ApiError> {
    let (Admin(caller), Body(body), id) = (caller, body, AgentId(agent_id.0));
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let before = agents::get(&mut tx, caller.tenant, id).await?.ok_or_else(not_found)?;
    let changes_tools = body.tool_ids.is_some();
    let with = settings(body, Some(&before))?;
    if changes_tools {
        must_be_tools(&mut tx, &caller, &with.tool_ids).await?;
    }
    let agent = agents::replace(&mut tx, caller.tenant, id, &with).await.map_err(taken)?.ok_or_else(not_found)?;
    audit::note(&mut tx, caller.tenant, &caller.act("agent.update", id)).await?;
    tx.commit().await?;
    Ok200::new(&AgentView::from(&agent))
}

/// Delete an agent
///
/// By owners and admins. What it said stays.
#[endpoint]
pub(super) async fn delete_agent(app: App, caller: Admin, agent_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let (Admin(caller), id) = (caller, AgentId(agent_id.0));
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !agents::delete(&mut tx, caller.tenant, id).await.map_err(taken)? {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("agent.delete", id)).await?;
    tx.commit().await?;
    Ok(NoContent)
}

/// Reload the agents
///
/// For owners and admins. Agents are read anew for every answer, so there is nothing to wait for; it answers how many there are.
#[endpoint]
pub(super) async fn reload_cache(app: App, caller: Admin) -> Result<Ok200<Reloaded>, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&Reloaded { agents: agents::list(&mut tx, caller.tenant, (i64::from(u16::MAX), 0)).await?.len() })
}
