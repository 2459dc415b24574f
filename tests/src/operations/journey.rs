//! The journey of a message, found by whatever is known of it.

use super::client::Operator;
use crate::{
    flows::{
        agents::Office,
        sending::{CUSTOMER, Desk, receipt, refuses},
    },
    harness::{App, CUT, Database, change, message, text, until},
};
use domain::{JobId, TenantId, WorkerId};
use jobs::{JobError, probe::Probe};
use serde_json::{Value, json};
use std::time::Duration;
use store::{
    PgPool,
    ledger::{self, Delay, WorkerRow},
};

async fn steps(app: &App, q: &str) -> Vec<Value> {
    let journey = app.ops("GET", &format!("journey?q={}", super::client::encoded(q)), Value::Null).await.expect(200);
    journey["steps"].as_array().unwrap().clone()
}

fn names(steps: &[Value]) -> Vec<&str> {
    steps.iter().map(|step| step["what"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_incoming_message_is_followed_from_its_webhook_to_those_who_watch() {
    let app = App::start().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    app.drain().await;
    let id = |sql: &'static str| app.db.text(sql);
    let ways = [
        "wamid.1".to_owned(),
        "+15551230001".to_owned(),
        "1 (555) 123-0001".to_owned(),
        id("SELECT id::text FROM chat_messages").await,
        id("SELECT id::text FROM chat_conversations").await,
        id("SELECT id::text FROM customers").await,
        id("SELECT id::text FROM raw_webhook_events").await,
        id("SELECT id::text FROM jobs_done WHERE kind = 'process_webhook'").await,
    ];
    for way in &ways {
        let found = steps(&app, way).await;
        let names = names(&found);
        assert_eq!(names.first(), Some(&"Webhook received"), "{way}: {names:?}");
        for step in ["Job queued", "Processed in a batch", "Message stored", "Told to those who watch"] {
            assert!(names.contains(&step), "{way}: {step} is not among {names:?}");
        }
    }
    // The provider's time of the test's message is long ago.
    let late = steps(&app, "wamid.1").await[0]["problem"].as_str().unwrap().to_owned();
    assert!(late.starts_with("came ") && late.ends_with("after the provider says it was sent"), "{late}");
    let nothing = app.ops("GET", "journey?q=wamid.none", Value::Null).await.expect(200);
    assert_eq!(nothing, json!({"messages": [], "steps": []}));
    app.ops("GET", "journey", Value::Null).await.expect(400);
    let page = Operator::of(&app).await.get("/ops/journey?q=wamid.1").await.ok();
    assert!(page.contains("Webhook received") && page.contains("text of wamid.1"), "{page}");
}

#[tokio::test]
async fn a_throttled_channel_is_named_as_what_a_message_waits_for() {
    let desk = Desk::open().await;
    desk.provider.script(|_| (400, json!({"error": {"message": "(#130429) Rate limit hit", "type": "OAuthException", "code": 130_429}})));
    let mut desk = desk;
    desk.app.start_worker(crate::harness::SENDING).await;
    let message = desk.say(CUSTOMER, "hello").await;
    let waits = "SELECT count(*) FROM jobs WHERE kind = 'send_outbound' AND run_at IS NOT NULL AND errors -> -1 ->> 'class' = 'waiting'";
    until("the job waits", async || desk.app.db.count(waits).await == 1).await;
    let found = steps(&desk.app, &message).await;
    let problems: Vec<&str> = found.iter().filter_map(|step| step["problem"].as_str()).collect();
    assert!(
        problems.iter().any(|problem| problem.starts_with("waited ") && problem.ends_with("channel throttled by provider (130429)")),
        "{found:#?}"
    );
    assert_eq!(names(&found).first(), Some(&"Written"));
    assert_eq!(desk.app.db.count("SELECT jsonb_array_length(errors)::int8 FROM jobs WHERE kind = 'send_outbound'").await, 1);
    let overview = desk.app.ops("GET", "overview", Value::Null).await.expect(200);
    let complaint =
        overview["complaints"].as_array().unwrap().iter().find(|one| one["text"].as_str().unwrap().contains("(130429)")).unwrap();
    assert_eq!(complaint["runbook"], json!("messages-do-not-go-out"));
}

/// What its journey says that those who watch were told of a message's status.
async fn told(app: &App, message: &str) -> Vec<String> {
    let found = steps(app, message).await;
    let told: Vec<&Value> = found.iter().filter(|step| step["detail"] == "realtime event message_status").collect();
    assert!(told.iter().all(|step| step["at"].is_string()), "{found:#?}");
    told.into_iter().map(|step| step["what"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_status_that_was_told_is_named_in_order() {
    let desk = Desk::sending().await;
    let receive = async |id: &str, status: &str| {
        assert_eq!(desk.app.webhook(&receipt(id, status)).await, 200);
        desk.app.drain().await;
    };
    let read = desk.say(CUSTOMER, "your parcel is on its way").await;
    desk.until_status(&read, "sent").await;
    receive(&read, "delivered").await;
    receive(&read, "read").await;
    assert_eq!(told(&desk.app, &read).await, ["Told: sent", "Told: delivered", "Told: read"]);
    desk.provider.script(|_| (CUT, Value::Null));
    let lost = desk.say(CUSTOMER, "lost").await;
    desk.until_status(&lost, "unknown").await;
    receive(&lost, "delivered").await;
    assert_eq!(told(&desk.app, &lost).await, ["Told: unknown, it may have been sent", "Told: sent", "Told: delivered"]);
    desk.provider.script(|_| refuses(131_047));
    let refused = desk.say(CUSTOMER, "too late").await;
    desk.until_status(&refused, "failed").await;
    assert_eq!(told(&desk.app, &refused).await, ["Told: failed"]);
    // As the version before writes them.
    let without = "(SELECT jsonb_agg(event - 'status') FROM jsonb_array_elements(events) e(event))";
    desk.app.db.run(&format!("UPDATE realtime_events SET events = {without} WHERE events <> '[]'")).await;
    assert_eq!(told(&desk.app, &read).await, ["Its status moved, and was told"; 3]);
}

#[tokio::test]
async fn an_agents_answer_is_part_of_the_journey() {
    let office = Office::open(true).await;
    office.hears("wamid.1", "When do you open?").await;
    office.until_count("chat_messages WHERE direction = 'outbound' AND status = 'sent'", 1).await;
    let found = steps(&office.app, "wamid.1").await;
    let run = found.iter().find(|step| step["what"] == "Agent's run").unwrap_or_else(|| panic!("{found:#?}"));
    assert!(run["detail"].as_str().unwrap().contains("replied, 19 tokens in, 10 out"), "{run}");
    let answer = run["link"].as_str().unwrap().rsplit('=').next().unwrap();
    let found = steps(&office.app, answer).await;
    assert!(names(&found).contains(&"Sent") && names(&found).contains(&"Provider says: sent"), "{found:#?}");
}

/// Runs a job and puts it back; its errors.
async fn put_back(pool: &PgPool, worker: WorkerId, id: JobId, error: &JobError) -> Vec<(String, String)> {
    let job = ledger::claim(pool, worker, &[id]).await.unwrap().remove(0);
    let free = matches!(error, JobError::Wait { .. });
    let delay = Delay { run: job.run(), after: None, free, suspect: false, error: Some(error.describe(job.attempt)) };
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(ledger::delay(&mut conn, worker, &[delay]).await.unwrap(), [id]);
    let job = store::operator::search::job(&mut conn, id).await.unwrap().unwrap();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    job.errors.unwrap().as_array().unwrap().iter().map(|error| (text(error, "message"), text(error, "at"))).collect()
}

#[tokio::test]
async fn waits_do_not_push_out_what_went_wrong() {
    let db = Database::create().await;
    let pool = db.pool();
    let worker = WorkerId::generate();
    ledger::register_worker(pool, &WorkerRow { id: worker, name: "test".to_owned(), queues: vec![("probes".to_owned(), 1)] })
        .await
        .unwrap();
    let new = jobs::new_job(TenantId(1), &Probe::default(), None);
    let id = ledger::enqueue(&mut pool.acquire().await.unwrap(), &[new]).await.unwrap().remove(0);
    let wait = |reason: &str| JobError::Wait { delay: Duration::ZERO, reason: reason.to_owned(), counts: true };
    put_back(pool, worker, id, &JobError::retry("probe", "failed 0")).await;
    let first = put_back(pool, worker, id, &wait("its turn")).await;
    for _ in 0..30 {
        put_back(pool, worker, id, &wait("throttled")).await;
        let errors = put_back(pool, worker, id, &wait("its turn")).await;
        let (before, [(message, since)]) = errors.split_at(1) else { panic!("{errors:?}") };
        assert_eq!(
            (before, message.as_str(), since),
            (&first[..1], "its turn; throttled", &first[1].1),
            "one entry says what it waits for, and since when"
        );
    }
    for n in 1..=25 {
        put_back(pool, worker, id, &JobError::retry("probe", format!("failed {n}"))).await;
        put_back(pool, worker, id, &wait("its turn")).await;
    }
    let errors = put_back(pool, worker, id, &wait("throttled")).await;
    let kept: Vec<String> = errors.into_iter().map(|(message, _)| message).collect();
    let failed = (6..=25).map(|n| format!("failed {n}"));
    assert_eq!(kept, failed.chain(["its turn; throttled".to_owned()]).collect::<Vec<_>>(), "and how long it waits is known all the same");
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_the_askers_to_narrow() {
    let app = App::start().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    app.drain().await;
    let id = "01900000-0000-7000-8000-000000000001";
    // Whoever waits for a lock takes too long, as who looks through too much.
    let locked = [
        ("jobs_dead", vec!["journey?q=wamid.1".to_owned(), format!("jobs?id={id}")]),
        ("customers, chat_messages", vec!["jobs?person=%2B15551230001".to_owned(), format!("jobs?channel={id}")]),
    ];
    for (tables, questions) in locked {
        let mut holder = app.db.pool().begin().await.unwrap();
        let lock = format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE");
        sqlx::Executor::execute(&mut *holder, sqlx::AssertSqlSafe(lock)).await.unwrap();
        let answers = futures::future::join_all(questions.iter().map(|question| app.ops("GET", question, Value::Null))).await;
        for (answer, question) in answers.into_iter().zip(&questions) {
            let refused = answer.expect(400);
            assert!(refused["message"].as_str().unwrap().starts_with("There is too much to look through"), "{question}: {refused}");
        }
        holder.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_message_yet_is_found_with_what_it_waits_for() {
    let mut app = App::start().await;
    app.ops("POST", "pauses", json!({"what": "queue:webhooks", "reason": "the disk is full"})).await.expect(200);
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    let webhook = app.db.text("SELECT id::text FROM raw_webhook_events").await;
    let job = app.db.text("SELECT id::text FROM jobs WHERE kind = 'process_webhook'").await;
    let reason = "the queue webhooks is paused since";
    for known in ["%2B15551230001", "wamid.1", &webhook, &job] {
        let journey = app.ops("GET", &format!("journey?q={known}"), Value::Null).await.expect(200);
        let steps = journey["steps"].as_array().unwrap();
        let problems: Vec<&str> = steps.iter().filter_map(|step| step["problem"].as_str()).collect();
        assert_eq!(
            (journey["messages"].as_array().unwrap().len(), &steps[0]["what"]),
            (0, &json!("Webhook received")),
            "{known}: {journey}"
        );
        assert!(
            problems.iter().any(|problem| problem.contains(reason) && problem.ends_with("by operator: the disk is full")),
            "{known}: {problems:?}"
        );
        assert!(problems.contains(&"nothing of it is a message, or not yet"), "{known}: {problems:?}");
    }
    let operator = Operator::of(&app).await;
    assert!(operator.get(&format!("/ops/jobs/{job}")).await.ok().contains(reason));
    assert!(operator.get(&format!("/ops/journey?q={webhook}")).await.ok().contains("No message is stored by that, but this is known"));
    app.ops("POST", "resume", json!({"what": "queue:webhooks"})).await.expect(200);
    app.drain().await;
    assert_eq!(app.ops("GET", &format!("journey?q={webhook}"), Value::Null).await.expect(200)["messages"][0]["external_id"], "wamid.1");
    // One that cannot be read, and one of a channel that nobody has.
    app.expect_dead(1);
    let stranger = change("999888777", &json!({"messages": [message("15551230009", "wamid.9", 0, "text", json!({"body": "x"}))]}));
    for (body, says) in [
        ("{\"object\": \"whatsapp_business", "it names no channel, or cannot be read"),
        (&stranger, "nobody has (all of) its channels: 999888777"),
    ] {
        assert_eq!(app.webhook(body).await, 200);
        app.drain().await;
        let id = app.db.text("SELECT id::text FROM raw_webhook_events ORDER BY id DESC LIMIT 1").await;
        let steps = app.ops("GET", &format!("journey?q={id}"), Value::Null).await.expect(200)["steps"].clone();
        assert!(steps.as_array().unwrap().iter().any(|step| step["problem"] == says), "{steps}");
    }
    assert_eq!(app.ops("GET", "journey?q=nothing-like-it", Value::Null).await.expect(200)["steps"], json!([]));
}

#[tokio::test]
async fn a_message_says_which_one_it_waits_for_and_that_it_was_cancelled() {
    let desk = Desk::open().await;
    let (first, second) = (desk.say(CUSTOMER, "one").await, desk.say(CUSTOMER, "two").await);
    let job_of =
        async |message: &str| desk.app.db.text(&format!("SELECT id::text FROM jobs WHERE args ->> 'message_id' = '{message}'")).await;
    let (before, behind) = (job_of(&first).await, job_of(&second).await);
    desk.app.ops("POST", &format!("jobs/{before}/snooze"), json!({"seconds": 3600, "reason": "wait for legal"})).await.expect(200);
    let problems = async |message: &str| {
        let steps = desk.app.ops("GET", &format!("journey?q={message}"), Value::Null).await.expect(200)["steps"].clone();
        steps.as_array().unwrap().iter().filter_map(|step| step["problem"].as_str().map(str::to_owned)).collect::<Vec<_>>().join("\n")
    };
    assert!(problems(&first).await.contains("it is put off until"), "{}", problems(&first).await);
    assert!(problems(&second).await.contains(&format!("job {before} must end first")), "{}", problems(&second).await);
    desk.app.ops("POST", &format!("jobs/{behind}/cancel"), json!({"reason": "no"})).await.expect(200);
    assert!(problems(&second).await.contains("it was cancelled, so this is not done"), "{}", problems(&second).await);
}
