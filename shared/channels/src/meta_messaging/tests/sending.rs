//! What the Send API is asked, and what each kind of answer means.

use crate::{
    instagram, messenger,
    sending::{Account, Answer, Outgoing, ProviderUrls, Recipient, Sender, Then},
};
use chrono::TimeDelta;
use platform::Secret;
use serde_json::{Value, json};

const ID: &str = "0190a0b0-0000-7000-8000-00000000000a";

fn message(kind: &str) -> Outgoing {
    Outgoing {
        id: ID.parse().unwrap(),
        to: Recipient { phone: None, ids: vec!["700200".to_owned()] },
        message_type: kind.to_owned(),
        content: (kind == "text").then(|| "hi".to_owned()),
        media: Some(json!({"type": kind, "url": "https://x.example/f"})),
        reply_to: None,
        meta: json!({}),
        since_inbound: Some(TimeDelta::hours(1)),
        by_person: true,
    }
}

fn composed(sender: &Sender, message: &Outgoing) -> Result<Value, String> {
    let urls = ProviderUrls { meta_graph: "https://graph.example".to_owned(), telegram: String::new() };
    let account = Account { external_id: "900100".to_owned(), token: Secret::new("token"), urls };
    let call = (sender.compose)(&account, message).map_err(|refusal| refusal.reason)?;
    assert_eq!(
        (call.url.expose(), call.bearer.as_ref().map(Secret::expose)),
        ("https://graph.example/v23.0/900100/messages", Some("token"))
    );
    Ok(call.body)
}

#[test]
fn text_and_files_have_their_bodies_and_messengers_echo_will_tell_them_ours() {
    let answer = Outgoing { reply_to: Some("m0".to_owned()), ..message("text") };
    let expected = json!({"recipient": {"id": "700200"}, "messaging_type": "RESPONSE", "reply_to": {"mid": "m0"}, "message": {"text": "hi", "metadata": ID}});
    assert_eq!(composed(&messenger::SENDER, &answer), Ok(expected));
    for (kind, word) in [("image", "image"), ("video", "video"), ("audio", "audio"), ("document", "file")] {
        let body = composed(&instagram::SENDER, &message(kind)).unwrap();
        assert_eq!(body["message"], json!({"attachment": {"type": word, "payload": {"url": "https://x.example/f", "is_reusable": false}}}));
    }
    for bad in [
        message("template"),
        Outgoing { media: None, ..message("image") },
        Outgoing { content: Some("caption".to_owned()), ..message("image") },
        Outgoing { to: Recipient::default(), ..message("text") },
    ] {
        assert!(composed(&messenger::SENDER, &bad).is_err(), "{bad:?}");
    }
}

#[test]
fn after_a_day_only_a_person_answers_and_after_a_week_nobody() {
    let late = |since, by_person| composed(&messenger::SENDER, &Outgoing { since_inbound: since, by_person, ..message("text") });
    let tagged = late(Some(TimeDelta::hours(25)), true).unwrap();
    assert_eq!((&tagged["messaging_type"], &tagged["tag"]), (&json!("MESSAGE_TAG"), &json!("HUMAN_AGENT")));
    assert!(late(Some(TimeDelta::hours(25)), false).is_err());
    assert!(late(Some(TimeDelta::days(7)), true).is_err());
    assert!(late(None, true).is_err());
    assert!(late(Some(TimeDelta::hours(23)), false).is_ok());
}

#[test]
fn each_code_says_what_to_do() {
    let read = |status: u16, body: &Value| (messenger::SENDER.read)(status, None, body.to_string().as_bytes());
    assert_eq!(read(200, &json!({"recipient_id": "700200", "message_id": "m7"})), Answer::Accepted { external_id: "m7".to_owned() });
    assert!(matches!(read(200, &json!({"recipient_id": "700200"})), Answer::Unclear(_)));
    let then = |code: i64, subcode: i64| match read(400, &json!({"error": {"message": "said", "code": code, "error_subcode": subcode}})) {
        Answer::Refused(refusal) => {
            assert_eq!(refusal.code, Some(code));
            refusal.then
        }
        other => panic!("{other:?}"),
    };
    for (code, subcode, expected) in [
        (10, 2_018_278, Then::GiveUp),
        (10, 0, Then::Reconnect),
        (100, 2_018_001, Then::GiveUp),
        (100, 0, Then::GiveUp),
        (190, 460, Then::Reconnect),
        (200, 1_545_041, Then::GiveUp),
        (200, 0, Then::Reconnect),
        (551, 0, Then::GiveUp),
        (1_200, 0, Then::Unavailable),
        (2, 0, Then::Unavailable),
        (4_711, 0, Then::GiveUp),
    ] {
        assert_eq!(then(code, subcode), expected, "{code} {subcode}");
    }
    assert!(matches!(then(613, 0), Then::Wait { all: true, .. }));
}
