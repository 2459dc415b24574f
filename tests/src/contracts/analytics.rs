//! Figures of the WhatsApp business contract.

use super::{NUMBER, inbox, receive};
use crate::harness::{App, status_for, until};
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
    assert_eq!(
        (&overview["totalMessages"], &overview["totalConversations"], &overview["deliveryRate"]),
        (&json!(6), &json!(3), &json!(66.7))
    );
    assert_eq!((&overview["sentToday"], &overview["sentThisWeek"], &overview["sentThisMonth"]), (&json!(2), &json!(2), &json!(2)));
    let days = body["data"]["dailyActivity"].as_array().unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!(
        (&days[0]["sent"], &days[0]["received"], &days[1]["sent"], &days[1]["received"]),
        (&json!(0), &json!(0), &json!(2), &json!(3))
    );
    for days in ["0", "367", "-1", "x"] {
        app.get(&ann, &format!("/api/analytics/overview?days={days}")).await.expect(400);
    }
    assert_eq!(app.get(&ann, "/api/analytics/overview").await.expect(200)["data"]["dailyActivity"].as_array().unwrap().len(), 30);
}

/// Every count as it is kept, compared with the rows themselves.
const DIFFERENCES: &str = "
    WITH kept AS (
      SELECT tenant_id, measure, sum(n)::int8 AS n FROM (SELECT tenant_id, measure, n FROM counts UNION ALL SELECT tenant_id, measure, n FROM count_changes) c WHERE tenant_id > 0 GROUP BY 1, 2 HAVING sum(n) <> 0),
    really AS (
      SELECT tenant_id, 'message:' || direction || ':' || status AS measure, count(*) AS n FROM chat_messages WHERE conversation_id IS NOT NULL GROUP BY 1, 2
      UNION ALL SELECT tenant_id, 'conversation:' || channel_source || ':' || status, count(*) FROM chat_conversations WHERE merged_into IS NULL GROUP BY 1, 2
      UNION ALL SELECT tenant_id, 'customer', count(*) FROM customers WHERE merged_into IS NULL GROUP BY 1
      UNION ALL SELECT m.tenant_id, 'read', m.n - (SELECT coalesce(sum(unread_count), 0) FROM chat_conversations c WHERE c.tenant_id = m.tenant_id AND merged_into IS NULL)
        FROM (SELECT tenant_id, count(*) AS n FROM chat_messages WHERE conversation_id IS NOT NULL AND direction = 'inbound' GROUP BY 1) m)
    SELECT coalesce(k.measure, t.measure) || ': ' || coalesce(k.n, 0) || ' kept, ' || coalesce(t.n, 0) || ' there'
    FROM kept k FULL JOIN really t ON t.tenant_id = k.tenant_id AND t.measure = k.measure WHERE coalesce(k.n, 0) <> coalesce(t.n, 0)";

#[tokio::test]
async fn changes_are_folded_and_the_counts_stay_exact() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    for n in 0..20 {
        receive(&app, &format!("1555123{:04}", n % 7), &format!("wamid.{n}"), "hi").await;
        if n % 3 == 0 {
            let text = json!({"to": format!("+1555123{:04}", n % 7), "type": "text", "content": {"text": "yes?"}});
            app.post(&ann, "/api/messages", text).await.expect(201);
        }
        if n % 5 == 0 {
            let id = app.db.text("SELECT id::text FROM chat_conversations WHERE status <> 'closed' ORDER BY id LIMIT 1").await;
            app.patch(&ann, &format!("/api/conversations/{id}"), json!({"status": "CLOSED"})).await.expect(200);
        }
        let wrong = app.db.texts(DIFFERENCES).await;
        assert!(wrong.is_empty(), "after {n}: {wrong:#?}");
    }
    until("all changes are folded", async || app.db.try_count("SELECT count(*) FROM count_changes").await == Some(0)).await;
    let wrong = app.db.texts(DIFFERENCES).await;
    assert!(wrong.is_empty(), "folded: {wrong:#?}");
    assert!(app.db.count("SELECT sum(n)::int8 FROM counts WHERE tenant_id > 0 AND measure LIKE 'message:inbound:%'").await == 20);
    let totals = "SELECT measure FROM counts GROUP BY measure HAVING sum(n) FILTER (WHERE tenant_id = 0) IS DISTINCT FROM sum(n) FILTER (WHERE tenant_id > 0)";
    assert!(app.db.texts(totals).await.is_empty(), "tenant 0 has the totals of all");
}
