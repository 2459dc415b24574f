//! Channels.

use crate::{
    channel_setup::{Given, shown_config},
    prelude::*,
    request::Patch,
};
use domain::{Change, ChannelInstanceId, ChannelType};
use serde_json::{Map, Value};
use store::{
    audit,
    channels::{self, Channel},
    realtime,
};
use uuid::Uuid;

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelView {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    r#type: Type,
    /// The provider's id: phone number id, page, account, bot.
    external_id: Option<String>,
    status: Status,
    /// Of secrets only whether they are set: `hasAccessToken`.
    #[salvo(schema(value_type = Object))]
    config: Map<String, Value>,
    #[salvo(schema(value_type = Object))]
    metadata: Map<String, Value>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Type {
    Whatsapp,
    TelegramUser,
    TelegramBot,
    Facebook,
    Instagram,
    Widget,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Disconnected,
    Connecting,
    Connected,
    Error,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ChannelsQuery {
    r#type: Option<Type>,
}

/// A channel to make. Without a config it is set up later; a config holds what its type needs: WHATSAPP (Cloud API) `phoneNumberId`,
/// `accessToken`, and may hold `businessAccountId` (for templates) and `messagesPerSecond` (80 unless Meta gave the number another throughput);
/// FACEBOOK `pageId`, `pageAccessToken`; INSTAGRAM `accountId`, `accessToken`; TELEGRAM_BOT `botToken`; WIDGET
/// `allowedOrigins`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"name": "Shop", "type": "WHATSAPP", "config": {"phoneNumberId": "106540352242922", "accessToken": "EAAG..."}})))]
pub(super) struct ChannelBody {
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: String,
    r#type: Type,
    /// Taken from the config where the type's config has it.
    #[salvo(schema(min_length = 1, max_length = 255))]
    external_id: Option<String>,
    #[salvo(schema(value_type = Option<Object>))]
    config: Option<Map<String, Value>>,
    #[salvo(schema(value_type = Option<Object>))]
    metadata: Option<Map<String, Value>>,
}

/// What to change. Settings in `config` that are absent stay, null removes one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"name": "Shop, renamed"})))]
pub(super) struct ChannelPatch {
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: Option<String>,
    status: Option<Status>,
    #[salvo(schema(min_length = 1, max_length = 255))]
    external_id: Option<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<Object>))]
    config: Patch<Map<String, Value>>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<Object>))]
    metadata: Patch<Map<String, Value>>,
}

impl From<Type> for ChannelType {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Whatsapp => Self::WhatsApp,
            Type::TelegramUser => Self::TelegramUser,
            Type::TelegramBot => Self::TelegramBot,
            Type::Facebook => Self::Facebook,
            Type::Instagram => Self::Instagram,
            Type::Widget => Self::Widget,
        }
    }
}

impl From<ChannelType> for Type {
    fn from(kind: ChannelType) -> Self {
        match kind {
            ChannelType::WhatsApp => Self::Whatsapp,
            ChannelType::TelegramUser => Self::TelegramUser,
            ChannelType::TelegramBot => Self::TelegramBot,
            ChannelType::Facebook => Self::Facebook,
            ChannelType::Instagram => Self::Instagram,
            ChannelType::Widget => Self::Widget,
        }
    }
}

impl Status {
    fn stored(self) -> &'static str {
        match self {
            Self::Disconnected => "DISCONNECTED",
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::Error => "ERROR",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "CONNECTING" => Self::Connecting,
            "CONNECTED" => Self::Connected,
            "ERROR" => Self::Error,
            _ => Self::Disconnected,
        }
    }
}

fn view(caller: &Caller, channel: &Channel) -> ChannelView {
    ChannelView {
        id: channel.id.0,
        tenant_id: caller.tenant_public_id,
        name: channel.name.clone(),
        r#type: channel.kind.into(),
        external_id: channel.external_id.clone(),
        status: Status::read(&channel.status),
        config: shown_config(channel),
        metadata: channel.metadata.clone(),
        created_at: Time(channel.created_at),
        updated_at: Time(channel.updated_at),
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Channel")
}

/// List channels
#[endpoint]
pub(super) async fn list_channels(app: App, caller: Caller, query: Query<ChannelsQuery>) -> Result<Ok200<Vec<ChannelView>>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let channels = channels::list(&mut tx, caller.tenant, query.0.r#type.map(ChannelType::from)).await?;
    Ok200::new(&channels.iter().map(|channel| view(&caller, channel)).collect())
}

/// Read a channel
#[endpoint]
pub(super) async fn get_channel(app: App, caller: Caller, channel_id: Path<Uuid>) -> Result<Ok200<ChannelView>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let channel = channels::get(&mut tx, caller.tenant, ChannelInstanceId(channel_id.0)).await?.ok_or_else(not_found)?;
    Ok200::new(&view(&caller, &channel))
}

/// Make a channel
///
/// By owners and admins; it starts DISCONNECTED. Secrets are never answered.
#[endpoint]
pub(super) async fn post_channel(
    app: App,
    caller: Admin,
    body: Body<ChannelBody>,
    key: RequestKey,
) -> Result<Created<ChannelView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let given = Given { name: Some(body.name), status: None, external_id: body.external_id, config: body.config, metadata: body.metadata };
    let channel = app.create_channel(&mut work, &caller, body.r#type.into(), given).await?;
    let reply = work.answer(&view(&caller, &channel)).await?;
    app.take_up(&caller, &channel).await;
    Ok(reply)
}

/// Change a channel
///
/// By owners and admins.
#[endpoint]
pub(super) async fn patch_channel(
    app: App,
    caller: Admin,
    channel_id: Path<Uuid>,
    body: Body<ChannelPatch>,
) -> Result<Ok200<ChannelView>, ApiError> {
    let (Admin(caller), Body(body)) = (caller, body);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let channel = channels::lock(&mut tx, caller.tenant, ChannelInstanceId(channel_id.0)).await?.ok_or_else(not_found)?;
    let (before, before_secrets) = (channel.external_id.clone(), channel.secrets.clone());
    let given = Given {
        name: body.name,
        status: body.status.map(Status::stored),
        external_id: body.external_id,
        config: body.config.given().flatten(),
        metadata: body.metadata.given().map(Option::unwrap_or_default),
    };
    let channel = app.change_channel(&mut tx, &caller, channel, given).await?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    if channel.external_id != before || before_secrets != channel.secrets {
        app.take_up(&caller, &channel).await;
    }
    Ok200::new(&view(&caller, &channel))
}

/// Delete a channel
///
/// By owners and admins. A channel with conversations stays, for they would lose their place: 409.
#[endpoint]
pub(super) async fn delete_channel(app: App, caller: Admin, channel_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let Admin(caller) = caller;
    let id = ChannelInstanceId(channel_id.0);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let deleted = channels::delete(&mut tx, caller.tenant, id).await.map_err(|error| match error.violated() {
        Some(_) => ApiError::conflict("in_use", "The channel has conversations: set its status to DISCONNECTED instead"),
        None => error.into(),
    })?;
    if !deleted {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("channel.delete", id)).await?;
    realtime::tell_one(&mut tx, caller.tenant, Change::ChannelStatus { channel: id }).await?;
    tx.commit().await?;
    app.waker.changed([caller.tenant]);
    Ok(NoContent)
}
