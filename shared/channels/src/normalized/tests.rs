//! Normalized messages: what becomes of them, and which are the same.

use super::*;

fn message(text: Option<&str>, attachments: Value) -> Inbound {
    let mut message = Inbound {
        channel_instance_id: "0198c0de-0000-7000-8000-000000000001".to_owned(),
        external_id: String::new(),
        phone: None,
        user_id: Some("4711".to_owned()),
        name: Some("Ann".to_owned()),
        external_conversation_id: None,
        text: text.map(str::to_owned),
        attachments: serde_json::from_value(attachments).unwrap(),
        sent_at: DateTime::UNIX_EPOCH,
        raw: Value::Null,
    };
    message.external_id = message.fingerprint();
    message
}

fn read_back(messages: &[Inbound]) -> Vec<NewMessage> {
    let body = serde_json::to_vec(messages).unwrap();
    let events = parse(&body).unwrap();
    assert!(events.iter().zip(0..).all(|(event, position)| event.position == position));
    let message = |event: ChannelEvent| if let EventBody::Message(message) = event.body { *message } else { panic!("a message") };
    events.into_iter().map(message).collect()
}

#[test]
fn a_text_and_attachments() {
    let place = json!([{"type": "IMAGE", "url": "https://example.com/a.jpg", "mime_type": "image/jpeg"}, {"type": "location", "url": null, "lat": 1}]);
    let read = read_back(&[message(Some("hi"), json!([])), message(None, place.clone())]);
    assert_eq!(
        (read[0].message_type.as_str(), read[0].content.as_deref(), &read[0].media, &read[0].meta),
        ("text", Some("hi"), &None, &Value::Null)
    );
    assert_eq!(read[0].person, PersonRef { phone: None, user_id: Some("4711".to_owned()), name: Some("Ann".to_owned()) });
    let media = read[1].media.as_ref().unwrap();
    assert_eq!(
        (read[1].message_type.as_str(), media.kind.as_str(), media.url.as_deref()),
        ("image", "image", Some("https://example.com/a.jpg"))
    );
    assert_eq!(read[1].meta["attachments"][1], place[1]);
}

#[test]
fn the_same_message_has_the_same_id_and_another_one_another() {
    let first = message(Some("hi"), json!([]));
    assert_eq!(first.fingerprint(), message(Some("hi"), json!([])).fingerprint());
    for other in [
        message(Some("ho"), json!([])),
        message(None, json!([{"type": "image", "url": "x"}])),
        Inbound { sent_at: DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(1), ..first.clone() },
        Inbound { user_id: Some("4712".to_owned()), ..first.clone() },
    ] {
        assert_ne!(first.fingerprint(), other.fingerprint());
    }
}

#[test]
fn a_body_names_each_channel_once() {
    let body = serde_json::to_vec(&[message(Some("a"), json!([])), message(Some("b"), json!([]))]).unwrap();
    assert_eq!(route(&body).unwrap(), ["0198c0de-0000-7000-8000-000000000001"]);
    assert!(route(b"{}").is_err());
    assert!(parse(b"nonsense").is_err());
}
