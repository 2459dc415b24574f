//! Jobs that end without a word of their own: an operator cancels them, or the engine buries them. Whoever waits for them is told.

use super::{
    agents::Office,
    sending::{CUSTOMER, Desk, NUMBER},
};
use crate::harness::{App, text_to, until};
use serde_json::{Value, json};

/// A person answers them, so no agent does.
const OTHER: &str = "15551230002";

/// The operator cancels the job of a message.
async fn cancel(app: &App, message: &str) {
    let id = app.db.text(&format!("SELECT id::text FROM jobs WHERE idempotency_key = '{message}'")).await;
    let request = app.request("POST", &format!("/api/ops/jobs/{id}/cancel")).header("x-admin-token", crate::harness::ADMIN_TOKEN);
    app.send(request.json(&json!({"reason": "not needed"}))).await.expect(200);
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
    assert_eq!(desk.stored_status(&first).await, "failed");
    assert_eq!(reason(&desk.app, &first).await, "It was not sent: an operator cancelled it");
    assert_eq!((told(&desk.app, &first).await, told(&desk.app, &second).await), (1, 0));
    assert_eq!(desk.shown(&first).await["status"], "FAILED");
    desk.app.start_worker(crate::harness::SENDING).await;
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

/// Jobs whose processes died too often: of a person's message, an answer of an agent to somebody else, a document and an import.
async fn buried(office: &mut Office) -> (String, String, String) {
    for queue in ["outbound", "agents", "documents", "chores"] {
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
    office.until_count("jobs WHERE kind IN ('send_outbound', 'run_auto_reply', 'ingest_document', 'import_contacts')", 5).await;
    office
        .app
        .db
        .run(
            "UPDATE jobs SET state = 'running', locked_by = gen_random_uuid(), attempt = 1, crashes = 3
             WHERE kind IN ('send_outbound', 'run_auto_reply', 'ingest_document', 'import_contacts')",
        )
        .await;
    office.until_count("jobs_dead", 5).await;
    (message, document, import)
}

#[tokio::test]
async fn whoever_waits_for_a_job_that_died_is_told_and_gets_it_all_the_same_when_it_is_put_back() {
    let mut office = Office::open(true).await;
    let (message, document, import) = buried(&mut office).await;
    assert_eq!(reason(&office.app, &message).await, "It was not sent: the process that ran this job died");
    assert_eq!(told(&office.app, &message).await, 1);
    let shown = office.document(&document).await;
    assert_eq!((&shown["status"], &shown["error"]), (&json!("failed"), &json!("It was not read: the process that ran this job died")));
    let imports = async |app: &App, ann| app.get(ann, &format!("/api/contacts/import/{import}")).await.expect(200)["data"].clone();
    let shown: Value = imports(&office.app, &office.ann).await;
    assert_eq!(
        (&shown["status"], &shown["error"]),
        (&json!("failed"), &json!("It was not finished: the process that ran this job died")),
        "{shown}"
    );
    let raised = office.app.db.texts("SELECT raised_by || ' ' || reason FROM escalations WHERE resolved_at IS NULL").await;
    assert_eq!(raised, ["failure The agent could not answer: the process that ran this job died"]);

    for queue in ["outbound", "agents", "documents", "chores"] {
        assert!(office.app.switchboard(&["jobs", "resume", queue], &[], "").status.success());
    }
    assert!(office.app.switchboard(&["jobs", "retry", "--all", "--yes"], &[], "").status.success());
    office.until_count("chat_messages WHERE direction = 'outbound' AND status = 'sent'", 2).await;
    office.until_count("knowledge_documents WHERE status = 'ready' AND error IS NULL", 1).await;
    office.until_count("contact_imports WHERE status = 'done' AND error IS NULL AND created = 1", 1).await;
    office.until_count("escalations WHERE resolved_at IS NULL", 0).await;
    let mut sent = office.sent();
    sent.sort();
    assert_eq!(sent, ["Hello", "We open at nine."], "each once");
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
    assert_eq!(office.count("chat_messages WHERE status = 'sent' AND errors IS NULL").await, 1);
    assert_eq!(office.count("escalations").await, 0);
}
