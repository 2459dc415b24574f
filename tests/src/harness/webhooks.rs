//! Webhook bodies in the shapes that Meta documents
//! (<https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components>), signed as it signs them
//! (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads>).

use super::PHONE_NUMBER_ID;
use channels::meta_signature::SignatureKey;
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "the app secret of the tests";
pub(crate) const VERIFY_TOKEN: &str = "the verify token of the tests";

pub(crate) fn sign(body: &str) -> String {
    sign_bytes(body.as_bytes())
}

pub(crate) fn sign_bytes(body: &[u8]) -> String {
    SignatureKey::new(SECRET.as_bytes()).sign(body)
}

/// A body with one change of the field `messages`, for `phone_number_id`.
pub(crate) fn change(phone_number_id: &str, value: &Value) -> String {
    let mut value = value.clone();
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({"display_phone_number": "15550001111", "phone_number_id": phone_number_id});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "900", "changes": [{"field": "messages", "value": value}]}]}).to_string()
}

/// A body with these elements of `messages`, for the first tenant.
pub(crate) fn messages(elements: &[Value]) -> String {
    change(PHONE_NUMBER_ID, &json!({"messages": elements}))
}

/// An element of `messages`, with `content` under the key `kind`. `from`: a phone number, or a user id (`US.1`). `at`: seconds
/// after 1760000000.
pub(crate) fn message(from: &str, id: &str, at: u32, kind: &str, content: Value) -> Value {
    let sender = if from.starts_with(|first: char| first.is_ascii_digit()) { "from" } else { "from_user_id" };
    let mut element = json!({sender: from, "id": id, "timestamp": (1_760_000_000 + at).to_string(), "type": kind});
    element[kind] = content;
    element
}

/// A text message to the first tenant from `phone`.
pub(crate) fn text_from(phone: &str, id: &str, text: &str) -> String {
    change(
        PHONE_NUMBER_ID,
        &json!({
            "contacts": [{"profile": {"name": format!("Customer {phone}")}, "wa_id": phone}],
            "messages": [{"from": phone, "id": id, "timestamp": "1760000000", "type": "text", "text": {"body": text}}]
        }),
    )
}

/// A text message from `phone` to the channel `phone_number_id`, sent `ago` seconds ago.
pub(crate) fn text_to(phone_number_id: &str, phone: &str, id: &str, text: &str, ago: i64) -> String {
    let at = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed() - ago;
    change(
        phone_number_id,
        &json!({
            "contacts": [{"profile": {"name": format!("Customer {phone}")}, "wa_id": phone}],
            "messages": [{"from": phone, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": text}}]
        }),
    )
}

/// A text message to the first tenant.
pub(crate) fn text(id: &str) -> String {
    text_from("15551230001", id, &format!("text of {id}"))
}

pub(crate) fn image(phone: &str, id: &str) -> String {
    let image = json!({"id": "media-1", "mime_type": "image/jpeg", "sha256": "c2hh", "caption": "look"});
    change(
        PHONE_NUMBER_ID,
        &json!({
            "contacts": [{"profile": {"name": "Someone"}, "wa_id": phone}],
            "messages": [{"from": phone, "id": id, "timestamp": "1760000001", "type": "image", "image": image}]
        }),
    )
}

/// A receipt for the message `id`.
pub(crate) fn status(id: &str, status: &str) -> String {
    status_for(PHONE_NUMBER_ID, id, status)
}

pub(crate) fn status_for(phone_number_id: &str, id: &str, status: &str) -> String {
    let mut receipt = json!({"id": id, "status": status, "timestamp": "1760000002", "recipient_id": "15551230001"});
    if status == "failed" {
        receipt["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    }
    change(phone_number_id, &json!({"statuses": [receipt]}))
}

/// A message that the business sent to `phone` from its own phone, now.
pub(crate) fn echo(phone: &str, id: &str) -> String {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::UNIX_EPOCH + std::time::UNIX_EPOCH.elapsed().unwrap()).timestamp();
    json!({"object": "whatsapp_business_account", "entry": [{"id": "900", "changes": [{"field": "smb_message_echoes", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": PHONE_NUMBER_ID},
        "message_echoes": [{"from": "15550001111", "to": phone, "id": id, "timestamp": now.to_string(), "type": "text", "text": {"body": "I will help"}}]
    }}]}]})
    .to_string()
}
