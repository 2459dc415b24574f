//! Many jobs at once, and jobs that spoil others.

use super::{Chance, under_load};
use crate::harness::{App, Database, text_from, until};
use std::{collections::BTreeSet, path::PathBuf};

const MANY: usize = 10_000;

/// Writes `MANY` probes that note in a file that they ran. `columns` and `values` are further ones of `jobs`.
async fn many_probes(app: &App, columns: &str, values: &str) -> PathBuf {
    let file = std::env::temp_dir().join(format!("many-{}", uuid::Uuid::now_v7()));
    app.db
        .run(&format!(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args{columns})
             SELECT gen_random_uuid(), 'probe', 'probes', 1 + n % 10, 5, jsonb_build_object('act', jsonb_build_object('append', jsonb_build_array('{}', n::text))){values}
             FROM generate_series(1, {MANY}) n",
            file.display()
        ))
        .await;
    file
}

fn assert_each_ran_once(file: &PathBuf) {
    let lines = std::fs::read_to_string(file).unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!((lines.lines().count(), lines.lines().collect::<BTreeSet<_>>().len()), (MANY, MANY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_that_waited_for_a_worker_each_run_once() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    let file = many_probes(&app, "", "").await;
    app.start_worker(&[]).await;
    app.start_worker(&[]).await;
    app.drain().await;
    assert_each_ran_once(&file);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE attempt = 1 AND crashes = 0").await, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_retries_that_are_due_at_once_each_run_once() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    let file = many_probes(&app, ", run_at, attempt", ", now() - n * interval '1 ms', 2").await;
    app.start_worker(&[]).await;
    app.start_worker(&[]).await;
    app.drain().await;
    assert_each_ran_once(&file);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE attempt = 3 AND crashes = 0").await, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_survive_the_death_of_their_worker_and_of_redis() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.probe(serde_json::json!("succeed"), 10_000).await;
    app.start_worker(&[]).await;
    for share in [1_000, 4_000] {
        until("some are done", async || app.db.count("SELECT count(*) FROM jobs_done").await > share).await;
        app.kill_worker(0);
        app.redis.restart().await;
    }
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done").await, 10_000);
    assert_eq!(app.db.count("SELECT count(DISTINCT id) FROM jobs_done").await, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_postgres_refuses_die_alone_under_load() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    app.db
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '22000'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON chat_messages FOR EACH ROW WHEN (new.content = 'poison') EXECUTE FUNCTION refuse()",
        )
        .await;
    for n in 0..20 {
        chance.moment(0..200).await;
        assert_eq!(app.webhook(&text_from("15559990000", &format!("wamid.poison.{n}"), "poison")).await, 200);
    }
    app.expect_dead(20);
    load.finish().await.verify(&app).await;
    assert_eq!(app.db.texts("SELECT DISTINCT fingerprint FROM jobs_dead").await, ["process_webhook:refused_by_database"]);
}
