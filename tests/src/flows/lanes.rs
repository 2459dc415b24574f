//! Whose jobs webhooks wait in.

use crate::harness::{App, Database, message, sign, text, until};
use serde_json::{Value, json};
use sqlx::Executor;

/// A channel of tenant 3, who is in the same shard as tenant 1.
const THIRD_PHONE_NUMBER_ID: &str = "100200300400502";

/// Commits that made one job for several tenants, and such that made one for each.
const SHARED: &str = "SELECT count(*) FROM (SELECT FROM jobs WHERE tenant_id < 0 UNION ALL SELECT FROM jobs_done WHERE tenant_id < 0) j";
const OWN: &str =
    "SELECT count(*) FROM (SELECT FROM jobs WHERE tenant_id > 0 GROUP BY created_at HAVING count(DISTINCT tenant_id) > 1) commits";

fn text_for(phone_number_id: &str, id: &str) -> String {
    let mut body: Value = serde_json::from_str(&text(id)).unwrap();
    body["entry"][0]["changes"][0]["value"] = json!({
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": phone_number_id},
        "messages": [message("15551230001", id, 0, "text", json!({"body": id}))],
    });
    body.to_string()
}

/// Sends webhooks of both tenants while a commit is held up, so that they wait for the next one together.
async fn send_together(app: &App, round: u32) {
    let mut blocking = app.db.pool().begin().await.unwrap();
    blocking.execute("LOCK TABLE raw_webhook_events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let sends = (0..8).map(|n| {
        let id = format!("wamid.{round}.{n}");
        let body = if n % 2 == 0 { text(&id) } else { text_for(THIRD_PHONE_NUMBER_ID, &id) };
        let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", sign(&body)).body(body);
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    let sends: Vec<_> = sends.collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("a commit waits for the lock", async || app.db.count(waiting).await > 0).await;
    blocking.rollback().await.unwrap();
    for send in sends {
        assert_eq!(send.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn tenants_share_jobs_until_much_waits_and_then_each_has_its_own() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.db
        .run(&format!(
            "INSERT INTO tenants (id, store_name) OVERRIDING SYSTEM VALUE VALUES (3, 'Third');
             INSERT INTO channel_instances (tenant_id, type, external_id, name, status)
             VALUES (3, 'WHATSAPP', '{THIRD_PHONE_NUMBER_ID}', 'third', 'CONNECTED')"
        ))
        .await;
    app.start_api().await;
    app.start_worker(&[]).await;
    let mut round = 0;
    until("tenants share a job", async || {
        round += 1;
        send_together(&app, round).await;
        app.db.count(SHARED).await > 0
    })
    .await;
    app.drain().await;

    app.db.run("INSERT INTO job_pauses (what, paused_by) VALUES ('queue:webhooks', 'test')").await;
    until("each tenant has a job of its own", async || {
        round += 1;
        send_together(&app, round).await;
        app.db.count(OWN).await > 0
    })
    .await;
    app.db.run("DELETE FROM job_pauses").await;
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, i64::from(round) * 8);
    assert_eq!(app.db.texts("SELECT tenant_id || ' ' || count(*) FROM chat_messages GROUP BY tenant_id ORDER BY 1").await.len(), 2);
}
