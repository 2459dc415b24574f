//! Pausing queues, kinds, tenants, channels; draining workers; all of it survives restarts.

use super::client::{Operator, between, escaped};
use crate::{
    flows::sending::{CUSTOMER, Desk},
    harness::{App, Database, OTHER_PHONE_NUMBER_ID, PHONE_NUMBER_ID, change, message, text, until},
};
use serde_json::{Value, json};

async fn probes(app: &App, kind: &str, tenant: i32, count: i32) {
    app.db
        .run(&format!(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), '{kind}', 'probes', {tenant}, 5, '{{\"act\": \"succeed\"}}'
             FROM generate_series(1, {count})"
        ))
        .await;
}

async fn done(app: &App, tenant: i32) -> i64 {
    app.db.count(&format!("SELECT count(*) FROM jobs_done WHERE queue = 'probes' AND tenant_id = {tenant}")).await
}

#[tokio::test]
async fn what_is_paused_waits_also_through_a_restart_while_the_rest_goes_on() {
    let mut app = App::start().await;
    let operator = Operator::of(&app).await;
    let pause = |what: &'static str| [("what", what), ("act", "pause"), ("reason", "a flood")];
    assert_eq!(operator.submit("/ops/control", &pause("tenant:1")).await.to(), "/ops/control");
    assert!(operator.get("/ops/control").await.ok().contains("tenant:1"));
    probes(&app, "probe", 1, 20).await;
    probes(&app, "probe", 2, 20).await;
    until("the other tenant's are done", async || done(&app, 2).await == 20).await;
    app.workers[0].kill();
    app.start_worker(&[]).await;
    probes(&app, "probe", 2, 20).await;
    until("and after a restart", async || done(&app, 2).await == 40).await;
    assert_eq!(done(&app, 1).await, 0);
    operator.submit("/ops/control", &[("what", "tenant:1"), ("act", "resume")]).await.to();
    until("what waited is done", async || done(&app, 1).await == 20).await;

    app.ops("POST", "pauses", json!({"what": "kind:probe", "reason": "poison"})).await.expect(200);
    probes(&app, "probe", 1, 5).await;
    // Another kind of the same queue (which nobody knows, so it is tried and put back) shows that the feeder went round meanwhile.
    probes(&app, "no_such_kind", 3, 1).await;
    until("the other kind was tried", async || {
        app.db.count("SELECT count(*) FROM jobs WHERE kind = 'no_such_kind' AND attempt > 0").await == 1
    })
    .await;
    assert_eq!(done(&app, 1).await, 20);
    let listed = app.ops("GET", "pauses", Value::Null).await.expect(200);
    assert_eq!((&listed["pauses"][0]["what"], &listed["pauses"][0]["reason"]), (&json!("kind:probe"), &json!("poison")));
    app.ops("POST", "resume", json!({"what": "kind:probe"})).await.expect(200);
    until("the kind goes on", async || done(&app, 1).await == 25).await;
    for bad in [
        "queue:none",
        "kind:none",
        "tenant:x",
        "tenant:99999",
        "channel:7",
        "channel:0190f3a0-0000-7000-8000-000000000001",
        "planet:mars",
        "",
    ] {
        app.ops("POST", "pauses", json!({"what": bad})).await.expect(400);
    }
    let acts = app.db.texts("SELECT act || ' ' || (subject ->> 'what') || ' ' || coalesce(reason, '-') FROM operator_acts WHERE act <> 'session.open' ORDER BY id").await;
    assert_eq!(acts, ["pause tenant:1 a flood", "resume tenant:1 -", "pause kind:probe poison", "resume kind:probe -"]);
}

#[tokio::test]
async fn what_a_pause_will_do_is_said_before_it_begins_and_resuming_takes_one_click() {
    let app = App::start_api_only().await;
    probes(&app, "probe", 1, 12).await;
    app.db.run("UPDATE jobs SET run_at = now() + interval '1 hour' WHERE id = (SELECT id FROM jobs LIMIT 1)").await;
    let operator = Operator::of(&app).await;
    let page = operator.get("/ops/control").await.ok();
    let asked = |button: &str| between(&page, &format!("<summary>{button}…</summary>"), "</details>").to_owned();
    for (button, then) in [
        ("Pause probes", "Nothing of probes starts until it is resumed; what runs ends. Now 11 jobs wait and 1 is due later."),
        ("Pause probe", "Other kinds of the queue probes go on."),
        ("Pause webhooks", "Now 0 jobs wait and 0 are due later."),
    ] {
        let form = asked(button);
        let confirming = format!("<button type=\"submit\" name=\"act\" value=\"pause\">{button}</button>");
        assert!(form.contains(then) && form.contains("name=\"reason\"") && form.contains(&confirming), "{form}");
    }
    operator.submit("/ops/control", &[("what", "queue:probes"), ("act", "pause"), ("reason", "")]).await.to();
    let page = operator.get("/ops/control").await.ok();
    let resume = between(&page, "<h2>Queues</h2>", "<h2>Kinds</h2>").rsplit("<form").find(|form| form.contains("queue:probes")).unwrap();
    assert!(resume.contains("value=\"resume\"") && resume.contains(">Resume probes</button>") && !resume.contains("reason"), "{resume}");
}

#[tokio::test]
async fn a_pause_that_is_refused_is_shown_again_with_what_was_typed() {
    let app = App::start_api_only().await;
    let operator = Operator::of(&app).await;
    for (what, act, problem) in [
        ("queue:<none>\"", "pause", "what: there is no queue &lt;none&gt;&quot;; there are: webhooks"),
        ("tenant:99999", "pause", "what: there is no tenant 99999"),
        ("planet:mars", "resume", "what: planet:mars is none of"),
        ("tenant:1", "stop", "act: must be pause or resume"),
    ] {
        let refused = operator.submit("/ops/control", &[("what", what), ("act", act), ("reason", "a <flood>")]).await;
        assert_eq!(refused.status, 400, "{what}");
        let form = between(&refused.text, "<p class=\"bad\" role=\"alert\">", "</form>");
        assert!(form.starts_with(problem), "{form}");
        assert!(form.contains(&format!("value=\"{}\"", escaped(what))) && form.contains("value=\"a &lt;flood&gt;\""), "{form}");
    }
    assert_eq!(app.db.count("SELECT count(*) FROM job_pauses").await, 0);
}

#[tokio::test]
async fn the_page_of_pauses_is_also_found_where_the_api_has_them() {
    let app = App::start_api_only().await;
    let operator = Operator::of(&app).await;
    assert_eq!(operator.get("/ops/pauses").await.to(), "/ops/control");
    let here = operator.get("/ops/pauses?what=tenant:1").await.to();
    assert_eq!(here, "/ops/control?what=tenant:1");
    assert!(operator.get(&here).await.ok().contains("value=\"tenant:1\""));
    let stranger = Operator::stranger(&app);
    assert_eq!(stranger.get("/ops/pauses").await.to(), "/ops/sign-in?next=%2Fops%2Fpauses");
}

#[tokio::test]
async fn a_paused_tenants_webhooks_are_taken_and_held_and_processed_when_it_is_resumed() {
    let app = App::start().await;
    app.ops("POST", "pauses", json!({"what": "tenant:1"})).await.expect(200);
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    let messages = "SELECT count(*) FROM chat_messages";
    until("it is held, or waits in the tenant's lane", async || {
        app.db.count("SELECT count(*) FROM held_webhook_events").await
            + app.db.count("SELECT count(*) FROM jobs WHERE tenant_id = 1 AND queue = 'webhooks'").await
            > 0
    })
    .await;
    assert_eq!(app.db.count(messages).await, 0);
    app.ops("POST", "resume", json!({"what": "tenant:1"})).await.expect(200);
    until("it is processed", async || app.db.count(messages).await == 1).await;
    app.drain().await;
}

#[tokio::test]
async fn a_paused_channel_sends_nothing_and_its_messages_say_why() {
    let desk = Desk::sending().await;
    let what = format!("channel:{}", desk.channel);
    desk.app.ops("POST", "pauses", json!({ "what": what })).await.expect(200);
    let message = desk.say(CUSTOMER, "hi").await;
    let job = "SELECT id::text FROM jobs WHERE kind = 'send_outbound' AND run_at IS NOT NULL AND errors -> -1 ->> 'message' = 'channel paused by an operator'";
    until("its job says why it waits", async || desk.app.db.texts(job).await.len() == 1).await;
    let job = desk.app.db.text(job).await;
    assert_eq!((desk.provider.received().len(), desk.stored_status(&message).await.as_str()), (0, "pending"));
    let overview = desk.app.ops("GET", "overview", Value::Null).await.expect(200);
    assert_eq!(overview["channels"][0]["paused"], json!(true));
    assert_eq!(
        desk.app.db.text(&format!("SELECT errors -> -1 ->> 'waited_s' FROM jobs WHERE id = '{job}'")).await.parse(),
        Ok(0.0),
        "a pause does not count"
    );
    // It would look again in minutes, but is called.
    desk.app.db.run("UPDATE jobs SET run_at = now() + interval '5 minutes' WHERE queue = 'outbound'").await;
    desk.app.ops("POST", "resume", json!({ "what": what })).await.expect(200);
    desk.until_status(&message, "sent").await;
    assert_eq!(desk.provider.received().len(), 1);
}

#[tokio::test]
async fn a_drained_worker_takes_nothing_new_until_it_is_let_go_on() {
    let mut app = App::without_processes(Database::create().await, &[("WORKER_NAME", "first")]).await;
    app.start_api().await;
    app.start_worker(&[]).await;
    let drained = async |wanted: bool| {
        let overview = app.ops("GET", "overview", Value::Null).await.expect(200);
        overview["processes"].as_array().unwrap().iter().any(|process| {
            process["role"] == "worker" && process["name"].as_str().unwrap().starts_with("first:") && process["draining"] == json!(wanted)
        })
    };
    until("it is there", async || drained(false).await).await;
    app.ops("POST", "pauses", json!({"what": "worker:first", "reason": "a new kernel"})).await.expect(200);
    until("it says so", async || drained(true).await).await;
    until("it knows", async || app.workers[0].log().contains("an operator decided whether this worker takes new jobs")).await;
    probes(&app, "probe", 1, 10).await;
    let overview = Operator::of(&app).await;
    overview.until_overview("every worker that serves probes is drained").await;
    assert_eq!(done(&app, 1).await, 0);
    app.set("WORKER_NAME", "second");
    app.start_worker(&[]).await;
    until("another worker does them", async || done(&app, 1).await == 10).await;
    app.ops("POST", "resume", json!({"what": "worker:first"})).await.expect(200);
    app.workers[1].kill();
    probes(&app, "probe", 1, 10).await;
    until("the first does the next", async || done(&app, 1).await == 20).await;
}

#[tokio::test]
async fn a_worker_that_nobody_heard_of_is_not_drained_and_one_that_is_down_is_let_go_on() {
    let app = App::start_api_only().await;
    let worker = json!({"what": "worker:gone"});
    let says = "There is no worker gone; none was heard of in the last hour";
    let refused = app.ops("POST", "pauses", worker.clone()).await.expect(404);
    assert_eq!((&refused["code"], &refused["message"]), (&json!("not_found"), &json!(says)));
    let operator = Operator::of(&app).await;
    let page = operator.submit("/ops/control", &[("what", "worker:gone"), ("act", "pause")]).await;
    assert!(page.status == 404 && page.text.contains(says), "{page:?}");
    app.db.run("INSERT INTO processes (id, role, name, version, figures) VALUES (gen_random_uuid(), 'worker', 'here:1', '0', '{}')").await;
    let refused = app.ops("POST", "pauses", worker.clone()).await.expect(404);
    assert_eq!(refused["message"], json!("There is no worker gone; there are: here"));
    app.ops("POST", "pauses", json!({"what": "worker:here"})).await.expect(200);
    // One that was drained before it went down.
    app.db.run("DELETE FROM processes; INSERT INTO job_pauses (what, paused_by) VALUES ('worker:gone', 'test')").await;
    assert_eq!(app.ops("POST", "pauses", worker.clone()).await.expect(200)["done"], json!("worker:gone was paused already"));
    assert_eq!(app.ops("POST", "resume", worker.clone()).await.expect(200)["done"], json!("resumed worker:gone"));
    assert_eq!(app.ops("POST", "resume", worker).await.expect(200)["done"], json!("worker:gone was not paused"));
    operator.submit("/ops/control", &[("what", "worker:here"), ("act", "resume")]).await.to();
    assert_eq!(app.db.count("SELECT count(*) FROM job_pauses").await, 0);
}

#[tokio::test]
async fn crashed_jobs_of_a_paused_tenant_hold_up_nobody_elses() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    app.ops("POST", "pauses", json!({"what": "tenant:1"})).await.expect(200);
    app.db
        .run(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, crashes, args)
             SELECT gen_random_uuid(), 'probe', 'probes', CASE WHEN n <= 40 THEN 1 ELSE 2 END, 5, CASE WHEN n = 1 THEN 2 ELSE 1 END, '{\"act\": \"succeed\"}'
             FROM generate_series(1, 42) n",
        )
        .await;
    app.start_worker(&[]).await;
    until("the other tenant's ran", async || done(&app, 2).await == 2).await;
    assert_eq!(done(&app, 1).await, 0);
    app.ops("POST", "resume", json!({"what": "tenant:1"})).await.expect(200);
    until("all ran", async || done(&app, 1).await == 40).await;
}

#[tokio::test]
async fn a_body_of_two_tenants_waits_for_neither() {
    let app = App::start().await;
    app.ops("POST", "pauses", json!({"what": "tenant:1"})).await.expect(200);
    let part = |number: &str, id: &str| {
        let body: Value =
            serde_json::from_str(&change(number, &json!({"messages": [message("15551230001", id, 0, "text", json!({"body": id}))]})))
                .unwrap();
        body["entry"][0].clone()
    };
    let both = [part(PHONE_NUMBER_ID, "wamid.1"), part(OTHER_PHONE_NUMBER_ID, "wamid.2")];
    assert_eq!(app.webhook(&json!({"object": "whatsapp_business_account", "entry": both}).to_string()).await, 200);
    let stored = async || app.db.texts("SELECT external_id FROM chat_messages ORDER BY 1").await;
    until("the other tenant's part is stored", async || stored().await == ["wamid.2"]).await;
    app.ops("POST", "resume", json!({"what": "tenant:1"})).await.expect(200);
    until("and the rest", async || stored().await == ["wamid.1", "wamid.2"]).await;
    app.drain().await;
}

#[tokio::test]
async fn a_tenant_that_is_resumed_but_has_its_webhooks_disabled_keeps_them_held() {
    let app = App::start().await;
    app.db.run("UPDATE tenants SET settings = '{\"webhookConfig\": {\"enabled\": false}}' WHERE id = 1").await;
    app.ops("POST", "pauses", json!({"what": "tenant:1"})).await.expect(200);
    app.db.run("INSERT INTO held_webhook_events (tenant_id, raw_event_id) VALUES (1, '01900000-0000-7000-8000-000000000001')").await;
    app.ops("POST", "resume", json!({"what": "tenant:1"})).await.expect(200);
    until("it was looked at", async || app.db.count("SELECT count(*) FROM jobs_done WHERE kind = 'resume_webhooks'").await == 1).await;
    assert_eq!(app.db.count("SELECT count(*) FROM held_webhook_events").await, 1);
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE kind = 'process_webhook'").await, 0);
}
