//! Taking webhooks.

use crate::harness::{App, Database, OTHER_PHONE_NUMBER_ID, VERIFY_TOKEN, change, echo, sign, status, text, text_from, until};
use serde_json::json;

#[tokio::test]
async fn a_signed_text_becomes_one_message_in_one_conversation() {
    let app = App::start().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    app.drain().await;
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', direction, message_type, status, content, external_id, channel_source, sent_at AT TIME ZONE 'utc') FROM chat_messages").await,
        ["inbound|text|received|text of wamid.1|wamid.1|whatsapp|2025-10-09 08:53:20"]
    );
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', c.name, c.phone_number, v.status, v.unread_count) FROM customers c JOIN chat_conversations v ON v.customer_id = c.id").await,
        ["Customer 15551230001|+15551230001|open|1"]
    );
}

#[tokio::test]
async fn a_second_identical_webhook_changes_nothing() {
    let app = App::start().await;
    for _ in 0..3 {
        assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    }
    app.drain().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["1"]);
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 4);
}

#[tokio::test]
async fn the_handshake_echoes_the_challenge_only_for_the_right_token() {
    let app = App::start().await;
    let ask = async |mode: &str, token: &str| {
        let query = [("hub.mode", mode), ("hub.verify_token", token), ("hub.challenge", "1158201444")];
        let answer = app.http.get(app.url("/api/webhook")).query(&query).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ask("subscribe", VERIFY_TOKEN).await, (200, "1158201444".to_owned()));
    for (mode, token) in [("subscribe", "wrong"), ("subscribe", ""), ("unsubscribe", VERIFY_TOKEN)] {
        let (status, body) = ask(mode, token).await;
        assert_eq!(status, 403, "{mode} {token}");
        assert!(body.contains("\"success\":false") && !body.contains("1158201444"), "{body}");
    }
}

#[tokio::test]
async fn a_missing_or_wrong_signature_is_refused_and_nothing_is_stored() {
    let app = App::start().await;
    let body = text("wamid.1");
    let other = sign(&text("wamid.2"));
    for signature in [None, Some("sha256=00"), Some("sha1=abc"), Some(other.as_str())] {
        let mut request = app.http.post(app.url("/api/webhook")).body(body.clone());
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{signature:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(body["success"], false);
    }
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 0);
}

#[tokio::test]
async fn a_body_of_three_megabytes_is_taken_and_a_larger_one_refused() {
    let app = App::start().await;
    let padding = 3 * 1024 * 1024 - text_from("15551230001", "wamid.big", "").len();
    let exact = text_from("15551230001", "wamid.big", &"x".repeat(padding));
    assert_eq!(exact.len(), 3 * 1024 * 1024);
    assert_eq!(app.webhook(&exact).await, 200);
    assert_eq!(app.webhook(&format!("{exact} ")).await, 413);
    app.drain().await;
    assert_eq!(app.db.count("SELECT length(content)::int8 FROM chat_messages").await, i64::try_from(padding).unwrap());
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 1);
}

#[tokio::test]
async fn malformed_json_with_a_valid_signature_is_kept_and_dead_lettered() {
    let mut app = App::start().await;
    assert_eq!(app.webhook("{\"object\": \"whatsapp_business").await, 200);
    app.expect_dead(1);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT fingerprint FROM jobs_dead").await, ["process_webhook:malformed"]);
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 1);
}

#[tokio::test]
async fn a_part_that_postgres_refuses_is_split_off_and_its_neighbours_are_written() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    // Longer than `customers.phone_number` allows would be caught earlier; a name of 300 MB would not fit: use a trigger.
    app.db
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '22000'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON chat_messages FOR EACH ROW WHEN (new.content = 'poison') EXECUTE FUNCTION refuse()",
        )
        .await;
    let messages: Vec<_> = (0..40)
        .map(|n| {
            json!({"from": "15551230001", "id": format!("wamid.{n}"), "timestamp": "1760000000", "type": "text",
                        "text": {"body": if n % 17 == 3 { "poison" } else { "fine" }}})
        })
        .collect();
    assert_eq!(app.webhook(&change(crate::harness::PHONE_NUMBER_ID, &json!({"messages": messages}))).await, 200);
    for n in 100..130 {
        assert_eq!(app.webhook(&text_from("15551230002", &format!("wamid.{n}"), if n == 111 { "poison" } else { "fine" })).await, 200);
    }
    app.expect_dead(4);
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 66);
    assert_eq!(
        app.db
            .count(
                "SELECT count(DISTINCT args) FROM jobs_dead WHERE fingerprint = 'process_webhook:refused_by_database' AND args ? 'position'"
            )
            .await,
        4
    );
}

#[tokio::test]
async fn one_body_for_two_tenants_writes_each_part_under_its_own() {
    let app = App::start().await;
    let mut body: serde_json::Value = serde_json::from_str(&text("wamid.1")).unwrap();
    let second: serde_json::Value = serde_json::from_str(&change(
        OTHER_PHONE_NUMBER_ID,
        &json!({"messages": [{"from": "15551230001", "id": "wamid.1", "timestamp": "1760000000", "type": "text", "text": {"body": "other"}}]}),
    ))
    .unwrap();
    body["entry"].as_array_mut().unwrap().push(second["entry"][0].clone());
    assert_eq!(app.webhook(&body.to_string()).await, 200);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT tenant_id || ' ' || content FROM chat_messages ORDER BY 1").await, ["1 text of wamid.1", "2 other"]);
    assert_eq!(
        app.db.texts("SELECT tenant_id || ' ' || phone_number FROM customers ORDER BY 1").await,
        ["1 +15551230001", "2 +15551230001"]
    );
}

#[tokio::test]
async fn an_event_for_an_unknown_channel_is_kept_unrouted() {
    let app = App::start().await;
    assert_eq!(
        app.webhook(&change(
            "999",
            &json!({"messages": [{"from": "1", "id": "wamid.1", "timestamp": "1", "type": "text", "text": {"body": "x"}}]})
        ))
        .await,
        200
    );
    app.drain().await;
    assert_eq!(app.db.texts("SELECT channel_ids::text FROM raw_webhook_events WHERE tenant_id IS NULL").await, ["{999}"]);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 0);
}

#[tokio::test]
async fn an_echo_from_the_business_phone_keeps_the_bot_away_until_the_override_expires() {
    let mut app = App::start().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    app.drain().await;
    assert_eq!(app.webhook(&echo("15551230001", "wamid.echo")).await, 200);
    assert_eq!(app.webhook(&echo("15551230001", "wamid.echo")).await, 200);
    app.drain().await;
    assert_eq!(
        app.db.texts("SELECT human_epoch || ' ' || (human_override_until BETWEEN now() + interval '23 hours' AND now() + interval '25 hours') || ' ' || unread_count FROM chat_conversations").await,
        ["1 true 1"]
    );
    assert_eq!(
        app.db
            .texts("SELECT direction || ' ' || status || ' ' || human_override FROM chat_messages WHERE external_id = 'wamid.echo'")
            .await,
        ["outbound sent true"]
    );
    assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE kind = 'expire_override' AND scheduled").await, 1);
    let name = app.db.text("SELECT current_database()::text").await;
    app.db.run(&format!("ALTER DATABASE {name} SET switchboard.clock_offset = '25 hours'")).await;
    app.workers[0].terminate();
    app.start_worker(&[]).await;
    until("the override ends", async || {
        app.db.count("SELECT count(*) FROM chat_conversations WHERE human_override_until IS NULL").await == 1
    })
    .await;
}

#[tokio::test]
async fn receipts_only_move_forward_also_before_their_message() {
    let app = App::start().await;
    for (id, order) in
        [("wamid.a", ["read", "sent", "delivered"]), ("wamid.b", ["failed", "sent", "sent"]), ("wamid.c", ["sent", "failed", "delivered"])]
    {
        for receipt in order {
            assert_eq!(app.webhook(&status(id, receipt)).await, 200);
            app.drain().await;
        }
    }
    assert_eq!(
        app.db.texts("SELECT external_id || ' ' || status || ' ' || message_type FROM chat_messages ORDER BY 1").await,
        ["wamid.a read placeholder", "wamid.b failed placeholder", "wamid.c delivered placeholder"]
    );
    assert_eq!(app.webhook(&echo("15551230001", "wamid.a")).await, 200);
    app.drain().await;
    assert_eq!(
        app.db.texts("SELECT status || ' ' || message_type || ' ' || content FROM chat_messages WHERE external_id = 'wamid.a'").await,
        ["read text I will help"]
    );
}
