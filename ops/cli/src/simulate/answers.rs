//! What a provider answers. Written from <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>,
//! <https://developers.facebook.com/docs/messenger-platform/reference/send-api> and <https://core.telegram.org/bots/api>.

use super::customers::{Bot, Customers, Heard, Product};
use serde_json::{Value, json};
use std::sync::Arc;

/// A picture of one pixel.
const PICTURE: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 31, 21, 196, 137, 0, 0, 0, 13, 73,
    68, 65, 84, 120, 156, 99, 248, 207, 192, 240, 31, 0, 5, 0, 1, 255, 137, 153, 61, 29, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

fn answered(status: u16, body: &Value) -> Answer {
    Answer { status, content_type: "application/json", body: body.to_string().into_bytes() }
}

/// The answer to one request.
pub(super) fn to(method: &str, target: &str, body: &[u8], customers: &Arc<Customers>, base: &str) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match (method, parts.as_slice()) {
        (_, ["file", ..]) => Answer { status: 200, content_type: "image/png", body: PICTURE.to_vec() },
        ("POST", ["write"]) => write(&body, customers),
        ("POST", [_, account, "message_templates"]) => answered(200, &customers.submit(account, &body)),
        ("GET", [_, account, "message_templates"]) => answered(200, &customers.templates(account)),
        ("DELETE", [_, account, "message_templates"]) => {
            let id = query.split('&').find_map(|part| part.strip_prefix("hsm_id=")).unwrap_or_default();
            answered(200, &customers.delete_template(account, id))
        }
        ("POST", [_, end, "messages"]) => answered(200, &meta_message(end, &body, customers)),
        ("GET", [_, person]) if query.contains("fields=") => {
            let name = format!("Customer {}", person.get(person.len().saturating_sub(4)..).unwrap_or(person));
            answered(200, &json!({"first_name": name, "name": name, "last_name": "", "id": person}))
        }
        ("GET", [_, media]) if !media.starts_with("getFile") => answered(
            200,
            &json!({"url": format!("{base}/file/{media}"), "mime_type": "image/png", "id": media, "messaging_product": "whatsapp"}),
        ),
        (_, [token, call]) => match token.strip_prefix("bot") {
            Some(token) => telegram(token, call, &body, customers),
            None => unknown(),
        },
        _ => unknown(),
    }
}

fn unknown() -> Answer {
    answered(404, &json!({"error": {"message": "This is not simulated", "type": "GraphMethodException", "code": 100}}))
}

/// Not a provider's: `{channel, to, from?, text}` has a customer write.
fn write(body: &Value, customers: &Arc<Customers>) -> Answer {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let product = match text("channel").as_deref() {
        Some("whatsapp") => Product::WhatsApp,
        Some("facebook") => Product::Messenger,
        Some("instagram") => Product::Instagram,
        _ => return answered(400, &json!({"error": "channel must be whatsapp, facebook or instagram"})),
    };
    let (Some(to), Some(said)) = (text("to"), text("text")) else {
        return answered(400, &json!({"error": "to (the phone number id, page or account that is written to) and text are required"}));
    };
    let from = text("from").unwrap_or_else(|| "15550100123".to_owned());
    let customers = customers.clone();
    tokio::spawn(async move { customers.write(product, &to, &from, &said).await });
    answered(202, &json!({"writing": true}))
}

fn meta_message(end: &str, body: &Value, customers: &Arc<Customers>) -> Value {
    let text = |place: &str| body.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = customers.next_id();
    if body.get("messaging_product").is_some() {
        let to = if text("/to").is_empty() { text("/recipient") } else { text("/to") };
        let (id, said) = (format!("wamid.simulated.{id}"), said(body.get(text("/type").as_str()), &text("/type")));
        let heard = Heard { end: end.to_owned(), person: to.clone(), id: id.clone(), said, ours: text("/biz_opaque_callback_data") };
        customers.whatsapp(heard);
        return json!({"messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": to}], "messages": [{"id": id}]});
    }
    let (to, id) = (text("/recipient/id"), format!("m_simulated_{id}"));
    let said = said(body.get("message"), "attachment");
    // Only Messenger gives back what a message was marked with, so only there it is.
    let product = if body.pointer("/message/metadata").is_some() { Product::Messenger } else { Product::Instagram };
    customers.messenger(product, Heard { end: end.to_owned(), person: to.clone(), id: id.clone(), said, ours: String::new() });
    json!({"recipient_id": to, "message_id": id})
}

fn said(content: Option<&Value>, otherwise: &str) -> String {
    let text = ["body", "text", "caption", "name"].iter().find_map(|name| content?.get(name)?.as_str());
    text.map_or_else(|| format!("({otherwise})"), str::to_owned)
}

fn telegram(token: &str, call: &str, body: &Value, customers: &Arc<Customers>) -> Answer {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let result = match call {
        "setWebhook" => {
            customers.meet(token, Bot { url: text("url"), secret: text("secret_token") });
            json!(true)
        }
        "getFile" => json!({"file_id": "simulated", "file_path": "photos/simulated.png"}),
        call if call.starts_with("send") => {
            let chat = body.get("chat_id").and_then(Value::as_i64).unwrap_or_default();
            let id = customers.next_id();
            let said = if text("text").is_empty() { text("caption") } else { text("text") };
            customers.telegram(Heard { end: token.to_owned(), person: chat.to_string(), id: id.to_string(), said, ours: String::new() });
            json!({"message_id": id, "date": customers.now(), "chat": {"id": chat, "type": "private"}, "text": text("text")})
        }
        _ => json!(true),
    };
    answered(200, &json!({"ok": true, "result": result}))
}
