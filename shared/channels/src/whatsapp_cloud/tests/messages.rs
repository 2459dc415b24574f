//! What each type of message becomes.

use super::*;
use chrono::DateTime;
use domain::{ChannelEvent, Direction, Media, PersonRef};

#[test]
fn a_text_message_becomes_one_event_with_everything_it_says() {
    let expected = ChannelEvent {
        channel_external_id: Some(OUR_NUMBER.to_owned()),
        position: 0,
        body: EventBody::Message(Box::new(NewMessage {
            external_id: "wamid.TEXT".to_owned(),
            direction: Direction::Inbound,
            from_business_phone: false,
            may_be_ours: false,
            person: PersonRef {
                phone: Some("4915550100300".to_owned()),
                user_id: Some("DE.70000000000000007".to_owned()),
                name: Some("Mara Lind".to_owned()),
            },
            message_type: "text".to_owned(),
            content: Some("Is the blue kettle back in stock?".to_owned()),
            media: None,
            reply_to: None,
            sent_at: DateTime::from_timestamp(1_760_000_000, 0),
            meta: Value::Null,
        })),
    };
    assert_eq!(parse(fixture("text").as_bytes()).unwrap(), [expected]);
}

#[test]
fn media_keeps_what_is_needed_to_fetch_it_and_the_caption_is_the_content() {
    let events = events_of("media");
    let image = message(&events, "wamid.IMAGE");
    assert_eq!((image.message_type.as_str(), image.content.as_deref()), ("image", Some("The dent is on the left")));
    assert_eq!(
        image.media,
        Some(Media {
            kind: "image".to_owned(),
            id: Some("801".to_owned()),
            url: Some("https://lookaside.example/801".to_owned()),
            mime_type: Some("image/jpeg".to_owned()),
            sha256: Some("aW1hZ2U=".to_owned()),
            filename: None,
            extra: serde_json::Map::new()
        })
    );
    let document = message(&events, "wamid.DOCUMENT");
    assert_eq!(document.media.as_ref().unwrap().filename.as_deref(), Some("invoice 17.pdf"));
    assert_eq!(document.content, None, "an empty caption is nothing to read");
}

#[test]
fn every_kind_of_media_has_its_type_and_a_voice_note_is_audio_with_a_flag() {
    let events = events_of("media");
    let seen: Vec<_> = messages_in(&events)
        .into_iter()
        .map(|message| {
            let media = message.media.as_ref().unwrap();
            assert_eq!(media.kind, message.message_type);
            (message.message_type.as_str(), media.id.as_deref().unwrap(), message.meta.clone())
        })
        .collect();
    let expected = [
        ("image", "801", Value::Null),
        ("video", "802", Value::Null),
        ("audio", "803", Value::Null),
        ("audio", "804", json!({"voice": true})),
        ("audio", "805", Value::Null),
        ("document", "806", Value::Null),
        ("sticker", "807", json!({"animated": true})),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_location_reads_as_its_name_or_its_address_or_its_coordinates() {
    let events = events_of("location_and_contacts");
    let content = |id| message(&events, id).content.as_deref();
    assert_eq!(content("wamid.PLACE"), Some("Viktualienmarkt"));
    assert_eq!(content("wamid.ADDRESS"), Some("80331 München"));
    assert_eq!(content("wamid.PIN"), Some("-48.10,11"));
    assert_eq!(message(&events, "wamid.PLACE").meta["location"]["latitude"], json!(48.137_154));
}

#[test]
fn contact_cards_read_as_names_and_a_card_without_a_name_as_its_number() {
    let events = events_of("location_and_contacts");
    let cards = message(&events, "wamid.CARDS");
    assert_eq!(cards.content.as_deref(), Some("Jon Dahl, Ida Berg, +4755501401"));
    assert_eq!(cards.meta["contacts"][0]["phones"][0]["wa_id"], "4755501400");
}

#[test]
fn interactive_replies_read_as_their_title_and_keep_their_ids() {
    let events = events_of("interactive");
    let content = |id| message(&events, id).content.as_deref();
    assert_eq!(content("wamid.BUTTONREPLY"), Some("Yes, please"));
    assert_eq!(content("wamid.LISTREPLY"), Some("Tuesday"));
    assert_eq!(content("wamid.FLOW"), Some("Sent"));
    assert_eq!(content("wamid.CALLPERMISSION"), None);
    assert!(messages_in(&events).iter().all(|message| message.message_type == "interactive"));
    let button = message(&events, "wamid.BUTTONREPLY");
    assert_eq!(button.meta, json!({"interactive": {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes, please"}}}));
    assert_eq!(button.reply_to.as_deref(), Some("wamid.ASKED"));
    assert_eq!(message(&events, "wamid.LISTREPLY").meta["interactive"]["list_reply"]["id"], "slot-2");
    assert_eq!(message(&events, "wamid.FLOW").meta["interactive"]["nfm_reply"]["response_json"], r#"{"rating":"4"}"#);
    assert_eq!(message(&events, "wamid.CALLPERMISSION").meta["interactive"]["call_permission_reply"]["response"], "accept");
}

#[test]
fn an_interactive_reply_that_meta_lost_is_kept_with_the_errors_of_the_change() {
    let events = events_of("interactive");
    assert_eq!(message(&events, "wamid.LOST").meta, json!({"errors": [{"code": 131_000, "title": "Something went wrong"}]}));
    assert!(others_in(&events).is_empty(), "the errors belong to the message: {events:?}");
}

#[test]
fn buttons_and_orders_read_as_their_text() {
    let events = events_of("button_and_order");
    let button = message(&events, "wamid.BUTTON");
    assert_eq!((button.message_type.as_str(), button.content.as_deref()), ("button", Some("Stop")));
    assert_eq!(button.meta, json!({"button": {"payload": "stop-1", "text": "Stop"}}));
    assert_eq!(button.reply_to.as_deref(), Some("wamid.TEMPLATE"));
    let order = message(&events, "wamid.ORDER");
    assert_eq!((order.message_type.as_str(), order.content.as_deref()), ("order", Some("Gift wrapped, please")));
    assert_eq!(order.meta["order"]["product_items"][0]["quantity"], 2);
}

#[test]
fn the_circumstances_of_a_message_are_kept_in_meta() {
    let events = events_of("circumstances");
    let reply = message(&events, "wamid.REPLY");
    assert_eq!(reply.reply_to.as_deref(), Some("wamid.ASKED"));
    assert_eq!(reply.meta, json!({"referred_product": {"catalog_id": "901", "product_retailer_id": "kettle-blue"}}));
    assert_eq!(message(&events, "wamid.FORWARDED").meta, json!({"forwarded": true}));
    assert_eq!(message(&events, "wamid.FORWARDED").reply_to, None);
    assert_eq!(message(&events, "wamid.CHAIN").meta, json!({"frequently_forwarded": true}));
    assert_eq!(message(&events, "wamid.AD").meta["referral"]["headline"], "Kettles");
    assert_eq!(message(&events, "wamid.GROUP").meta, json!({"group_id": "group-5"}));
}

#[test]
fn what_nobody_knows_is_kept_as_unsupported_with_the_providers_word_and_its_json() {
    let events = events_of("unsupported");
    for (id, word) in [("wamid.POLL", "unsupported"), ("wamid.WELCOME", "request_welcome"), ("wamid.HOLOGRAM", "hologram")] {
        let message = message(&events, id);
        assert_eq!((message.message_type.as_str(), &message.content, message.meta["type"].as_str()), ("unsupported", &None, Some(word)));
        assert_eq!(message.meta["raw"]["id"], id);
    }
    assert_eq!(message(&events, "wamid.POLL").meta["errors"][0]["code"], 131_051);
    assert_eq!(message(&events, "wamid.HOLOGRAM").meta["raw"]["hologram"]["id"], "808");
}

#[test]
fn a_known_type_without_its_content_is_unsupported_and_keeps_its_json() {
    let kinds =
        ["text", "image", "video", "audio", "voice", "document", "sticker", "location", "contacts", "interactive", "button", "order"];
    for kind in kinds.into_iter().chain(["reaction", "edit", "revoke", "system"]) {
        for content in [json!(null), json!("x"), json!(7), json!([]), json!([[]])] {
            let element = json!({"id": "wamid.A", "from": "4915550100300", "timestamp": "1760000000", "type": kind, kind: content});
            let events = bodies(&body_with(&json!({"messages": [element]})));
            let message = message(&events, "wamid.A");
            assert_eq!(message.message_type, "unsupported", "{kind}: {content}");
            assert_eq!(message.meta, json!({"type": kind, "raw": element}));
            assert_eq!(message.direction, Direction::Inbound);
        }
    }
}

#[test]
fn a_text_that_is_no_string_is_unsupported_and_an_empty_one_is_a_text_without_content() {
    let text = |body: Value| {
        let events =
            bodies(&body_with(&json!({"messages": [{"id": "wamid.A", "from": "4915550100300", "type": "text", "text": {"body": body}}]})));
        let message = message(&events, "wamid.A");
        (message.message_type.clone(), message.content.clone())
    };
    assert_eq!(text(json!("")), ("text".to_owned(), None));
    assert_eq!(text(json!(["hi"])), ("unsupported".to_owned(), None));
    assert_eq!(text(json!("hi")), ("text".to_owned(), Some("hi".to_owned())));
}
