//! The helpdesk: tickets, calendar, summary.

use super::{inbox, receive};
use crate::harness::{App, User};
use serde_json::{Value, json};

/// A desk with one customer; their `client_id`.
async fn desk(app: &App) -> (User, i64) {
    let ann = inbox(app).await;
    receive(app, "15551230001", "wamid.1", "my login fails").await;
    let token = app.desk_token(&ann).await;
    let list = app.call("GET", "/api/conversations", Some(&token), Value::Null).await.expect(200);
    (User { token, ..ann }, list[0]["client_id"].as_i64().unwrap())
}

#[tokio::test]
async fn a_ticket_from_birth_to_deletion() {
    let app = App::start().await;
    let (ann, client) = desk(&app).await;
    let conversation = app.get(&ann, "/api/conversations").await.expect(200)[0]["conversation_id"].clone();
    let user = app.get(&ann, "/api/users").await.expect(200)[0]["user_id"].clone();
    let body =
        json!({"client_id": client, "subject": " Cannot login ", "priority": "alta", "conversation_id": conversation, "assigned_to": user});
    let ticket = app.post(&ann, "/api/tickets", body).await.expect(201);
    let number = ticket["ticket_id"].as_i64().unwrap();
    assert_eq!((&ticket["subject"], &ticket["priority"], &ticket["status"]), (&json!("Cannot login"), &json!("alta"), &json!("abierto")));
    assert_eq!((&ticket["client_id"], &ticket["assigned_to"], &ticket["resolved_at"]), (&json!(client), &user, &Value::Null));
    assert!(ticket["created_at"].as_str().unwrap().ends_with('Z'));
    let meta = app.db.text("SELECT meta ->> 'ticket_id' FROM chat_conversations").await;
    assert_eq!(meta, number.to_string());
    let path = format!("/api/tickets/{number}");
    assert_eq!(app.get(&ann, &path).await.expect(200), ticket);
    let closed =
        app.patch(&ann, &path, json!({"status": "cerrado", "assigned_to": null, "due_at": "2030-01-01T10:00:00+01:00"})).await.expect(200);
    assert!(closed["resolved_at"].is_string());
    assert_eq!((&closed["assigned_to"], &closed["due_at"]), (&Value::Null, &json!("2030-01-01T09:00:00.000Z")));
    let opened = app.patch(&ann, &path, json!({"status": "en_progreso", "due_at": null})).await.expect(200);
    assert_eq!((&opened["resolved_at"], &opened["due_at"], &opened["subject"]), (&Value::Null, &Value::Null, &json!("Cannot login")));
    let summary = app.get(&ann, "/api/summary").await.expect(200);
    assert_eq!(summary["tickets"], json!({"open": 0, "in_progress": 1, "closed": 0}));
    app.delete(&ann, &path).await.expect(204);
    app.get(&ann, &path).await.expect(404);
    assert_eq!(app.delete(&ann, &path).await.expect(404), json!({"detail": "Ticket not found"}));
    assert_eq!(app.db.count("SELECT count(*) FROM chat_conversations WHERE meta ? 'ticket_id'").await, 0);
    assert_eq!(app.get(&ann, "/api/summary").await.expect(200)["tickets"], json!({"open": 0, "in_progress": 0, "closed": 0}));
}

#[tokio::test]
async fn tickets_are_filtered_and_paged_the_newest_first() {
    let app = App::start().await;
    let (ann, client) = desk(&app).await;
    let bob = app.colleague(&ann, "bob", "agent").await;
    let bob = app.db.count(&format!("SELECT number::int8 FROM users WHERE id = '{}'", bob.id)).await;
    for n in 0..9 {
        let priority = ["alta", "media", "baja"][n % 3];
        let status = ["abierto", "en_progreso", "cerrado"][n / 3];
        let mut body = json!({"client_id": client, "subject": format!("s{n}"), "priority": priority, "status": status});
        if n % 2 == 0 {
            body["assigned_to"] = json!(bob);
        }
        app.post(&ann, "/api/tickets", body).await.expect(201);
    }
    let subjects = async |query: &str| -> Vec<String> {
        let list = app.get(&ann, &format!("/api/tickets?{query}")).await.expect(200);
        list.as_array().unwrap().iter().map(|ticket| ticket["subject"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(subjects("").await, ["s8", "s7", "s6", "s5", "s4", "s3", "s2", "s1", "s0"]);
    assert_eq!(subjects("limit=2&offset=3").await, ["s5", "s4"]);
    assert_eq!(subjects("status=abierto").await, ["s2", "s1", "s0"]);
    assert_eq!(subjects("priority=alta").await, ["s6", "s3", "s0"]);
    assert_eq!(subjects(&format!("assigned_to={bob}")).await, ["s8", "s6", "s4", "s2", "s0"]);
    assert_eq!(subjects(&format!("assigned_to={bob}&status=cerrado&priority=baja&client_id={client}")).await, ["s8"]);
    assert_eq!(subjects(&format!("client_id={client}&limit=1&offset=1")).await, ["s7"]);
    assert!(subjects("client_id=999999&offset=5000").await.is_empty());
    for query in ["status=open", "limit=0", "limit=-1", "offset=-1", "offset=x", "client_id=a", "priority=ALTA"] {
        let refused = app.get(&ann, &format!("/api/tickets?{query}")).await.expect(400);
        let field = query.split('=').next().unwrap();
        assert!(refused["errors"][field].is_array(), "{query}: {refused}");
    }
    assert_eq!(subjects("limit=1000000000").await.len(), 9);
}

#[tokio::test]
async fn what_a_ticket_names_must_be_there() {
    let app = App::start().await;
    let (ann, client) = desk(&app).await;
    let eve = app.register("eve").await;
    let number = app.db.count(&format!("SELECT number::int8 FROM users WHERE id = '{}'", eve.id)).await;
    let cases = [
        (json!({"client_id": 999_999, "subject": "x"}), "client_id"),
        (json!({"client_id": client, "subject": " "}), "subject"),
        (json!({"client_id": client}), "subject"),
        (json!({"client_id": client, "subject": "x", "assigned_to": number}), "assigned_to"),
        (json!({"client_id": client, "subject": "x", "priority": "urgent"}), "priority"),
        (json!({"client_id": client, "subject": "x", "due_at": "tomorrow"}), "due_at"),
        (json!({"client_id": client, "subject": "x".repeat(301)}), "subject"),
        (json!({"client_id": client, "subject": "x", "conversation_id": uuid::Uuid::nil()}), "conversation_id"),
        (json!({"client_id": "1", "subject": "x"}), "client_id"),
    ];
    for (body, field) in cases {
        let refused = app.post(&ann, "/api/tickets", body.clone()).await.expect(400);
        assert_eq!(refused["detail"], json!("Bad Request"));
        assert!(refused["errors"][field].is_array(), "{body}: {refused}");
    }
    assert_eq!(app.db.count("SELECT count(*) FROM tickets").await, 0);
    for path in ["/api/tickets/0", "/api/tickets/x", "/api/tickets/99999999999999999999", "/api/tickets/-1", "/api/tickets/%00"] {
        app.get(&ann, path).await.expect(404);
    }
    let nobody = app.call("POST", "/api/tickets", None, json!({"client_id": client, "subject": "x"})).await;
    assert_eq!((nobody.status, nobody.body), (401, json!({"detail": "Unauthorized"})));
}

#[tokio::test]
async fn the_calendar() {
    let app = App::start().await;
    let (ann, client) = desk(&app).await;
    let ticket = app.post(&ann, "/api/tickets", json!({"client_id": client, "subject": "x"})).await.expect(201)["ticket_id"].clone();
    let event = async |title: &str, start: &str, end: &str, ticket: &Value| {
        let body = json!({"title": title, "start_time": start, "end_time": end, "ticket_id": ticket});
        app.post(&ann, "/api/events", body).await.expect(201)
    };
    let demo = event("Demo", "2025-11-01T15:00:00Z", "2025-11-01T15:30:00Z", &ticket).await;
    event("Later", "2025-11-02T15:00:00Z", "2025-11-03T15:30:00Z", &Value::Null).await;
    event("Far", "2100-01-01T00:00:00Z", "2100-01-01T00:00:00Z", &Value::Null).await;
    let user = app.get(&ann, "/api/users").await.expect(200)[0]["user_id"].clone();
    assert_eq!((&demo["created_by"], &demo["ticket_id"], &demo["start_time"]), (&user, &ticket, &json!("2025-11-01T15:00:00.000Z")));
    let titles = async |query: &str| -> Vec<String> {
        let list = app.get(&ann, &format!("/api/events?{query}")).await.expect(200);
        list.as_array().unwrap().iter().map(|event| event["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles("").await, ["Demo", "Later", "Far"]);
    assert_eq!(titles("start=2025-11-02T00:00:00Z&end=2025-11-30T23:59:59Z").await, ["Later"]);
    assert_eq!(titles("end=2025-11-03T00:00:00Z").await, ["Demo"]);
    assert_eq!(titles(&format!("ticket_id={ticket}")).await, ["Demo"]);
    assert_eq!(titles(&format!("created_by={user}&limit=1&offset=1")).await, ["Later"]);
    assert!(titles("created_by=999999").await.is_empty());
    assert_eq!(app.get(&ann, "/api/summary").await.expect(200)["upcoming_events"], json!(1));
    let path = format!("/api/events/{}", demo["event_id"]);
    let moved = app
        .patch(&ann, &path, json!({"end_time": "2025-11-01T16:00:00Z", "description": "with slides", "ticket_id": null}))
        .await
        .expect(200);
    assert_eq!(
        (&moved["end_time"], &moved["description"], &moved["ticket_id"]),
        (&json!("2025-11-01T16:00:00.000Z"), &json!("with slides"), &Value::Null)
    );
    let refused = app.patch(&ann, &path, json!({"end_time": "2025-11-01T14:00:00Z"})).await.expect(400);
    assert!(refused["errors"]["end_time"].is_array());
    let early = json!({"title": "x", "start_time": "2025-11-01T15:00:00Z", "end_time": "2025-11-01T14:00:00Z"});
    assert!(app.post(&ann, "/api/events", early).await.expect(400)["errors"]["end_time"].is_array());
    assert!(app.get(&ann, "/api/events?start=yesterday").await.expect(400)["errors"]["start"].is_array());
    let unknown = json!({"title": "x", "start_time": "2025-11-01T15:00:00Z", "end_time": "2025-11-01T15:00:00Z", "ticket_id": 999_999});
    assert!(app.post(&ann, "/api/events", unknown).await.expect(400)["errors"]["ticket_id"].is_array());
    app.delete(&ann, &path).await.expect(204);
    app.get(&ann, &path).await.expect(404);
}

#[tokio::test]
async fn the_summary_counts_what_nobody_has_read() {
    let app = App::start().await;
    let (ann, _) = desk(&app).await;
    receive(&app, "15551230001", "wamid.2", "hello?").await;
    receive(&app, "15551230002", "wamid.3", "hi").await;
    let unread = async || app.get(&ann, "/api/summary").await.expect(200)["unread_messages"].as_i64().unwrap();
    assert_eq!(unread().await, 3);
    let id = app.db.text("SELECT conversation_id::text FROM chat_messages WHERE external_id = 'wamid.1'").await;
    let answer =
        app.post(&ann, &format!("/api/conversations/{id}/messages"), json!({"content": "We are looking into it"})).await.expect(201);
    assert_eq!(answer["sender"], json!("user"));
    assert_eq!(unread().await, 1);
    app.post(&ann, &format!("/api/conversations/{id}/read"), Value::Null).await;
    assert_eq!(unread().await, 1);
    receive(&app, "15551230001", "wamid.4", "thanks").await;
    assert_eq!(unread().await, 2);
    assert_eq!(app.get(&ann, "/api/summary").await.expect(200)["users_count"], json!(1));
}
