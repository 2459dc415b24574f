//! The operator's tool: raw events processed again, dead letters retried or discarded, jobs cancelled, queues paused.

use super::{deliver, state};
use crate::harness::{App, Database, OTHER_PHONE_NUMBER_ID, change, message, messages, text, text_from, until};
use serde_json::{Value, json};

const MARA: &str = "15551230001";
/// A phone number id whose channel does not exist (yet).
const UNKNOWN: &str = "999888777";

/// Runs `switchboard`. Returns whether it succeeded, and all that it printed.
fn try_switchboard(app: &App, arguments: &[&str]) -> (bool, String) {
    let output = app.switchboard(arguments, &[], "");
    (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

fn switchboard(app: &App, arguments: &[&str]) -> String {
    let (success, output) = try_switchboard(app, arguments);
    assert!(success, "switchboard {arguments:?}: {output}");
    output
}

/// The audit log.
async fn acts(app: &App) -> Vec<String> {
    app.db.texts("SELECT actor || ' ' || act || ' ' || affected FROM operator_acts ORDER BY id").await
}

fn words(id: &str) -> Value {
    message(MARA, id, 0, "text", json!({"body": id}))
}

/// From now on messages that say `poison` are refused.
async fn poison(app: &App) {
    app.db
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '22000'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON chat_messages FOR EACH ROW WHEN (new.content = 'poison') EXECUTE FUNCTION refuse()",
        )
        .await;
}

#[tokio::test]
async fn a_replayed_event_that_was_processed_changes_nothing() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    deliver(&app, &messages(&[message(MARA, "wamid.2", 5, "reaction", json!({"message_id": "wamid.1", "emoji": "👍"}))])).await;
    deliver(&app, &text_from("15551230002", "wamid.3", "hi")).await;
    let before = state(&app).await;
    let event = app.db.text("SELECT id::text FROM raw_webhook_events ORDER BY id LIMIT 1").await;
    switchboard(&app, &["replay", "--id", &event]);
    app.drain().await;
    switchboard(&app, &["replay", "--from", "2020-01-01"]);
    app.drain().await;
    assert_eq!(state(&app).await, before);
    assert_eq!(acts(&app).await, ["cli:tester events.replay 1", "cli:tester events.replay 3"]);
}

#[tokio::test]
async fn a_dry_run_shows_what_would_be_replayed_and_changes_nothing() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    let event = app.db.text("SELECT id::text FROM raw_webhook_events").await;
    let output = switchboard(&app, &["replay", "--from", "2020-01-01", "--dry-run"]);
    assert!(output.contains(&event), "{output}");
    assert_eq!(app.db.count("SELECT count(*) FROM jobs").await, 1);
    assert!(acts(&app).await.is_empty());
}

#[tokio::test]
async fn an_unroutable_event_is_processed_once_its_channel_exists() {
    let app = App::start().await;
    deliver(&app, &change(UNKNOWN, &json!({"messages": [words("wamid.1")]}))).await;
    switchboard(&app, &["seed", "--whatsapp-numbers", UNKNOWN]);
    switchboard(&app, &["replay", "--unroutable"]);
    app.drain().await;
    assert_eq!(
        app.db.texts("SELECT t.store_name || ' ' || m.external_id FROM chat_messages m JOIN tenants t ON t.id = m.tenant_id").await,
        [format!("{UNKNOWN} wamid.1")]
    );
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events WHERE tenant_id IS NULL").await, 0);
    assert_eq!(acts(&app).await, ["cli:tester events.replay 1"]);
}

#[tokio::test]
async fn the_unroutable_part_of_an_event_is_processed_once_its_channel_exists() {
    let app = App::start().await;
    let mut body: Value = serde_json::from_str(&text("wamid.1")).unwrap();
    let other: Value = serde_json::from_str(&change(UNKNOWN, &json!({"messages": [words("wamid.2")]}))).unwrap();
    body["entry"].as_array_mut().unwrap().push(other["entry"][0].clone());
    deliver(&app, &body.to_string()).await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages").await, ["wamid.1"]);
    switchboard(&app, &["seed", "--whatsapp-numbers", UNKNOWN]);
    switchboard(&app, &["replay", "--unroutable"]);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages ORDER BY 1").await, ["wamid.1", "wamid.2"]);
}

#[tokio::test]
async fn a_replayed_event_of_two_tenants_still_belongs_to_neither() {
    let app = App::start().await;
    let mut body: Value = serde_json::from_str(&text("wamid.1")).unwrap();
    let other: Value = serde_json::from_str(&change(OTHER_PHONE_NUMBER_ID, &json!({"messages": [words("wamid.2")]}))).unwrap();
    body["entry"].as_array_mut().unwrap().push(other["entry"][0].clone());
    deliver(&app, &body.to_string()).await;
    let before = state(&app).await;
    switchboard(&app, &["replay", "--from", "2020-01-01"]);
    app.drain().await;
    assert_eq!(state(&app).await, before);
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events WHERE tenant_id IS NULL").await, 1);
}

#[tokio::test]
async fn a_retried_dead_letter_whose_cause_is_gone_succeeds() {
    let mut app = App::start().await;
    poison(&app).await;
    app.expect_dead(1);
    deliver(&app, &text_from(MARA, "wamid.1", "poison")).await;
    switchboard(&app, &["jobs", "retry", "--all"]);
    app.drain().await;
    assert_eq!(app.db.count("SELECT jsonb_array_length(errors)::int8 FROM jobs_dead").await, 2);
    app.db.run("DROP TRIGGER refuse ON chat_messages").await;
    let id = app.db.text("SELECT id::text FROM jobs_dead").await;
    switchboard(&app, &["jobs", "retry", &id]);
    app.expect_dead(0);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT content FROM chat_messages").await, ["poison"]);
    assert_eq!(acts(&app).await, ["cli:tester jobs.retry 1", "cli:tester jobs.retry 1"]);
}

#[tokio::test]
async fn dead_letters_are_retried_by_the_group_of_their_cause() {
    let mut app = App::start().await;
    poison(&app).await;
    app.expect_dead(1);
    deliver(&app, "not json").await;
    app.expect_dead(2);
    deliver(&app, &text_from(MARA, "wamid.1", "poison")).await;
    app.db.run("DROP TRIGGER refuse ON chat_messages").await;
    switchboard(&app, &["jobs", "retry", "--all", "--fingerprint", "process_webhook:refused_by_database"]);
    app.expect_dead(1);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
    assert_eq!(app.db.texts("SELECT fingerprint FROM jobs_dead").await, ["process_webhook:malformed"]);
}

#[tokio::test]
async fn a_discarded_dead_letter_is_given_up_and_kept_among_the_finished() {
    let mut app = App::start().await;
    app.expect_dead(1);
    deliver(&app, "not json").await;
    switchboard(&app, &["jobs", "discard", "--all"]);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_dead").await, 0);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE state = 'discarded' AND jsonb_array_length(errors) = 1").await, 1);
    assert_eq!(acts(&app).await, ["cli:tester jobs.discard 1"]);
}

#[tokio::test]
async fn a_queued_job_that_is_cancelled_never_runs() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    for n in 0..2 {
        assert_eq!(app.webhook(&text(&format!("wamid.{n}"))).await, 200);
    }
    let id = app.db.text("SELECT id::text FROM jobs ORDER BY position LIMIT 1").await;
    switchboard(&app, &["jobs", "cancel", &id]);
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages").await, ["wamid.1"]);
    assert_eq!(app.db.texts("SELECT state FROM jobs_done ORDER BY 1").await, ["cancelled", "done"]);
    assert_eq!(acts(&app).await, ["cli:tester jobs.cancel 1"]);
}

#[tokio::test]
async fn a_running_job_that_is_cancelled_ends() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_worker(&[]).await;
    let file = std::env::temp_dir().join(format!("switchboard-test-hang-{}", uuid::Uuid::now_v7().simple()));
    app.probe(json!({"hang": file}), 1).await;
    until("the job runs", async || file.exists()).await;
    switchboard(&app, &["jobs", "cancel", "--all", "--kind", "probe"]);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT state FROM jobs_done").await, ["cancelled"]);
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_paused_queue_takes_webhooks_and_starts_nothing_until_it_is_resumed() {
    let app = App::start().await;
    switchboard(&app, &["jobs", "pause", "webhooks"]);
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    // Another queue goes on meanwhile.
    app.probe(json!("succeed"), 200).await;
    until("the probes are done", async || app.db.count("SELECT count(*) FROM jobs_done WHERE kind = 'probe'").await == 200).await;
    assert_eq!(app.db.texts("SELECT kind || ' ' || state FROM jobs").await, ["process_webhook queued"]);
    switchboard(&app, &["jobs", "resume", "webhooks"]);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
    assert_eq!(acts(&app).await, ["cli:tester pause 1", "cli:tester resume 1"]);
}

#[tokio::test]
async fn an_act_on_a_queue_or_job_that_does_not_exist_fails_and_leaves_no_trace() {
    let app = App::without_processes(Database::create().await, &[]).await;
    let nobody = uuid::Uuid::now_v7().to_string();
    for arguments in [
        ["jobs", "pause", "webhoks"],
        ["jobs", "retry", &nobody],
        ["jobs", "discard", &nobody],
        ["jobs", "cancel", &nobody],
        ["jobs", "show", &nobody],
    ] {
        assert!(!try_switchboard(&app, &arguments).0, "{arguments:?}");
    }
    assert!(!try_switchboard(&app, &["jobs", "retry"]).0);
    assert!(acts(&app).await.is_empty());
}

#[tokio::test]
async fn an_act_on_many_needs_a_yes() {
    let app = App::without_processes(Database::create().await, &[]).await;
    app.probe(json!("succeed"), 101).await;
    assert!(!try_switchboard(&app, &["jobs", "cancel", "--all"]).0);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs").await, 101);
    switchboard(&app, &["jobs", "cancel", "--all", "--yes"]);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs").await, 0);
    assert_eq!(acts(&app).await, ["cli:tester jobs.cancel 101"]);
}

#[tokio::test]
async fn seeding_twice_changes_nothing_and_takes_no_number_away() {
    let app = App::without_processes(Database::create().await, &[]).await;
    let rows = async || {
        app.db.texts("SELECT to_jsonb(c)::text FROM channel_instances c UNION ALL SELECT to_jsonb(t)::text FROM tenants t ORDER BY 1").await
    };
    let numbers = format!("{UNKNOWN},{OTHER_PHONE_NUMBER_ID}");
    switchboard(&app, &["seed", "--whatsapp-numbers", &numbers]);
    let first = rows().await;
    let output: Value = serde_json::from_str(&switchboard(&app, &["seed", "--json", "--whatsapp-numbers", &numbers])).unwrap();
    assert_eq!(rows().await, first);
    assert_eq!(output["whatsapp_numbers"].as_array().unwrap().len(), 2);
    assert_eq!(
        app.db.text(&format!("SELECT tenant_id::text FROM channel_instances WHERE external_id = '{OTHER_PHONE_NUMBER_ID}'")).await,
        "2"
    );
}
