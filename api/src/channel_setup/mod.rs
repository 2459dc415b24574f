//! Setting up channels: the same whether it is done in the inbox's contract or in the WhatsApp contract's settings.

mod fields;

use crate::{
    ApiError, App,
    auth::Caller,
    request::{self, Fields},
};
use ::channels::registry;
use chrono::TimeDelta;
use domain::{Change, ChannelInstanceId, ChannelType};
use fields::{BOT_ID, Form, Setting};
use jobs::{connect_channel, process_webhook, queue, templates};
use serde_json::{Map, Value};
use store::{
    PgConnection, StoreError, audit,
    channels::{self, Channel},
    ledger, realtime,
};

/// Webhooks that came so long before their channel are processed once it is there.
const TAKE_UP: TimeDelta = TimeDelta::days(7);
/// Larger metadata are refused.
const MOST_METADATA_BYTES: usize = 16 * 1024;

/// What a request gives; `None`: not given.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub name: Option<String>,
    pub status: Option<&'static str>,
    pub external_id: Option<String>,
    /// Merged into what is there; null removes a setting.
    pub config: Option<Map<String, Value>>,
    pub metadata: Option<Map<String, Value>>,
}

impl App {
    /// Makes a channel in the transaction `conn`. Call [`App::take_up`] after the commit.
    pub(crate) async fn create_channel(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        kind: ChannelType,
        given: Given,
    ) -> Result<Channel, ApiError> {
        let now = self.clock.now();
        let mut channel = Channel {
            id: ChannelInstanceId::generate(),
            kind,
            external_id: None,
            name: String::new(),
            status: "DISCONNECTED".to_owned(),
            config: Map::new(),
            metadata: Map::new(),
            secrets: Map::new(),
            created_at: now,
            updated_at: now,
        };
        self.apply(&mut channel, given)?;
        channels::create(conn, caller.tenant, &channel).await.map_err(refused)?;
        self.connect(conn, caller, &channel, None).await?;
        audit::note(conn, caller.tenant, &caller.act("channel.create", channel.id)).await?;
        realtime::tell_one(conn, caller.tenant, Change::ChannelStatus { channel: channel.id }).await?;
        Ok(channel)
    }

    /// Changes a channel that was read in the same transaction.
    pub(crate) async fn change_channel(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        mut channel: Channel,
        given: Given,
    ) -> Result<Channel, ApiError> {
        let before = channel.clone();
        self.apply(&mut channel, given)?;
        self.connect(conn, caller, &channel, Some(&before)).await?;
        channel.updated_at = channels::update(conn, caller.tenant, &channel).await.map_err(refused)?;
        audit::note(conn, caller.tenant, &caller.act("channel.update", channel.id)).await?;
        if channel.status != before.status {
            realtime::tell_one(conn, caller.tenant, Change::ChannelStatus { channel: channel.id }).await?;
        }
        Ok(channel)
    }

    /// Has webhooks processed that named a channel before it was there. If this is missed, `switchboard replay --unroutable` does it.
    pub(crate) async fn take_up(&self, caller: &Caller, channel: &Channel) {
        self.waker.changed([caller.tenant]);
        if registry::connector(channel.kind).is_some() || templates::account_of(channel).is_some() {
            self.waker.ring(queue::CHORES.name, [caller.tenant]);
        }
        let Some(external_id) = &channel.external_id else { return };
        let requeue = async {
            let mut tx = self.operator.begin().await?;
            let events = process_webhook::requeue_unrouted(&mut tx, external_id, self.clock.now() - TAKE_UP).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(events)
        };
        match requeue.await {
            Ok(0) => {}
            Ok(events) => {
                tracing::info!(events, tenant = %caller.tenant, "webhooks that came before their channel are processed now");
                self.waker.ring(queue::WEBHOOKS.name, [domain::TenantId::NONE]);
            }
            Err(error) => {
                tracing::warn!(%error, "webhooks that came before their channel wait: `switchboard replay --unroutable` has them processed");
            }
        }
    }

    /// Has a provider told where the channel's webhooks go, and its templates taken over, if its secrets are new.
    async fn connect(&self, conn: &mut PgConnection, caller: &Caller, channel: &Channel, before: Option<&Channel>) -> Result<(), ApiError> {
        let new_secrets = before.is_none_or(|before| before.secrets != channel.secrets);
        let new_account = before.and_then(templates::account_of) != templates::account_of(channel);
        let mut jobs = Vec::new();
        if registry::connector(channel.kind).is_some() && new_secrets {
            jobs.push(connect_channel::job_for(caller.tenant, channel.id, &self.public_url));
        }
        if new_secrets || new_account {
            jobs.extend(templates::synchronization(caller.tenant, channel));
        }
        ledger::enqueue(conn, &jobs).await?;
        Ok(())
    }

    /// Checks what is given and puts it into `channel`.
    fn apply(&self, channel: &mut Channel, given: Given) -> Result<(), ApiError> {
        let mut fields = Fields::default();
        if let Some(name) = given.name {
            channel.name = fields.text(&name, "name", 200);
        }
        if let Some(status) = given.status {
            status.clone_into(&mut channel.status);
        }
        if let Some(metadata) = given.metadata {
            let bytes = serde_json::to_vec(&metadata).map_or(usize::MAX, |text| text.len());
            fields.check(bytes <= MOST_METADATA_BYTES, "metadata", "must have at most 16 KiB");
            channel.metadata = metadata;
        }
        if let Some(config) = given.config {
            self.apply_config(channel, config, &mut fields)?;
            self.make_secret(channel)?;
        }
        apply_external_id(channel, given.external_id, &mut fields);
        fields.finish()
    }

    /// What the provider is to show with every webhook is made here, once.
    fn make_secret(&self, channel: &mut Channel) -> Result<(), ApiError> {
        let Some(connector) = registry::connector(channel.kind) else { return Ok(()) };
        if channel.secrets.contains_key(connector.token) && !channel.secrets.contains_key(connector.secret) {
            let mut bytes = [0_u8; 32];
            aws_lc_rs::rand::fill(&mut bytes).map_err(|_| ApiError::internal(&"no random numbers"))?;
            let place = channels::secret_place(channel.id, connector.secret);
            let sealed = self.sealing.seal(&place, &hex::encode(bytes))?;
            channel.secrets.insert(connector.secret.to_owned(), Value::String(sealed));
        }
        Ok(())
    }

    fn apply_config(&self, channel: &mut Channel, config: Map<String, Value>, fields: &mut Fields) -> Result<(), ApiError> {
        let settings = fields::of(channel.kind);
        for (name, value) in config {
            let Some(setting) = settings.iter().find(|setting| setting.name == name) else {
                let known: Vec<&str> = settings.iter().map(|setting| setting.name).collect();
                fields.wrong(format!("config.{name}"), format!("is no setting of this type: it has {}", known.join(", ")));
                continue;
            };
            if value.is_null() {
                channel.config.remove(setting.name);
                channel.secrets.remove(setting.name);
                if setting.form == Form::BotToken {
                    channel.config.remove(BOT_ID);
                }
                continue;
            }
            match checked(setting, value) {
                Err(problem) => fields.wrong(format!("config.{name}"), problem),
                Ok(Value::String(secret)) if setting.secret => {
                    let sealed = self.sealing.seal(&channels::secret_place(channel.id, setting.name), &secret)?;
                    channel.secrets.insert(name, Value::String(sealed));
                    reconnect(channel);
                    if let (Form::BotToken, Some((id, _))) = (setting.form, secret.split_once(':')) {
                        channel.config.insert(BOT_ID.to_owned(), Value::String(id.to_owned()));
                    }
                }
                Ok(value) => {
                    channel.config.insert(name, value);
                }
            }
        }
        let is_set = |setting: &Setting| channel.config.contains_key(setting.name) || channel.secrets.contains_key(setting.name);
        // What has no settings at all is to be set up later.
        if settings.iter().any(is_set) {
            for missing in settings.iter().filter(|setting| setting.required && !is_set(setting)) {
                fields.wrong(format!("config.{}", missing.name), "is required");
            }
        }
        Ok(())
    }
}

/// A new secret is what a channel in error waits for.
fn reconnect(channel: &mut Channel) {
    if channel.status == "ERROR" {
        "CONNECTED".clone_into(&mut channel.status);
        channel.metadata.remove("error");
    }
}

/// The external id is what the config says, if the type's config says it, and otherwise what is given.
fn apply_external_id(channel: &mut Channel, given: Option<String>, fields: &mut Fields) {
    if let Some(given) = &given {
        fields.check(!given.trim().is_empty() && given.len() <= 255, "externalId", "must have 1 to 255 bytes");
    }
    let Some(name) = fields::external_id_of(channel.kind) else {
        channel.external_id = given.or(channel.external_id.take());
        return;
    };
    channel.external_id = channel.config.get(name).and_then(Value::as_str).map(str::to_owned);
    match (&channel.external_id, given) {
        (Some(id), Some(given)) if *id != given => fields.wrong("externalId", "is not the id in config"),
        (None, Some(_)) => fields.wrong("externalId", "is taken from config: give it there, with the token"),
        _ => {}
    }
}

fn checked(setting: &Setting, value: Value) -> Result<Value, &'static str> {
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty() && text.len() <= 4_096).map(str::to_owned);
    match setting.form {
        Form::Text => text(&value).map(Value::String).ok_or("must be a text of 1 to 4096 bytes"),
        Form::Digits => {
            let digits = text(&value).filter(|text| text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit()));
            digits.map(Value::String).ok_or("must be a text of 1 to 32 digits")
        }
        Form::BotToken => {
            let is_token = |token: &str| {
                token.split_once(':').is_some_and(|(id, key)| {
                    (1..=20).contains(&id.len())
                        && id.bytes().all(|byte| byte.is_ascii_digit())
                        && key.len() >= 20
                        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                })
            };
            text(&value)
                .filter(|token| is_token(token))
                .map(Value::String)
                .ok_or("must be a bot's token, like 123456:ABC-DEF1234ghIkl-zyx57W2v")
        }
        Form::Origins => {
            let origins = value.as_array().filter(|origins| origins.len() <= 50);
            let good = origins.is_some_and(|origins| origins.iter().all(|origin| origin.as_str().and_then(request::http_url).is_some()));
            if good { Ok(value) } else { Err("must be up to 50 http or https addresses") }
        }
        Form::Rate => {
            let good = value.as_u64().is_some_and(|rate| (1..=1_000).contains(&rate));
            if good { Ok(value) } else { Err("must be a whole number from 1 to 1000") }
        }
    }
}

fn refused(error: StoreError) -> ApiError {
    match error.violated() {
        Some("channel_instances_external") => ApiError::conflict("taken", "This number, page or bot is connected already"),
        _ => error.into(),
    }
}

/// What may be shown of the settings: those that are no secrets, and whether there is one (`hasAccessToken`).
pub(crate) fn shown_config(channel: &Channel) -> Map<String, Value> {
    let mut shown = channel.config.clone();
    for setting in fields::of(channel.kind).iter().filter(|setting| setting.secret) {
        let mut letters = setting.name.chars();
        let name: String = "has".chars().chain(letters.next().map(|first| first.to_ascii_uppercase())).chain(letters).collect();
        shown.insert(name, Value::Bool(channel.secrets.contains_key(setting.name)));
    }
    shown
}
