//! Every kind of WhatsApp webhook through the whole product, apart from changes to earlier messages (`changes`).

use super::deliver;
use crate::harness::{App, PHONE_NUMBER_ID, change, image, message, messages, status, text};
use serde_json::{Value, json};

const MARA: &str = "4915550100300";

/// A body with one change of another field than `messages`.
fn other_field(field: &str, value: &Value) -> String {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "900", "changes": [{"field": field, "value": value}]}]}).to_string()
}

fn ours() -> Value {
    json!({"display_phone_number": "15550001111", "phone_number_id": PHONE_NUMBER_ID})
}

#[tokio::test]
async fn media_keep_what_is_needed_to_fetch_them_and_their_caption_is_the_content() {
    let app = App::start().await;
    deliver(&app, &image(MARA, "wamid.0")).await;
    let rest = [
        message(MARA, "wamid.1", 1, "video", json!({"id": "m1", "mime_type": "video/mp4", "sha256": "dg=="})),
        message(MARA, "wamid.2", 2, "audio", json!({"id": "m2", "mime_type": "audio/ogg; codecs=opus", "voice": true})),
        message(MARA, "wamid.3", 3, "document", json!({"id": "m3", "filename": "invoice 17.pdf", "caption": "the bill"})),
        message(MARA, "wamid.4", 4, "sticker", json!({"id": "m4", "mime_type": "image/webp", "animated": true})),
    ];
    deliver(&app, &messages(&rest)).await;
    let rows = "SELECT concat_ws('|', message_type, content, media ->> 'type', media ->> 'id', media ->> 'mime_type', media ->> 'sha256', media ->> 'filename', meta)
                FROM chat_messages ORDER BY external_id";
    assert_eq!(
        app.db.texts(rows).await,
        [
            "image|look|image|media-1|image/jpeg|c2hh",
            "video|video|m1|video/mp4|dg==",
            "audio|audio|m2|audio/ogg; codecs=opus|{\"voice\": true}",
            "document|the bill|document|m3|invoice 17.pdf",
            "sticker|sticker|m4|image/webp|{\"animated\": true}",
        ]
    );
    assert_eq!(app.db.text("SELECT unread_count::text FROM chat_conversations").await, "5");
}

#[tokio::test]
async fn places_and_cards_can_be_read_and_keep_their_details() {
    let app = App::start().await;
    let elements = [
        message(MARA, "wamid.1", 1, "location", json!({"latitude": 48.137_154, "longitude": 11.576, "name": "Viktualienmarkt"})),
        message(MARA, "wamid.2", 2, "location", json!({"latitude": -48.1, "longitude": 11})),
        message(MARA, "wamid.3", 3, "contacts", json!([{"name": {"formatted_name": "Jon Dahl"}, "phones": [{"phone": "+4755501400"}]}])),
    ];
    deliver(&app, &messages(&elements)).await;
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', message_type, content, meta #>> '{location,latitude}', meta #>> '{contacts,0,phones,0,phone}') FROM chat_messages ORDER BY external_id").await,
        ["location|Viktualienmarkt|48.137154", "location|-48.1,11|-48.1", "contacts|Jon Dahl|+4755501400"]
    );
}

#[tokio::test]
async fn answers_to_buttons_lists_flows_and_templates_read_as_their_words_and_name_what_they_answer() {
    let app = App::start().await;
    let mut elements = [
        message(MARA, "wamid.1", 1, "interactive", json!({"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes, please"}})),
        message(MARA, "wamid.2", 2, "interactive", json!({"type": "list_reply", "list_reply": {"id": "slot-2", "title": "Tuesday"}})),
        message(
            MARA,
            "wamid.3",
            3,
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{}"}}),
        ),
        message(MARA, "wamid.4", 4, "button", json!({"payload": "stop-1", "text": "Stop"})),
        message(
            MARA,
            "wamid.5",
            5,
            "order",
            json!({"text": "Gift wrapped", "product_items": [{"product_retailer_id": "kettle", "quantity": 2}]}),
        ),
    ];
    for element in &mut elements {
        element["context"] = json!({"from": "15550001111", "id": "wamid.asked"});
    }
    deliver(&app, &messages(&elements)).await;
    assert_eq!(
        app.db
            .texts(
                "SELECT concat_ws('|', message_type, content, reply_to, meta #>> '{interactive,button_reply,id}', meta #>> '{interactive,list_reply,id}',
                        meta #>> '{interactive,nfm_reply,name}', meta #>> '{button,payload}', meta #>> '{order,product_items,0,quantity}')
                 FROM chat_messages ORDER BY external_id"
            )
            .await,
        [
            "interactive|Yes, please|wamid.asked|yes",
            "interactive|Tuesday|wamid.asked|slot-2",
            "interactive|Sent|wamid.asked|flow",
            "button|Stop|wamid.asked|stop-1",
            "order|Gift wrapped|wamid.asked|2",
        ]
    );
}

#[tokio::test]
async fn what_nobody_knows_is_kept_as_unsupported_with_all_of_its_json() {
    let app = App::start().await;
    let mut poll = message(MARA, "wamid.1", 1, "unsupported", json!({"type": "poll"}));
    poll["errors"] = json!([{"code": 131_051, "title": "Message type unknown"}]);
    let hologram = message(MARA, "wamid.2", 2, "hologram", json!({"id": "808"}));
    deliver(&app, &messages(&[poll, hologram])).await;
    assert_eq!(
        app.db
            .texts("SELECT concat_ws('|', message_type, status, content, meta ->> 'type', meta #>> '{errors,0,code}', meta #>> '{raw,hologram,id}') FROM chat_messages ORDER BY external_id")
            .await,
        ["unsupported|received|unsupported|131051", "unsupported|received|hologram|808"]
    );
    assert_eq!(app.db.text("SELECT unread_count::text FROM chat_conversations").await, "2");
}

#[tokio::test]
async fn an_echo_as_first_contact_opens_a_conversation_that_nobody_has_to_read() {
    let app = App::start().await;
    let echoes: Vec<Value> = [
        message("15550001111", "wamid.1", 1, "text", json!({"body": "Your parcel is here"})),
        message("15550001111", "wamid.2", 2, "image", json!({"id": "m1", "mime_type": "image/png"})),
    ]
    .map(|mut echo| {
        echo["to"] = json!(MARA);
        echo
    })
    .into();
    let value = json!({"metadata": ours(), "contacts": [{"wa_id": MARA, "profile": {"name": "Mara"}}], "message_echoes": echoes});
    deliver(&app, &other_field("smb_message_echoes", &value)).await;
    assert_eq!(
        app.db
            .texts(
                "SELECT concat_ws('|', direction, status, human_override, message_type, content) FROM chat_messages ORDER BY external_id"
            )
            .await,
        ["outbound|sent|t|text|Your parcel is here", "outbound|sent|t|image"]
    );
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', c.phone_number, c.name, v.status, v.unread_count) FROM chat_conversations v JOIN customers c ON c.id = v.customer_id").await,
        ["+4915550100300|Mara|open|0"]
    );
}

#[tokio::test]
async fn a_notice_of_the_system_is_shown_but_is_nothing_to_read() {
    let app = App::start().await;
    let notice = json!({"type": "customer_identity_changed", "body": "Mara's security code changed"});
    deliver(&app, &messages(&[message(MARA, "wamid.1", 1, "text", json!({"body": "hi"})), message(MARA, "wamid.2", 2, "system", notice)]))
        .await;
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', direction, message_type, status, content) FROM chat_messages ORDER BY external_id").await,
        ["inbound|text|received|hi", "system|system|received|Mara's security code changed"]
    );
    assert_eq!(app.db.count("SELECT unread_count::int8 FROM chat_conversations").await, 1);
}

#[tokio::test]
async fn a_failed_receipt_leaves_its_errors_on_the_message() {
    let app = App::start().await;
    deliver(&app, &status("wamid.1", "sent")).await;
    deliver(&app, &status("wamid.1", "failed")).await;
    assert_eq!(
        app.db.texts("SELECT status || ' ' || (errors #>> '{0,code}') || ' ' || (errors #>> '{0,title}') FROM chat_messages").await,
        ["failed 131026 Message undeliverable"]
    );
}

#[tokio::test]
async fn receipts_that_are_not_about_a_message_change_none() {
    let app = App::start().await;
    deliver(&app, &status("wamid.1", "sent")).await;
    let receipt = |status: &str, kind: &str| json!({"id": "wamid.1", "status": status, "type": kind, "timestamp": "1760000002", "recipient_id": MARA});
    let receipts = [receipt("failed", "payment"), receipt("read", "call"), receipt("in_orbit", "message")];
    deliver(&app, &change(PHONE_NUMBER_ID, &json!({"statuses": receipts}))).await;
    assert_eq!(app.db.texts("SELECT status FROM chat_messages").await, ["sent"]);
}

#[tokio::test]
async fn errors_without_a_message_are_kept_as_received_and_write_nothing() {
    let app = App::start().await;
    deliver(&app, &change(PHONE_NUMBER_ID, &json!({"errors": [{"code": 130_429, "title": "Rate limit hit"}]}))).await;
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events WHERE tenant_id = 1").await, 1);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE state = 'done'").await, 1);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 0);
}

#[tokio::test]
async fn several_entries_and_changes_of_one_body_are_all_processed() {
    let app = App::start().await;
    let one = |id: &str| json!({"metadata": ours(), "messages": [message(MARA, id, 1, "text", json!({"body": id}))]});
    let mut echo = message("15550001111", "wamid.echo", 3, "text", json!({"body": "on our way"}));
    echo["to"] = json!(MARA);
    let body = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "900", "changes": [
            {"field": "messages", "value": one("wamid.1")},
            {"field": "account_update", "value": {"event": "PARTNER_ADDED"}},
            {"field": "messages", "value": {"metadata": ours(), "statuses": [{"id": "wamid.echo", "status": "read", "timestamp": "1760000009"}]}},
        ]},
        {"id": "901", "changes": []},
        {"id": "900", "changes": [
            {"field": "smb_message_echoes", "value": {"metadata": ours(), "message_echoes": [echo]}},
            {"field": "messages", "value": one("wamid.2")},
        ]},
    ]});
    deliver(&app, &body.to_string()).await;
    assert_eq!(
        app.db.texts("SELECT external_id || ' ' || direction || ' ' || status FROM chat_messages ORDER BY 1").await,
        ["wamid.1 inbound received", "wamid.2 inbound received", "wamid.echo outbound read"]
    );
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["2"]);
}

#[tokio::test]
async fn updates_of_templates_accounts_and_the_like_are_kept_as_received_and_write_nothing() {
    let app = App::start().await;
    let bodies = [
        other_field("message_template_status_update", &json!({"event": "APPROVED", "message_template_id": 55})),
        other_field("account_update", &json!({"event": "PARTNER_ADDED"})),
        other_field("phone_number_quality_update", &json!({"event": "UPGRADE", "current_limit": "TIER_10K"})),
        other_field("user_preferences", &json!({"metadata": ours(), "user_preferences": [{"wa_id": MARA, "value": "stop"}]})),
        other_field("calls", &json!({"metadata": ours(), "calls": [{"id": "wacid.1", "event": "connect", "from": MARA}]})),
        other_field(
            "a_field_of_tomorrow",
            &json!({"metadata": ours(), "messages": [message(MARA, "wamid.1", 1, "text", json!({"body": "hi"}))]}),
        ),
        json!({"object": "page", "entry": [{"id": "1", "messaging": [{"message": {"mid": "m.1", "text": "hi"}}]}]}).to_string(),
        json!({}).to_string(),
    ];
    for body in &bodies {
        deliver(&app, body).await;
    }
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 8);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE state = 'done'").await, 8);
    for table in ["customers", "chat_conversations", "chat_messages"] {
        assert_eq!(app.db.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn the_tenant_of_an_event_is_known_from_its_channel() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', tenant_id, channel_kind, channel_ids, convert_from(body, 'UTF8') = $$BODY$$) FROM raw_webhook_events".replace("BODY", &text("wamid.1")).as_str()).await,
        [format!("1|whatsapp_cloud|{{{PHONE_NUMBER_ID}}}|t")]
    );
}
