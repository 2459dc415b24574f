//! Sending by the Cloud API: [messages](https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages), and its
//! [error codes](https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes).

use crate::{
    meta_graph::{self, Meaning, wait},
    pace::{Pace, Rate},
    sending::{Account, Answer, Call, Outgoing, Recipient, Refusal, Sender, Then},
};
use chrono::TimeDelta;
use platform::Secret;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// After the limit for one customer, which lets one message through every six seconds
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/overview#pair-rate-limits>).
const PAIR_WAIT: Then = Then::Wait { delay: Duration::from_secs(6), all: false };

/// What every number may send; those that Meta has upgraded say so in their channel's settings
/// (<https://developers.facebook.com/docs/whatsapp/throughput>). To one customer it is a message every six seconds, of which 45 may be borrowed
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/overview#pair-rate-limits>).
const PACE: Pace = Pace { channel: |_| Rate::per_second(80), person: |_| Some(Rate { interval: Duration::from_secs(6), burst: 45 }) };

/// After a customer's last message WhatsApp takes only templates once this has passed
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages#customer-service-windows>).
const WINDOW: TimeDelta = TimeDelta::hours(24);
const TOO_LATE: &str = "The customer last wrote more than 24 hours ago: send a template message";

/// What the registry lists.
pub(super) const SENDER: Sender = Sender { token: "accessToken", compose, captions: &["image", "video", "document"], read, pace: PACE };

fn compose(account: &Account, message: &Outgoing) -> Result<Call, Refusal> {
    if message.message_type != "template" && message.since_inbound.is_none_or(|since| since >= WINDOW) {
        return Err(Refusal::give_up(TOO_LATE));
    }
    // A person whose number is not known is reached by the user id that WhatsApp gave them
    // (https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids).
    let (phone, user) = recipient(&message.to);
    let (field, recipient) = match (phone, user) {
        (Some(phone), _) => ("to", phone),
        (None, Some(user)) => ("recipient", user),
        (None, None) => return Err(Refusal::give_up("Nothing is known of the customer that WhatsApp could send to")),
    };
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("messaging_product", json!("whatsapp"));
    put("recipient_type", json!("individual"));
    put(field, json!(recipient));
    // Comes back with every receipt, so that a receipt finds the message even when the answer to this call is lost.
    put("biz_opaque_callback_data", json!(message.id.to_string()));
    if let Some(answered) = &message.reply_to {
        put("context", json!({"message_id": answered}));
    }
    put("type", json!(message.message_type));
    put(&message.message_type, content(message)?);
    let url = meta_graph::edge(&account.urls.meta_graph, &account.external_id, "messages");
    Ok(Call { url: Secret::new(url), bearer: Some(account.token.clone()), body: Value::Object(body) })
}

/// The customer's number and user id on WhatsApp.
fn recipient(to: &Recipient) -> (Option<&str>, Option<&str>) {
    let is_phone = |id: &&str| id.bytes().all(|byte| byte.is_ascii_digit());
    let ids = || to.ids.iter().map(String::as_str);
    // A number that the customer was given by hand counts only if the channel knows no other.
    let given = to.phone.as_deref();
    let known = given.filter(|phone| ids().any(|id| id == *phone));
    (known.or_else(|| ids().find(is_phone)).or(given.filter(|_| to.ids.is_empty())), ids().find(|id| !is_phone(id)))
}

fn content(message: &Outgoing) -> Result<Value, Refusal> {
    let kept = |name: &str| message.meta.get(name).filter(|value| value.is_object());
    match message.message_type.as_str() {
        "text" => Ok(json!({"body": message.content.as_deref().unwrap_or_default(), "preview_url": true})),
        "template" => {
            let template = kept("template").ok_or_else(|| Refusal::give_up("The template's name and language are missing"))?;
            let part = |name: &str| template.get(name).cloned().unwrap_or_default();
            let (named, components) = (json!({"name": part("name"), "language": {"code": part("language")}}), part("components"));
            match (named, components) {
                (Value::Object(mut content), Value::Array(components)) if !components.is_empty() => {
                    content.insert("components".to_owned(), Value::Array(components));
                    Ok(Value::Object(content))
                }
                (named, _) => Ok(named),
            }
        }
        "interactive" => kept("interactive").cloned().ok_or_else(|| Refusal::give_up("The buttons or list are missing")),
        kind @ ("image" | "video" | "audio" | "document") => {
            let media = message.media.as_ref();
            let text = |name: &str| media.and_then(|media| media.get(name)).and_then(Value::as_str);
            let mut content = Map::new();
            content.insert("link".to_owned(), json!(text("url").ok_or_else(|| Refusal::give_up("The file's address is missing"))?));
            match (&message.content, kind) {
                (Some(_), "audio") => return Err(Refusal::give_up("WhatsApp takes no caption with audio: send the text by itself")),
                (Some(caption), _) => drop(content.insert("caption".to_owned(), json!(caption))),
                (None, _) => {}
            }
            if let (Some(name), "document") = (text("filename"), kind) {
                content.insert("filename".to_owned(), json!(name));
            }
            Ok(Value::Object(content))
        }
        other => Err(Refusal::give_up(format!("WhatsApp cannot send messages of type {other}"))),
    }
}

fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Answer {
    meta_graph::read((status, retry_after, body), |body| body.pointer("/messages/0/id").and_then(Value::as_str), meaning)
}

fn meaning(code: i64, _subcode: i64) -> Option<Meaning> {
    Some(match code {
        131_000 => (Then::Retry, "Something went wrong at WhatsApp with this message"),
        131_016 | 131_057 | 133_004 => (Then::Unavailable, "WhatsApp could not take the message just now"),
        130_429 => (wait(5), "The number sends faster than WhatsApp allows"),
        131_056 => (PAIR_WAIT, "WhatsApp takes only some messages a minute for one customer"),
        80_007 => (wait(60), "The WhatsApp Business account has used up its calls for now"),
        131_048 => (wait(600), "WhatsApp holds the number back because customers blocked it or reported it as spam"),
        131_005 => (Then::Reconnect, "The access token may not send from this number: give the channel a token with the permission to"),
        33 | 133_010 => (Then::Reconnect, "This number is not registered with the Cloud API: register it, or set another"),
        131_031 | 131_045 => (Then::Reconnect, "WhatsApp has locked this number or its account: see WhatsApp Manager"),
        131_042 => (Then::Reconnect, "WhatsApp wants its bill paid: see the payment settings of the WhatsApp Business account"),
        131_047 => (Then::GiveUp, TOO_LATE),
        131_026 => {
            (Then::GiveUp, "WhatsApp cannot deliver to this customer: not on WhatsApp, too old a version, or its terms not accepted")
        }
        131_021 => (Then::GiveUp, "A number cannot write to itself"),
        131_030 => (Then::GiveUp, "A test number sends only to numbers on its list: add this one in the app's dashboard"),
        131_049 | 130_472 => (Then::GiveUp, "WhatsApp did not deliver this to keep marketing messages few: try again another day"),
        131_050 => (Then::GiveUp, "The customer does not want marketing messages from this business"),
        131_051 => (Then::GiveUp, "WhatsApp does not take messages of this type"),
        131_052 | 131_053 => (Then::GiveUp, "WhatsApp could not fetch or use the file: check its address, type and size"),
        130_497 => (Then::GiveUp, "WhatsApp does not let this business write to customers in this country"),
        132_000 | 132_012 | 132_018 => (Then::GiveUp, "The template's parameters are not those that it has"),
        132_001 => (Then::GiveUp, "There is no approved template of this name in this language"),
        132_005 => (Then::GiveUp, "With its parameters the template's text is too long"),
        132_007 => (Then::GiveUp, "The template breaks WhatsApp's rules"),
        132_015 => (Then::GiveUp, "The template is paused because customers rated it badly"),
        132_016 => (Then::GiveUp, "The template is disabled for good: make another"),
        100 | 131_008 | 131_009 | 135_000 => (Then::GiveUp, "WhatsApp does not take the message as it is"),
        _ => return None,
    })
}
