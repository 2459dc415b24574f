//! Bodies made to hurt: none may panic, spoil a neighbour, or bring out what cannot be stored.

use super::*;
use crate::{MAX_ID_BYTES, whatsapp_cloud::route};
use domain::ChannelEvent;
use proptest::{prelude::*, sample::Index};

const GOOD: &str = r#"{"id":"wamid.GOOD","from":"111","timestamp":"1760000000","type":"text","text":{"body":"still here"}}"#;

/// A body whose messages are this JSON text and, around it, two good ones.
fn between_good_ones(element: &str) -> String {
    body_with(&json!({"messages": ["GOOD", "ELEMENT", "GOOD"]})).replace("\"GOOD\"", GOOD).replace("\"ELEMENT\"", element)
}

/// The events of the element between the two good messages, which must have survived it.
fn survived(element: &str) -> Vec<EventBody> {
    let mut events = bodies(&between_good_ones(element));
    let last = events.pop().unwrap();
    let first = events.remove(0);
    for good in [&first, &last] {
        assert_eq!(messages_in(std::slice::from_ref(good))[0].content.as_deref(), Some("still here"), "beside {element:.200}");
    }
    events
}

#[test]
fn an_element_that_is_no_message_costs_only_itself() {
    for element in ["null", "7", "1e999", "\"wamid\"", "[]", "[{}]", "true"] {
        assert_eq!(others_in(&survived(element)), ["message:not_an_object"], "{element}");
    }
    for element in ["{}", r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":{},"from":"111"}"#, r#"{"id":1.5,"from":"111"}"#] {
        assert_eq!(others_in(&survived(element)), ["message:no_id"], "{element}");
    }
}

#[test]
fn a_message_with_wrong_types_everywhere_is_kept_by_its_id() {
    for wrong in ["null", "-1", "1e999", "\"\"", "[]", "{}", "[[[]]]", "true"] {
        let element = format!(
            r#"{{"id":"wamid.A","from":"111","type":"text","text":{wrong},"timestamp":{wrong},"context":{wrong},"errors":{wrong},"to":{wrong}}}"#
        );
        let events = survived(&element);
        let message = message(&events, "wamid.A");
        assert_eq!((message.message_type.as_str(), message.sent_at, &message.reply_to), ("unsupported", None, &None), "{wrong}");
    }
}

#[test]
fn nesting_without_end_costs_the_part_that_has_it() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let in_text = format!(r#"{{"id":"wamid.A","from":"111","type":"text","text":{{"body":{deep}}}}}"#);
    assert_eq!(message(&survived(&in_text), "wamid.A").meta, json!({"type": "text"}), "too deep to keep as JSON");
    let beside_text =
        format!(r#"{{"id":"wamid.A","from":"111","type":"text","text":{{"body":"hi"}},"context":{{"x":{deep}}},"referral":{deep}}}"#);
    let events = survived(&beside_text);
    assert_eq!(message(&events, "wamid.A").content.as_deref(), Some("hi"));
    let objects = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    assert_eq!(others_in(&survived(&objects)), ["message:no_id"]);
    assert_eq!(route(between_good_ones(&objects).as_bytes()).unwrap(), [OUR_NUMBER]);
}

#[test]
fn three_megabytes_of_text_come_out_whole() {
    let long = "é\\n\\ud83d\\ude00".repeat(200_000);
    let events = survived(&format!(r#"{{"id":"wamid.A","from":"111","type":"text","text":{{"body":"{long}"}}}}"#));
    assert_eq!(message(&events, "wamid.A").content.as_deref(), Some("é\n😀".repeat(200_000).as_str()));
}

#[test]
fn nul_and_lone_surrogates_are_replaced_wherever_they_are() {
    let element = r#"{"id":"wamid.\u0000A","from":"111","type":"hol\ud83dogram","k\u0000":{"v":["\u0000"]},"context":{"id":"\udc00"}}"#;
    let events = survived(element);
    let message = message(&events, "wamid.\u{fffd}A");
    assert_eq!(message.meta["type"], "hol\u{fffd}ogram");
    assert_eq!(message.meta["raw"]["k\u{fffd}"]["v"][0], "\u{fffd}");
    assert_eq!(message.reply_to.as_deref(), Some("\u{fffd}"));
    let routed = route(body_with(&json!({})).replace(OUR_NUMBER, r"2\u00002").as_bytes()).unwrap();
    assert_eq!(routed, ["2\u{fffd}2"]);
}

#[test]
fn of_a_key_given_twice_the_last_one_counts() {
    let events = survived(r#"{"id":"wamid.A","id":"wamid.B","from":"111","type":"image","type":"text","text":{"body":"a","body":"b"}}"#);
    assert_eq!(message(&events, "wamid.B").content.as_deref(), Some("b"));
}

#[test]
fn an_endless_id_or_word_is_not_taken_over() {
    let endless = "9".repeat(MAX_ID_BYTES + 1);
    assert_eq!(others_in(&survived(&format!(r#"{{"id":"{endless}","from":"111"}}"#))), ["message:no_id"]);
    let status = body_with(&json!({"statuses": [{"id": "wamid.A", "status": endless}]}));
    assert_eq!(others_in(&bodies(&status)), [format!("status:{}", "9".repeat(64))]);
    let field = json!({"entry": [{"changes": [{"field": endless}]}]}).to_string();
    assert_eq!(others_in(&bodies(&field)), ["9".repeat(64)]);
}

#[test]
fn odd_receipts_cost_only_themselves() {
    let odd = [json!(null), json!([]), json!({}), json!({"status": "read"}), json!({"id": "wamid.A"}), json!({"id": 5, "status": 5})];
    let good = json!({"id": "wamid.GOOD", "status": "read"});
    let statuses: Vec<Value> = odd.into_iter().chain([good]).collect();
    let events = bodies(&body_with(&json!({"statuses": statuses})));
    let others =
        ["status:not_an_object", "status:not_an_object", "status:no_status", "status:no_id", "status:no_status", "status:no_status"];
    assert_eq!(others_in(&events), others);
    assert!(matches!(&events[6], EventBody::Status(status) if status.external_id == "wamid.GOOD"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[\\x00a-z+0-9é😀]{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "reaction",
            "edit",
            "system",
            "interactive",
            "failed",
            "messages",
            "calls",
            "US.1",
            "1760000000"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("(id|type|from|text|body|value|x\\x00)", inner), 0..3).prop_map(Value::from_iter),
        ]
    })
}

/// All values in `root`, without `root` itself, as JSON pointers.
fn pointers(root: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match root {
        Value::Array(list) => list.iter().enumerate().map(|(index, child)| (format!("{at}/{index}"), child)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, child)| (format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), child)).collect()
        }
        _ => Vec::new(),
    };
    for (pointer, child) in children {
        pointers(child, &pointer, found);
        found.push(pointer);
    }
}

fn assert_well_formed(events: &[ChannelEvent], body: &str) {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.position as usize, index, "{body}");
        if let EventBody::Message(message) = &event.body {
            assert!(message.person.phone.is_some() || message.person.user_id.is_some(), "{body}");
            assert!(!message.external_id.is_empty(), "{body}");
            assert!(!message.meta.to_string().contains("\\u0000"), "{body}");
        }
    }
    assert!(!format!("{events:?}").contains("\\0"), "{body} gave {events:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_in_any_place_makes_a_body_unreadable(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any_json()), 1..5),
    ) {
        let mut body: Value = serde_json::from_str(which.get(&FIXTURES).1).unwrap();
        for (place, value) in changes {
            let mut places = Vec::new();
            pointers(&body, "", &mut places);
            if !places.is_empty() {
                let pointer: &String = place.get(&places);
                *body.pointer_mut(pointer).unwrap() = value;
            }
        }
        let text = body.to_string();
        let events = parse(text.as_bytes()).unwrap();
        assert_well_formed(&events, &text);
        prop_assert_eq!(&parse(text.as_bytes()).unwrap(), &events, "the same body, other events");
        for id in route(text.as_bytes()).unwrap() {
            prop_assert!(events.iter().any(|event| event.channel_external_id.as_ref() == Some(&id)), "{} routed only", id);
        }
    }

    #[test]
    fn bytes_cut_off_or_overwritten_never_panic(which in any::<Index>(), at in any::<Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut body = which.get(&FIXTURES).1.as_bytes().to_vec();
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = byte }
        if let Ok(events) = parse(&body) {
            assert_well_formed(&events, &String::from_utf8_lossy(&body));
        }
        prop_assert_eq!(route(&body).is_ok(), parse(&body).is_ok());
    }
}
