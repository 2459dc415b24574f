//! Written from <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events> and Instagram's
//! <https://developers.facebook.com/docs/messenger-platform/instagram/features/webhook>, with values of our own.

use crate::{instagram, messenger, registry};
use domain::{DeliveryStatus, Direction, EventBody, NewMessage};
use serde_json::{Value, json};
use std::path::Path;

const PAGE: &str = "900100";
const PERSON: &str = "700200";

/// A body with one event of a person.
fn body(object: &str, list: &str, part: &Value) -> String {
    let mut event = json!({"sender": {"id": PERSON}, "recipient": {"id": PAGE}, "timestamp": 1_760_000_000_123_u64});
    event.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    json!({"object": object, "entry": [{"id": PAGE, "time": 1_760_000_000_200_u64, list: [event]}]}).to_string()
}

fn events_of(object: &str, list: &str, part: &Value) -> Vec<EventBody> {
    let body = body(object, list, part);
    let parse = if object == "page" { messenger::parse } else { instagram::parse };
    let events = parse(body.as_bytes()).unwrap();
    assert!(events.iter().all(|event| event.channel_external_id.as_deref() == Some(PAGE)), "{events:?}");
    events.into_iter().map(|event| event.body).collect()
}

fn events(part: &Value) -> Vec<EventBody> {
    events_of("page", "messaging", part)
}

fn only_message(events: &[EventBody]) -> NewMessage {
    match events {
        [EventBody::Message(message)] => (**message).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_quick_replies_and_answers() {
    let message = json!({"mid": "m1", "text": "hello", "quick_reply": {"payload": "P"}, "reply_to": {"mid": "m0"}});
    let message = only_message(&events(&json!({"message": message})));
    assert_eq!((message.external_id.as_str(), message.content.as_deref(), message.reply_to.as_deref()), ("m1", Some("hello"), Some("m0")));
    assert_eq!(
        (message.person.user_id.as_deref(), message.direction, message.message_type.as_str()),
        (Some(PERSON), Direction::Inbound, "text")
    );
    assert_eq!((message.sent_at.unwrap().timestamp_millis(), &message.meta["quick_reply"]["payload"]), (1_760_000_000_123, &json!("P")));
}

#[test]
fn attachments_keep_their_address() {
    for (kind, expected) in [
        ("image", "image"),
        ("video", "video"),
        ("audio", "audio"),
        ("file", "document"),
        ("share", "share"),
        ("story_mention", "story_mention"),
    ] {
        let message = json!({"mid": "m1", "attachments": [{"type": kind, "payload": {"url": "https://cdn.example/f"}}]});
        let message = only_message(&events_of("instagram", "messaging", &json!({"message": message})));
        let media = message.media.unwrap();
        assert_eq!(
            (message.message_type.as_str(), media.kind.as_str(), media.url.as_deref()),
            (expected, expected, Some("https://cdn.example/f"))
        );
    }
    let sticker = json!({"mid": "m1", "attachments": [{"type": "image", "payload": {"url": "https://cdn.example/s", "sticker_id": 369}}]});
    assert_eq!(only_message(&events(&json!({"message": sticker}))).message_type, "sticker");
    let place = json!({"mid": "m1", "attachments": [{"type": "location", "payload": {"coordinates": {"lat": 1.5, "long": 2}}}]});
    let place = only_message(&events(&json!({"message": place})));
    assert_eq!((place.message_type.as_str(), place.content.as_deref(), place.media), ("location", Some("1.5,2"), None));
    let two = json!({"mid": "m1", "attachments": [{"type": "image", "payload": {"url": "https://a"}}, {"type": "image", "payload": {"url": "https://b"}}]});
    let two = only_message(&events(&json!({"message": two})));
    assert_eq!((two.media.unwrap().url.as_deref(), two.meta["attachments"].as_array().unwrap().len()), (Some("https://a"), 2));
}

#[test]
fn story_replies_and_what_nobody_knows() {
    let message = json!({"mid": "m1", "text": "nice", "reply_to": {"story": {"id": "S", "url": "https://cdn.example/s"}}});
    let message = only_message(&events_of("instagram", "messaging", &json!({"message": message})));
    assert_eq!((message.reply_to, &message.meta["story"]["id"]), (None, &json!("S")));
    let strange = only_message(&events(&json!({"message": {"mid": "m2", "hologram": 1}})));
    assert_eq!((strange.message_type.as_str(), &strange.meta["raw"]["hologram"]), ("unsupported", &json!(1)));
}

#[test]
fn an_echo_is_a_persons_unless_it_is_ours() {
    let echo = |object: &str, more: Value| {
        let mut message = json!({"mid": "m1", "text": "we will see", "is_echo": true, "app_id": 5});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        events_of(object, "messaging", &json!({"sender": {"id": PAGE}, "recipient": {"id": PERSON}, "message": message}))
    };
    let theirs = only_message(&echo("page", json!({"metadata": "something else"})));
    assert_eq!((theirs.direction, theirs.from_business_phone, theirs.may_be_ours), (Direction::Outbound, true, false));
    assert_eq!(theirs.person.user_id.as_deref(), Some(PERSON));
    let id = "0190a0b0-0000-7000-8000-00000000000a";
    let ours = echo("page", json!({"metadata": id}));
    let [EventBody::Status(status)] = &ours[..] else { panic!("{ours:?}") };
    assert_eq!((status.external_id.as_str(), status.message_id, status.status), ("m1", Some(id.parse().unwrap()), DeliveryStatus::Sent));
    assert!(only_message(&echo("instagram", json!({}))).may_be_ours);
}

#[test]
fn postbacks_and_referrals_have_ids_of_their_own_and_the_same_one_twice() {
    let pressed = json!({"postback": {"title": "Start", "payload": "GO"}});
    let (first, again) = (only_message(&events(&pressed)), only_message(&events(&pressed)));
    assert_eq!((first.content.as_deref(), first.message_type.as_str()), (Some("Start"), "button"));
    assert!(first.external_id.starts_with("postback:") && first.external_id == again.external_id);
    let other = only_message(&events(&json!({"postback": {"title": "Stop", "payload": "NO"}})));
    assert_ne!(other.external_id, first.external_id);
    assert_eq!(only_message(&events(&json!({"postback": {"mid": "m9", "title": "Start"}}))).external_id, "m9");
    let came = only_message(&events(&json!({"referral": {"ref": "summer", "source": "SHORTLINK", "type": "OPEN_THREAD"}})));
    assert_eq!((came.direction, came.content.as_deref()), (Direction::System, Some("The person followed a link: summer, from SHORTLINK")));
}

#[test]
fn receipts_are_of_messages_or_of_all_up_to_a_moment() {
    let delivered = events(&json!({"delivery": {"mids": ["m1", "m2"], "watermark": 1_760_000_000_500_u64}}));
    let [EventBody::Status(one), EventBody::Status(two), EventBody::SeenUpTo(all)] = &delivered[..] else { panic!("{delivered:?}") };
    assert_eq!((one.external_id.as_str(), two.external_id.as_str(), one.status), ("m1", "m2", DeliveryStatus::Delivered));
    assert_eq!(
        (all.status, all.at.timestamp_millis(), all.person.user_id.as_deref()),
        (DeliveryStatus::Delivered, 1_760_000_000_500, Some(PERSON))
    );
    let read = events(&json!({"read": {"watermark": 1_760_000_000_500_u64}}));
    assert!(matches!(&read[..], [EventBody::SeenUpTo(all)] if all.status == DeliveryStatus::Read), "{read:?}");
    let read = events_of("instagram", "messaging", &json!({"read": {"mid": "m1"}}));
    assert!(matches!(&read[..], [EventBody::Status(one)] if one.status == DeliveryStatus::Read), "{read:?}");
}

#[test]
fn edits_unsends_reactions_and_standby() {
    let edit = events_of("instagram", "messaging", &json!({"message_edit": {"mid": "m1", "text": "better", "num_edit": 1}}));
    assert!(matches!(&edit[..], [EventBody::Edit(edit)] if edit.content.as_deref() == Some("better")), "{edit:?}");
    let unsent = events_of("instagram", "messaging", &json!({"message": {"mid": "m1", "is_deleted": true}}));
    assert!(matches!(&unsent[..], [EventBody::Revoke(revoke)] if revoke.target_external_id == "m1"), "{unsent:?}");
    for (action, emoji) in [("react", Some("❤")), ("unreact", None)] {
        let told = events(&json!({"reaction": {"mid": "m1", "action": action, "reaction": "love", "emoji": "❤"}}));
        assert!(
            matches!(&told[..], [EventBody::Reaction(reaction)] if reaction.emoji.as_deref() == emoji && reaction.by == PERSON),
            "{told:?}"
        );
    }
    let standby = only_message(&events_of("page", "standby", &json!({"message": {"mid": "m1", "text": "hi"}})));
    assert_eq!(standby.meta["standby"], json!(true));
}

#[test]
fn a_body_is_routed_by_its_object_and_names_each_page_once() {
    let two = json!({"object": "page", "entry": [
        {"id": "1", "messaging": [{"sender": {"id": "9"}, "recipient": {"id": "1"}, "message": {"mid": "a", "text": "x"}}]},
        {"id": "2", "messaging": [{"sender": {"id": "2"}, "recipient": {"id": "9"}, "message": {"mid": "b", "text": "x", "is_echo": true}}]},
        {"id": "1", "standby": [{"sender": {"id": "9"}, "recipient": {"id": "1"}, "message": {"mid": "c", "text": "x"}}]}]})
    .to_string();
    let (kind, ids) = registry::of_meta(two.as_bytes());
    assert_eq!((kind.kind, ids), ("messenger", vec!["1".to_owned(), "2".to_owned()]));
    assert_eq!(registry::of_meta(body("instagram", "messaging", &json!({})).as_bytes()).0.kind, "instagram");
    for other in ["{}", "not json", r#"{"object":"user"}"#, r#"{"object":"whatsapp_business_account","entry":[]}"#] {
        assert_eq!(registry::of_meta(other.as_bytes()).0.kind, "whatsapp_cloud", "{other}");
    }
}

#[test]
fn hostile_bodies_cost_themselves_at_most() {
    for part in [
        json!({}),
        json!({"message": 5}),
        json!({"message": {"text": "no id"}}),
        json!({"read": []}),
        json!({"optin": {"ref": "x"}}),
        json!({"future": 1}),
    ] {
        let told = events(&part);
        assert!(matches!(&told[..], [EventBody::Other { .. }]), "{part}: {told:?}");
    }
    for bad in [&b"[]"[..], b"", b"{\"object\":\"page\"", b"\xff"] {
        assert!(messenger::parse(bad).is_err(), "{bad:?}");
    }
    let odd =
        json!({"object": "page", "entry": [5, {"id": 1, "messaging": [7, null, {"message": {"mid": "m", "text": "x"}}]}]}).to_string();
    assert_eq!(messenger::parse(odd.as_bytes()).unwrap().len(), 3);
}

#[test]
fn recorded_bodies_become_events() {
    for (folder, parse) in [("messenger", messenger::parse as fn(&[u8]) -> _), ("instagram", instagram::parse)] {
        let folder = format!("{}/../../../shared/payloads/{folder}", env!("CARGO_MANIFEST_DIR"));
        let Ok(files) = std::fs::read_dir(Path::new(&folder)) else {
            println!("skipped: {folder} is not there");
            continue;
        };
        for file in files.map(|file| file.unwrap().path()) {
            let events: Vec<domain::ChannelEvent> = parse(&std::fs::read(&file).unwrap()).unwrap();
            assert!(!events.is_empty() && events.iter().all(|event| event.channel_external_id.is_some()), "{file:?}: {events:?}");
        }
    }
}
