//! Processes of ours that are killed or stopped under load.

use super::{Chance, rounds, under_load};
use crate::harness::until;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_workers_at_random_moments_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(7) {
        chance.moment(0..1_500).await;
        app.kill_worker(chance.below(2));
    }
    load.until_answered(200).await;
    load.finish().await.verify(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_leader_lets_another_worker_lead() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(4) {
        until("somebody leads", async || app.leader().is_some()).await;
        chance.moment(0..1_000).await;
        let leader = app.leader().unwrap();
        app.kill_worker(leader);
    }
    until("somebody leads again", async || app.leader().is_some()).await;
    load.until_answered(200).await;
    load.finish().await.verify(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_api_loses_nothing_that_it_answered() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(8) {
        chance.moment(0..800).await;
        app.kill_api();
        load.until_answered(100).await;
    }
    load.finish().await.verify(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_restarted_again_and_again_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    app.workers.pop();
    for _ in 0..rounds(15) {
        chance.moment(0..500).await;
        app.kill_worker(0);
    }
    load.finish().await.verify(&app).await;
    assert_eq!(app.log_lines("worker not registered"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_stops_within_ten_seconds_under_load_and_goes_on_where_it_was() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(6) {
        load.until_answered(200).await;
        app.terminate_all();
        assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE state = 'running'").await, 0, "everything was given back");
        assert_eq!(app.db.count("SELECT count(*) FROM job_workers").await, 0);
        app.start_api().await;
        app.start_worker(&[]).await;
        app.start_worker(&[]).await;
    }
    load.finish().await.verify(&app).await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE crashes > 0").await, 0, "a stop is not a crash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stalls_and_comes_back_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(3) {
        chance.moment(0..500).await;
        let stalled = &app.workers[chance.below(2)];
        stalled.signal("STOP");
        let started = Instant::now();
        // Longer than its lease, so that its jobs are taken back while it still holds them; or not quite.
        let length = chance.millis(1_000..2_500);
        load.until_answered(50).await;
        tokio::time::sleep(length.saturating_sub(started.elapsed())).await;
        stalled.signal("CONT");
    }
    load.finish().await.verify(&app).await;
}
