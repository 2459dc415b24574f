//! Which numbers a body is for.

use super::*;
use crate::{ParseError, whatsapp_cloud::route};

fn routed(body: &Value) -> Vec<String> {
    route(body.to_string().as_bytes()).unwrap()
}

fn change(metadata: &Value) -> Value {
    json!({"field": "messages", "value": {"metadata": metadata, "messages": [{"metadata": {"phone_number_id": "decoy"}}]}})
}

#[test]
fn each_number_is_named_once_in_the_order_of_the_body() {
    let (one, two) = (change(&json!({"phone_number_id": "1"})), change(&json!({"phone_number_id": "2"})));
    let body = json!({"entry": [{"changes": [two, one]}, {"changes": [two]}], "object": "whatsapp_business_account"});
    assert_eq!(routed(&body), ["2", "1"]);
}

#[test]
fn odd_parts_do_not_hide_the_others() {
    let good = change(&json!({"phone_number_id": "1"}));
    for odd in
        [json!(null), json!(7), json!("x"), json!([]), json!([good]), json!({}), json!({"phone_number_id": {"phone_number_id": "9"}})]
    {
        let bodies = [
            json!({"entry": [odd, {"changes": [good]}]}),
            json!({"entry": [{"changes": odd}, {"changes": [good]}]}),
            json!({"entry": [{"changes": [odd, good]}]}),
            json!({"entry": [{"changes": [{"value": odd}, good]}]}),
            json!({"entry": [{"changes": [change(&odd), good]}]}),
            json!({"entry": [{"changes": [change(&json!({"phone_number_id": odd})), good]}]}),
            json!({"object": odd, "entry": [{"changes": [good]}]}),
        ];
        for body in bodies.iter().filter(|body| body["object"] != json!("x")) {
            let routed = routed(body);
            assert_eq!(routed.last().map(String::as_str), Some("1"), "{body}");
            assert!(routed.iter().all(|id| id == "1" || id == "7" || id == "x"), "{body} gave {routed:?}");
        }
    }
    assert!(routed(&json!({"entry": "x"})).is_empty());
}

#[test]
fn bodies_of_other_products_and_bodies_that_name_no_number_are_for_nobody() {
    let entry = json!([{"changes": [change(&json!({"phone_number_id": "1"}))]}]);
    for object in ["page", "instagram", "user"] {
        assert!(routed(&json!({"object": object, "entry": entry})).is_empty());
        assert!(routed(&json!({"entry": entry, "object": object})).is_empty());
    }
    for body in [json!({}), json!({"object": "whatsapp_business_account"}), json!({"entry": [{"changes": [{"field": "account_update"}]}]})]
    {
        assert!(routed(&body).is_empty(), "{body}");
    }
}

#[test]
fn an_account_is_named_by_what_concerns_a_template_and_by_nothing_else() {
    let entry = |field: &str| json!([{"id": "42", "changes": [{"field": field, "value": {"messages": [], "message_template_id": 1}}]}]);
    for field in ["message_template_status_update", "template_category_update"] {
        assert_eq!(routed(&json!({"entry": entry(field)})), ["42"]);
    }
    // A message without its number belongs to nobody, not to some number of the account.
    for field in ["messages", "account_update", "message_template_quality_update", ""] {
        let body = json!({"entry": entry(field)});
        assert!(routed(&body).is_empty(), "{field}");
        let events = parse(body.to_string().as_bytes()).unwrap();
        assert!(events.iter().all(|event| event.channel_external_id.is_none()), "{field}");
    }
}

#[test]
fn what_is_not_a_json_object_is_an_error_for_route_and_parse_alike() {
    for body in [&b""[..], b"[]", b"\"x\"", b"null", b"{", b"{\"entry\":[}", b"{\"object\":\"\xff\"}", b"{} {}"] {
        let error = route(body).unwrap_err();
        assert_eq!(parse(body).unwrap_err(), error, "{body:?}");
        assert!(matches!(error, ParseError::NotAnObject | ParseError::NotJson { .. } | ParseError::NotUtf8 { .. }));
    }
}

#[test]
fn route_names_the_numbers_that_parse_gives_its_events() {
    for (name, body) in FIXTURES {
        let mut of_events: Vec<String> = Vec::new();
        for id in parse(body.as_bytes()).unwrap().into_iter().filter_map(|event| event.channel_external_id) {
            if !of_events.contains(&id) {
                of_events.push(id);
            }
        }
        assert_eq!(route(body.as_bytes()).unwrap(), of_events, "{name}");
    }
}
