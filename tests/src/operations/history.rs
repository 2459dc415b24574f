//! Samples: one a minute, rolled up, charted, and every queue as it stood at a moment.

use super::client::Operator;
use crate::harness::{App, Database};
use domain::TenantId;
use jobs::probe::Probe;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use store::{ledger, operator::samples};

/// Samples of a queue, a minute apart, that end `ago` before now.
async fn keep(app: &App, queue: &str, minutes: i32, ago: &str) {
    app.db
        .run(&format!(
            "INSERT INTO queue_samples (at, queue, minutes, ready, delayed, running, dead, oldest_seconds, entered, done, failed, wait_p99, workers, paused, stuck)
             SELECT date_trunc('minute', now() - interval '{ago}') - make_interval(mins => n), '{queue}', 1, n, 0, 1, 2, 90, 60, 120, 1, 0.5, 1, false,
                    '[{{\"id\": \"01900000-0000-7000-8000-000000000001\", \"kind\": \"probe\", \"seconds\": 41}}]'
             FROM generate_series(0, {minutes} - 1) n;
             INSERT INTO error_samples (at, fingerprint, minutes, n)
             SELECT date_trunc('minute', now() - interval '{ago}') - make_interval(mins => n), 'probes:timed_out', 1, CASE WHEN n < 15 THEN 5 ELSE 1 END
             FROM generate_series(0, {minutes} - 1) n"
        ))
        .await;
}

#[tokio::test]
async fn charts_and_the_slider_show_how_it_was() {
    let app = App::start_api_only().await;
    keep(&app, "outbound", 60, "1 day 2 hours").await;
    let at = app.db.text("SELECT to_char(now() - interval '1 day 2 hours', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").await;
    let history = app.ops("GET", &format!("history?queue=outbound&span=1h&to={at}&at={at}"), Value::Null).await.expect(200);
    assert_eq!(history["series"].as_array().unwrap().len(), 60);
    let outbound = history["moment"].as_array().unwrap().iter().find(|sample| sample["queue"] == "outbound").unwrap();
    assert_eq!((&outbound["done"], &outbound["stuck"][0]["seconds"]), (&json!(120), &json!(41)));
    assert_eq!((&history["errors"][0]["now"], &history["errors"][0]["before"]), (&json!(75), &json!(15)));
    let operator = Operator::of(&app).await;
    let page = operator.get(&format!("/ops/history?queue=outbound&span=1h&to={at}&point=90")).await.ok();
    assert!(page.matches("<svg").count() == 4 && page.contains("done: 2.0") && page.contains("probes:timed_out"), "{page}");
    assert!(page.len() < 100_000, "{} bytes", page.len());
    assert!(page.contains("/ops/jobs/01900000-0000-7000-8000-000000000001"), "what was stuck is named");
    let early = operator.get(&format!("/ops/history?queue=outbound&span=1h&to={at}&point=45")).await.ok();
    assert_ne!(super::client::between(&page, "At <time>", "</time>"), super::client::between(&early, "At <time>", "</time>"));
    let nothing = operator.get("/ops/history?queue=ingest&span=30d").await.ok();
    assert!(nothing.contains("There are no samples of this time"), "{nothing}");
    for bad in ["queue=none", "span=2h", "to=yesterday", "at=x", "point=x"] {
        app.ops("GET", &format!("history?{bad}"), Value::Null).await.expect(400);
    }
}

#[tokio::test]
async fn minutes_older_than_a_day_become_tens_of_minutes_once_and_what_is_older_than_a_month_goes() {
    let app = App::without_processes(Database::create().await, &[]).await;
    keep(&app, "outbound", 120, "1 day 1 hour").await;
    keep(&app, "outbound", 30, "0 hours").await;
    keep(&app, "webhooks", 10, "40 days").await;
    let sums = "SELECT sum(done)::int8 FROM queue_samples WHERE queue = 'outbound'";
    let before = app.db.count(sums).await;
    for _ in 0..2 {
        samples::roll_up(app.db.pool()).await.unwrap();
        assert_eq!(app.db.count(sums).await, before, "nothing is lost and nothing counts twice");
        assert_eq!(
            app.db.count("SELECT sum(n)::int8 FROM error_samples WHERE at > now() - interval '3 days'").await,
            (15 * 5 + 105) + (15 * 5 + 15)
        );
    }
    let kept = app.db.texts("SELECT minutes || ' ' || count(*) FROM queue_samples GROUP BY minutes ORDER BY minutes").await;
    assert!(kept[0] == "1 30" && kept[1].starts_with("10 1"), "{kept:?}");
}

#[tokio::test]
async fn the_leader_keeps_a_sample_each_minute() {
    let app = App::start().await;
    app.probe(json!("succeed"), 1).await;
    app.drain().await;
    // Somebody leads now. These have ids that say when they were made.
    let new: Vec<_> = (0..10).map(|_| jobs::new_job(TenantId(1), &Probe::default(), None)).collect();
    ledger::enqueue(&mut app.db.pool().acquire().await.unwrap(), &new).await.unwrap();
    app.drain().await;
    // Longer than anything else is waited for: the minute must end.
    let started = Instant::now();
    while app
        .db
        .count(
            "SELECT count(*) FROM queue_samples WHERE queue = 'probes' AND done >= 10 AND wait_p50 IS NOT NULL AND workers = 1
                  AND 10 = (SELECT sum(entered) FROM queue_samples WHERE queue = 'probes')",
        )
        .await
        == 0
    {
        assert!(started.elapsed() < Duration::from_secs(100), "{:?}", app.db.texts("SELECT to_jsonb(s)::text FROM queue_samples s").await);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(app.db.count("SELECT count(DISTINCT queue) FROM queue_samples").await, 8, "every queue, and ingest");
}
