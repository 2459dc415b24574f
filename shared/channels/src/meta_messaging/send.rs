//! Sending by the [Send API](https://developers.facebook.com/docs/messenger-platform/reference/send-api), its
//! [error codes](https://developers.facebook.com/docs/messenger-platform/error-codes).

use super::Product;
use crate::{
    meta_graph::{self, Meaning, wait},
    pace::{Pace, Rate},
    sending::{Account, Answer, Call, Outgoing, Refusal, Then},
};
use chrono::TimeDelta;
use platform::Secret;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// After a person's last message anything may be sent for a day, and for a week what a human agent writes
/// (<https://developers.facebook.com/docs/messenger-platform/send-messages/message-tags>, `HUMAN_AGENT`).
const STANDARD_WINDOW: TimeDelta = TimeDelta::hours(24);
const HUMAN_WINDOW: TimeDelta = TimeDelta::days(7);

/// Audio and video go slower than the rest; there is no number for one person
/// (<https://developers.facebook.com/docs/messenger-platform/overview/rate-limiting>).
pub(crate) const PACE: Pace =
    Pace { channel: |kind| Rate::per_second(if matches!(kind, "audio" | "video") { 10 } else { 300 }), person: |_| None };

const TOO_LATE: &str = "The customer last wrote too long ago: a bot may answer for 24 hours, a person for seven days";

/// The call that hands over a message.
pub(crate) fn compose(product: &Product, account: &Account, message: &Outgoing) -> Result<Call, Refusal> {
    let recipient = message.to.ids.first().ok_or_else(|| Refusal::give_up("Meta knows no such person: they have to write first"))?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("recipient", json!({"id": recipient}));
    match message.since_inbound {
        Some(since) if since < STANDARD_WINDOW => put("messaging_type", json!("RESPONSE")),
        Some(since) if since < HUMAN_WINDOW && message.by_person => {
            put("messaging_type", json!("MESSAGE_TAG"));
            put("tag", json!("HUMAN_AGENT"));
        }
        _ => return Err(Refusal::give_up(TOO_LATE)),
    }
    let mut content = content(message)?;
    if product.echoes_tell_ours {
        content.insert("metadata".to_owned(), json!(message.id.to_string()));
    }
    put("message", Value::Object(content));
    if let Some(answered) = &message.reply_to {
        put("reply_to", json!({"mid": answered}));
    }
    let url = meta_graph::edge(&account.urls.meta_graph, &account.external_id, "messages");
    Ok(Call { url: Secret::new(url), bearer: Some(account.token.clone()), body: Value::Object(body) })
}

fn content(message: &Outgoing) -> Result<Map<String, Value>, Refusal> {
    let content = match message.message_type.as_str() {
        "text" => json!({"text": message.content.as_deref().unwrap_or_default()}),
        kind @ ("image" | "video" | "audio" | "document") => {
            if message.content.is_some() {
                return Err(Refusal::give_up("Messenger and Instagram take no caption with a file: send the text by itself"));
            }
            let url = message.media.as_ref().and_then(|media| media.get("url")?.as_str());
            let url = url.ok_or_else(|| Refusal::give_up("The file's address is missing"))?;
            let kind = if kind == "document" { "file" } else { kind };
            json!({"attachment": {"type": kind, "payload": {"url": url, "is_reusable": false}}})
        }
        other => return Err(Refusal::give_up(format!("Messenger and Instagram cannot send messages of type {other}"))),
    };
    if let Value::Object(content) = content { Ok(content) } else { Ok(Map::new()) }
}

/// What an answer means.
pub(crate) fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Answer {
    meta_graph::read((status, retry_after, body), |body| body.get("message_id").and_then(Value::as_str), meaning)
}

fn meaning(code: i64, subcode: i64) -> Option<Meaning> {
    Some(match (code, subcode) {
        (10, 2_018_065 | 2_018_108 | 2_018_278) => (Then::GiveUp, TOO_LATE),
        (100, 2_018_001) => (Then::GiveUp, "Meta knows no such person: they have to write first"),
        (100, 2_018_007 | 2_018_008 | 2_018_047) => {
            (Then::GiveUp, "Meta could not fetch or use the file: check its address, type and size")
        }
        (200 | 551, 1_545_041) | (551, _) => {
            (Then::GiveUp, "The person cannot be reached just now: they may have left or blocked the page")
        }
        (200, 2_018_028) => (Then::GiveUp, "The Meta app is not live yet, so it reaches its own testers only"),
        (1_200, _) => (Then::Unavailable, "Meta could not take the message just now"),
        (80_006, _) => (wait(60), "More messages were sent than Meta allows at once"),
        (100, _) => (Then::GiveUp, "Meta does not take the message as it is"),
        _ => return None,
    })
}
