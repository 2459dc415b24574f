//! Settings of the tenant, and of its WhatsApp Cloud channel.

use super::dialect::Success;
use crate::{
    channel_setup::{Given, shown_config},
    prelude::*,
    request::Patch,
};
use domain::ChannelType;
use jobs::{queue, resume_webhooks};
use serde_json::{Map, Value, json};
use store::{
    PgConnection, audit,
    channels::{self, Channel},
    ledger, settings,
};
use uuid::Uuid;

/// Settings. Secrets can be written, not read: only whether there is one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettingsView {
    tenant: TenantName,
    whatsapp_config: WhatsappConfigView,
    webhook_config: WebhookConfigView,
    /// How long a person's message keeps the bot away, in seconds.
    human_override_ttl_seconds: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct TenantName {
    id: Uuid,
    name: String,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhatsappConfigView {
    /// The channel, once there is one.
    channel_id: Option<Uuid>,
    phone_number_id: Option<String>,
    business_account_id: Option<String>,
    has_access_token: bool,
    has_app_secret: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookConfigView {
    /// The address to enter at Meta.
    url: String,
    verify_token: Option<String>,
    /// False: webhooks are kept, and processed when it is true again. It takes up to half a minute to be felt.
    enabled: bool,
}

/// What to change; absent fields stay, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"whatsappConfig": {"phoneNumberId": "106540352242922", "accessToken": "EAAG...", "businessAccountId": "102290129340398"}, "webhookConfig": {"verifyToken": "my-token", "enabled": true}})))]
pub(super) struct SettingsPatch {
    #[salvo(schema(min_length = 1, max_length = 200))]
    tenant_name: Option<String>,
    whatsapp_config: Option<WhatsappConfigPatch>,
    webhook_config: Option<WebhookConfigPatch>,
    /// 60 to 2592000 (30 days).
    #[serde(default)]
    #[salvo(schema(value_type = Option<u64>))]
    human_override_ttl_seconds: Patch<u64>,
}

/// The number at Meta: makes the tenant's WhatsApp Cloud channel, or changes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhatsappConfigPatch {
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>))]
    phone_number_id: Patch<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>))]
    access_token: Patch<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>))]
    business_account_id: Patch<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>))]
    app_secret: Patch<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookConfigPatch {
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 255))]
    verify_token: Patch<String>,
    enabled: Option<bool>,
}

impl WhatsappConfigPatch {
    fn into_config(self) -> Map<String, Value> {
        let given = [
            ("phoneNumberId", self.phone_number_id),
            ("accessToken", self.access_token),
            ("businessAccountId", self.business_account_id),
            ("appSecret", self.app_secret),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.given()?)))).collect()
    }
}

/// The tenant's Cloud channel: its oldest WhatsApp channel with a number.
async fn cloud_channel(conn: &mut PgConnection, caller: &Caller) -> Result<Option<Channel>, ApiError> {
    let channels = channels::list(conn, caller.tenant, Some(ChannelType::WhatsApp)).await?;
    Ok(channels.into_iter().find(|channel| channel.external_id.is_some()))
}

async fn read(app: &App, conn: &mut PgConnection, caller: &Caller) -> Result<SettingsView, ApiError> {
    let tenant = settings::get(conn, caller.tenant).await?.ok_or_else(|| ApiError::not_found("Tenant"))?;
    let whatsapp_config = match cloud_channel(conn, caller).await? {
        None => WhatsappConfigView::default(),
        Some(channel) => {
            let shown = shown_config(&channel);
            let text = |name: &str| shown.get(name).and_then(Value::as_str).map(str::to_owned);
            let has = |name: &str| shown.get(name) == Some(&Value::Bool(true));
            WhatsappConfigView {
                channel_id: Some(channel.id.0),
                phone_number_id: channel.external_id.clone(),
                business_account_id: text("businessAccountId"),
                has_access_token: has("hasAccessToken"),
                has_app_secret: has("hasAppSecret"),
            }
        }
    };
    let webhook = tenant.settings.get("webhookConfig");
    let webhook_config = WebhookConfigView {
        url: format!("{}/api/webhook", app.public_url),
        verify_token: webhook.and_then(|webhook| webhook.get("verifyToken")?.as_str()).map(str::to_owned),
        enabled: webhooks_enabled(&tenant.settings),
    };
    let human_override_ttl_seconds = tenant.human_override_ttl().unwrap_or(app.human_override_ttl).as_secs();
    Ok(SettingsView {
        tenant: TenantName { id: tenant.public_id, name: tenant.name },
        whatsapp_config,
        webhook_config,
        human_override_ttl_seconds,
    })
}

/// Read the settings
#[endpoint]
pub(super) async fn get_settings(app: App, caller: Caller) -> Result<Ok200<Success<SettingsView>>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&Success::new(read(&app, &mut tx, &caller).await?))
}

/// Change the settings
///
/// By owners and admins.
#[endpoint]
pub(super) async fn patch_settings(app: App, caller: Admin, body: Body<SettingsPatch>) -> Result<Ok200<Success<SettingsView>>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut fields = Fields::default();
    let name = body.tenant_name.map(|name| fields.text(&name, "tenantName", 200));
    let ttl = body.human_override_ttl_seconds.given();
    let in_range = ttl.flatten().is_none_or(|seconds| (60..=2_592_000).contains(&seconds));
    fields.check(in_range, "humanOverrideTtlSeconds", "must be 60 to 2592000");
    if let Some(Patch::Value(token)) = body.webhook_config.as_ref().map(|webhook| &webhook.verify_token) {
        fields.check(!token.trim().is_empty() && token.len() <= 255, "webhookConfig.verifyToken", "must have 1 to 255 bytes");
    }
    fields.finish()?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let mut tenant = settings::lock(&mut tx, caller.tenant).await?.ok_or_else(|| ApiError::not_found("Tenant"))?;
    tenant.name = name.unwrap_or(tenant.name);
    put(&mut tenant.settings, "humanOverrideTtlSeconds", ttl.map(|ttl| json!(ttl)));
    let was_enabled = webhooks_enabled(&tenant.settings);
    if let Some(given) = body.webhook_config {
        let mut webhook = tenant.settings.get("webhookConfig").and_then(Value::as_object).cloned().unwrap_or_default();
        put(&mut webhook, "verifyToken", given.verify_token.given().map(|token| json!(token)));
        put(&mut webhook, "enabled", given.enabled.map(Value::Bool));
        tenant.settings.insert("webhookConfig".to_owned(), Value::Object(webhook));
    }
    settings::update(&mut tx, caller.tenant, &tenant).await?;
    audit::note(&mut tx, caller.tenant, &caller.act("settings.update", tenant.public_id)).await?;
    let resumes = !was_enabled && webhooks_enabled(&tenant.settings);
    if resumes {
        ledger::enqueue(&mut tx, &[resume_webhooks::job_for(caller.tenant)]).await?;
    }
    let mut new_number = None;
    if let Some(given) = body.whatsapp_config {
        let given = Given { config: Some(given.into_config()), ..Given::default() };
        let before = cloud_channel(&mut tx, &caller).await?;
        let number_before = before.as_ref().and_then(|channel| channel.external_id.clone());
        let after = match before {
            Some(channel) => app.change_channel(&mut tx, &caller, channel, given).await,
            None => app.create_channel(&mut tx, &caller, ChannelType::WhatsApp, Given { name: Some("WhatsApp".to_owned()), ..given }).await,
        };
        let after = after.map_err(in_whatsapp_config)?;
        new_number = Some(after).filter(|after| after.external_id != number_before);
    }
    let view = read(&app, &mut tx, &caller).await?;
    tx.commit().await?;
    if resumes {
        app.waker.ring(queue::CHORES.name, [caller.tenant]);
    }
    if let Some(channel) = new_number {
        app.take_up(&caller, &channel).await;
    }
    Ok200::new(&Success::new(view))
}

fn webhooks_enabled(settings: &Map<String, Value>) -> bool {
    settings.get("webhookConfig").and_then(|webhook| webhook.get("enabled")?.as_bool()).unwrap_or(true)
}

/// Errors name the fields as this contract has them.
fn in_whatsapp_config(mut error: ApiError) -> ApiError {
    if error.is_invalid() {
        for field in &mut error.fields {
            field.field = field.field.replacen("config.", "whatsappConfig.", 1).into();
        }
        return ApiError::invalid(error.fields);
    }
    error
}

/// `None`: leave it; null: remove it.
fn put(map: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        None => {}
        Some(Value::Null) => {
            map.remove(name);
        }
        Some(value) => {
            map.insert(name.to_owned(), value);
        }
    }
}
