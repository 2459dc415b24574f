//! Postgres crashed, stopped and cut off under load. Meanwhile the api answers 503 and the provider keeps what it has; then
//! everything goes on without a restart of ours.

use super::{Chance, load_on, rounds, seconds, under_load, under_load_on_a_private_postgres};
use crate::harness::{Database, PrivatePostgres, Proxy, sign, text, until};

const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name LIKE 'switchboard%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_postgres_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (postgres, mut app, load) = under_load_on_a_private_postgres(&mut chance).await;
    for _ in 0..rounds(3) {
        chance.moment(0..1_000).await;
        postgres.stop("immediate");
        postgres.restart();
        load.until_answered(100).await;
    }
    assert_eq!(load.unanswered(), 0, "the api always answers");
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_is_away_webhooks_are_answered_503_and_afterwards_taken() {
    let mut chance = Chance::new();
    let (postgres, mut app, load) = under_load_on_a_private_postgres(&mut chance).await;
    postgres.stop("fast");
    until("webhooks are refused, and told when to come again", async || {
        let body = text("wamid.refused");
        let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", sign(&body)).body(body);
        let answer = request.send().await.unwrap();
        let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        answer.status() == 503 && seconds.is_some_and(|seconds| seconds > 0)
    })
    .await;
    tokio::time::sleep(seconds(3, 10)).await;
    assert!(load.refused() > 0);
    postgres.restart();
    load.until_answered(200).await;
    assert_eq!(load.unanswered(), 0, "the api always answers");
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cutting_all_connections_to_postgres_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(8) {
        chance.moment(0..800).await;
        until("connections were cut", async || app.db.count(CUT).await > 0).await;
    }
    load.until_answered(200).await;
    assert_eq!(load.unanswered(), 0, "the api always answers");
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

/// Unlike a backend that is ended, a lost connection leaves Postgres to finish what it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_the_connections_to_postgres_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let postgres = PrivatePostgres::start();
    let proxy = Proxy::start(postgres.port()).await;
    let db = Database::create_on(&postgres.url).await;
    let way = db.url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", proxy.port));
    let (mut app, load) = load_on(db, &[("DATABASE_URL", &way)], &mut chance).await;
    for _ in 0..rounds(8) {
        chance.moment(0..500).await;
        proxy.cut();
    }
    load.until_answered(200).await;
    assert_eq!(load.unanswered(), 0, "the api always answers");
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

/// A host that vanishes says nothing: without limits of ours, TCP waits for a quarter of an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_on_the_connections_to_postgres_loses_and_doubles_nothing_and_ends() {
    let mut chance = Chance::new();
    let postgres = PrivatePostgres::start();
    let proxy = Proxy::start(postgres.port()).await;
    let db = Database::create_on(&postgres.url).await;
    let way = db.url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", proxy.port));
    let (mut app, load) = load_on(db, &[("DATABASE_URL", &way)], &mut chance).await;
    chance.moment(0..500).await;
    proxy.silence();
    load.until_answered(200).await;
    load.finish().await.verify(&app).await;
    app.assert_all_live();
    // Nothing ran until its time-out, which would count against it.
    assert_eq!(app.db.texts("SELECT errors::text FROM jobs_done WHERE errors::text LIKE '%timed_out%'").await, [""; 0]);
}
