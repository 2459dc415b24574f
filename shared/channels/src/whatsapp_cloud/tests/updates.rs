//! What is not a message of the customer: reactions, edits, revokes, notices, echoes, receipts, and the rest.

use super::*;
use chrono::{DateTime, Utc};
use domain::{DeliveryStatus, Direction, Media, MessageEdit, MessageReaction, MessageRevoke, PersonChanged, PersonRef, StatusUpdate};

fn at() -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(1_760_000_000, 0)
}

fn reaction(id: &str, by: &str, target: &str, emoji: Option<&str>) -> EventBody {
    EventBody::Reaction(MessageReaction {
        target_external_id: target.to_owned(),
        by: by.to_owned(),
        id: Some(id.to_owned()),
        emoji: emoji.map(str::to_owned),
        at: at(),
    })
}

fn edit(target: &str, message_type: &str, content: &str, media: Option<Media>) -> EventBody {
    EventBody::Edit(Box::new(MessageEdit {
        target_external_id: target.to_owned(),
        message_type: message_type.to_owned(),
        content: Some(content.to_owned()),
        media,
        at: at(),
    }))
}

fn revoke(target: &str) -> EventBody {
    EventBody::Revoke(MessageRevoke { target_external_id: target.to_owned(), at: at() })
}

fn ids(phone: Option<&str>, user_id: Option<&str>) -> PersonRef {
    PersonRef { phone: phone.map(str::to_owned), user_id: user_id.map(str::to_owned), name: None }
}

#[test]
fn reactions_edits_and_revokes_name_the_message_they_are_about() {
    let image = Media {
        kind: "image".to_owned(),
        id: Some("801".to_owned()),
        url: None,
        mime_type: None,
        sha256: None,
        filename: None,
        extra: serde_json::Map::new(),
    };
    let expected = [
        reaction("wamid.R1", "4915550100300", "wamid.OURS", Some("👍")),
        reaction("wamid.R2", "4915550100300", "wamid.OURS", None),
        reaction("wamid.R3", "4915550100300", "wamid.OURS", None),
        edit("wamid.TEXT", "text", "Is the red kettle back?", None),
        edit("wamid.IMAGE", "image", "on the right", Some(image)),
        revoke("wamid.TEXT"),
    ];
    assert_eq!(events_of("reaction_edit_revoke"), expected);
}

#[test]
fn an_edit_to_something_unknown_changes_nothing_and_is_kept_as_unsupported() {
    let edit = json!({"original_message_id": "wamid.TEXT", "message": {"type": "hologram", "hologram": {}}});
    let events = bodies(&body_with(&json!({"messages": [{"id": "wamid.E", "from": "111", "type": "edit", "edit": edit}]})));
    assert_eq!(message(&events, "wamid.E").message_type, "unsupported");
    assert_eq!(events.len(), 1);
}

#[test]
fn a_changed_number_is_a_notice_and_says_who_became_whom() {
    let events = events_of("system");
    let kinds: Vec<bool> = events.iter().map(|event| matches!(event, EventBody::PersonChanged(_))).collect();
    assert_eq!(kinds, [false, true, false, true, false, true, false], "the change comes behind its notice");
    let changed = |old, new| EventBody::PersonChanged(PersonChanged { old, new, at: at() });
    let (old, new) = (Some("4915550100300"), Some("4915550100399"));
    assert_eq!(events[1], changed(ids(old, Some("DE.7")), ids(new, Some("DE.8"))));
    assert_eq!(events[3], changed(ids(old, None), ids(new, None)), "`new_wa_id`, a number, is the name of older versions");
    assert_eq!(events[5], changed(ids(None, Some("DE.7")), ids(None, Some("DE.8"))));
}

#[test]
fn notices_are_system_messages_of_the_person_they_are_about() {
    let events = events_of("system");
    for notice in messages_in(&events) {
        assert_eq!((notice.direction, notice.message_type.as_str()), (Direction::System, "system"));
        assert!(!notice.from_business_phone);
    }
    let identity = message(&events, "wamid.IDENTITY");
    assert_eq!(identity.content.as_deref(), Some("Mara's security code changed"));
    assert_eq!(identity.person, ids(Some("4915550100300"), None));
    assert_eq!(identity.meta["identity"]["hash"], "h1");
    assert_eq!(identity.meta["system"]["type"], "customer_identity_changed");
}

#[test]
fn a_notice_without_a_sender_is_about_the_person_it_names() {
    let system = json!({"type": "customer_changed_number", "customer": "111", "wa_id": "222"});
    let events = bodies(&body_with(&json!({"messages": [{"id": "wamid.S", "type": "system", "system": system}]})));
    assert_eq!(message(&events, "wamid.S").person, ids(Some("111"), None));
    assert_eq!(events[1], EventBody::PersonChanged(PersonChanged { old: ids(Some("111"), None), new: ids(Some("222"), None), at: None }));
}

#[test]
fn a_change_to_the_same_or_to_nothing_is_a_notice_only() {
    for system in [json!({"type": "user_changed_number", "wa_id": "111"}), json!({"type": "user_changed_number"})] {
        let events = bodies(&body_with(&json!({"messages": [{"id": "wamid.S", "from": "111", "type": "system", "system": system}]})));
        assert_eq!(events.len(), 1, "{system}");
        assert_eq!(message(&events, "wamid.S").direction, Direction::System);
    }
}

#[test]
fn what_the_business_does_on_its_own_phone_is_outbound_and_with_the_recipient() {
    let events = events_of("echoes");
    for id in ["wamid.ECHO", "wamid.ECHOIMAGE"] {
        let echo = message(&events, id);
        assert_eq!((echo.direction, echo.from_business_phone), (Direction::Outbound, true));
        let mara = PersonRef { name: Some("Mara Lind".to_owned()), ..ids(Some("4915550100300"), Some("DE.70000000000000007")) };
        assert_eq!(echo.person, mara);
    }
    assert_eq!(message(&events, "wamid.ECHO").content.as_deref(), Some("Yes, since this morning."));
    let rest = [
        reaction("wamid.ECHOREACTION", "business", "wamid.TEXT", Some("❤️")),
        edit("wamid.ECHO", "text", "Yes, since noon.", None),
        revoke("wamid.ECHO"),
    ];
    assert_eq!(events[2..], rest);
}

#[test]
fn receipts_become_statuses_and_unknown_ones_are_kept_by_their_word() {
    let status =
        |id: &str, status| EventBody::Status(StatusUpdate { external_id: id.to_owned(), message_id: None, status, at: at(), errors: None });
    let other = |field: &str| EventBody::Other { field: field.to_owned() };
    let failed = StatusUpdate {
        external_id: "wamid.FAILED".to_owned(),
        message_id: None,
        status: DeliveryStatus::Failed,
        at: at(),
        errors: Some(json!([{"code": 131_047, "title": "Re-engagement message"}])),
    };
    let ours = StatusUpdate {
        external_id: "wamid.SENT".to_owned(),
        message_id: Some("0190a0b0-0000-7000-8000-00000000000a".parse().unwrap()),
        status: DeliveryStatus::Sent,
        at: at(),
        errors: None,
    };
    let expected = [
        EventBody::Status(ours),
        status("wamid.DELIVERED", DeliveryStatus::Delivered),
        status("wamid.READ", DeliveryStatus::Read),
        status("wamid.PLAYED", DeliveryStatus::Read),
        EventBody::Status(failed),
        other("status:in_orbit"),
        other("status:deleted"),
        other("status:warning"),
        other("status:payment"),
        other("errors"),
    ];
    assert_eq!(events_of("statuses"), expected);
}

#[test]
fn fields_that_hold_no_messages_are_kept_by_their_name() {
    let events = parse(fixture("other_fields").as_bytes()).unwrap();
    let bodies: Vec<EventBody> = events.iter().map(|event| event.body.clone()).collect();
    let fields = [
        "history",
        "smb_app_state_sync",
        "account_update",
        "phone_number_quality_update",
        "calls",
        "user_preferences",
        "a_field_of_tomorrow",
        "messages",
        "unknown",
    ];
    assert_eq!(others_in(&bodies), fields);
    assert_eq!(bodies.len(), fields.len() + 1, "and a template's status");
    let channels: Vec<Option<&str>> = events.iter().map(|event| event.channel_external_id.as_deref()).collect();
    let (ours, account) = (Some(OUR_NUMBER), Some("300000000000001"));
    assert_eq!(channels, [ours, ours, account, None, None, ours, ours, ours, ours, None]);
}

#[test]
fn a_webhook_of_another_product_is_kept_by_its_object() {
    let page =
        json!({"object": "page", "entry": [{"changes": [{"field": "feed", "value": {"metadata": {"phone_number_id": "1"}}}]}]}).to_string();
    assert_eq!(bodies(&page), [EventBody::Other { field: "object:page".to_owned() }]);
}
