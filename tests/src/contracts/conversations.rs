//! Conversations on the paths that two contracts share, and changing them.

use super::{inbox, receive};
use crate::harness::{App, User};
use serde_json::{Value, json};

async fn numbers(app: &App, user: &User, query: &str) -> (Vec<String>, i64) {
    let body = app.get(user, &format!("/api/conversations{query}")).await.expect(200);
    let numbers = body["data"]["conversations"].as_array().unwrap().iter().map(|one| one["phoneNumber"].as_str().unwrap().to_owned());
    (numbers.collect(), body["data"]["pagination"]["total"].as_i64().unwrap())
}

#[tokio::test]
async fn the_token_says_which_contract_the_list_is_answered_in() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let cloud = app.get(&ann, "/api/conversations").await.expect(200);
    let one = &cloud["data"]["conversations"][0];
    assert_eq!(
        (&one["phoneNumber"], &one["contactName"], &one["status"]),
        (&json!("+15551230001"), &json!("Customer 15551230001"), &json!("OPEN"))
    );
    assert_eq!(one["lastMessage"], json!({"text": "hello", "type": "TEXT", "direction": "INBOUND"}));
    assert_eq!((&one["unreadCount"], &one["tags"], &one["assignedTo"]), (&json!(1), &json!([]), &Value::Null));
    let desk = app.desk_token(&ann).await;
    let list = app.call("GET", "/api/conversations", Some(&desk), Value::Null).await.expect(200);
    let shown = list[0].as_object().unwrap();
    let mut names: Vec<&str> = shown.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "active",
            "channel",
            "client_id",
            "conversation_id",
            "created_at",
            "external_chat_id",
            "handled_by_bot",
            "last_message_at",
            "updated_at"
        ]
    );
    assert_eq!(
        (&shown["conversation_id"], &shown["channel"], &shown["external_chat_id"]),
        (&one["id"], &json!("whatsapp"), &json!("15551230001"))
    );
    assert_eq!((&shown["handled_by_bot"], shown["client_id"].is_i64()), (&json!(true), true));
    let path = format!("/api/conversations/{}", one["id"].as_str().unwrap());
    assert_eq!(&app.call("GET", &path, Some(&desk), Value::Null).await.expect(200), &list[0]);
    let with_messages = app.get(&ann, &path).await.expect(200);
    assert_eq!(&with_messages["data"]["conversation"], one);
    assert_eq!(with_messages["data"]["messages"][0]["content"], json!({"text": "hello"}));
    let nobody = app.call("GET", "/api/conversations", None, Value::Null).await;
    assert_eq!((nobody.status, &nobody.body["detail"], &nobody.body["success"]), (401, &json!("Unauthorized"), &json!(false)));
    let foreign = app.call("GET", "/api/conversations/00000000-0000-0000-0000-000000000000", Some(&desk), Value::Null).await;
    assert_eq!((foreign.status, foreign.body), (404, json!({"detail": "Conversation not found"})));
}

#[tokio::test]
async fn the_list_is_by_activity_with_pages_statuses_and_search() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    for n in 1..=3 {
        receive(&app, &format!("1555123000{n}"), &format!("wamid.{n}"), "hi").await;
    }
    app.db.run("UPDATE chat_conversations SET last_message_at = now() - interval '1 day' WHERE customer_id = (SELECT id FROM customers WHERE phone_number = '+15551230003')").await;
    let (all, total) = numbers(&app, &ann, "").await;
    assert_eq!((all[2].as_str(), total), ("+15551230003", 3), "the one that was quiet longest comes last");
    assert_eq!(numbers(&app, &ann, "?limit=1&page=3").await, (vec!["+15551230003".to_owned()], 3));
    let first =
        app.get(&ann, "/api/conversations?search=0001").await.expect(200)["data"]["conversations"][0]["id"].as_str().unwrap().to_owned();
    app.patch(&ann, &format!("/api/conversations/{first}"), json!({"status": "CLOSED"})).await.expect(200);
    assert_eq!(numbers(&app, &ann, "?status=CLOSED").await, (vec!["+15551230001".to_owned()], 1));
    assert_eq!(numbers(&app, &ann, "?status=OPEN").await.1, 2);
    assert_eq!(numbers(&app, &ann, "").await.1, 3);
    for (term, found) in [
        ("23000", 3),
        ("%2B15551230002", 1),
        ("customer%201555", 3),
        ("CUSTOMER", 3),
        ("0002", 1),
        ("nobody", 0),
        ("%25", 0),
        ("_", 0),
        ("02", 1),
    ] {
        assert_eq!(numbers(&app, &ann, &format!("?search={term}")).await.1, found, "{term}");
    }
    assert_eq!(numbers(&app, &ann, "?search=customer&status=CLOSED&limit=1").await, (vec!["+15551230001".to_owned()], 1));
    app.get(&ann, "/api/conversations?status=DONE").await.expect(400);
    app.get(&ann, "/api/conversations?page=abc").await.expect(400);
}

#[tokio::test]
async fn a_conversation_is_assigned_tagged_closed_and_opened_again() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    let bob = app.colleague(&ann, "bob", "agent").await;
    receive(&app, "15551230001", "wamid.1", "hi").await;
    let id = app.db.text("SELECT id::text FROM chat_conversations").await;
    let path = format!("/api/conversations/{id}");
    let changed = app.patch(&bob, &path, json!({"assignedTo": bob.id, "tags": [" vip", "support", "vip"]})).await.expect(200);
    assert_eq!((&changed["data"]["assignedTo"], &changed["data"]["tags"]), (&json!(bob.id), &json!(["vip", "support"])));
    let desk = app.desk_token(&ann).await;
    assert_eq!(app.call("GET", &path, Some(&desk), Value::Null).await.expect(200)["handled_by_bot"], false);
    let closed = app.patch(&ann, &path, json!({"status": "CLOSED", "assignedTo": null})).await.expect(200);
    assert_eq!(
        (&closed["data"]["status"], &closed["data"]["assignedTo"], &closed["data"]["tags"]),
        (&json!("CLOSED"), &Value::Null, &json!(["vip", "support"]))
    );
    receive(&app, "15551230001", "wamid.2", "me again").await;
    let taken = app.patch(&ann, &path, json!({"status": "OPEN"})).await;
    assert_eq!(taken.status, 409, "the customer has a new one: {}", taken.body);
    for (body, field) in [
        (json!({"assignedTo": "00000000-0000-0000-0000-000000000000"}), "assignedTo"),
        (json!({"assignedTo": "x"}), "assignedTo"),
        (json!({"tags": [""]}), "tags"),
        (json!({"tags": "vip"}), "tags"),
        (json!({"status": "open"}), "status"),
    ] {
        let answer = app.patch(&ann, &path, body.clone()).await.expect(400);
        assert!(answer["errors"][field].is_array(), "{body}: {answer}");
    }
    assert_eq!(app.db.texts("SELECT DISTINCT act FROM audit_log WHERE act LIKE 'conversation%'").await, ["conversation.update"]);
}

#[tokio::test]
async fn marking_as_read_empties_the_unread_count_everywhere() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hi").await;
    receive(&app, "15551230001", "wamid.2", "hi").await;
    let unread = "SELECT (SELECT sum(n) FROM (SELECT n FROM counts WHERE measure = 'message:inbound:received' UNION ALL SELECT n FROM count_changes WHERE measure = 'message:inbound:received' \
                  UNION ALL SELECT -n FROM counts WHERE measure = 'read' UNION ALL SELECT -n FROM count_changes WHERE measure = 'read') c)::int8";
    assert_eq!(app.db.count(unread).await, 2);
    let id = app.db.text("SELECT id::text FROM chat_conversations").await;
    app.post(&ann, &format!("/api/conversations/{id}/read"), Value::Null).await.expect(204);
    assert_eq!((app.db.count(unread).await, app.db.count("SELECT sum(unread_count) FROM chat_conversations").await), (0, 0));
    app.post(&ann, "/api/conversations/x/read", Value::Null).await.expect(404);
}

#[tokio::test]
async fn a_request_has_a_name_its_own_or_a_new_one() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let named = app.send(app.request("GET", "/api/conversations").bearer_auth(&ann.token).header("x-request-id", "mine-7")).await;
    assert_eq!(named.header("x-request-id"), Some("mine-7"));
    let mut seen = std::collections::BTreeSet::new();
    for given in ["", "with space", &"x".repeat(129)] {
        let answer = app.send(app.request("GET", "/api/tickets/x").bearer_auth(&ann.token).header("x-request-id", given)).await;
        assert_eq!(answer.status, 404);
        assert!(seen.insert(answer.header("x-request-id").unwrap().to_owned()));
        assert!(!seen.contains(given));
    }
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_sent_again() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hi").await;
    let first = app.get(&ann, "/api/conversations").await;
    let tag = first.header("etag").unwrap().to_owned();
    let again = async || app.send(app.request("GET", "/api/conversations").bearer_auth(&ann.token).header("if-none-match", &tag)).await;
    let unchanged = again().await;
    assert_eq!((unchanged.status, unchanged.body), (304, Value::Null));
    receive(&app, "15551230001", "wamid.2", "hi again").await;
    assert_eq!(again().await.status, 200);
}
