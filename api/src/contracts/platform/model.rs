//! Which model a tenant's agents ask, what it may cost, and what they took: by the operator, and by the tenant's owners and admins.

use super::tenants::Administered;
use crate::{auth::Administrator, prelude::*};
use chrono::{Datelike, Days, NaiveDate};
use store::{
    StoreError, audit,
    model_settings::{self, DayOfModel, ModelSettings, key_place},
};

/// Days of usage that are shown at once.
const MOST_DAYS: u64 = 366;

/// A tenant's settings. Null: as the server is set up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelView {
    /// `openai`: an OpenAI-compatible API; `http`: the server's agent service.
    provider: Option<String>,
    base_url: Option<String>,
    /// The key itself is never shown.
    has_api_key: bool,
    model: Option<String>,
    /// The most tokens in a calendar month (UTC). Null: no limit.
    monthly_tokens: Option<i64>,
    /// The most that the month may cost, in dollars.
    monthly_cost: Option<f64>,
    tokens_this_month: i64,
    cost_this_month: f64,
}

/// What to change: absent fields stay, null takes away.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"provider": "openai", "base_url": "https://models.company.com/v1", "api_key": "s3cret", "model": "large"})))]
pub(super) struct ModelBody {
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>))]
    provider: Patch<ProviderKind>,
    /// Needs an `api_key` of the tenant's own.
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, format = "uri", max_length = 2_048))]
    base_url: Patch<String>,
    /// Kept sealed.
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, min_length = 1, max_length = 4_096))]
    api_key: Patch<String>,
    /// Of agents that name none.
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, min_length = 1, max_length = 200))]
    model: Patch<String>,
    /// Only the operator sets it.
    #[serde(default)]
    #[salvo(schema(value_type = Option<i64>, minimum = 0))]
    monthly_tokens: Patch<i64>,
    /// In dollars. Only the operator sets it.
    #[serde(default)]
    #[salvo(schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000))]
    monthly_cost: Patch<f64>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ProviderKind {
    Openai,
    Http,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct UsageQuery {
    /// The first day (UTC); the month's first unless given.
    #[salvo(parameter(value_type = String, format = "date"))]
    from: Option<NaiveDate>,
    /// The last day; today unless given. At most a year later.
    #[salvo(parameter(value_type = String, format = "date"))]
    to: Option<NaiveDate>,
}

/// What a model was asked on a day.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageView {
    #[salvo(schema(value_type = String, format = "date"))]
    day: NaiveDate,
    model: String,
    /// How many runs of agents asked it.
    answers: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    /// In dollars, by the prices that the server was set up with that day.
    cost: f64,
}

impl From<DayOfModel> for UsageView {
    fn from(row: DayOfModel) -> Self {
        Self {
            day: row.day,
            model: row.model,
            answers: row.answers,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            cost: dollars(row.cost_micros),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "to be read by people")]
pub(super) fn dollars(micros: i64) -> f64 {
    micros as f64 / 1_000_000.0
}

#[expect(clippy::cast_possible_truncation, reason = "within the limit that is checked before")]
fn micros(dollars: f64) -> i64 {
    (dollars * 1_000_000.0).round() as i64
}

fn changed(app: &App, tenant: &Administered, body: ModelBody, before: ModelSettings) -> Result<ModelSettings, ApiError> {
    let mut fields = Fields::default();
    let name = |kind| if kind == ProviderKind::Http { "http" } else { "openai" };
    let provider = body.provider.map(|kind| name(kind).to_owned()).or_before(before.provider);
    let base_url = body.base_url.map(|url| url.trim_end_matches('/').to_owned()).or_before(before.base_url);
    let is_address = |url: &String| url.len() <= 2_048 && crate::request::http_url(url).is_some();
    fields.check(base_url.as_ref().is_none_or(is_address), "base_url", "must be an http or https address");
    let model = body.model.map(|model| fields.text(&model, "model", 200)).or_before(before.model);
    let monthly_tokens = body.monthly_tokens.or_before(before.monthly_tokens);
    fields.check(monthly_tokens.is_none_or(|most| most >= 0), "monthly_tokens", "must not be negative");
    let is_amount = |dollars: &f64| (0.0..=1_000_000_000.0).contains(dollars);
    let cost = body.monthly_cost.given();
    fields.check(cost.flatten().as_ref().is_none_or(is_amount), "monthly_cost", "must be from 0 to 1000000000");
    let monthly_cost_micros = cost.map_or(before.monthly_cost_micros, |dollars| dollars.map(micros));
    let key = body.api_key.given();
    let is_key = |key: &String| (1..=4_096).contains(&key.len()) && key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    fields.check(key.as_ref().is_none_or(|key| key.as_ref().is_none_or(is_key)), "api_key", "must be 1 to 4096 printable characters");
    let has_key = key.as_ref().map_or(before.api_key.is_some(), Option::is_some);
    // Our own key must not go there.
    fields.check(base_url.is_none() || has_key, "base_url", "needs an api_key of the tenant's own");
    fields.finish()?;
    let sealed = |key: String| app.sealing.seal(&key_place(tenant.0), &key);
    let api_key = match key {
        None => before.api_key,
        Some(key) => key.map(sealed).transpose()?,
    };
    Ok(ModelSettings { provider, base_url, api_key, model, monthly_tokens, monthly_cost_micros })
}

async fn view(app: &App, tenant: &Administered, settings: ModelSettings) -> Result<ModelView, ApiError> {
    let (tokens, cost) = model_settings::used_this_month(&mut *app.operator_conn().await?, tenant.0).await?;
    Ok(ModelView {
        provider: settings.provider,
        base_url: settings.base_url,
        has_api_key: settings.api_key.is_some(),
        model: settings.model,
        monthly_tokens: settings.monthly_tokens,
        monthly_cost: settings.monthly_cost_micros.map(dollars),
        tokens_this_month: tokens,
        cost_this_month: dollars(cost),
    })
}

/// Read which model a tenant's agents ask
///
/// With what they took this month.
#[endpoint]
pub(super) async fn get_model(app: App, _who: Administrator, tenant: Administered) -> Result<Ok200<ModelView>, ApiError> {
    let settings = model_settings::get(&mut *app.operator_conn().await?, tenant.0).await?;
    Ok200::new(&view(&app, &tenant, settings).await?)
}

/// Set which model a tenant's agents ask
///
/// From the next answer on. When a budget is used up no model is asked until the next month or a larger budget: customers wait for people, who are called.
#[endpoint]
pub(super) async fn put_model(
    app: App,
    who: Administrator,
    tenant: Administered,
    body: Body<ModelBody>,
) -> Result<Ok200<ModelView>, ApiError> {
    let Body(body) = body;
    if who.tenant.is_some() && (body.monthly_tokens != Patch::Absent || body.monthly_cost != Patch::Absent) {
        return Err(ApiError::forbidden("Only the platform's operator sets budgets"));
    }
    let mut tx = app.operator.begin().await.map_err(StoreError::from)?;
    let before = model_settings::get(&mut tx, tenant.0).await?;
    let new = changed(&app, &tenant, body, before)?;
    model_settings::set(&mut tx, tenant.0, &new).await?;
    audit::note(&mut tx, tenant.0, &who.act("tenant.model", tenant.0)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok200::new(&view(&app, &tenant, new).await?)
}

/// Read what a tenant's agents took
///
/// By day and model, the newest day first.
#[endpoint]
pub(super) async fn get_usage(
    app: App,
    _who: Administrator,
    tenant: Administered,
    query: Query<UsageQuery>,
) -> Result<Ok200<Vec<UsageView>>, ApiError> {
    let today = app.clock.now().date_naive();
    let last = query.0.to.unwrap_or(today);
    let first = query.0.from.unwrap_or_else(|| last.with_day(1).unwrap_or(last));
    let is_short = first.checked_add_days(Days::new(MOST_DAYS)).is_some_and(|most| last <= most);
    if first > last || !is_short {
        return Err(ApiError::invalid_field("from", "must be before to, by a year at most"));
    }
    let rows = model_settings::usage(&mut *app.operator_conn().await?, tenant.0, (first, last)).await?;
    Ok200::new(&rows.into_iter().map(UsageView::from).collect())
}
