//! Output formats: how agents' answers must look.

use super::agents::PageQuery;
use crate::{prelude::*, request};
use jobs::thinking::check_answer_schema;
use serde_json::Value;
use store::{
    StoreError, audit,
    output_formats::{self, FormatSettings, OutputFormat},
};
use uuid::Uuid;

/// Of a schema, as JSON.
const MOST_JSON_BYTES: usize = 32 * 1024;
/// Channels take no more.
const MOST_CHARS: i32 = 4_096;

/// A format. An answer that does not have it is asked for again, twice, and then not sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FormatView {
    id: Uuid,
    name: String,
    instructions: String,
    max_chars: Option<i32>,
    #[salvo(schema(value_type = Option<Object>))]
    json_schema: Option<Value>,
    text_field: Option<String>,
    created_at: Time,
    updated_at: Time,
}

/// A format to make, or what to change of one: absent fields stay, null takes away. `name` is required to make one.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "Answer and mood", "instructions": "Answer in two sentences.", "max_chars": 600, "text_field": "answer",
    "json_schema": {"type": "object", "required": ["answer", "mood"], "properties": {"answer": {"type": "string"}, "mood": {"enum": ["good", "bad"]}}}})))]
pub(super) struct FormatBody {
    #[salvo(schema(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// What the model is told.
    #[salvo(schema(max_length = 5_000))]
    instructions: Option<String>,
    /// The most characters of what the customer is sent, 1 to 4096.
    #[serde(default)]
    #[salvo(schema(value_type = Option<i32>, minimum = 1, maximum = 4_096))]
    max_chars: Patch<i32>,
    /// The answer is JSON that fits this schema; all of it is kept with the message, as `meta.output`.
    #[serde(default)]
    #[salvo(schema(value_type = Option<Object>))]
    json_schema: Patch<Value>,
    /// The text of it that the customer is sent.
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 100))]
    text_field: Patch<String>,
}

impl From<OutputFormat> for FormatView {
    fn from(row: OutputFormat) -> Self {
        Self {
            id: row.id,
            name: row.name,
            instructions: row.instructions,
            max_chars: row.max_chars,
            json_schema: row.json_schema,
            text_field: row.text_field,
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Output format")
}

fn taken(error: StoreError) -> ApiError {
    match error.violated() {
        Some("output_formats_tenant_id_name_key") => ApiError::conflict("taken", "There is an output format of this name already"),
        Some("agents_output_format") => ApiError::conflict("in_use", "Agents use this output format: give them another first"),
        _ => error.into(),
    }
}

/// What the format is to be like; what is not given is as it was `before`.
fn settings(body: FormatBody, before: Option<OutputFormat>) -> Result<FormatSettings, ApiError> {
    let mut fields = Fields::default();
    let name = body.name.map(|name| fields.text(&name, "name", 100)).or_else(|| before.as_ref().map(|format| format.name.clone()));
    let name = fields.need(name, "name", "is required").unwrap_or_default();
    fields.at_most(body.instructions.as_deref(), "instructions", 5_000);
    let instructions = body.instructions.or_else(|| before.as_ref().map(|format| format.instructions.clone())).unwrap_or_default();
    let max_chars = body.max_chars.or_before(before.as_ref().and_then(|format| format.max_chars));
    fields.check(max_chars.is_none_or(|most| (1..=MOST_CHARS).contains(&most)), "max_chars", "must be from 1 to 4096");
    let schema = body.json_schema.or_before(before.as_ref().and_then(|format| format.json_schema.clone()));
    let field = body.text_field.or_before(before.and_then(|format| format.text_field));
    let json = match (schema, field) {
        (None, None) => None,
        (Some(schema), Some(field)) => {
            if schema.to_string().len() > MOST_JSON_BYTES {
                fields.wrong("json_schema", "must have at most 32 KiB");
            } else if let Err(wrong) = check_answer_schema(&schema, &field) {
                fields.wrong("json_schema", wrong);
            }
            Some((schema, field))
        }
        _ => {
            fields.wrong("text_field", "and json_schema go together");
            None
        }
    };
    fields.finish()?;
    Ok(FormatSettings { name, instructions, max_chars, json })
}

/// List output formats
///
/// For owners and admins; the oldest first.
#[endpoint]
pub(super) async fn list_formats(app: App, caller: Admin, query: Query<PageQuery>) -> Result<Ok200<Vec<FormatView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&output_formats::list(&mut tx, caller.tenant, page).await?.into_iter().map(FormatView::from).collect())
}

/// Read an output format
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_format(app: App, caller: Admin, format_id: Path<Uuid>) -> Result<Ok200<FormatView>, ApiError> {
    let Admin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&output_formats::get(&mut tx, caller.tenant, format_id.0).await?.map(FormatView::from).ok_or_else(not_found)?)
}

/// Make an output format
///
/// By owners and admins. An agent names it as its `output_format_id`.
#[endpoint]
pub(super) async fn post_format(app: App, caller: Admin, body: Body<FormatBody>, key: RequestKey) -> Result<Created<FormatView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let new = settings(body, None)?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let made = output_formats::put(&mut work, caller.tenant, Uuid::now_v7(), &new).await.map_err(taken)?;
    audit::note(&mut work, caller.tenant, &caller.act("output_format.create", made.id)).await?;
    work.answer(&made.into()).await
}

/// Change an output format
///
/// By owners and admins. It counts from the next answer on.
#[endpoint]
pub(super) async fn put_format(
    app: App,
    caller: Admin,
    format_id: Path<Uuid>,
    body: Body<FormatBody>,
) -> Result<Ok200<FormatView>, ApiError> {
    let (Admin(caller), Body(body), id) = (caller, body, format_id.0);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let before = output_formats::get(&mut tx, caller.tenant, id).await?.ok_or_else(not_found)?;
    let with = settings(body, Some(before))?;
    let changed = output_formats::put(&mut tx, caller.tenant, id, &with).await.map_err(taken)?;
    audit::note(&mut tx, caller.tenant, &caller.act("output_format.update", id)).await?;
    tx.commit().await?;
    Ok200::new(&changed.into())
}

/// Delete an output format
///
/// By owners and admins, once no agent uses it.
#[endpoint]
pub(super) async fn delete_format(app: App, caller: Admin, format_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let (Admin(caller), id) = (caller, format_id.0);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    if !output_formats::delete(&mut tx, caller.tenant, id).await.map_err(taken)? {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("output_format.delete", id)).await?;
    tx.commit().await?;
    Ok(NoContent)
}
