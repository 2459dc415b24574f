//! Sending by the Bot API ([sending messages](https://core.telegram.org/bots/api#sendmessage)), and what its errors mean
//! ([making requests](https://core.telegram.org/bots/api#making-requests)).

use super::TOKEN;
use crate::pace::{Pace, Rate};
use crate::sending::{Account, Answer, Call, Outgoing, ProviderUrls, Refusal, Sender, Then};
use platform::Secret;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What the registry lists.
pub(super) const SENDER: Sender = Sender { token: TOKEN, compose, captions: &["image", "video", "audio", "document"], read, pace: PACE };

/// <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>; the ids of groups are negative.
const PACE: Pace = Pace {
    channel: |_| Rate::per_second(30),
    person: |id| {
        let is_group = id.rsplit(':').next().is_some_and(|chat| chat.starts_with('-'));
        Some(Rate { interval: Duration::from_secs(if is_group { 3 } else { 1 }), burst: 3 })
    },
};

/// What a bot is told of. Membership of others and reactions come only when they are asked for.
const UPDATES: [&str; 13] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "callback_query",
    "message_reaction",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
];

fn call(account_urls: &str, token: &Secret, method: &str, body: Value) -> Call {
    Call { url: Secret::new(format!("{account_urls}/bot{}/{method}", token.expose())), bearer: None, body }
}

/// Has updates sent to `address`, each with `secret` in its header (<https://core.telegram.org/bots/api#setwebhook>).
pub(super) fn set_webhook(urls: &ProviderUrls, token: &Secret, address: &str, secret: &Secret) -> Call {
    let body = json!({"url": address, "secret_token": secret.expose(), "allowed_updates": UPDATES});
    call(&urls.telegram, token, "setWebhook", body)
}

/// Reads the answer to `setWebhook`.
pub(super) fn webhook_was_set(status: u16, body: &[u8]) -> Result<(), String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if body.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let said = body.get("description").and_then(Value::as_str);
    Err(said.map_or_else(|| format!("Telegram answered HTTP {status}"), |said| format!("Telegram does not take the webhook: {said}")))
}

fn compose(account: &Account, message: &Outgoing) -> Result<Call, Refusal> {
    let key =
        message.to.ids.first().ok_or_else(|| Refusal::give_up("The customer has no chat with this bot: they have to write to it first"))?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    let chat = match key.split_once(':') {
        Some((connection, chat)) => {
            put("business_connection_id", json!(connection));
            chat
        }
        None => key,
    };
    put("chat_id", chat.parse::<i64>().map_or_else(|_| json!(chat), |id| json!(id)));
    let answered = message.reply_to.as_deref().and_then(|id| id.rsplit(':').next()?.parse::<i64>().ok());
    if let Some(id) = answered {
        // The message that it answers may be gone: it is sent all the same.
        put("reply_parameters", json!({"message_id": id, "allow_sending_without_reply": true}));
    }
    let method = match message.message_type.as_str() {
        "text" => {
            put("text", json!(message.content.as_deref().unwrap_or_default()));
            "sendMessage"
        }
        kind => {
            let (method, field) = match kind {
                "image" => ("sendPhoto", "photo"),
                "video" => ("sendVideo", "video"),
                "audio" => ("sendAudio", "audio"),
                "document" => ("sendDocument", "document"),
                other => return Err(Refusal::give_up(format!("Telegram cannot send messages of type {other}"))),
            };
            let url = message.media.as_ref().and_then(|media| media.get("url")?.as_str());
            put(field, json!(url.ok_or_else(|| Refusal::give_up("The file's address is missing"))?));
            if let Some(caption) = &message.content {
                put("caption", json!(caption));
            }
            method
        }
    };
    Ok(call(&account.urls.telegram, &account.token, method, Value::Object(body)))
}

fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match body.get("ok").and_then(Value::as_bool) {
        Some(true) => accepted(&body),
        Some(false) => refused(status, retry_after, &body),
        None if status == 429 => Answer::Refused(Refusal { then: wait(retry_after), code: Some(429), ..Refusal::give_up(TOO_FAST) }),
        None => Answer::Unclear(format!("HTTP {status} that does not say whether the message was taken")),
    }
}

fn accepted(body: &Value) -> Answer {
    let place = |path: &str| body.pointer(path).and_then(Value::as_i64);
    let (Some(chat), Some(message)) = (place("/result/chat/id"), place("/result/message_id")) else {
        return Answer::Unclear("Telegram's answer is without the id of a message".to_owned());
    };
    // As the updates name it.
    let connection = body.pointer("/result/business_connection_id").and_then(Value::as_str).map(|id| format!("{id}:")).unwrap_or_default();
    Answer::Accepted { external_id: format!("{connection}{chat}:{message}") }
}

const TOO_FAST: &str = "The bot sends faster than Telegram allows";

fn wait(asked: Option<Duration>) -> Then {
    Then::Wait { delay: asked.unwrap_or(Duration::from_secs(5)), all: true }
}

/// The code says what kind of refusal it is; the description is for people, and may change
/// (<https://core.telegram.org/bots/api#responseparameters>).
fn refused(status: u16, retry_after: Option<Duration>, body: &Value) -> Answer {
    let code = body.get("error_code").and_then(Value::as_i64).unwrap_or_else(|| status.into());
    let parameter = |name: &str| body.pointer("/parameters").and_then(|parameters| parameters.get(name)).and_then(Value::as_i64);
    let asked = parameter("retry_after").and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let moved_to = parameter("migrate_to_chat_id").map(|id| id.to_string());
    let (then, reason) = match code {
        400 if moved_to.is_some() => (Then::Move, "The group has become a supergroup"),
        401 | 404 => (Then::Reconnect, "Telegram does not accept the bot's token: give the channel the one that BotFather shows"),
        403 => (Then::GiveUp, "The person has blocked the bot, or it was removed from the chat"),
        409 => (Then::Unavailable, "Telegram could not take the message just now"),
        429 => (wait(asked.or(retry_after)), TOO_FAST),
        // It may have happened before whatever went wrong.
        500.. => return Answer::Unclear(format!("Telegram answered with error {code}")),
        _ => (Then::GiveUp, "Telegram does not take this message"),
    };
    let detail = body.get("description").and_then(Value::as_str).map(str::to_owned);
    Answer::Refused(Refusal { then, code: Some(code), reason: reason.to_owned(), detail, moved_to })
}
