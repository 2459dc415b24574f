//! Jobs whose process dies, and processes that are declared dead.

use crate::harness::{App, Database, until};
use serde_json::json;

/// Keeps one worker running, as a supervisor would, until `condition` holds.
async fn with_supervisor(app: &mut App, condition: impl AsyncFn(&App) -> bool) {
    for _ in 0..1_000 {
        if condition(app).await {
            return;
        }
        let mut died = Vec::new();
        for (place, worker) in app.workers.iter_mut().enumerate() {
            if worker.has_ended() {
                died.push(place);
            }
        }
        for place in died.into_iter().rev() {
            app.workers.remove(place);
            app.start_worker(&[]).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the condition did not come true");
}

#[tokio::test]
async fn a_job_that_kills_its_process_ends_dead_and_its_neighbours_live() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.probe(json!("succeed"), 40).await;
    app.probe(json!("abort"), 1).await;
    app.probe(json!("succeed"), 40).await;
    app.start_worker(&[]).await;
    with_supervisor(&mut app, async |app| app.db.try_count("SELECT count(*) FROM jobs").await == Some(0)).await;
    assert_eq!(app.db.texts("SELECT fingerprint || ' ' || crashes FROM jobs_dead").await, ["probe:crashed 4"]);
    assert_eq!(app.db.count("SELECT count(DISTINCT id) FROM jobs_done").await, 80);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done").await, 80);
}

#[tokio::test]
async fn jobs_of_a_killed_worker_are_rescued_at_no_cost() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    let file = std::env::temp_dir().join(format!("hang-{}", uuid::Uuid::now_v7()));
    app.probe(json!({"hang": file}), 3).await;
    let worker = app.start_worker(&[]).await;
    until("all run", async || app.db.count("SELECT count(*) FROM jobs WHERE state = 'running'").await == 3).await;
    app.workers[worker].kill();
    app.db.run("UPDATE jobs SET args = '{}'").await;
    app.start_worker(&[]).await;
    app.drain().await;
    std::fs::remove_file(&file).ok();
    assert_eq!(app.db.texts("SELECT attempt || ' ' || crashes FROM jobs_done").await, ["1 1", "1 1", "1 1"]);
}

#[tokio::test]
async fn a_stalled_worker_that_comes_back_settles_nothing_and_goes_on_under_a_new_id() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    let file = std::env::temp_dir().join(format!("stall-{}", uuid::Uuid::now_v7()));
    let stalled = app.start_worker(&[]).await;
    app.probe(json!({"snooze_until_file": "/nowhere"}), 1).await;
    app.probe(json!({"hang": file}), 1).await;
    until("it hangs", async || file.exists()).await;
    let before = app.db.text("SELECT id::text FROM job_workers").await;
    app.workers[stalled].signal("STOP");
    app.db.run("UPDATE jobs SET args = '{}'").await;
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done").await, 2);
    app.workers[stalled].signal("CONT");
    let gone = format!("SELECT count(*) FROM job_workers WHERE id <> '{before}'");
    until("it goes on under a new id", async || app.db.count(&gone).await == 2).await;
    app.probe(json!("succeed"), 200).await;
    app.drain().await;
    std::fs::remove_file(&file).ok();
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done").await, 202);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_gives_back_what_it_cannot_finish() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    let file = std::env::temp_dir().join(format!("stop-{}", uuid::Uuid::now_v7()));
    let worker = app.start_worker(&[]).await;
    app.probe(json!({"hang": file}), 1).await;
    until("it hangs", async || file.exists()).await;
    let (status, took) = app.workers[worker].terminate();
    std::fs::remove_file(&file).ok();
    assert!(status.success() && took.as_secs() < 10, "{status} after {took:?}");
    assert_eq!(app.db.texts("SELECT state || ' ' || attempt || ' ' || crashes FROM jobs").await, ["queued 0 0"]);
    assert_eq!(app.db.count("SELECT count(*) FROM job_workers").await, 0);
}
