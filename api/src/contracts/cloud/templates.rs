//! WhatsApp message templates.

mod components;

use super::{
    dialect::Success,
    wire::{Page, Pagination},
};
use crate::prelude::*;
use domain::{ChannelType, TemplateId};
use jobs::queue;
use serde_json::Value;
use std::collections::HashSet;
use store::{
    audit, channels, ledger,
    templates::{self, NewTemplate, Template, TemplateFilter},
};
use uuid::Uuid;

/// A template.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TemplateView {
    id: Uuid,
    name: String,
    language: String,
    category: Category,
    status: Status,
    /// Meta's id, once it has one.
    external_id: Option<String>,
    #[salvo(schema(value_type = Vec<Object>))]
    components: Value,
    rejected_reason: Option<String>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Templates {
    templates: Vec<TemplateView>,
    pagination: Pagination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Category {
    Marketing,
    Utility,
    Authentication,
}

/// Meta's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Pending,
    Approved,
    Rejected,
    Paused,
    Disabled,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct TemplatesQuery {
    #[salvo(parameter(minimum = 1))]
    page: Option<i64>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    name: Option<String>,
    status: Option<Status>,
    category: Option<Category>,
}

/// A template to make.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "welcome_message", "category": "MARKETING", "language": "en", "components": [{"type": "HEADER", "format": "TEXT", "text": "Welcome!"}, {"type": "BODY", "text": "Hello {{1}}, welcome to our service!"}]})))]
pub(super) struct TemplateBody {
    /// Lower-case letters, digits and underscores.
    #[salvo(schema(pattern = "^[a-z0-9_]{1,512}$"))]
    name: String,
    category: Category,
    /// For example `en` or `pt_BR`.
    #[salvo(schema(pattern = "^[a-z]{2,3}(_[A-Z]{2,4})?$"))]
    language: String,
    /// Exactly one BODY, at most one HEADER, FOOTER and BUTTONS.
    #[salvo(schema(value_type = Vec<Object>, min_items = 1, max_items = 4))]
    components: Vec<Value>,
}

impl Category {
    fn stored(self) -> &'static str {
        match self {
            Self::Marketing => "MARKETING",
            Self::Utility => "UTILITY",
            Self::Authentication => "AUTHENTICATION",
        }
    }
}

impl Status {
    fn stored(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Rejected => "REJECTED",
            Self::Paused => "PAUSED",
            Self::Disabled => "DISABLED",
        }
    }
}

impl From<&Template> for TemplateView {
    fn from(row: &Template) -> Self {
        let category = match row.category.as_str() {
            "MARKETING" => Category::Marketing,
            "AUTHENTICATION" => Category::Authentication,
            _ => Category::Utility,
        };
        let status = match row.status.as_str() {
            "APPROVED" => Status::Approved,
            "REJECTED" => Status::Rejected,
            "PAUSED" => Status::Paused,
            "DISABLED" => Status::Disabled,
            _ => Status::Pending,
        };
        Self {
            id: row.id,
            name: row.name.clone(),
            language: row.language.clone(),
            category,
            status,
            external_id: row.external_id.clone(),
            components: row.components.clone(),
            rejected_reason: row.rejected_reason.clone(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Template")
}

/// List templates
#[endpoint]
pub(super) async fn list_templates(app: App, caller: Caller, query: Query<TemplatesQuery>) -> Result<Ok200<Success<Templates>>, ApiError> {
    let Query(query) = query;
    let page = Page::of(query.page, query.limit)?;
    let filter = TemplateFilter {
        name: query.name.as_deref(),
        status: query.status.map(Status::stored),
        category: query.category.map(Category::stored),
    };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let (rows, total) = templates::list(&mut tx, caller.tenant, filter, (page.limit, page.offset)).await?;
    Ok200::new(&Success::new(Templates {
        templates: rows.iter().map(TemplateView::from).collect(),
        pagination: Pagination::new(&page, total),
    }))
}

/// Read a template
#[endpoint]
pub(super) async fn get_template(app: App, caller: Caller, id: Path<Uuid>) -> Result<Ok200<Success<TemplateView>>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let row = templates::get(&mut tx, caller.tenant, TemplateId(id.0)).await?.ok_or_else(not_found)?;
    Ok200::new(&Success::new((&row).into()))
}

/// Make a template
///
/// By owners and admins. It is submitted to Meta if a WhatsApp channel is set up with a `businessAccountId`, and PENDING until Meta has decided;
/// `rejectedReason` says why it was rejected, or why it could not be submitted.
#[endpoint]
pub(super) async fn post_template(
    app: App,
    caller: Admin,
    body: Body<TemplateBody>,
    key: RequestKey,
) -> Result<Created<Success<TemplateView>>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut fields = Fields::default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    fields.check(
        (1..=512).contains(&body.name.len()) && body.name.chars().all(plain),
        "name",
        "must be of lower-case letters, digits and underscores",
    );
    fields.check(is_language(&body.language), "language", "must be a language code like en or pt_BR");
    components::check(&body.components, &mut fields);
    fields.finish()?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let components = Value::Array(body.components);
    let new = NewTemplate {
        name: &body.name,
        language: &body.language,
        category: body.category.stored(),
        components: &components,
        created_by: caller.user,
    };
    let row = templates::create(&mut work, caller.tenant, new).await.map_err(|error| match error.violated() {
        Some("message_templates_tenant_id_name_language_key") => {
            ApiError::conflict("taken", "There is a template of this name and language already")
        }
        _ => error.into(),
    })?;
    audit::note(&mut work, caller.tenant, &caller.act("template.create", row.id)).await?;
    ledger::enqueue(&mut work, &[jobs::templates::submission(caller.tenant, TemplateId(row.id))]).await?;
    let reply = work.answer(&Success::new(TemplateView::from(&row))).await?;
    app.waker.ring(queue::CHORES.name, [caller.tenant]);
    Ok(reply)
}

/// How many accounts are asked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Synchronizing {
    accounts: usize,
}

/// Take over Meta's templates
///
/// By owners and admins. Has the list of each WhatsApp Business account that a channel is set up with (`businessAccountId`) read again; it is done
/// by a worker. What changes at Meta comes by itself; this is for what was made there before, or was missed.
#[endpoint]
pub(super) async fn sync_templates(app: App, caller: Admin) -> Result<Accepted<Success<Synchronizing>>, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let channels = channels::list(&mut tx, caller.tenant, Some(ChannelType::WhatsApp)).await?;
    let mut accounts = HashSet::new();
    let jobs: Vec<_> = channels
        .iter()
        .filter(|channel| jobs::templates::account_of(channel).is_some_and(|account| accounts.insert(account)))
        .filter_map(|channel| jobs::templates::synchronization(caller.tenant, channel))
        .collect();
    if jobs.is_empty() {
        return Err(ApiError::conflict("no_account", "No WhatsApp channel is set up with a businessAccountId: set one in its config"));
    }
    ledger::enqueue(&mut tx, &jobs).await?;
    tx.commit().await?;
    app.waker.ring(queue::CHORES.name, [caller.tenant]);
    Accepted::new(&Success::new(Synchronizing { accounts: jobs.len() }))
}

/// Delete a template
///
/// By owners and admins; at Meta as well.
#[endpoint]
pub(super) async fn delete_template(app: App, caller: Admin, id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let gone = templates::delete(&mut tx, caller.tenant, TemplateId(id.0)).await?.ok_or_else(not_found)?;
    if let Some(external_id) = &gone.external_id {
        ledger::enqueue(&mut tx, &[jobs::templates::deletion(caller.tenant, gone.account_id, &gone.name, external_id)]).await?;
    }
    audit::note(&mut tx, caller.tenant, &caller.act("template.delete", id.0)).await?;
    tx.commit().await?;
    app.waker.ring(queue::CHORES.name, [caller.tenant]);
    Ok(NoContent)
}

fn is_language(text: &str) -> bool {
    let (language, region) = text.split_once('_').map_or((text, None), |(language, region)| (language, Some(region)));
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && region.is_none_or(|region| (2..=4).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_uppercase()))
}
