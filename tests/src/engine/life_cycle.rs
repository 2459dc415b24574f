//! What becomes of one job.

use crate::harness::{App, Database, until};
use serde_json::json;

async fn worker_only(environment: &[(&str, &str)]) -> App {
    let mut app = App::without_processes(Database::create().await, environment).await;
    app.start_worker(&[]).await;
    app
}

#[tokio::test]
async fn a_job_that_succeeds_is_done_once() {
    let app = worker_only(&[]).await;
    app.probe(json!("succeed"), 1).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT state || ' ' || attempt FROM jobs_done").await, ["done 1"]);
}

#[tokio::test]
async fn jobs_run_in_process_without_redis() {
    let mut app = App::without_processes(Database::create().await, &[("DISPATCH", "local")]).await;
    app.redis.stop();
    app.start_worker(&[]).await;
    app.probe(json!("succeed"), 500).await;
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(DISTINCT id) FROM jobs_done").await, 500);
}

#[tokio::test]
async fn a_job_that_fails_in_passing_is_retried_and_keeps_its_errors() {
    let app = worker_only(&[]).await;
    app.probe(json!({"retry_until": 3}), 1).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT attempt || ' ' || jsonb_array_length(errors) FROM jobs_done").await, ["3 2"]);
}

#[tokio::test]
async fn a_job_whose_attempts_are_spent_is_a_dead_letter_with_all_its_errors() {
    let mut app = worker_only(&[]).await;
    app.probe(json!({"retry_until": 99}), 1).await;
    app.expect_dead(1);
    app.drain().await;
    assert_eq!(
        app.db.texts("SELECT fingerprint || ' ' || attempt || ' ' || jsonb_array_length(errors) FROM jobs_dead").await,
        ["probe:probe 5 5"]
    );
}

#[tokio::test]
async fn a_final_failure_is_a_dead_letter_at_once() {
    let mut app = worker_only(&[]).await;
    app.probe(json!("fail"), 1).await;
    app.expect_dead(1);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT attempt || ' ' || (errors -> 0 ->> 'message') FROM jobs_dead").await, ["1 asked to fail"]);
}

#[tokio::test]
async fn a_retry_after_is_waited_for() {
    let app = worker_only(&[]).await;
    app.probe(json!({"retry_after_ms": 700}), 1).await;
    app.drain().await;
    let waited =
        app.db.count("SELECT count(*) FROM jobs_done WHERE attempt = 2 AND finished_at - created_at >= interval '0.7 seconds'").await;
    assert_eq!(waited, 1);
}

#[tokio::test]
async fn a_snooze_costs_no_attempt() {
    let app = worker_only(&[]).await;
    let file = std::env::temp_dir().join(format!("snooze-{}", uuid::Uuid::now_v7()));
    app.probe(json!({"snooze_until_file": file}), 1).await;
    until("it was snoozed", async || {
        app.db.count("SELECT count(*) FROM jobs WHERE state = 'queued' AND run_at IS NOT NULL AND attempt = 0").await == 1
    })
    .await;
    std::fs::write(&file, "").unwrap();
    app.drain().await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(app.db.texts("SELECT attempt::text FROM jobs_done").await, ["1"]);
}

#[tokio::test]
async fn a_job_that_panics_is_retried_and_its_neighbours_go_on() {
    let mut app = worker_only(&[]).await;
    app.probe(json!("panic"), 1).await;
    app.probe(json!("succeed"), 50).await;
    app.expect_dead(1);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT fingerprint FROM jobs_dead").await, ["probe:panicked"]);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done").await, 50);
}

#[tokio::test]
async fn arguments_that_cannot_be_decoded_and_unknown_kinds_end_as_dead_letters() {
    let mut app = worker_only(&[]).await;
    app.db
        .run(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, attempt, args) VALUES
               (gen_random_uuid(), 'probe', 'probes', 1, 5, 0, '[\"not\", \"a probe\"]'),
               (gen_random_uuid(), 'no_such_kind', 'probes', 1, 5, 4, '{}'),
               (gen_random_uuid(), 'process_webhook', 'webhooks', 1, 5, 0, '{\"event_ids\": [\"not an id\"]}')",
        )
        .await;
    app.expect_dead(3);
    app.drain().await;
    let dead = app.db.texts("SELECT fingerprint FROM jobs_dead ORDER BY 1").await;
    assert_eq!(dead, ["no_such_kind:unknown_kind", "probe:undecodable", "process_webhook:undecodable"]);
}

#[tokio::test]
async fn a_running_job_can_be_cancelled() {
    let app = worker_only(&[]).await;
    let file = std::env::temp_dir().join(format!("hang-{}", uuid::Uuid::now_v7()));
    app.probe(json!({"hang": file}), 1).await;
    until("it runs", async || file.exists()).await;
    app.db.run("UPDATE jobs SET cancel_requested = true").await;
    app.drain().await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(app.db.texts("SELECT state FROM jobs_done").await, ["cancelled"]);
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_and_goes_on_when_it_is_resumed() {
    let app = worker_only(&[]).await;
    app.db.run("INSERT INTO job_pauses (what, paused_by) VALUES ('queue:probes', 'test')").await;
    app.probe(json!("succeed"), 20).await;
    // Other queues are not paused: that this one's job is done shows that the feeder went round meanwhile.
    app.db
        .run(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) VALUES (gen_random_uuid(), 'expire_override', 'overrides', 1, 5,
             jsonb_build_object('tenant_id', 1, 'conversation_id', gen_random_uuid(), 'expires_at', now()))",
        )
        .await;
    until("the other queue works", async || app.db.count("SELECT count(*) FROM jobs_done").await == 1).await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE queue = 'probes' AND state = 'queued'").await, 20);
    app.db.run("DELETE FROM job_pauses").await;
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done").await, 21);
}

#[tokio::test]
async fn a_job_for_later_waits_for_the_clock_of_the_ledger() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.db
        .run("INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, run_at, scheduled, args) VALUES (gen_random_uuid(), 'probe', 'probes', 1, 5, now() + interval '1 hour', true, '{}')")
        .await;
    let worker = app.start_worker(&[]).await;
    app.probe(json!("succeed"), 1).await;
    until("the other one is done", async || app.db.count("SELECT count(*) FROM jobs_done").await == 1).await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs").await, 1);
    let name = app.db.text("SELECT current_database()::text").await;
    app.db.run(&format!("ALTER DATABASE {name} SET switchboard.clock_offset = '2 hours'")).await;
    app.workers[worker].terminate();
    app.start_worker(&[]).await;
    until("an hour has passed", async || app.db.count("SELECT count(*) FROM jobs_done").await == 2).await;
}
