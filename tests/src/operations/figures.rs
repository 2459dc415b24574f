//! What operators are shown as numbers is so: how old a queue is, how long jobs waited, how many were enqueued.

use crate::harness::{App, Database, until};
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use store::{
    ledger::{self, Depth},
    operator::{overview, samples},
};

/// The queue of probes on the overview.
async fn probes(app: &App) -> Value {
    let overview = app.ops("GET", "overview", Value::Null).await.expect(200);
    overview["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == "probes").unwrap().clone()
}

#[tokio::test]
async fn what_is_held_or_was_put_off_does_not_make_a_queue_old() {
    let app = App::start_api_only().await;
    app.db
        .run(
            "INSERT INTO job_pauses (what, paused_by) VALUES ('tenant:1', 'test'), ('kind:held', 'test');
             INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args, errors, created_at)
             SELECT gen_random_uuid(), kind, 'probes', tenant, 5, '{}', errors::jsonb, now() - interval '1 hour'
             FROM (VALUES ('probe', 1, '[]'), ('held', 2, '[]'), ('probe', 3, '[{\"class\": \"waiting\", \"message\": \"its turn\"}]')) job(kind, tenant, errors)",
        )
        .await;
    let queue = probes(&app).await;
    assert_eq!((&queue["ready"], &queue["oldest_s"]), (&json!(3), &Value::Null), "{queue}");
    let depth = async || ledger::depth(app.db.pool(), "probes").await.unwrap();
    assert_eq!(depth().await, Depth { ready: 3, delayed: 0, oldest_seconds: 0.0 });
    // What is behind one that was put off has waited all the same.
    app.db.run("INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args, created_at) VALUES (gen_random_uuid(), 'probe', 'probes', 3, 5, '{}', now() - interval '1 minute')").await;
    assert!((59.0..3_500.0).contains(&depth().await.oldest_seconds), "{:?}", depth().await);
    app.ops("POST", "resume", json!({"what": "tenant:1"})).await.expect(200);
    until("the queue is an hour old", async || probes(&app).await["oldest_s"].as_f64().is_some_and(|age| age > 3_500.0)).await;
    assert!(depth().await.oldest_seconds > 3_500.0);
    app.ops("POST", "pauses", json!({"what": "queue:probes"})).await.expect(200);
    assert_eq!(depth().await, Depth { ready: 4, delayed: 0, oldest_seconds: 0.0 }, "nobody is to be called for a queue that is paused");
}

/// What the only worker says of its probes of the last minute, when it says that one is done.
async fn said(app: &App) -> Value {
    let figures = "SELECT coalesce((SELECT figures ->> 'probes' FROM processes WHERE role = 'worker'), '{}')";
    let read = async || serde_json::from_str::<Value>(&app.db.text(figures).await).unwrap();
    until("the worker says what it did", async || read().await["done"] == 1).await;
    read().await
}

fn times(histogram: &Value) -> i64 {
    histogram.as_object().unwrap().values().map(|times| times.as_i64().unwrap()).sum()
}

#[tokio::test]
async fn a_job_that_is_looked_at_often_has_waited_and_run_once() {
    let app = App::start().await;
    let file = std::env::temp_dir().join(format!("looked-at-{}", uuid::Uuid::now_v7()));
    app.probe(json!({"snooze_until_file": file}), 1).await;
    // It has a new place each time that it is put back.
    let place = app.db.count("SELECT position FROM jobs WHERE queue = 'probes'").await;
    until("it was looked at", async || app.db.count("SELECT position FROM jobs WHERE queue = 'probes'").await > place + 10).await;
    std::fs::write(&file, "").unwrap();
    app.drain().await;
    std::fs::remove_file(&file).unwrap();
    let said = said(&app).await;
    assert_eq!((times(&said["wait"]), times(&said["run"]), &said["failed"]), (1, 1, &json!(0)), "{said}");
}

#[tokio::test]
async fn a_dead_letter_that_runs_again_has_waited_once() {
    let mut app = App::start().await;
    app.expect_dead(1);
    app.probe(json!("fail"), 1).await;
    app.drain().await;
    let id = app.db.text("SELECT id::text FROM jobs_dead").await;
    app.ops("POST", &format!("jobs/{id}/edit"), json!({"args": {"act": "succeed"}})).await.expect(200);
    let said = said(&app).await;
    assert_eq!((times(&said["wait"]), times(&said["run"]), &said["failed"]), (1, 2, &json!(1)), "{said}");
}

#[tokio::test]
async fn what_was_enqueued_is_counted_over_the_whole_time_wherever_it_is_now() {
    let db = Database::create().await;
    let mut conn = db.pool().acquire().await.unwrap();
    let now = overview::now(&mut conn).await.unwrap();
    let to = DateTime::from_timestamp(now.timestamp() / 60 * 60, 0).unwrap();
    let from = to - TimeDelta::minutes(1);
    // The id of the n-th job, made so many seconds after the beginning.
    let id = |seconds: &str, n: &str| {
        let moment = format!("'{}'::timestamptz + ({seconds}) * interval '1 second'", from.to_rfc3339());
        format!("(left(replace(first_id_at({moment})::text, '-', ''), 12) || '70008' || lpad(to_hex({n}), 15, '0'))::uuid")
    };
    db.run(&format!(
        "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT {}, 'probe', 'probes', 1, 5, '{{}}' FROM generate_series(-1, 60) n;
         INSERT INTO jobs_dead (id, kind, queue, tenant_id, priority, weight, attempt, crashes, max_attempts, fingerprint, args, errors, created_at, died_at)
         VALUES ({}, 'probe', 'probes', 1, 0, 1, 1, 0, 5, 'probe:probe', '{{}}', '[]', now(), now());
         INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, created_at, finished_at)
         SELECT (now() AT TIME ZONE 'utc')::date, {}, 'process_webhook', 'webhooks', 1, 'done', 1, 0, now(), now() FROM generate_series(1, 500) n",
        id("n", "n"),
        id("1", "1"),
        id("3", "n")
    ))
    .await;
    let entered = samples::entered(&mut conn, (from, to)).await.unwrap();
    assert_eq!(entered.into_iter().collect::<Vec<_>>(), [("probes".to_owned(), 61), ("webhooks".to_owned(), 500)]);
    // Too many to be counted one by one: those of the beginning stand for the rest.
    db.run(&format!(
        "INSERT INTO jobs_done (finished_on, id, kind, queue, tenant_id, state, attempt, crashes, created_at, finished_at)
         SELECT (now() AT TIME ZONE 'utc')::date, {}, 'send_outbound', 'outbound', 1, 'done', 1, 0, now(), now() FROM generate_series(0, 59999) n",
        id("n * 0.001", "n")
    ))
    .await;
    let entered = samples::entered(&mut conn, (from, to)).await.unwrap();
    assert!((59_000..=61_000).contains(&entered["outbound"]) && entered["probes"] == 61, "{entered:?}");
}

#[tokio::test]
async fn what_dies_in_a_batch_has_failed() {
    let mut app = App::start().await;
    app.expect_dead(1);
    assert_eq!(app.webhook("{\"object\": \"whatsapp_business").await, 200);
    app.drain().await;
    let figures = "SELECT coalesce((SELECT figures ->> 'webhooks' FROM processes WHERE role = 'worker'), '{}')";
    until("the worker says that it failed", async || {
        let said: Value = serde_json::from_str(&app.db.text(figures).await).unwrap();
        said["failed"] == 1 && said["errors"]["malformed"] == 1 && said["done"] == 0
    })
    .await;
}
