//! Whom a message is attributed to.

use super::*;
use domain::PersonRef;

fn person(phone: Option<&str>, user_id: Option<&str>, name: Option<&str>) -> PersonRef {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    PersonRef { phone: owned(phone), user_id: owned(user_id), name: owned(name) }
}

/// Who sent the first of these messages, texts all.
#[expect(clippy::needless_pass_by_value, reason = "callers write json!() in place")]
fn sender(contacts: Value, ids: Value) -> PersonRef {
    let messages: Vec<Value> = ids
        .as_array()
        .unwrap()
        .iter()
        .map(|ids| {
            let mut message = json!({"id": "wamid.A", "timestamp": "1760000000", "type": "text", "text": {"body": "hi"}});
            message.as_object_mut().unwrap().extend(ids.as_object().unwrap().clone());
            message
        })
        .collect();
    let events = bodies(&body_with(&json!({"contacts": contacts, "messages": messages})));
    message(&events, "wamid.A").person.clone()
}

#[test]
fn a_person_without_a_phone_is_known_by_the_user_id_and_shows_the_username() {
    let events = events_of("username_only");
    let nils = person(None, Some("SE.5550001"), Some("nilsk"));
    assert_eq!(message(&events, "wamid.HIDDEN1").person, nils);
    assert_eq!(message(&events, "wamid.HIDDEN2").person, nils, "a `from` that is no number is a user id");
    let EventBody::Reaction(reaction) = &events[2] else { panic!("{events:?}") };
    assert_eq!(reaction.by, "SE.5550001", "the only contact says who");
}

#[test]
fn the_contact_that_shares_an_id_gives_the_name_and_the_missing_id() {
    let contacts = json!([
        {"wa_id": "111", "user_id": "US.1", "profile": {"name": "One"}},
        {"wa_id": "222", "user_id": "US.2", "profile": {"name": "Two"}},
    ]);
    assert_eq!(sender(contacts.clone(), json!([{"from": "222"}])), person(Some("222"), Some("US.2"), Some("Two")));
    assert_eq!(sender(contacts.clone(), json!([{"from_user_id": "US.1"}])), person(Some("111"), Some("US.1"), Some("One")));
    assert_eq!(sender(contacts, json!([{"from": "333"}])), person(Some("333"), None, None));
}

#[test]
fn a_phone_is_digits_only_and_anything_else_in_its_place_is_a_user_id() {
    assert_eq!(sender(json!([]), json!([{"from": "+15550100999"}])), person(Some("15550100999"), None, None));
    assert_eq!(sender(json!([{"wa_id": "+111", "profile": {"name": "One"}}]), json!([{"from": "111"}])).name.as_deref(), Some("One"));
    assert_eq!(sender(json!([]), json!([{"from": "US.55"}])), person(None, Some("US.55"), None));
    assert_eq!(sender(json!([]), json!([{"from": "US.55", "from_user_id": "US.66"}])), person(None, Some("US.66"), None));
    assert_eq!(sender(json!([]), json!([{"from": 15_550_100_999_u64}])), person(Some("15550100999"), None, None));
}

#[test]
fn the_only_contact_stands_for_the_only_sender() {
    let contact = json!([{"user_id": "US.1", "profile": {"name": "One"}}]);
    assert_eq!(sender(contact.clone(), json!([{"from": "111"}, {"from": "111"}])), person(Some("111"), Some("US.1"), Some("One")));
    assert_eq!(sender(contact.clone(), json!([{}])), person(None, Some("US.1"), Some("One")));
    assert_eq!(sender(contact, json!([{"from": "111"}, {"from": "222"}])), person(Some("111"), None, None), "two senders, one contact");
}

#[test]
fn a_contact_with_another_number_gives_its_name_but_never_its_ids() {
    let contact = json!([{"wa_id": "5511999", "user_id": "BR.1", "profile": {"name": "Rui"}}]);
    assert_eq!(sender(contact.clone(), json!([{"from": "551199"}])), person(Some("551199"), None, Some("Rui")));
    assert_eq!(sender(contact, json!([{"from_user_id": "BR.2"}])), person(None, Some("BR.2"), None));
}

#[test]
fn a_message_that_names_nobody_is_kept_in_the_raw_event_only() {
    for from in [json!(null), json!(""), json!("+"), json!({}), json!(1.5), json!("x".repeat(600))] {
        let element = json!({"id": "wamid.A", "from": from, "type": "text", "text": {"body": "hi"}});
        let events = bodies(&body_with(&json!({"messages": [element]})));
        assert_eq!(events, [EventBody::Other { field: "message:no_sender".to_owned() }], "{from}");
    }
}

#[test]
fn an_echo_is_with_its_recipient_even_if_the_contact_is_the_business_itself() {
    let echo = json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "smb_message_echoes", "value": {
        "contacts": [{"wa_id": "15550100200", "user_id": "US.9", "profile": {"name": "The Shop"}}],
        "message_echoes": [{"id": "wamid.A", "from": "15550100200", "to": "+111", "type": "text", "text": {"body": "hi"}}],
    }}]}]});
    let events = bodies(&echo.to_string());
    assert_eq!(message(&events, "wamid.A").person, person(Some("111"), None, None));
}
