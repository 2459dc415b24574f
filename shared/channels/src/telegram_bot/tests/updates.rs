//! Updates, written from <https://core.telegram.org/bots/api#update> with values of our own.

use crate::telegram_bot::{callback_to_answer, parse};
use domain::{Direction, EventBody, NewMessage};
use serde_json::{Value, json};
use std::path::Path;

fn events(update: &Value) -> Vec<EventBody> {
    parse(update.to_string().as_bytes()).unwrap().into_iter().map(|event| event.body).collect()
}

fn private(content: &Value) -> Value {
    let mut message = json!({"message_id": 7, "date": 1_760_000_000, "from": {"id": 42, "is_bot": false, "first_name": "Ada", "last_name": "L", "username": "ada"},
        "chat": {"id": 42, "type": "private", "first_name": "Ada", "last_name": "L"}});
    message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    message
}

fn only_message(update: &Value) -> NewMessage {
    match &events(update)[..] {
        [EventBody::Message(message)] => (**message).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_private_message_is_its_persons() {
    let message = only_message(
        &json!({"update_id": 1, "message": private(&json!({"text": "hello", "reply_to_message": {"message_id": 5, "chat": {"id": 42}}}))}),
    );
    assert_eq!((message.external_id.as_str(), message.reply_to.as_deref()), ("42:7", Some("42:5")));
    assert_eq!(
        (message.person.user_id.as_deref(), message.person.name.as_deref(), message.person.phone),
        (Some("42"), Some("Ada L"), None)
    );
    assert_eq!((message.direction, message.message_type.as_str(), message.content.as_deref()), (Direction::Inbound, "text", Some("hello")));
    assert_eq!(message.meta["from"]["username"], "ada");
    assert_eq!(message.sent_at.unwrap().timestamp(), 1_760_000_000);
}

#[test]
fn a_group_is_one_customer_and_says_who_spoke() {
    let update = json!({"update_id": 1, "message": {"message_id": 7, "date": 1_760_000_000, "text": "hi", "from": {"id": 42, "first_name": "Ada"},
        "chat": {"id": -100, "type": "supergroup", "title": "The club"}}});
    let message = only_message(&update);
    assert_eq!((message.external_id.as_str(), message.person.user_id.as_deref()), ("-100:7", Some("-100")));
    assert_eq!((message.person.name.as_deref(), &message.meta["from"]), (Some("The club"), &json!({"id": 42, "name": "Ada"})));
}

#[test]
fn each_kind_of_file_keeps_what_it_is_fetched_by() {
    let file = json!({"file_id": "F1", "file_unique_id": "U1", "mime_type": "a/b", "file_name": "n.x", "file_size": 9, "duration": 3});
    let cases = [
        ("video", "video"),
        ("animation", "video"),
        ("video_note", "video"),
        ("audio", "audio"),
        ("voice", "audio"),
        ("document", "document"),
        ("sticker", "sticker"),
    ];
    for (field, kind) in cases {
        let message = only_message(&json!({"update_id": 1, "message": private(&json!({field: file, "caption": "look"}))}));
        let media = message.media.unwrap();
        assert_eq!((message.message_type.as_str(), media.kind.as_str(), media.id.as_deref()), (kind, kind, Some("F1")), "{field}");
        assert_eq!((&media.extra["fileId"], &media.extra["kind"], &media.extra["fileSize"]), (&json!("F1"), &json!(field), &json!(9)));
        assert_eq!(
            (media.filename.as_deref(), media.mime_type.as_deref(), message.content.as_deref()),
            (Some("n.x"), Some("a/b"), Some("look"))
        );
    }
    let sizes = json!([{"file_id": "small", "width": 90}, {"file_id": "large", "width": 800}, {"file_id": "middle", "width": 320}]);
    let photo = only_message(&json!({"update_id": 1, "message": private(&json!({"photo": sizes}))})).media.unwrap();
    assert_eq!((photo.kind.as_str(), photo.id.as_deref()), ("image", Some("large")));
    let animation = only_message(&json!({"update_id": 1, "message": private(&json!({"animation": file, "document": file}))}));
    assert_eq!(animation.message_type, "video", "an animation comes with a document for older apps");
}

#[test]
fn places_cards_and_what_nobody_knows_are_kept() {
    let place = only_message(&json!({"update_id": 1, "message": private(&json!({"location": {"latitude": 1.5, "longitude": -2.25}}))}));
    assert_eq!((place.message_type.as_str(), place.content.as_deref()), ("location", Some("1.5,-2.25")));
    let venue = json!({"title": "Cafe", "location": {"latitude": 1.5, "longitude": 2}});
    let venue =
        only_message(&json!({"update_id": 1, "message": private(&json!({"venue": venue, "location": {"latitude": 1.5, "longitude": 2}}))}));
    assert_eq!((venue.message_type.as_str(), venue.content.as_deref()), ("location", Some("Cafe")));
    let card = only_message(&json!({"update_id": 1, "message": private(&json!({"contact": {"phone_number": "49", "first_name": "Bob"}}))}));
    assert_eq!((card.message_type.as_str(), card.content.as_deref()), ("contacts", Some("Bob")));
    let strange = only_message(&json!({"update_id": 1, "message": private(&json!({"hologram": {"depth": 3}}))}));
    assert_eq!(
        (strange.message_type.as_str(), &strange.meta["type"], &strange.meta["raw"]["hologram"]["depth"]),
        ("unsupported", &json!("hologram"), &json!(3))
    );
}

#[test]
fn what_happens_in_a_chat_is_a_notice() {
    let joined = only_message(
        &json!({"update_id": 1, "message": private(&json!({"new_chat_members": [{"id": 1, "first_name": "Bob"}, {"id": 2, "first_name": "Eve"}]}))}),
    );
    assert_eq!((joined.direction, joined.content.as_deref()), (Direction::System, Some("new chat members: Bob, Eve")));
    let blocked = json!({"update_id": 9, "my_chat_member": {"chat": {"id": 42, "type": "private"}, "from": {"id": 42}, "date": 1_760_000_000,
        "new_chat_member": {"status": "kicked", "user": {"id": 1, "first_name": "the bot"}}}});
    let blocked = only_message(&blocked);
    assert_eq!((blocked.external_id.as_str(), blocked.content.as_deref()), ("update:9", Some("The person has blocked the bot")));
    let asks = json!({"update_id": 10, "chat_join_request": {"chat": {"id": -5, "type": "channel", "title": "News"}, "from": {"id": 3, "first_name": "Kim"}, "date": 1_760_000_000}});
    assert_eq!(only_message(&asks).content.as_deref(), Some("Kim asks to join"));
}

#[test]
fn an_edit_names_its_message_and_the_later_of_one_second_is_the_later_update() {
    let edit = |id: u32, text: &str| {
        let mut message = private(&json!({"text": text}));
        message["edit_date"] = json!(1_760_000_100);
        match &events(&json!({"update_id": id, "edited_message": message}))[..] {
            [EventBody::Edit(edit)] => (**edit).clone(),
            other => panic!("{other:?}"),
        }
    };
    let (first, second) = (edit(20, "one"), edit(21, "two"));
    assert_eq!((first.target_external_id.as_str(), first.content.as_deref()), ("42:7", Some("one")));
    assert!(first.at < second.at);
}

#[test]
fn a_pressed_button_says_its_label_and_is_answered() {
    let keyboard = json!({"inline_keyboard": [[{"text": "No", "callback_data": "n"}], [{"text": "Yes, please", "callback_data": "y"}]]});
    let mut under = private(&json!({"text": "Shall we?", "reply_markup": keyboard}));
    under["from"] = json!({"id": 1, "is_bot": true});
    let update = json!({"update_id": 3, "callback_query": {"id": "Q1", "from": {"id": 42, "first_name": "Ada"}, "message": under, "data": "y", "chat_instance": "x"}});
    let pressed = only_message(&update);
    assert_eq!(
        (pressed.external_id.as_str(), pressed.content.as_deref(), pressed.reply_to.as_deref()),
        ("callback:Q1", Some("Yes, please"), Some("42:7"))
    );
    assert_eq!((pressed.message_type.as_str(), &pressed.meta["callback_query"]["data"]), ("button", &json!("y")));
    assert_eq!(callback_to_answer(update.to_string().as_bytes()).as_deref(), Some("Q1"));
    assert_eq!(callback_to_answer(json!({"update_id": 1, "message": private(&json!({"text": "x"}))}).to_string().as_bytes()), None);
    let bare = only_message(&json!({"update_id": 4, "callback_query": {"id": "Q2", "from": {"id": 42}, "data": "raw"}}));
    assert_eq!((bare.person.user_id.as_deref(), bare.content.as_deref(), bare.reply_to), (Some("42"), Some("raw"), None));
}

#[test]
fn the_business_chat_has_both_sides_and_what_a_bot_sent_there_is_nobodys() {
    let in_chat = |from: i64, more: Value| {
        let mut message = private(&json!({"text": "hi", "business_connection_id": "B7"}));
        message["from"] = json!({"id": from, "first_name": "X"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"update_id": 5, "business_message": message})
    };
    let theirs = only_message(&in_chat(42, json!({})));
    assert_eq!(
        (theirs.external_id.as_str(), theirs.person.user_id.as_deref(), theirs.direction),
        ("B7:42:7", Some("B7:42"), Direction::Inbound)
    );
    let ours = only_message(&in_chat(99, json!({})));
    assert_eq!((ours.direction, ours.from_business_phone), (Direction::Outbound, true));
    assert!(matches!(&events(&in_chat(99, json!({"sender_business_bot": {"id": 1}})))[..], [EventBody::Other { .. }]));
    let gone =
        json!({"update_id": 6, "deleted_business_messages": {"business_connection_id": "B7", "chat": {"id": 42}, "message_ids": [7, 8]}});
    let targets: Vec<String> = events(&gone)
        .iter()
        .map(|event| if let EventBody::Revoke(revoke) = event { revoke.target_external_id.clone() } else { panic!() })
        .collect();
    assert_eq!(targets, ["B7:42:7", "B7:42:8"]);
}

#[test]
fn a_reaction_is_what_is_there_now() {
    let change = |new: Value| {
        json!({"update_id": 8, "message_reaction": {"chat": {"id": 42, "type": "private"}, "message_id": 7, "user": {"id": 42}, "date": 1_760_000_000,
        "old_reaction": [], "new_reaction": new}})
    };
    let emoji = |new: Value| match &events(&change(new))[..] {
        [EventBody::Reaction(reaction)] => (reaction.target_external_id.clone(), reaction.by.clone(), reaction.emoji.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(emoji(json!([{"type": "emoji", "emoji": "👍"}])), ("42:7".to_owned(), "42".to_owned(), Some("👍".to_owned())));
    assert_eq!(emoji(json!([])).2, None);
}

#[test]
fn a_group_that_moves_is_still_itself() {
    let mut message = private(&json!({"migrate_to_chat_id": -1_009}));
    message["chat"] = json!({"id": -5, "type": "group", "title": "Club"});
    let told = events(&json!({"update_id": 1, "message": message}));
    let [EventBody::Message(notice), EventBody::PersonChanged(change)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(notice.direction, Direction::System);
    assert_eq!((change.old.user_id.as_deref(), change.new.user_id.as_deref()), (Some("-5"), Some("-1009")));
}

#[test]
fn hostile_updates_cost_themselves_at_most() {
    for update in [
        json!({}),
        json!({"update_id": 1}),
        json!({"update_id": "x", "message": 5}),
        json!({"update_id": 1, "message": {"chat": "x", "message_id": 1}}),
        json!({"update_id": 1, "message": {"chat": {"id": 1.5}, "message_id": 1}}),
        json!({"update_id": 1, "callback_query": []}),
        json!({"update_id": 1, "message_reaction": {"chat": {"id": 1}}}),
        json!({"update_id": 1, "future": {"deep": [[[[]]]]}}),
    ] {
        let events = events(&update);
        assert!(matches!(&events[..], [EventBody::Other { .. }]), "{update}: {events:?}");
    }
    for bad in [&b"[]"[..], b"", b"{", b"\xff"] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/payloads/telegram");

/// Kinds of updates that are no message: kept in the raw event only.
const NO_MESSAGES: &[&str] = &[
    "business_connection",
    "chat_boost",
    "removed_chat_boost",
    "chosen_inline_result",
    "inline_query",
    "managed_bot",
    "message_reaction_count",
    "paid_media_purchased",
    "poll",
    "poll_answer",
    "pre_checkout_query",
    "shipping_query",
    "subscription",
    "guest_message",
];

#[test]
fn every_recorded_update_becomes_something_sensible() {
    let Ok(files) = std::fs::read_dir(Path::new(FOLDER)) else {
        println!("skipped: {FOLDER} is not there");
        return;
    };
    let (mut count, mut surprises) = (0, Vec::new());
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let name = file.file_stem().unwrap().to_str().unwrap().trim_start_matches("nutgram_").to_owned();
        let body = std::fs::read(&file).unwrap();
        if !body.trim_ascii_start().starts_with(b"{") {
            continue;
        }
        let events = parse(&body).unwrap();
        assert!(!events.is_empty(), "{name}");
        let is_other = matches!(&events[..], [event] if matches!(event.body, EventBody::Other { .. }));
        if is_other != NO_MESSAGES.contains(&name.as_str()) {
            surprises.push(format!("{name} became {events:?}"));
        }
        count += 1;
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(count > 50, "{FOLDER} holds few payloads");
}
