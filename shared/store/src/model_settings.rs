//! Which model a tenant's agents ask, what it may cost, and what they took.

use crate::StoreError;
use chrono::NaiveDate;
use domain::TenantId;
use sqlx::PgConnection;

/// Settings of a tenant; what is `None` is as the server is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSettings {
    /// `openai` or `http`.
    pub provider: Option<String>,
    /// Of an OpenAI-compatible API, without a slash at the end.
    pub base_url: Option<String>,
    /// Sealed, for [`key_place`].
    pub api_key: Option<String>,
    /// Of agents that name none.
    pub model: Option<String>,
    /// Most tokens in a calendar month (UTC). `None`: no limit.
    pub monthly_tokens: Option<i64>,
    /// In millionths of a dollar.
    pub monthly_cost_micros: Option<i64>,
}

/// The key's place, for `platform::sealing`.
pub fn key_place(tenant: TenantId) -> String {
    format!("model:{tenant}")
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId) -> Result<ModelSettings, StoreError> {
    let found = sqlx::query_as!(
        ModelSettings,
        "SELECT provider, base_url, api_key, model, monthly_tokens, monthly_cost_micros FROM model_settings WHERE tenant_id = $1",
        tenant.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.unwrap_or_default())
}

pub async fn set(conn: &mut PgConnection, tenant: TenantId, new: &ModelSettings) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO model_settings (tenant_id, provider, base_url, api_key, model, monthly_tokens, monthly_cost_micros) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id) DO UPDATE SET provider = excluded.provider, base_url = excluded.base_url, api_key = excluded.api_key, model = excluded.model,
           monthly_tokens = excluded.monthly_tokens, monthly_cost_micros = excluded.monthly_cost_micros, updated_at = now()",
        tenant.0,
        new.provider,
        new.base_url,
        new.api_key,
        new.model,
        new.monthly_tokens,
        new.monthly_cost_micros
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What was taken of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cost_micros: i64,
}

/// Counts what was taken today.
pub async fn count(conn: &mut PgConnection, tenant: TenantId, model: &str, taken: Taken) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO model_usage AS u (tenant_id, day, model, answers, prompt_tokens, completion_tokens, cost_micros)
         VALUES ($1, (ledger_now() AT TIME ZONE 'UTC')::date, $2, 1, $3, $4, $5)
         ON CONFLICT (tenant_id, day, model) DO UPDATE SET answers = u.answers + 1, prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
           completion_tokens = u.completion_tokens + excluded.completion_tokens, cost_micros = u.cost_micros + excluded.cost_micros",
        tenant.0,
        model,
        taken.prompt_tokens,
        taken.completion_tokens,
        taken.cost_micros
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A model on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayOfModel {
    pub day: NaiveDate,
    pub model: String,
    /// How many runs of agents asked it.
    pub answers: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cost_micros: i64,
}

/// What was taken from `first` to `last`, the newest day first.
pub async fn usage(
    conn: &mut PgConnection,
    tenant: TenantId,
    (first, last): (NaiveDate, NaiveDate),
) -> Result<Vec<DayOfModel>, StoreError> {
    Ok(sqlx::query_as!(
        DayOfModel,
        "SELECT day, model, answers, prompt_tokens, completion_tokens, cost_micros FROM model_usage
         WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day DESC, model",
        tenant.0,
        first,
        last
    )
    .fetch_all(conn)
    .await?)
}

/// What was taken since the month began (UTC): tokens, and millionths of a dollar.
pub async fn used_this_month(conn: &mut PgConnection, tenant: TenantId) -> Result<(i64, i64), StoreError> {
    let used =
        sqlx::query!(r#"SELECT tokens AS "tokens!", cost_micros AS "cost!" FROM used_this_month($1)"#, tenant.0).fetch_one(conn).await?;
    Ok((used.tokens, used.cost))
}
