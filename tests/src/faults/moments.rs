//! Kills and losses at a chosen moment: a trigger makes Postgres wait there, until the test has done the harm.

use crate::harness::{App, Database, Proxy, sign, text, until};
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;

/// Makes Postgres wait in a trigger until it is opened.
struct Gate {
    holder: PgConnection,
}

const IN_THE_TRANSACTION: &str = "BEFORE INSERT ON chat_messages";
const AFTER_THE_EFFECTS: &str = "AFTER DELETE ON jobs";
const AT_THE_CLAIM: &str = "BEFORE UPDATE OF state ON jobs";
/// A deferred trigger runs when the client has sent COMMIT: Postgres then commits whether the client lives or not.
const AT_THE_COMMIT_OF_EFFECTS: &str = "AFTER INSERT ON chat_messages DEFERRABLE INITIALLY DEFERRED";
const AT_THE_COMMIT_OF_WEBHOOKS: &str = "AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED";

impl Gate {
    async fn close(app: &App, place: &str) -> Self {
        let mut holder = PgConnection::connect(&app.db.url).await.unwrap();
        holder.execute("SELECT pg_advisory_lock(4711)").await.unwrap();
        let constraint = if place.contains("DEFERRED") { "CONSTRAINT" } else { "" };
        app.db
            .run(&format!(
                "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN new; END $$;
                 CREATE {constraint} TRIGGER gate {place} FOR EACH ROW EXECUTE FUNCTION pass()"
            ))
            .await;
        Self { holder }
    }

    async fn reached(&self, app: &App, by: i64) {
        let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
                       WHERE l.locktype = 'advisory' AND l.objid = 4711 AND NOT l.granted";
        until("the gate is reached", async || app.db.count(waiting).await >= by).await;
    }

    async fn open(self) {
        self.holder.close().await.unwrap();
    }
}

async fn with_api() -> App {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    app
}

/// A way to the test's database that can be cut, for processes that are started from now on.
async fn behind_proxy(app: &mut App) -> Proxy {
    let (front, name) = app.db.url.rsplit_once('/').unwrap();
    let (front, port) = front.rsplit_once(':').unwrap();
    let proxy = Proxy::start(port.parse().unwrap()).await;
    let way = format!("{front}:{}/{name}", proxy.port);
    app.set("DATABASE_URL", &way);
    proxy
}

/// One message, counted once, and the job done once with so many crashes on its account.
async fn assert_written_once(app: &App, crashes: i64) {
    app.drain().await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages").await, ["wamid.1"]);
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["1"]);
    assert_eq!(app.db.texts("SELECT attempt || ' ' || crashes FROM jobs_done").await, [format!("1 {crashes}")]);
}

async fn kill_the_worker(place: &str) -> App {
    let mut app = with_api().await;
    app.start_worker(&[]).await;
    let gate = Gate::close(&app, place).await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    gate.reached(&app, 1).await;
    app.kill_worker(0);
    let id = app.workers[0].id();
    until("its successor works and the dead one is forgotten", async || {
        app.db.texts("SELECT split_part(name, ':', 2) FROM job_workers").await == [id.to_string()]
    })
    .await;
    if place == IN_THE_TRANSACTION {
        // The transaction of the dead one is still open, and holds what its successor wants to write.
        until("the successor runs the job", async || {
            app.db.count("SELECT count(*) FROM jobs WHERE state = 'running' AND crashes = 1").await == 1
        })
        .await;
    }
    gate.open().await;
    app
}

#[tokio::test]
async fn a_worker_killed_inside_its_transaction_has_done_nothing() {
    assert_written_once(&kill_the_worker(IN_THE_TRANSACTION).await, 1).await;
}

#[tokio::test]
async fn a_worker_killed_after_its_effects_but_before_the_commit_has_done_nothing() {
    assert_written_once(&kill_the_worker(AFTER_THE_EFFECTS).await, 1).await;
}

#[tokio::test]
async fn a_worker_killed_between_the_commit_and_its_answer_has_done_everything() {
    assert_written_once(&kill_the_worker(AT_THE_COMMIT_OF_EFFECTS).await, 0).await;
}

#[tokio::test]
async fn a_commit_of_a_worker_whose_answer_is_lost_is_not_repeated() {
    let mut app = with_api().await;
    let proxy = behind_proxy(&mut app).await;
    app.start_worker(&[]).await;
    let gate = Gate::close(&app, AT_THE_COMMIT_OF_EFFECTS).await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    gate.reached(&app, 1).await;
    proxy.cut();
    gate.open().await;
    assert_written_once(&app, 0).await;
    app.assert_all_live();
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_given_back() {
    let mut app = with_api().await;
    let proxy = behind_proxy(&mut app).await;
    app.start_worker(&[]).await;
    let gate = Gate::close(&app, AT_THE_CLAIM).await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    gate.reached(&app, 1).await;
    proxy.cut();
    gate.open().await;
    assert_written_once(&app, 0).await;
    app.assert_all_live();
}

#[tokio::test]
async fn a_worker_that_stalls_inside_its_transaction_until_it_is_rescued_is_fenced() {
    let mut app = with_api().await;
    app.start_worker(&[]).await;
    let gate = Gate::close(&app, IN_THE_TRANSACTION).await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    gate.reached(&app, 1).await;
    app.workers[0].signal("STOP");
    app.start_worker(&[]).await;
    until("another worker runs the job", async || {
        app.db.count("SELECT count(*) FROM jobs WHERE state = 'running' AND crashes = 1").await == 1
    })
    .await;
    gate.open().await;
    app.workers[0].signal("CONT");
    assert_written_once(&app, 1).await;
    app.assert_all_live();
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_while_it_claims_gives_the_job_back() {
    let mut app = with_api().await;
    app.start_worker(&[]).await;
    let gate = Gate::close(&app, AT_THE_CLAIM).await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    gate.reached(&app, 1).await;
    app.workers[0].signal("TERM");
    // How long Postgres takes for the claim.
    tokio::time::sleep(Duration::from_millis(500)).await;
    gate.open().await;
    until("the worker has stopped", async || app.workers[0].has_ended()).await;
    until("the claim has ended", async || {
        app.db
            .count(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'switchboard-worker%'",
            )
            .await
            == 0
    })
    .await;
    // Given back at no cost, or run to its end: not left running.
    assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE state = 'running' OR attempt > 0 OR crashes > 0").await, 0);
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT attempt || ' ' || crashes FROM jobs_done").await, ["1 0"]);
}

/// The provider got no answer, or 503, though the webhook was stored; it sends it again.
async fn sent_again(app: &App) {
    until("it is stored", async || app.db.count("SELECT count(*) FROM raw_webhook_events").await == 1).await;
    until("the api takes it", async || app.try_webhook(&text("wamid.1")).await == Some(200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_killed_between_the_commit_and_its_answer_has_stored_the_webhook() {
    let mut app = with_api().await;
    app.start_worker(&[]).await;
    let gate = Gate::close(&app, AT_THE_COMMIT_OF_WEBHOOKS).await;
    let (http, url) = (app.http.clone(), app.url("/api/webhook"));
    let sending = tokio::spawn(http.post(url).header("x-hub-signature-256", sign(&text("wamid.1"))).body(text("wamid.1")).send());
    gate.reached(&app, 1).await;
    app.kill_api();
    assert!(sending.await.unwrap().is_err(), "nobody answered");
    gate.open().await;
    sent_again(&app).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["1"]);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_the_api_whose_answer_is_lost_is_answered_503() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_worker(&[]).await;
    let proxy = behind_proxy(&mut app).await;
    app.start_api().await;
    let gate = Gate::close(&app, AT_THE_COMMIT_OF_WEBHOOKS).await;
    let (http, url) = (app.http.clone(), app.url("/api/webhook"));
    let sending = tokio::spawn(http.post(url).header("x-hub-signature-256", sign(&text("wamid.1"))).body(text("wamid.1")).send());
    gate.reached(&app, 1).await;
    proxy.cut();
    assert_eq!(sending.await.unwrap().unwrap().status(), 503);
    gate.open().await;
    sent_again(&app).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["1"]);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
    app.assert_all_live();
}
