//! Jobs that end without a word of their own: an operator cancels them, or the engine buries them. Whoever waits for them is told.

use super::{
    agents::Office,
    knowledge::model_and_embeddings,
    sending::{CUSTOMER, Desk, NUMBER},
};
use crate::harness::{ADMIN_TOKEN, App, SENDING, text_to, until};
use domain::{JobId, MessageId, TenantId, WorkerId};
use futures::future::join_all;
use serde_json::{Value, json};
use store::{ledger, sending};

const QUEUES: [&str; 4] = ["outbound", "agents", "documents", "chores"];
/// A person answers them, so no agent does.
const OTHER: &str = "15551230002";

/// The operator cancels a job.
async fn try_cancel(app: &App, job: &str) -> u16 {
    let request = app.request("POST", &format!("/api/ops/jobs/{job}/cancel")).header("x-admin-token", ADMIN_TOKEN);
    app.send(request.json(&json!({"reason": "not needed"}))).await.status
}

/// The operator cancels the job of a message.
async fn cancel(app: &App, message: &str) {
    let job = app.db.text(&format!("SELECT id::text FROM jobs WHERE idempotency_key = '{message}'")).await;
    assert_eq!(try_cancel(app, &job).await, 200);
}

async fn reason(app: &App, message: &str) -> String {
    app.db.text(&format!("SELECT errors -> 0 ->> 'title' FROM chat_messages WHERE id = '{message}'")).await
}

async fn told(app: &App, message: &str) -> i64 {
    let event = json!([{"kind": "message_status", "message": message}]);
    app.db.count(&format!("SELECT count(*) FROM realtime_events WHERE events @> '{event}'")).await
}

#[tokio::test]
async fn a_message_whose_job_is_cancelled_before_it_runs_is_not_sent_and_says_so() {
    let mut desk = Box::pin(Desk::open()).await;
    let first = desk.say(CUSTOMER, "one").await;
    let second = desk.say(CUSTOMER, "two").await;
    cancel(&desk.app, &first).await;
    desk.until_status(&first, "failed").await;
    assert_eq!(reason(&desk.app, &first).await, "It was not sent: an operator cancelled it");
    assert_eq!((told(&desk.app, &first).await, told(&desk.app, &second).await), (1, 0));
    assert_eq!(desk.shown(&first).await["status"], "FAILED");
    desk.app.start_worker(SENDING).await;
    desk.until_status(&second, "sent").await;
    desk.until_idle().await;
    assert_eq!(desk.provider.received().len(), 1, "the cancelled one reached nobody");
}

#[tokio::test]
async fn a_message_whose_job_is_cancelled_during_its_call_may_have_arrived() {
    let desk = Box::pin(Desk::sending()).await;
    desk.provider.answer(false);
    let message = desk.say(CUSTOMER, "one").await;
    until("the provider is asked", async || desk.provider.received().len() == 1).await;
    cancel(&desk.app, &message).await;
    desk.until_status(&message, "unknown").await;
    assert_eq!(reason(&desk.app, &message).await, "It may or may not have arrived: an operator cancelled it");
    assert_eq!(told(&desk.app, &message).await, 1);
    desk.provider.answer(true);
    desk.until_idle().await;
    assert_eq!(desk.provider.received().len(), 1, "nobody sends it twice");
}

#[tokio::test]
async fn of_many_that_are_cancelled_while_they_are_sent_none_is_left_in_between() {
    let desk = Box::pin(Desk::sending()).await;
    let phones: Vec<String> = (0..40).map(|n| format!("155512310{n:02}")).collect();
    for phone in &phones {
        assert_eq!(desk.app.webhook(&text_to(NUMBER, phone, &format!("wamid.in.{phone}"), "hello?", 60)).await, 200);
    }
    desk.app.drain().await;
    desk.provider.answer(false);
    for phone in &phones {
        desk.say(phone, "one").await;
        desk.say(phone, "two").await;
    }
    until("some are on their way", async || desk.provider.received().len() >= 10).await;
    let mut jobs = desk.app.db.texts("SELECT id::text FROM jobs WHERE queue = 'outbound' ORDER BY id").await;
    let rest = jobs.split_off(20);
    let cancelled = join_all(jobs.iter().map(|job| try_cancel(&desk.app, job))).await;
    assert!(cancelled.contains(&200), "{cancelled:?}");
    // The others while the provider answers.
    let answered = async { desk.provider.answer(true) };
    tokio::join!(join_all(rest.iter().map(|job| try_cancel(&desk.app, job))), answered);
    until("nothing waits", async || desk.app.db.count("SELECT count(*) FROM jobs WHERE queue IN ('outbound', 'chores')").await == 0).await;
    assert_eq!(desk.app.db.count("SELECT count(*) FROM chat_messages WHERE status IN ('pending', 'sending')").await, 0);
    let called: Vec<String> = desk
        .provider
        .received()
        .iter()
        .map(|call| serde_json::from_str::<Value>(&call.body).unwrap()["biz_opaque_callback_data"].as_str().unwrap().to_owned())
        .collect();
    let mut once = called.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), called.len(), "none is sent twice");
    for row in desk.app.db.texts("SELECT id || ' ' || status FROM chat_messages WHERE direction = 'outbound'").await {
        let (id, status) = row.split_once(' ').unwrap();
        let allowed: &[&str] = if called.iter().any(|called| called == id) { &["sent", "unknown"] } else { &["failed", "unknown"] };
        assert!(allowed.contains(&status), "{row}");
    }
    assert!(desk.app.db.count("SELECT count(*) FROM chat_messages WHERE status = 'failed'").await > 0);
}

#[tokio::test]
async fn what_is_put_back_is_not_closed_and_what_was_closed_is_not_begun() {
    let desk = Box::pin(Desk::open()).await;
    let message = desk.say(CUSTOMER, "one").await;
    let closing = async || {
        let args = json!({"job_id": uuid::Uuid::now_v7(), "kind": "send_outbound", "args": {"message_id": message}, "class": "crashed"});
        let new = "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'close_unfinished', 'chores', tenant_id, 5";
        desk.app.db.run(&format!("{new}, '{args}' FROM chat_messages WHERE id = '{message}'")).await;
        desk.app.drain().await;
    };
    closing().await;
    assert_eq!(desk.stored_status(&message).await, "pending", "its job lives");
    desk.app.db.run("DELETE FROM jobs WHERE queue = 'outbound'").await;
    closing().await;
    assert_eq!((desk.stored_status(&message).await.as_str(), told(&desk.app, &message).await), ("failed", 1));
    closing().await;
    assert_eq!(told(&desk.app, &message).await, 1);
    // A run that stalled since it saw the message pending comes too late.
    let tenant = desk.app.db.count("SELECT max(tenant_id)::int8 FROM chat_messages").await;
    let this = (TenantId(tenant.try_into().unwrap()), MessageId(message.parse().unwrap()));
    let mut conn = desk.app.db.pool().acquire().await.unwrap();
    assert!(sending::begin(&mut conn, &[this]).await.unwrap().is_empty());
    sending::revive(&mut conn, this.0, this.1).await.unwrap();
    assert_eq!(sending::begin(&mut conn, &[this]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_worker_holds_only_its_own_job() {
    let app = App::start_api_only().await;
    let (job, worker) = (JobId::generate(), WorkerId::generate());
    app.db
        .run(&format!(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args, state, locked_by, attempt) VALUES ('{job}', 'probe', 'probes', 1, 5, '{{}}', 'running', '{worker}', 1)"
        ))
        .await;
    let mut conn = app.db.pool().acquire().await.unwrap();
    assert!(ledger::hold(&mut conn, worker, job).await.unwrap());
    assert!(!ledger::hold(&mut conn, WorkerId::generate(), job).await.unwrap());
    assert!(!ledger::hold(&mut conn, worker, JobId::generate()).await.unwrap());
}

#[tokio::test]
async fn a_cancelled_job_whose_claim_was_never_answered_ends() {
    let app = App::start().await;
    until("a worker is there", async || app.db.count("SELECT count(*) FROM job_workers").await == 1).await;
    app.db
        .run(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args, state, locked_by, attempt, cancel_requested)
             SELECT gen_random_uuid(), 'probe', 'probes', 1, 5, '{}', 'running', id, 1, true FROM job_workers",
        )
        .await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT state FROM jobs_done").await, ["cancelled"]);
}

#[tokio::test]
async fn cancelling_twice_does_not_cancel_what_closes_the_rest() {
    let desk = Box::pin(Desk::open()).await;
    assert!(desk.app.switchboard(&["jobs", "pause", "chores"], &[], "").status.success());
    let message = desk.say(CUSTOMER, "one").await;
    let tenant = desk.app.db.text("SELECT max(tenant_id)::text FROM chat_messages").await;
    for _ in 0..2 {
        assert!(desk.app.switchboard(&["jobs", "cancel", "--all", "--tenant", &tenant, "--yes"], &[], "").status.success());
    }
    assert_eq!(desk.app.db.texts("SELECT kind FROM jobs").await, ["close_unfinished"]);
    assert!(desk.app.switchboard(&["jobs", "resume", "chores"], &[], "").status.success());
    desk.until_status(&message, "failed").await;
}

#[tokio::test]
async fn the_file_of_an_import_that_nobody_goes_on_with_is_not_kept() {
    let mut office = Office::open(true).await;
    let (_, _, import) = buried(&mut office).await;
    let file = format!("SELECT count(*) FROM contact_imports WHERE id = '{import}' AND file IS NOT NULL");
    assert_eq!(office.app.db.count(&file).await, 1, "it may be put back");
    assert!(office.app.switchboard(&["jobs", "discard", "--all", "--kind", "import_contacts", "--yes"], &[], "").status.success());
    assert_eq!(office.app.db.count(&file).await, 0);
}

/// Jobs whose processes died too often: of a person's message, an answer of an agent to somebody else, a document and an import.
async fn buried(office: &mut Office) -> (String, String, String) {
    for queue in QUEUES {
        assert!(office.app.switchboard(&["jobs", "pause", queue], &[], "").status.success());
    }
    office.hears("wamid.1", "When do you open?").await;
    assert_eq!(office.app.webhook(&text_to(NUMBER, OTHER, "wamid.2", "Hello?", 60)).await, 200);
    office.until_count("jobs WHERE kind = 'run_auto_reply'", 2).await;
    let body = json!({"to": format!("+{OTHER}"), "type": "text", "content": {"text": "Hello"}});
    let message = office.app.post(&office.ann, "/api/messages", body).await.expect(201)["data"]["id"].as_str().unwrap().to_owned();
    let document = office.upload("hours.txt", b"We open at nine.").await;
    office.ingest(&[&document]).await;
    let form = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"people.csv\"\r\n\r\nphoneNumber,name\n+1234567890,New\n\r\n--x--\r\n";
    let request = office.app.request("POST", "/api/contacts/import/csv").bearer_auth(&office.ann.token);
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(form);
    let import = office.app.send(request).await.expect(202)["data"]["id"].as_str().unwrap().to_owned();
    office.ingest(&[&document]).await;
    office.until_count("jobs WHERE kind IN ('send_outbound', 'run_auto_reply', 'ingest_document', 'import_contacts')", 6).await;
    let die = async |which: &str| {
        let died = "UPDATE jobs SET state = 'running', locked_by = gen_random_uuid(), attempt = 1, crashes = 3 WHERE";
        office.app.db.run(&format!("{died} {which}")).await;
    };
    die("kind IN ('send_outbound', 'run_auto_reply', 'import_contacts') OR kind = 'ingest_document' AND args ->> 'version' = '1'").await;
    office.until_count("jobs_dead", 5).await;
    assert!(office.app.switchboard(&["jobs", "resume", "chores"], &[], "").status.success());
    office.until_count("jobs_done WHERE kind = 'close_unfinished'", 5).await;
    assert_eq!(office.document(&document).await["status"], "queued", "the newer version's job lives");
    die("kind = 'ingest_document'").await;
    office.until_count("jobs_done WHERE kind = 'close_unfinished'", 6).await;
    (message, document, import)
}

#[tokio::test]
async fn whoever_waits_for_a_job_that_died_is_told_and_gets_it_all_the_same_when_it_is_put_back() {
    let mut office = Office::open(true).await;
    office.model.script(model_and_embeddings);
    let (message, document, import) = buried(&mut office).await;
    assert_eq!(reason(&office.app, &message).await, "It was not sent: the process that worked on it died");
    assert_eq!(told(&office.app, &message).await, 1);
    let shown = office.document(&document).await;
    assert_eq!((&shown["status"], &shown["error"]), (&json!("failed"), &json!("It was not read: the process that worked on it died")));
    let imports = async |app: &App, ann| app.get(ann, &format!("/api/contacts/import/{import}")).await.expect(200)["data"].clone();
    let shown: Value = imports(&office.app, &office.ann).await;
    assert_eq!(
        (&shown["status"], &shown["error"]),
        (&json!("FAILED"), &json!("It was not finished: the process that worked on it died")),
        "{shown}"
    );
    let raised = office.app.db.texts("SELECT raised_by || ' ' || reason FROM escalations WHERE resolved_at IS NULL").await;
    assert_eq!(raised, ["failure The agent could not answer: the process that worked on it died"]);

    assert!(office.app.switchboard(&["jobs", "retry", "--all", "--yes"], &[], "").status.success());
    let status = office.app.db.text(&format!("SELECT status || ' ' || (errors IS NULL) FROM chat_messages WHERE id = '{message}'")).await;
    assert_eq!((status.as_str(), told(&office.app, &message).await), ("pending true", 2), "it waits again, and nobody writes it once more");
    for queue in ["outbound", "agents", "documents"] {
        assert!(office.app.switchboard(&["jobs", "resume", queue], &[], "").status.success());
    }
    office.until_count("chat_messages WHERE direction = 'outbound' AND status = 'sent'", 2).await;
    office.until_count("knowledge_documents WHERE status = 'ready' AND error IS NULL", 1).await;
    office.until_count("contact_imports WHERE status = 'done' AND error IS NULL AND created = 1", 1).await;
    office.until_count("escalations WHERE resolved_at IS NULL", 0).await;
    let mut sent = office.sent();
    sent.sort();
    assert_eq!(sent, ["Hello", "So it is."], "each once");
}

#[tokio::test]
async fn what_has_come_to_an_end_by_itself_keeps_its_words() {
    let office = Office::open(true).await;
    office.hears("wamid.1", "When do you open?").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    // The same work once more, in the hands of a process that is no more.
    office
        .app
        .db
        .run(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, attempt, crashes, state, locked_by, args)
             SELECT gen_random_uuid(), kind, queue, tenant_id, 5, 1, 3, 'running', gen_random_uuid(), args FROM jobs_done
             WHERE kind IN ('send_outbound', 'run_auto_reply');
             INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, attempt, crashes, state, locked_by, args)
             VALUES (gen_random_uuid(), 'send_outbound', 'outbound', 1, 5, 1, 3, 'running', gen_random_uuid(), '{\"message_id\": \"nonsense\"}')",
        )
        .await;
    office.until_count("jobs_dead", 3).await;
    office.until_count("jobs_done WHERE kind = 'close_unfinished'", 3).await;
    assert_eq!(office.count("chat_messages WHERE status = 'sent' AND errors IS NULL").await, 1);
    assert_eq!(office.count("escalations").await, 0);
}
