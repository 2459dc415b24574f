//! Tools, as the agent platform shows them: those that are built in, and the tenant's own configurations of them.

use crate::{prelude::*, request};
use jobs::agent_tools::{
    base::{self, BaseTool},
    check_config, check_schema,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use store::{
    StoreError, audit,
    tools::{self, ConfiguredTool, ToolSettings},
};
use uuid::Uuid;

/// Of a configuration and of a schema, as JSON.
const MOST_JSON_BYTES: usize = 32 * 1024;
const MOST_SECRETS: usize = 20;

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolView {
    id: Uuid,
    /// The built-in tool that it configures; of a built-in one its own id.
    base_tool_id: Uuid,
    name: String,
    description: String,
    #[salvo(schema(value_type = Object))]
    config: Value,
    /// Which secrets it has. Their values are never shown.
    secret_names: Vec<String>,
    #[salvo(schema(value_type = Object))]
    input_schema: Value,
    is_active: bool,
    /// It is built in, and cannot be changed.
    is_base: bool,
    created_at: Option<Time>,
    updated_at: Option<Time>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ToolsQuery {
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// A tool to make, or what to change of one: absent fields stay. `name` is required to make one.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "Order status", "description": "Tells where an order is", "config": {"url": "https://api.company.com/orders/{order}",
    "headers": {"authorization": "Bearer {{api_key}}"}}, "secrets": {"api_key": "s3cret"},
    "input_schema": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}})))]
pub(super) struct ToolBody {
    /// `http_request` unless given.
    base_tool_id: Option<Uuid>,
    #[salvo(schema(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// What the model is told of it.
    #[salvo(schema(max_length = 1_000))]
    description: Option<String>,
    /// Of `http_request`: `{url, method, headers, asynchronous}`. `{name}` in the address stands for an argument, `{{name}}` in a header for a secret; other arguments go into
    /// the query of GET and DELETE, else into the body. With `asynchronous` the call carries an address (`X-Callback-Url`, and `callback_url` in a body) at which
    /// the answer is posted as JSON within a day.
    #[salvo(schema(value_type = Option<Object>))]
    config: Option<Value>,
    /// By name; null takes one away. They are kept sealed and never shown.
    #[salvo(schema(value_type = Option<Object>))]
    secrets: Option<BTreeMap<String, Option<String>>>,
    /// A JSON Schema of the arguments: calls that do not fit are told so to the model and go nowhere.
    #[salvo(schema(value_type = Option<Object>))]
    input_schema: Option<Value>,
    /// True unless given.
    is_active: Option<bool>,
}

impl From<ConfiguredTool> for ToolView {
    fn from(row: ConfiguredTool) -> Self {
        Self {
            id: row.id,
            base_tool_id: row.base_tool_id,
            name: row.name,
            description: row.description,
            config: row.config,
            secret_names: row.secrets.as_object().map(|secrets| secrets.keys().cloned().collect()).unwrap_or_default(),
            input_schema: row.input_schema,
            is_active: row.active,
            is_base: false,
            created_at: Some(Time(row.created_at)),
            updated_at: Some(Time(row.updated_at)),
        }
    }
}

impl From<&BaseTool> for ToolView {
    fn from(tool: &BaseTool) -> Self {
        Self {
            id: tool.id,
            base_tool_id: tool.id,
            name: tool.name.to_owned(),
            description: tool.description.to_owned(),
            config: json!({}),
            secret_names: Vec::new(),
            input_schema: (tool.input_schema)(),
            is_active: true,
            is_base: true,
            created_at: None,
            updated_at: None,
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Tool")
}

fn taken(error: StoreError) -> ApiError {
    match error.violated() {
        Some("tools_tenant_id_name_key") => ApiError::conflict("taken", "There is a tool of this name already"),
        _ => error.into(),
    }
}

/// What the tool is to be like; what is not given is as it was `before`.
fn settings(app: &App, id: Uuid, body: ToolBody, before: Option<&ConfiguredTool>) -> Result<ToolSettings, ApiError> {
    let mut fields = Fields::default();
    let base_id = body.base_tool_id.or_else(|| before.map(|tool| tool.base_tool_id)).unwrap_or(base::HTTP_REQUEST);
    let built_in = fields.need(base::find(base_id), "base_tool_id", "is no built-in tool: GET /api/admin/tools lists them");
    let name = body.name.map(|name| fields.text(&name, "name", 100)).or_else(|| before.map(|tool| tool.name.clone()));
    let name = fields.need(name, "name", "is required");
    fields.at_most(body.description.as_deref(), "description", 1_000);
    let own = || built_in.map(|tool| tool.description.to_owned());
    let description =
        body.description.filter(|text| !text.trim().is_empty()).or_else(|| before.map(|tool| tool.description.clone())).or_else(own);
    let config = body.config.or_else(|| before.map(|tool| tool.config.clone())).unwrap_or_else(|| json!({}));
    let is_small = |value: &Value| value.to_string().len() <= MOST_JSON_BYTES;
    let checked = match base_id {
        base::HTTP_REQUEST => check_config(&config),
        _ if config.as_object().is_some_and(Map::is_empty) => Ok(()),
        _ => Err("must be {}: this tool has nothing to configure".to_owned()),
    };
    if let Err(wrong) = checked {
        fields.wrong("config", wrong);
    }
    let given = body.input_schema.filter(|schema| !schema.as_object().is_some_and(Map::is_empty));
    let usual = || built_in.map_or_else(|| json!({"type": "object"}), |tool| (tool.input_schema)());
    let input_schema = given.or_else(|| before.map(|tool| tool.input_schema.clone())).unwrap_or_else(usual);
    if let Err(wrong) = check_schema(&input_schema) {
        fields.wrong("input_schema", wrong);
    }
    fields.check(is_small(&config) && is_small(&input_schema), "config", "and input_schema must have at most 32 KiB each");
    let mut secrets = before.and_then(|tool| tool.secrets.as_object().cloned()).unwrap_or_default();
    for (secret, value) in body.secrets.unwrap_or_default() {
        let is_name = (1..=64).contains(&secret.len()) && secret.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_good = is_name && value.as_ref().is_none_or(|value| (1..=4_096).contains(&value.len()) && !value.contains(['\r', '\n']));
        fields.check(is_good, "secrets", "must be texts of 1 to 4096 characters by names of letters, digits and _");
        match value {
            Some(value) if is_good => {
                let sealed = app.sealing.seal(&tools::secret_place(id, &secret), &value)?;
                secrets.insert(secret, Value::String(sealed));
            }
            _ => _ = secrets.remove(&secret),
        }
    }
    fields.check(secrets.len() <= MOST_SECRETS, "secrets", "must be at most 20");
    fields.finish()?;
    Ok(ToolSettings {
        base_tool_id: base_id,
        name: name.unwrap_or_default(),
        description: description.unwrap_or_default(),
        config,
        secrets: Value::Object(secrets),
        input_schema,
        active: body.is_active.unwrap_or_else(|| before.is_none_or(|tool| tool.active)),
    })
}

/// List tools
///
/// For owners and admins: those that are built in, then the tenant's own, the oldest first.
#[endpoint]
pub(super) async fn list_tools(app: App, caller: Admin, query: Query<ToolsQuery>) -> Result<Ok200<Vec<ToolView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let own = tools::list(&mut tx, caller.tenant, page).await?;
    let built_in: &[BaseTool] = if page.1 == 0 { &base::ALL } else { &[] };
    Ok200::new(&built_in.iter().map(ToolView::from).chain(own.into_iter().map(ToolView::from)).collect())
}

/// Read a tool
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_tool(app: App, caller: Admin, tool_id: Path<Uuid>) -> Result<Ok200<ToolView>, ApiError> {
    let Admin(caller) = caller;
    if let Some(tool) = base::find(tool_id.0) {
        return Ok200::new(&ToolView::from(tool));
    }
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let tool = tools::by_ids(&mut tx, caller.tenant, &[tool_id.0]).await?.pop().ok_or_else(not_found)?;
    Ok200::new(&ToolView::from(tool))
}

/// Make a tool
///
/// By owners and admins. Agents that list its id in `tool_ids` may use it.
#[endpoint]
pub(super) async fn post_tool(app: App, caller: Admin, body: Body<ToolBody>, key: RequestKey) -> Result<Created<ToolView>, ApiError> {
    let (Admin(caller), Body(body), id) = (caller, body, Uuid::now_v7());
    let new = settings(&app, id, body, None)?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let tool = tools::create(&mut work, caller.tenant, id, &new).await.map_err(taken)?;
    audit::note(&mut work, caller.tenant, &caller.act("tool.create", tool.id)).await?;
    work.answer(&ToolView::from(tool)).await
}

/// Change a tool
///
/// By owners and admins. It counts from the next answer on.
#[endpoint]
pub(super) async fn put_tool(app: App, caller: Admin, tool_id: Path<Uuid>, body: Body<ToolBody>) -> Result<Ok200<ToolView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let before = tools::by_ids(&mut tx, caller.tenant, &[tool_id.0]).await?.pop().ok_or_else(not_found)?;
    let with = settings(&app, before.id, body, Some(&before))?;
    let tool = tools::replace(&mut tx, caller.tenant, before.id, &with).await.map_err(taken)?.ok_or_else(not_found)?;
    audit::note(&mut tx, caller.tenant, &caller.act("tool.update", tool.id)).await?;
    tx.commit().await?;
    Ok200::new(&ToolView::from(tool))
}

/// Delete a tool
///
/// By owners and admins. Agents that had it go on without it.
#[endpoint]
pub(super) async fn delete_tool(app: App, caller: Admin, tool_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !tools::delete(&mut tx, caller.tenant, tool_id.0).await? {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("tool.delete", tool_id.0)).await?;
    tx.commit().await?;
    Ok(NoContent)
}
