//! The tools of one run of an agent: which the model is offered, and what they answer.

use super::{
    base::{self, BaseTool},
    callbacks::CallbackLinks,
    check_arguments, has_nul,
    http_request::{self, HttpCall},
};
use crate::{JobContext, JobError};
use ai::{Tool, ToolCall};
use chrono::{DateTime, Utc};
use domain::{ConversationId, CustomerId, JobId, TenantId};
use platform::Secret;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use store::{
    PgConnection, StoreError,
    answering::Colleague,
    calendar_events::{self, NewCalendarEvent},
    contacts,
    retrieval::Passage,
    tickets::{self, NewTicket},
    tool_callbacks::{self, NewCallback},
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
    /// Of these tools, those that are there, active and permitted (`None`: all are).
    pub(crate) async fn of(
        conn: &mut PgConnection,
        tenant: TenantId,
        ids: &[Uuid],
        permitted: Option<&[Uuid]>,
    ) -> Result<Self, StoreError> {
        let ids: Vec<Uuid> = ids.iter().copied().filter(|id| permitted.is_none_or(|permitted| permitted.contains(id))).collect();
        let built_in = base::ALL.iter().filter(|tool| ids.contains(&tool.id) && tool.id != base::ESCALATE && !tool.needs_config);
        let mut offered: Vec<Offered> = built_in.map(Offered::built_in).collect();
        if !ids.is_empty() {
            let configured = tools::by_ids(conn, tenant, &ids).await?;
            offered.extend(configured.into_iter().filter(|tool| tool.active).map(Offered::of));
        }
        Ok(Self(offered).with_names_apart())
    }

    /// The same for an agent that talks with a customer, and may call a person and ask its colleagues.
    #[must_use]
    pub(crate) fn for_customers(mut self, colleagues: &[Colleague]) -> Self {
        self.0.extend(base::find(base::ESCALATE).map(Offered::built_in));
        self.0.extend(colleagues.iter().map(Offered::colleague));
        self.with_names_apart()
    }

    fn with_names_apart(mut self) -> Self {
        let mut taken = HashSet::new();
        for tool in &mut self.0 {
            while !taken.insert(tool.name.clone()) {
                tool.name = format!("{}_", tool.name.chars().take(MOST_NAME_CHARS - 1).collect::<String>());
            }
        }
        self
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
    fn built_in(tool: &BaseTool) -> Self {
        Self {
            name: tool.name.to_owned(),
            description: tool.description.to_owned(),
            schema: (tool.input_schema)(),
            base: tool.id,
            config: json!({}),
            secrets: Vec::new(),
            id: tool.id,
        }
    }

    fn colleague(colleague: &Colleague) -> Self {
        let speaker = &colleague.speaker;
        let name: String = format!("ask_{}", function_name(&speaker.name)).chars().take(MOST_NAME_CHARS).collect();
        let description = format!("Asks your colleague {}, who knows about this: {}", speaker.name, colleague.expertise);
        let schema = base::text_argument("question", "What you want to know, with all that is needed to answer it", 2_000);
        Self { name, description, schema, base: Uuid::nil(), config: json!({}), secrets: Vec::new(), id: speaker.id.0 }
    }

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

/// Where tools are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub conversation: ConversationId,
    pub customer: CustomerId,
    /// How often the tenant's documents have changed.
    pub knowledge_changes: Option<i64>,
    /// Tells the calls of a colleague from those of the one who asks; else empty.
    pub scope: &'a str,
}

/// The calls of one run, one after the other.
pub(crate) struct ToolRun<'a> {
    ctx: &'a JobContext,
    toolbox: &'a Toolbox,
    scene: Scene<'a>,
    /// How often each call was made: the second ticket of the same words is another ticket.
    made: HashMap<String, usize>,
}

/// A call that was looked at.
pub(crate) enum Prepared<'a> {
    /// This is what the model is told: it was done before, or cannot be.
    Said(String),
    Do(Todo<'a>),
}

/// A call that is good, and is to be made.
pub(crate) struct Todo<'a> {
    tool: &'a Offered,
    arguments: Value,
    /// Which call of the run it is.
    key: String,
}

impl Todo<'_> {
    /// The tool's id, or the colleague's.
    pub(crate) fn tool_id(&self) -> Uuid {
        self.tool.id
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        text(&self.arguments, name)
    }
}

impl<'a> ToolRun<'a> {
    pub(crate) fn new(ctx: &'a JobContext, toolbox: &'a Toolbox, scene: Scene<'a>) -> Self {
        Self { ctx, toolbox, scene, made: HashMap::new() }
    }

    /// Looks at a call. Only the database's trouble is an error; the model's own is told to the model.
    pub(crate) async fn prepare(&mut self, call: &ToolCall) -> Result<Prepared<'a>, JobError> {
        let Some(tool) = self.toolbox.find(&call.name) else {
            return Ok(Prepared::Said(format!("There is no tool {:?}.", call.name.chars().take(MOST_NAME_CHARS).collect::<String>())));
        };
        let given = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let Ok(arguments) = serde_json::from_str::<Value>(given) else {
            return Ok(Prepared::Said("The arguments are not JSON.".to_owned()));
        };
        if has_nul(&arguments) {
            return Ok(Prepared::Said("The arguments hold the character U+0000.".to_owned()));
        }
        if let Err(wrong) = check_arguments(&tool.schema, &arguments) {
            return Ok(Prepared::Said(format!("The arguments are wrong: {wrong}")));
        }
        let (ctx, job) = (self.ctx, self.job()?);
        let asked = format!("{} {arguments}", tool.id);
        let counted = self.made.entry(asked.clone()).or_default();
        *counted += 1;
        let key = format!("{}{} {asked}", self.scene.scope, *counted);
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        let before = tools::result(&mut conn, ctx.tenant, job, &key).await?;
        Ok(before.map_or(Prepared::Do(Todo { tool, arguments, key }), Prepared::Said))
    }

    /// Makes a call. What is returned is what the model is told.
    pub(crate) async fn run(&self, todo: &Todo<'_>) -> Result<String, JobError> {
        let (ctx, job, Todo { tool, arguments, key }) = (self.ctx, self.job()?, todo);
        let said = match tool.base {
            base::HTTP_REQUEST => self.http(tool, arguments, job, key).await?,
            base::KNOWLEDGE_SEARCH => return self.search(arguments).await,
            base::CUSTOMER_LOOKUP => return self.look_up().await,
            base::CREATE_TICKET | base::CREATE_CALENDAR_EVENT => return self.write(tool.base, arguments, job, key).await,
            _ => return Ok("This tool does nothing.".to_owned()),
        };
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        tools::keep_result(&mut conn, ctx.tenant, job, key, &said).await?;
        Ok(said)
    }

    fn job(&self) -> Result<JobId, JobError> {
        self.ctx.only_job().ok_or_else(|| JobError::fail("defect", "a run without a job"))
    }

    async fn http(&self, tool: &Offered, arguments: &Value, job: JobId, key: &str) -> Result<String, JobError> {
        let services = &self.ctx.services;
        let mut secrets: HashMap<String, Secret> = HashMap::new();
        for (name, sealed) in &tool.secrets {
            match services.sealing.open(&tools::secret_place(tool.id, name), sealed) {
                Ok(secret) => _ = secrets.insert(name.clone(), secret),
                Err(error) => {
                    tracing::error!(%error, tool = %tool.id, name, "a tool's secret cannot be opened");
                    return Ok("The tool is not set up: its secret cannot be opened.".to_owned());
                }
            }
        }
        let digest = xxh3_128(format!("{job} {key}").as_bytes());
        let callback = match (http_request::is_asynchronous(&tool.config), &services.agents.callbacks) {
            (true, None) => return Ok("The tool is not set up: SWITCHBOARD_ENCRYPTION_KEY is not set.".to_owned()),
            (true, Some(links)) => Some(self.expect(tool, arguments, links, Uuid::from_u128(digest)).await?),
            (false, _) => None,
        };
        let call = HttpCall {
            config: &tool.config,
            secrets: &secrets,
            arguments,
            key: &format!("{job}-{digest:032x}"),
            callback: callback.as_deref(),
        };
        let called = call.make(&services.guarded).await;
        let said = called.unwrap_or_else(|error| format!("The call failed: {error}."));
        Ok(match callback {
            Some(_) => format!("{said}\n\nThis is only the receipt: the tool's answer comes later, and you will be told then."),
            None => said,
        })
    }

    /// Notes that a tool answers later; its address for that.
    async fn expect(&self, tool: &Offered, arguments: &Value, links: &CallbackLinks, id: Uuid) -> Result<String, JobError> {
        let ctx = self.ctx;
        let new = NewCallback { id, conversation: self.scene.conversation, tool: &tool.name, arguments };
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        tool_callbacks::expect(&mut conn, ctx.tenant, &new).await?;
        Ok(links.sign(ctx.tenant, id))
    }

    async fn search(&self, arguments: &Value) -> Result<String, JobError> {
        let services = &self.ctx.services;
        let found = services
            .knowledge
            .find(&services.pool, &services.http, self.ctx.tenant, self.scene.knowledge_changes, text(arguments, "query"))
            .await?;
        if found.is_empty() {
            return Ok("Nothing was found.".to_owned());
        }
        let show = |passage: &Passage| format!("{}, page {}:\n{}", passage.document_name, passage.page, passage.content);
        Ok(found.iter().map(show).collect::<Vec<_>>().join("\n\n"))
    }

    /// The customer of this conversation, and nobody else.
    async fn look_up(&self) -> Result<String, JobError> {
        let mut conn = self.ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        let found = contacts::get(&mut conn, self.ctx.tenant, self.scene.customer).await?;
        let show = |found: contacts::Contact| json!({"name": found.name, "phone_number": found.phone_number, "email": found.email, "tags": found.tags, "known_since": found.created_at});
        Ok(found.map(show).unwrap_or_default().to_string())
    }

    /// Writes a row together with what the model is told of it, so that it is written once.
    async fn write(&self, base: Uuid, arguments: &Value, job: JobId, key: &str) -> Result<String, JobError> {
        let ctx = self.ctx;
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
        what_stands(ctx, job, key).await
    }

    async fn ticket(&self, conn: &mut PgConnection, arguments: &Value) -> Result<Result<String, String>, StoreError> {
        let priority = arguments.get("priority").and_then(Value::as_str).unwrap_or("medium");
        let new = NewTicket {
            customer: self.scene.customer.0,
            conversation: Some(self.scene.conversation.0),
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

/// What a run that was faster has kept of this call.
pub(crate) async fn what_stands(ctx: &JobContext, job: JobId, key: &str) -> Result<String, JobError> {
    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
    tools::result(&mut conn, ctx.tenant, job, key).await?.ok_or_else(|| StoreError::Stale("a tool's result").into())
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
