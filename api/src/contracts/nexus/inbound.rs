//! Messages of channels that somebody else speaks.

use super::payload::{InboundMessagePayload, OneOrMany, TenantRef};
use crate::{auth::Service, prelude::*};
use channels::normalized::{Attachment, Inbound};
use domain::{ChannelNaming, ChannelType};
use serde_json::Value;
use std::collections::HashMap;
use store::{
    channel_instances::{self, ChannelRef},
    tenants,
};
use uuid::Uuid;

/// Messages that are taken at once.
const MOST: usize = 1_000;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Always `accepted`.
    status: String,
    /// How many messages.
    accepted: usize,
}

/// The channels that a request names, and the UUIDs of their tenants.
struct Known {
    channels: HashMap<Uuid, ChannelRef>,
    tenants: HashMap<i32, Uuid>,
}

/// Post customers' messages
///
/// One or an array of up to 1,000: all are taken or none. They go through the same inbox as webhooks; 202 when they are durable. The same
/// message again is not a new one.
#[endpoint]
pub(super) async fn post_inbound(
    app: App,
    _service: Service,
    body: Body<OneOrMany<InboundMessagePayload>>,
) -> Result<Accepted<Taken>, ApiError> {
    let (payloads, is_array) = match body.0 {
        OneOrMany::One(payload) => (vec![payload], false),
        OneOrMany::Many(payloads) => (payloads, true),
    };
    if payloads.is_empty() || payloads.len() > MOST {
        return Err(ApiError::invalid_field("", "Send 1 to 1000 messages at once"));
    }
    let known = look_up(&app, &payloads).await?;
    let accepted = payloads.len();
    let mut fields = Fields::default();
    let mut messages = Vec::with_capacity(accepted);
    for (index, payload) in payloads.into_iter().enumerate() {
        let place = if is_array { format!("{index}.") } else { String::new() };
        let mut problems = Vec::new();
        match message(payload, &known, &mut problems) {
            Some(message) if problems.is_empty() => messages.push(message),
            _ => problems.into_iter().for_each(|(field, problem)| fields.wrong(format!("{place}{field}"), problem)),
        }
    }
    fields.finish()?;
    app.inbox.keep_normalized(&messages, app.clock.now()).await?;
    Accepted::new(&Taken { status: "accepted".to_owned(), accepted })
}

async fn look_up(app: &App, payloads: &[InboundMessagePayload]) -> Result<Known, ApiError> {
    let mut ids: Vec<String> = payloads.iter().map(|payload| payload.channel_instance_id.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    let found = channel_instances::find(&app.operator, ChannelNaming::InstanceId, &ids).await?;
    let channels: HashMap<Uuid, ChannelRef> = found.into_iter().map(|(_, found)| (found.channel.id.0, found.channel)).collect();
    let tenants: Vec<i32> = channels.values().map(|channel| channel.tenant_id.0).collect();
    let tenants = tenants::list(&mut *app.operator_conn().await?, Some(&tenants)).await?;
    Ok(Known { channels, tenants: tenants.into_iter().map(|row| (row.id, row.public_id)).collect() })
}

/// The message, or what is wrong with it.
fn message(payload: InboundMessagePayload, known: &Known, wrong: &mut Vec<(&'static str, &'static str)>) -> Option<Inbound> {
    let within = |text: &str| !text.is_empty() && text.len() <= 255;
    let attachments = payload.attachments.unwrap_or_default();
    let mut check = |good: bool, field, problem| {
        if !good {
            wrong.push((field, problem));
        }
    };
    check(within(&payload.external_user_id), "externalUserId", "must have 1 to 255 bytes");
    check(payload.external_message_id.as_deref().is_none_or(within), "externalMessageId", "must have 1 to 255 bytes");
    check(
        payload.external_conversation_id.as_deref().is_none_or(|id| id.len() <= 255),
        "externalConversationId",
        "must have at most 255 bytes",
    );
    check(
        payload.external_user_name.as_deref().is_none_or(|name| name.chars().count() <= 200),
        "externalUserName",
        "must have at most 200 characters",
    );
    check(payload.text.as_deref().is_none_or(|text| text.chars().count() <= 65_536), "text", "must have at most 65536 characters");
    check(attachments.len() <= 50, "attachments", "must be at most 50");
    check(
        payload.text.as_deref().is_some_and(|text| !text.is_empty()) || !attachments.is_empty(),
        "text",
        "is required unless there are attachments",
    );
    check(attachments.iter().all(|a| !a.r#type.is_empty() && a.r#type.len() <= 32), "attachments", "must have a type of 1 to 32 bytes");
    let channel = known.channels.get(&payload.channel_instance_id);
    check(channel.is_some(), "channelInstanceId", "There is no such channel");
    let channel = channel?;
    let is_its_tenant = |tenant| match tenant {
        TenantRef::Id(id) => id == channel.tenant_id.0,
        TenantRef::Public(id) => known.tenants.get(&channel.tenant_id.0) == Some(&id),
    };
    check(payload.tenant_id.is_none_or(is_its_tenant), "tenantId", "is not the tenant of this channel");
    let is_its_type = |kind: String| kind.replace('-', "_").eq_ignore_ascii_case(channel.kind.as_str());
    check(payload.channel_type.is_none_or(is_its_type), "channelType", "is not the type of this channel");
    let (phone, user_id) = person(channel.kind, payload.external_user_id);
    let mut message = Inbound {
        channel_instance_id: channel.id.0.to_string(),
        external_id: String::new(),
        phone,
        user_id,
        name: payload.external_user_name.filter(|name| !name.trim().is_empty()),
        external_conversation_id: payload.external_conversation_id,
        text: payload.text,
        attachments: attachments
            .into_iter()
            .map(|a| Attachment { kind: a.r#type, url: a.url, mime_type: a.mime_type, filename: a.filename, extra: a.extra })
            .collect(),
        sent_at: payload.timestamp.0.0,
        raw: payload.raw.unwrap_or(Value::Null),
    };
    message.external_id = payload.external_message_id.unwrap_or_else(|| message.fingerprint());
    Some(message)
}

/// WhatsApp names people by their number, alone or before an `@`; other channels by an id of their own.
fn person(kind: ChannelType, id: String) -> (Option<String>, Option<String>) {
    let number = id.split_once('@').map_or(id.as_str(), |(number, _)| number).trim_start_matches('+');
    if kind == ChannelType::WhatsApp && (5..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) {
        (Some(number.to_owned()), None)
    } else {
        (None, Some(id))
    }
}
