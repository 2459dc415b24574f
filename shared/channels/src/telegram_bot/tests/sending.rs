//! What the Bot API is asked, and what each kind of answer means.

use crate::{
    sending::{Account, Answer, Outgoing, ProviderUrls, Recipient, Then},
    telegram_bot::{CONNECTOR, SENDER},
};
use platform::Secret;
use serde_json::{Value, json};
use std::time::Duration;

fn message(kind: &str, to: &str) -> Outgoing {
    Outgoing {
        id: "0190a0b0-0000-7000-8000-00000000000a".parse().unwrap(),
        to: Recipient { phone: None, ids: vec![to.to_owned(), "1".to_owned()] },
        message_type: kind.to_owned(),
        content: Some("hi".to_owned()),
        media: Some(json!({"type": kind, "url": "https://x.example/f"})),
        reply_to: None,
        meta: json!({}),
        since_inbound: None,
        by_person: false,
    }
}

fn composed(message: &Outgoing) -> Result<(String, Value), String> {
    let urls = ProviderUrls { meta_graph: String::new(), telegram: "https://telegram.example".to_owned() };
    let account = Account { external_id: "7".to_owned(), token: Secret::new("7:key"), urls };
    let call = (SENDER.compose)(&account, message).map_err(|refusal| refusal.reason)?;
    assert!(call.bearer.is_none() && !format!("{call:?}").contains("7:key"), "{call:?}");
    Ok((call.url.expose().trim_start_matches("https://telegram.example/bot7:key/").to_owned(), call.body))
}

#[test]
fn each_type_has_its_method() {
    let cases = [
        ("text", "sendMessage", json!({"chat_id": 42, "text": "hi"})),
        ("image", "sendPhoto", json!({"chat_id": 42, "photo": "https://x.example/f", "caption": "hi"})),
        ("video", "sendVideo", json!({"chat_id": 42, "video": "https://x.example/f", "caption": "hi"})),
        ("audio", "sendAudio", json!({"chat_id": 42, "audio": "https://x.example/f", "caption": "hi"})),
        ("document", "sendDocument", json!({"chat_id": 42, "document": "https://x.example/f", "caption": "hi"})),
    ];
    for (kind, method, body) in cases {
        assert_eq!(composed(&message(kind, "42")), Ok((method.to_owned(), body)));
    }
    let answer = Outgoing { reply_to: Some("B7:42:9".to_owned()), ..message("text", "B7:42") };
    let expected = json!({"chat_id": 42, "business_connection_id": "B7", "text": "hi", "reply_parameters": {"message_id": 9, "allow_sending_without_reply": true}});
    assert_eq!(composed(&answer), Ok(("sendMessage".to_owned(), expected)));
    assert!(composed(&message("template", "42")).is_err());
    assert!(composed(&Outgoing { media: None, ..message("image", "42") }).is_err());
    assert!(composed(&Outgoing { to: Recipient::default(), ..message("text", "42") }).is_err());
}

fn read(status: u16, body: &Value) -> Answer {
    (SENDER.read)(status, None, body.to_string().as_bytes())
}

#[test]
fn only_a_message_with_its_id_is_an_acceptance() {
    let sent = json!({"ok": true, "result": {"message_id": 9, "chat": {"id": -42, "type": "group"}}});
    assert_eq!(read(200, &sent), Answer::Accepted { external_id: "-42:9".to_owned() });
    let business = json!({"ok": true, "result": {"message_id": 9, "business_connection_id": "B7", "chat": {"id": 42}}});
    assert_eq!(read(200, &business), Answer::Accepted { external_id: "B7:42:9".to_owned() });
    for unclear in [json!({"ok": true, "result": true}), json!({"ok": true}), json!("<html>"), json!(null)] {
        assert!(matches!(read(200, &unclear), Answer::Unclear(_)), "{unclear}");
    }
    assert!(matches!(read(502, &json!("Bad Gateway")), Answer::Unclear(_)));
    assert!(matches!(read(500, &json!({"ok": false, "error_code": 500, "description": "Internal Server Error"})), Answer::Unclear(_)));
}

#[test]
fn each_code_says_what_to_do() {
    let refused = |code: u16, parameters: Value| match read(
        code,
        &json!({"ok": false, "error_code": code, "description": "said", "parameters": parameters}),
    ) {
        Answer::Refused(refusal) => {
            assert_eq!((refusal.code, refusal.detail.as_deref()), (Some(code.into()), Some("said")));
            (refusal.then, refusal.moved_to)
        }
        other => panic!("{other:?}"),
    };
    let wait = |seconds| Then::Wait { delay: Duration::from_secs(seconds), all: true };
    assert_eq!(refused(429, json!({"retry_after": 14})), (wait(14), None));
    assert_eq!(refused(429, json!({})), (wait(5), None));
    assert_eq!(refused(400, json!({"migrate_to_chat_id": -1_009})), (Then::Move, Some("-1009".to_owned())));
    for (code, then) in [(400, Then::GiveUp), (401, Then::Reconnect), (403, Then::GiveUp), (404, Then::Reconnect), (409, Then::Unavailable)]
    {
        assert_eq!(refused(code, json!({})), (then, None), "{code}");
    }
}

#[test]
fn the_webhook_is_asked_for_with_a_secret() {
    let urls = ProviderUrls { meta_graph: String::new(), telegram: "https://telegram.example".to_owned() };
    let call = (CONNECTOR.call)(&urls, &Secret::new("7:key"), "https://us.example/hook/1", &Secret::new("s3cret"));
    assert_eq!(call.url.expose(), "https://telegram.example/bot7:key/setWebhook");
    assert_eq!((&call.body["url"], &call.body["secret_token"]), (&json!("https://us.example/hook/1"), &json!("s3cret")));
    for kind in ["message", "callback_query", "message_reaction", "chat_member", "business_message"] {
        assert!(call.body["allowed_updates"].as_array().unwrap().contains(&json!(kind)), "{kind}");
    }
    assert_eq!((CONNECTOR.read)(200, br#"{"ok":true,"result":true}"#), Ok(()));
    assert!(
        (CONNECTOR.read)(400, br#"{"ok":false,"description":"bad webhook: HTTPS url must be provided"}"#).unwrap_err().contains("HTTPS")
    );
    assert!((CONNECTOR.read)(502, b"<html>").is_err());
}
