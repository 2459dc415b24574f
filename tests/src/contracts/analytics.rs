//! Figures of the WhatsApp business contract.

use super::{NUMBER, inbox, receive};
use crate::harness::{App, status_for};
use serde_json::json;

#[tokio::test]
async fn the_overview_is_exact_at_once() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    for n in 1..=3 {
        receive(&app, &format!("1555123000{n}"), &format!("wamid.{n}"), "hi").await;
        let text = json!({"to": format!("+1555123000{n}"), "type": "text", "content": {"text": "yes?"}});
        app.post(&ann, "/api/messages", text).await.expect(201);
    }
    let pending = app.get(&ann, "/api/analytics/overview?days=2").await.expect(200);
    assert_eq!(pending["data"]["messagesByStatus"], json!({"sent": 0, "delivered": 0, "read": 0, "failed": 0}));
    app.db.run("UPDATE chat_messages SET status = 'sent', external_id = 'out.' || right(id::text, 4) WHERE direction = 'outbound'").await;
    let ids = app.db.texts("SELECT external_id FROM chat_messages WHERE direction = 'outbound' ORDER BY id").await;
    for (id, status) in [(&ids[0], "delivered"), (&ids[1], "read"), (&ids[1], "delivered"), (&ids[2], "failed")] {
        assert_eq!(app.webhook(&status_for(NUMBER, id, status)).await, 200);
        app.drain().await;
    }
    let body = app.get(&ann, "/api/analytics/overview?days=2").await.expect(200);
    assert_eq!(body["data"]["messagesByStatus"], json!({"sent": 2, "delivered": 2, "read": 1, "failed": 1}));
    let overview = &body["data"]["overview"];
    assert_eq!((&overview["totalMessages"], &overview["totalConversations"], &overview["deliveryRate"]), (&json!(6), &json!(3), &json!(66.7)));
    assert_eq!((&overview["sentToday"], &overview["sentThisWeek"], &overview["sentThisMonth"]), (&json!(2), &json!(2), &json!(2)));
    let days = body["data"]["dailyActivity"].as_array().unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!((&days[0]["sent"], &days[0]["received"], &days[1]["sent"], &days[1]["received"]), (&json!(0), &json!(0), &json!(2), &json!(3)));
    for days in ["0", "367", "-1", "x"] {
        app.get(&ann, &format!("/api/analytics/overview?days={days}")).await.expect(400);
    }
    assert_eq!(app.get(&ann, "/api/analytics/overview").await.expect(200)["data"]["dailyActivity"].as_array().unwrap().len(), 30);
}
