//! The tools of one run of an agent: which the model is offered, and what they answer.

use super::{base, check_arguments, http_request};
use crate::{JobContext, JobError};
use ai::{Tool, ToolCall};
use chrono::{DateTime, Utc};
use domain::{ConversationId, CustomerId};
use platform::Secret;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use store::{
    PgConnection, StoreError,
    agents::Agent,
    calendar_events::{self, NewCalendarEvent},
    contacts,
    retrieval::Passage,
    tenant_admin,
    tickets::{self, NewTicket},
    tools::{self, ConfiguredTool},
};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

/// Letters of a tool's name that models take.
const MOST_NAME_CHARS: usize = 64;

/// The tools that an agent may use.
#[derive(Debug, Default)]
pub(crate) struct Toolbox(Vec<Offered>);

#[derive(Debug)]
struct Offered {
    name: String,
    description: String,
    schema: Value,
    base: Uuid,
    config: Value,
    /// Sealed.
    secrets: Vec<(String, String)>,
    id: Uuid,
}

impl Toolbox {
    /// The agent's tools that are there, active and permitted, and the one that calls a person, which every agent has.
    pub(crate) async fn of(ctx: &JobContext, conn: &mut PgConnection, agent: &Agent) -> Result<Self, StoreError> {
        let permitted = tenant_admin::permissions(conn, ctx.tenant).await?.tool_ids;
        let may = |id: &Uuid| permitted.as_ref().is_none_or(|permitted| permitted.contains(id));
        let ids: Vec<Uuid> = agent.tool_ids.iter().copied().filter(may).collect();
        let built_in = base::ALL.iter().filter(|tool| tool.id == base::ESCALATE || ids.contains(&tool.id) && !tool.needs_config);
        let mut offered: Vec<Offered> = built_in
            .map(|tool| Offered {
                name: tool.name.to_owned(),
                description: tool.description.to_owned(),
                schema: (tool.input_schema)(),
                base: tool.id,
                config: json!({}),
                secrets: Vec::new(),
                id: tool.id,
            })
            .collect();
        if !ids.is_empty() {
            let configured = tools::by_ids(conn, ctx.tenant, &ids).await?;
            offered.extend(configured.into_iter().filter(|tool| tool.active).map(Offered::of));
        }
        let mut taken = HashSet::new();
        for tool in &mut offered {
            while !taken.insert(tool.name.clone()) {
                tool.name = format!("{}_", tool.name.chars().take(MOST_NAME_CHARS - 1).collect::<String>());
            }
        }
        Ok(Self(offered))
    }

    /// As models are told of them.
    pub(crate) fn offered(&self) -> Vec<Tool> {
        let tool =
            |tool: &Offered| Tool { name: tool.name.clone(), description: tool.description.clone(), parameters: tool.schema.clone() };
        self.0.iter().map(tool).collect()
    }

    fn find(&self, name: &str) -> Option<&Offered> {
        self.0.iter().find(|tool| tool.name == name)
    }

    /// Does this call ask for a person?
    pub(crate) fn is_escalation(&self, call: &ToolCall) -> bool {
        self.find(&call.name).is_some_and(|tool| tool.base == base::ESCALATE)
    }
}

impl Offered {
    fn of(tool: ConfiguredTool) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sealed = tool.secrets.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
        Self {
            name: function_name(&tool.name),
            description: tool.description,
            schema: tool.input_schema,
            base: tool.base_tool_id,
            config: tool.config,
            secrets: sealed.collect(),
            id: tool.id,
        }
    }
}

/// A name as models take it (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools>).
fn function_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '_' };
    name.trim().chars().map(plain).take(MOST_NAME_CHARS).collect()
}

/// The calls of one run, one after the other.
pub(crate) struct ToolRun<'a> {
    ctx: &'a JobContext,
    toolbox: &'a Toolbox,
    conversation: ConversationId,
    customer: CustomerId,
    /// How often each call was made: the second ticket of the same words is another ticket.
    made: HashMap<String, usize>,
}

impl<'a> ToolRun<'a> {
    pub(crate) fn new(ctx: &'a JobContext, toolbox: &'a Toolbox, conversation: ConversationId, customer: CustomerId) -> Self {
        Self { ctx, toolbox, conversation, customer, made: HashMap::new() }
    }

    /// What the model is told. Only the database's trouble is an error; the tool's own is told to the model.
    pub(crate) async fn call(&mut self, call: &ToolCall) -> Result<String, JobError> {
        let Some(tool) = self.toolbox.find(&call.name) else {
            return Ok(format!("There is no tool {:?}.", call.name.chars().take(MOST_NAME_CHARS).collect::<String>()));
        };
        let given = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let Ok(arguments) = serde_json::from_str::<Value>(given) else { return Ok("The arguments are not JSON.".to_owned()) };
        if let Err(wrong) = check_arguments(&tool.schema, &arguments) {
            return Ok(format!("The arguments are wrong: {wrong}"));
        }
        let (ctx, Some(job)) = (self.ctx, self.ctx.only_job()) else { return Err(JobError::fail("defect", "a run without a job")) };
        let asked = format!("{} {arguments}", tool.id);
        let counted = self.made.entry(asked.clone()).or_default();
        *counted += 1;
        let times = *counted;
        let key = format!("{times} {asked}");
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        if let Some(before) = tools::result(&mut conn, ctx.tenant, job, &key).await? {
            return Ok(before);
        }
        drop(conn);
        let said = match tool.base {
            base::HTTP_REQUEST => self.http(tool, &arguments, &format!("{job}-{:032x}", xxh3_128(key.as_bytes()))).await,
            base::KNOWLEDGE_SEARCH => return self.search(&arguments).await,
            base::CUSTOMER_LOOKUP => return self.look_up().await,
            base::CREATE_TICKET | base::CREATE_CALENDAR_EVENT => return self.write(tool.base, &arguments, &key).await,
            _ => return Ok("This tool does nothing.".to_owned()),
        };
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        tools::keep_result(&mut conn, ctx.tenant, job, &key, &said).await?;
        Ok(said)
    }

    async fn http(&self, tool: &Offered, arguments: &Value, key: &str) -> String {
        let services = &self.ctx.services;
        let mut secrets: HashMap<String, Secret> = HashMap::new();
        for (name, sealed) in &tool.secrets {
            match services.sealing.open(&tools::secret_place(tool.id, name), sealed) {
                Ok(secret) => _ = secrets.insert(name.clone(), secret),
                Err(error) => {
                    tracing::error!(%error, tool = %tool.id, name, "a tool's secret cannot be opened");
                    return "The tool is not set up: its secret cannot be opened.".to_owned();
                }
            }
        }
        let called = http_request::call(&services.guarded, &tool.config, &secrets, arguments, key).await;
        called.unwrap_or_else(|error| format!("The call failed: {error}."))
    }

    async fn search(&self, arguments: &Value) -> Result<String, JobError> {
        let services = &self.ctx.services;
        let found = services.knowledge.find(&services.pool, &services.http, self.ctx.tenant, text(arguments, "query")).await?;
        if found.is_empty() {
            return Ok("Nothing was found.".to_owned());
        }
        let show = |passage: &Passage| format!("{}, page {}:\n{}", passage.document_name, passage.page, passage.content);
        Ok(found.iter().map(show).collect::<Vec<_>>().join("\n\n"))
    }

    /// The customer of this conversation, and nobody else.
    async fn look_up(&self) -> Result<String, JobError> {
        let mut conn = self.ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        let found = contacts::get(&mut conn, self.ctx.tenant, self.customer).await?;
        let show = |found: contacts::Contact| json!({"name": found.name, "phone_number": found.phone_number, "email": found.email, "tags": found.tags, "known_since": found.created_at});
        Ok(found.map(show).unwrap_or_default().to_string())
    }

    /// Writes a row together with what the model is told of it, so that it is written once.
    async fn write(&self, base: Uuid, arguments: &Value, key: &str) -> Result<String, JobError> {
        let (ctx, Some(job)) = (self.ctx, self.ctx.only_job()) else { return Err(JobError::fail("defect", "a run without a job")) };
        let mut tx = ctx.begin().await?;
        let written =
            if base == base::CREATE_TICKET { self.ticket(&mut tx, arguments).await? } else { self.event(&mut tx, arguments).await? };
        let said = match written {
            Ok(said) => said,
            Err(wrong) => return Ok(wrong),
        };
        if tools::keep_result(&mut tx, ctx.tenant, job, key, &said).await? {
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(said);
        }
        // Another run of this job was faster, one that is taken for dead: what it wrote stands, and this is undone.
        tx.rollback().await.map_err(StoreError::from)?;
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        tools::result(&mut conn, ctx.tenant, job, key).await?.ok_or_else(|| StoreError::Stale("a tool's result").into())
    }

    async fn ticket(&self, conn: &mut PgConnection, arguments: &Value) -> Result<Result<String, String>, StoreError> {
        let priority = arguments.get("priority").and_then(Value::as_str).unwrap_or("medium");
        let new = NewTicket {
            customer: self.customer.0,
            conversation: Some(self.conversation.0),
            subject: text(arguments, "subject"),
            description: arguments.get("description").and_then(Value::as_str),
            priority,
            status: "open",
            assigned_to: None,
            due_at: None,
            created_by: None,
        };
        let number = tickets::create(conn, self.ctx.tenant, &new).await?;
        Ok(Ok(format!("Ticket {number} was made.")))
    }

    async fn event(&self, conn: &mut PgConnection, arguments: &Value) -> Result<Result<String, String>, StoreError> {
        let time = |name: &str| DateTime::parse_from_rfc3339(text(arguments, name)).ok().map(|time| time.with_timezone(&Utc));
        let (Some(start_time), Some(end_time)) = (time("start_time"), time("end_time")) else {
            return Ok(Err("The times must be like 2026-11-27T10:00:00Z.".to_owned()));
        };
        if end_time < start_time {
            return Ok(Err("It would end before it starts.".to_owned()));
        }
        let description = arguments.get("description").and_then(Value::as_str);
        let new = NewCalendarEvent { title: text(arguments, "title"), description, start_time, end_time, created_by: None, ticket: None };
        let number = calendar_events::create(conn, self.ctx.tenant, &new).await?;
        Ok(Ok(format!("Appointment {number} was made.")))
    }
}

fn text<'a>(arguments: &'a Value, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_models_take() {
        assert_eq!(function_name(" Order status (new) "), "order_status__new_");
        assert_eq!(function_name(&"x".repeat(100)).len(), 64);
    }
}
