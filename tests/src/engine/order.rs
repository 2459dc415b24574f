//! Which job comes first.

use crate::harness::{App, Database, until};
use serde_json::json;
use std::path::Path;

async fn insert(app: &App, key: Option<&str>, priority: i16, act: serde_json::Value) {
    let (key, seq) = key.map_or(("NULL".to_owned(), "NULL"), |key| (format!("'{key}'"), "nextval('job_ordering')"));
    app.db
        .run(&format!(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, priority, ordering_key, ordering_seq, args)
             VALUES (gen_random_uuid(), 'probe', 'probes', 1, 5, {priority}, {key}, {seq}, '{}')",
            json!({"act": act})
        ))
        .await;
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn jobs_that_share_an_ordering_key_run_one_at_a_time_in_order_also_over_retries() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    let file = std::env::temp_dir().join(format!("order-{}", uuid::Uuid::now_v7()));
    for n in 0..30 {
        for key in ["a", "b", "c"] {
            insert(&app, Some(key), 0, json!({"append": [file, format!("{key} {n}")]})).await;
            if n % 10 == 5 {
                insert(&app, Some(key), 0, json!({"retry_until": 2})).await;
            }
        }
    }
    app.start_worker(&[]).await;
    app.start_worker(&[]).await;
    app.drain().await;
    for key in ["a", "b", "c"] {
        let seen: Vec<String> = lines(&file).into_iter().filter(|line| line.starts_with(key)).collect();
        assert_eq!(seen, (0..30).map(|n| format!("{key} {n}")).collect::<Vec<_>>());
    }
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_dead_head_lets_its_successor_go_on() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    insert(&app, Some("k"), 0, json!("fail")).await;
    insert(&app, Some("k"), 0, json!("succeed")).await;
    app.start_worker(&[]).await;
    app.expect_dead(1);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done").await, 1);
}

#[tokio::test]
async fn a_head_that_is_scheduled_for_later_blocks_nobody() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    insert(&app, Some("k"), 0, json!("succeed")).await;
    app.db.run("UPDATE jobs SET run_at = now() + interval '1 hour', scheduled = true").await;
    insert(&app, Some("k"), 0, json!("succeed")).await;
    app.start_worker(&[]).await;
    until("the second is done", async || app.db.count("SELECT count(*) FROM jobs_done").await == 1).await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE scheduled").await, 1);
}

#[tokio::test]
async fn urgent_jobs_run_before_others() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    let file = std::env::temp_dir().join(format!("priority-{}", uuid::Uuid::now_v7()));
    for (priority, label) in [(5, "late"), (0, "normal"), (-5, "urgent")] {
        insert(&app, None, priority, json!({"append": [file, label]})).await;
    }
    app.start_worker(&["--queues", "probes", "--concurrency", "1"]).await;
    app.drain().await;
    assert_eq!(lines(&file), ["urgent", "normal", "late"]);
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn one_tenants_flood_does_not_hold_up_anothers_job() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.db
        .run("INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'probe', 'probes', 1, 5, '{}' FROM generate_series(1, 50000)")
        .await;
    app.db
        .run("INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) VALUES (gen_random_uuid(), 'probe', 'probes', 2, 5, '{}')")
        .await;
    app.start_worker(&[]).await;
    app.drain().await;
    let before =
        app.db.count("SELECT count(*) FROM jobs_done WHERE finished_at < (SELECT finished_at FROM jobs_done WHERE tenant_id = 2)").await;
    assert!(before < 4_000, "{before} jobs of the flood came first; a window is 2,000");
}

#[tokio::test]
async fn a_job_with_a_taken_idempotency_key_is_not_written_twice() {
    let db = Database::create().await;
    let mut job = jobs::new_job(domain::TenantId(1), &jobs::probe::Probe::default(), None);
    job.idempotency_key = Some("once".to_owned());
    let mut conn = db.pool().acquire().await.unwrap();
    let first = store::ledger::enqueue(&mut conn, std::slice::from_ref(&job)).await.unwrap();
    job.id = domain::JobId::generate();
    let second = store::ledger::enqueue(&mut conn, &[job]).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 0));
}
