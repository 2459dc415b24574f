//! What WhatsApp is asked for each type of message, and what each kind of answer means.

use crate::{
    sending::{Account, Answer, Outgoing, ProviderUrls, Recipient, Then},
    whatsapp_cloud::SENDER,
};
use chrono::TimeDelta;
use platform::Secret;
use serde_json::{Value, json};
use std::time::Duration;

const ID: &str = "0190a0b0-0000-7000-8000-00000000000a";

fn message(kind: &str) -> Outgoing {
    Outgoing {
        id: ID.parse().unwrap(),
        to: Recipient { phone: Some("4915550100300".to_owned()), ids: vec!["US.1".to_owned(), "4915550100300".to_owned()] },
        message_type: kind.to_owned(),
        content: None,
        media: None,
        reply_to: None,
        meta: json!({}),
        since_inbound: Some(TimeDelta::hours(1)),
        by_person: true,
    }
}

/// The body without what all bodies share.
fn composed(message: &Outgoing) -> Result<Value, String> {
    let account = Account {
        external_id: "200000000000002".to_owned(),
        token: Secret::new("token".to_owned()),
        urls: ProviderUrls { meta_graph: "https://graph.example".to_owned(), telegram: String::new() },
    };
    let call = (SENDER.compose)(&account, message).map_err(|refusal| refusal.reason)?;
    assert_eq!(
        (call.url.expose(), call.bearer.as_ref().map(Secret::expose)),
        ("https://graph.example/v23.0/200000000000002/messages", Some("token"))
    );
    let mut body = call.body;
    for (field, value) in [("messaging_product", "whatsapp"), ("recipient_type", "individual"), ("biz_opaque_callback_data", ID)] {
        assert_eq!(body.as_object_mut().unwrap().remove(field), Some(json!(value)), "{field}");
    }
    Ok(body)
}

#[test]
fn each_type_has_its_body() {
    let media =
        |kind: &str| Outgoing { media: Some(json!({"type": kind, "url": "https://x.example/f", "filename": "f.pdf"})), ..message(kind) };
    let text = Outgoing { content: Some("hi".to_owned()), reply_to: Some("wamid.1".to_owned()), ..message("text") };
    let by_user_id = Outgoing { to: Recipient { phone: None, ids: vec!["US.1".to_owned()] }, ..text.clone() };
    let template = json!({"name": "welcome", "language": "de", "components": [{"type": "body", "parameters": []}]});
    let buttons = json!({"type": "button", "body": {"text": "ok?"}, "action": {"buttons": []}});
    let cases = [
        (
            text,
            json!({"to": "4915550100300", "type": "text", "context": {"message_id": "wamid.1"}, "text": {"body": "hi", "preview_url": true}}),
        ),
        (
            by_user_id,
            json!({"recipient": "US.1", "type": "text", "context": {"message_id": "wamid.1"}, "text": {"body": "hi", "preview_url": true}}),
        ),
        (
            Outgoing { content: Some("look".to_owned()), ..media("image") },
            json!({"to": "4915550100300", "type": "image", "image": {"link": "https://x.example/f", "caption": "look"}}),
        ),
        (media("audio"), json!({"to": "4915550100300", "type": "audio", "audio": {"link": "https://x.example/f"}})),
        (
            media("document"),
            json!({"to": "4915550100300", "type": "document", "document": {"link": "https://x.example/f", "filename": "f.pdf"}}),
        ),
        (
            Outgoing { meta: json!({"template": template}), ..message("template") },
            json!({"to": "4915550100300", "type": "template", "template":
                {"name": "welcome", "language": {"code": "de"}, "components": [{"type": "body", "parameters": []}]}}),
        ),
        (
            Outgoing { meta: json!({"interactive": buttons}), ..message("interactive") },
            json!({"to": "4915550100300", "type": "interactive", "interactive": buttons}),
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(composed(&message), Ok(expected), "{}", message.message_type);
    }
}

#[test]
fn what_whatsapp_would_not_take_is_not_asked_for() {
    let audio = Outgoing { content: Some("listen".to_owned()), media: Some(json!({"url": "https://x.example/f"})), ..message("audio") };
    let nobody = Outgoing { to: Recipient::default(), ..message("text") };
    for wrong in [audio, nobody, message("image"), message("template"), message("interactive"), message("sticker")] {
        assert!(!composed(&wrong).unwrap_err().is_empty(), "{}", wrong.message_type);
    }
}

fn read(status: u16, body: &Value) -> Answer {
    (SENDER.read)(status, None, body.to_string().as_bytes())
}

fn then(status: u16, code: i64) -> Then {
    let body = json!({"error": {"message": "said", "type": "OAuthException", "code": code, "error_data": {"details": "in detail"}}});
    let Answer::Refused(refusal) = read(status, &body) else { panic!("{code} is no refusal") };
    assert_eq!((refusal.code, refusal.detail.as_deref()), (Some(code), Some("in detail")));
    assert_eq!(refusal.errors()[0]["code"], code);
    assert!(refusal.reason.len() > 10);
    refusal.then
}

#[test]
fn each_error_says_what_to_do() {
    for code in [0, 3, 10, 190, 200, 299, 368, 131_005, 131_031, 131_042, 133_010] {
        assert_eq!(then(400, code), Then::Reconnect, "{code}");
    }
    for code in [100, 131_008, 131_026, 131_047, 131_051, 131_053, 132_001, 132_015, 999_999] {
        assert_eq!(then(400, code), Then::GiveUp, "{code}");
    }
    for code in [1, 2, 131_016, 131_057] {
        assert_eq!(then(500, code), Then::Unavailable, "{code}");
    }
    assert_eq!(then(500, 131_000), Then::Retry);
    assert_eq!(then(500, 999_999), Then::Unavailable, "an error of the server that nobody has seen");
    for code in [4, 80_007, 130_429, 131_048] {
        assert!(matches!(then(429, code), Then::Wait { all: true, .. }), "{code}");
    }
    assert_eq!(then(400, 131_056), Then::Wait { delay: Duration::from_secs(6), all: false }, "only this customer's messages wait");
}

#[test]
fn only_an_id_is_an_acceptance_and_only_a_refusal_is_one() {
    let accepted = json!({"messaging_product": "whatsapp", "contacts": [{"input": "1", "wa_id": "1"}], "messages": [{"id": "wamid.OUT"}]});
    assert_eq!(read(200, &accepted), Answer::Accepted { external_id: "wamid.OUT".to_owned() });
    for (status, body) in [
        (200, json!({})),
        (200, json!("garbage")),
        (200, json!({"messages": []})),
        (500, json!("garbage")),
        (502, json!({})),
        (504, Value::Null),
        (302, json!({})),
    ] {
        assert!(matches!(read(status, &body), Answer::Unclear(_)), "{status} {body}");
    }
    assert!(matches!((SENDER.read)(200, None, b"\xff{"), Answer::Unclear(_)));
    let asked = |status, seconds| match (SENDER.read)(status, Some(Duration::from_secs(seconds)), b"") {
        Answer::Refused(refusal) => refusal.then,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(429, 7), Then::Wait { delay: Duration::from_secs(7), all: true });
    assert_eq!(asked(503, 8), Then::Wait { delay: Duration::from_secs(8), all: true });
    let (Answer::Refused(unavailable), Answer::Refused(unauthorised)) = (read(503, &Value::Null), read(401, &Value::Null)) else {
        panic!()
    };
    assert_eq!((unavailable.then, unauthorised.then), (Then::Unavailable, Then::Reconnect));
}

#[test]
fn a_day_after_the_customers_last_message_only_a_template_goes_out() {
    let late = |kind: &str, since| Outgoing { since_inbound: since, content: Some("hi".to_owned()), ..message(kind) };
    for since in [None, Some(TimeDelta::hours(24)), Some(TimeDelta::days(30))] {
        assert!(composed(&late("text", since)).unwrap_err().contains("template"), "{since:?}");
    }
    assert!(composed(&late("text", Some(TimeDelta::hours(23)))).is_ok());
    let template = json!({"template": {"name": "welcome", "language": "de"}});
    assert!(composed(&Outgoing { meta: template, content: None, ..late("template", None) }).is_ok());
}

#[test]
fn a_number_that_was_given_by_hand_counts_only_if_the_channel_knows_no_other() {
    let to = |phone: Option<&str>, ids: &[&str]| Recipient {
        phone: phone.map(str::to_owned),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let cases = [
        (to(Some("49"), &["49", "50"]), Ok("49")),
        (to(Some("49"), &["51", "50"]), Ok("51")),
        (to(Some("49"), &[]), Ok("49")),
        (to(Some("49"), &["US.1"]), Err("US.1")),
        (to(None, &["US.2", "50", "US.1"]), Ok("50")),
    ];
    for (to, expected) in cases {
        let body = composed(&Outgoing { to: to.clone(), content: Some("hi".to_owned()), ..message("text") }).unwrap();
        let found = body["to"].as_str().map_or_else(|| Err(body["recipient"].as_str().unwrap()), Ok);
        assert_eq!(found, expected, "{to:?}");
    }
}
