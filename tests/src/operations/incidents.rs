//! Five incidents, each found on the overview and seen to from the pages alone. `ops/runbook.md` has the steps.

use super::client::{Operator, between};
use crate::{
    flows::sending::{CUSTOMER, Desk},
    harness::{App, SENDING, text_from, until},
};
use serde_json::{Value, json};

/// The page that a complaint leads to.
async fn leads(operator: &Operator, says: &str) -> String {
    let overview = operator.get("/ops").await.ok();
    let complaint = overview.split("<li class=").find(|part| part.contains(says)).unwrap_or_else(|| panic!("{says} is not in {overview}"));
    let link = between(complaint, "<a href=\"", "\"").replace("&amp;", "&");
    let runbook = between(complaint, "<a href=\"/ops/runbook#", "\"");
    assert!(operator.get("/ops/runbook").await.ok().contains(&format!("id=\"{runbook}\"")), "the runbook has no entry {runbook}");
    link
}

#[tokio::test]
async fn a_burst_of_poison_is_paused_tried_and_released() {
    let app = App::start().await;
    let operator = Operator::of(&app).await;
    assert!(operator.get("/ops").await.ok().contains("Nothing needs you"));
    app.probe(json!("fail"), 30).await;
    let says = "dead letters of probe:probe in five minutes";
    operator.until_overview(says).await;
    let group = leads(&operator, says).await;
    // Pause the kind, from the group's page.
    assert_eq!(operator.submit("/ops/control", &[("what", "kind:probe"), ("act", "pause"), ("back", &group)]).await.to(), group);
    assert!(operator.get(&group).await.ok().contains("Resume probe"));
    // Edit one and see it done, while the kind is paused.
    let job = between(&operator.get(&group).await.ok(), "<a href=\"/ops/jobs/", "\"").to_owned();
    let edited = [("act", "edit"), ("args", "{\"act\": \"succeed\"}"), ("reason", "as the canary")];
    let canary = operator.submit(&format!("/ops/jobs/{job}"), &edited).await.to();
    until("the canary lives", async || operator.get(&canary).await.text.contains("<dd class=\"good\">done")).await;
    operator.submit("/ops/control", &[("what", "kind:probe"), ("act", "resume")]).await.to();
    // The others cannot be mended: they are given up.
    let act = operator.submit(&group, &[("act", "discard"), ("per_second", "1000"), ("reason", "poison")]).await.to();
    until("they are gone", async || operator.get(&act).await.text.contains("<strong>done</strong>: 29 of 29")).await;
    operator.until_overview("Nothing needs you").await;
}

#[tokio::test]
async fn a_provider_that_throttles_one_channel_is_seen_and_the_channel_rests() {
    let mut desk = Desk::open().await;
    desk.provider.script(|_| (400, json!({"error": {"message": "(#130429) Rate limit hit", "type": "OAuthException", "code": 130_429}})));
    desk.app.start_worker(SENDING).await;
    let message = desk.say(CUSTOMER, "hello").await;
    let operator = Operator::of(&desk.app).await;
    let says = "1 message waits, channel throttled by provider (130429)";
    operator.until_overview(says).await;
    assert!(operator.get(&leads(&operator, says).await).await.ok().contains("send_outbound"));
    let what = format!("channel:{}", desk.channel);
    operator.submit("/ops/control", &[("what", &what), ("act", "pause"), ("reason", "until Meta lets us")]).await.to();
    operator.until_overview(&format!("/ops/control?what={what}")).await;
    let calls = desk.provider.received().len();
    let id = desk.app.db.text("SELECT id::text FROM jobs WHERE kind = 'send_outbound'").await;
    operator.submit(&format!("/ops/jobs/{id}"), &[("act", "now")]).await.to();
    until("it waits for the pause to end", async || {
        operator.get(&format!("/ops/jobs/{id}")).await.text.contains("channel paused by an operator")
    })
    .await;
    assert_eq!(desk.provider.received().len(), calls, "nothing was asked meanwhile");
    assert_eq!(desk.stored_status(&message).await, "pending");
    desk.provider.script(crate::flows::sending::accepts);
    operator.submit("/ops/control", &[("what", &what), ("act", "resume")]).await.to();
    // The process that was told to wait still does; another one sends it at once.
    desk.app.workers.last_mut().unwrap().kill();
    desk.app.start_worker(SENDING).await;
    until("it is sent", async || {
        operator.submit(&format!("/ops/jobs/{id}"), &[("act", "now")]).await;
        desk.stored_status(&message).await == "sent"
    })
    .await;
}

#[tokio::test]
async fn a_fleet_that_died_is_seen_and_its_jobs_go_on_when_another_is_there() {
    let mut app = App::start().await;
    let operator = Operator::of(&app).await;
    app.workers[0].kill();
    for message in 0..5 {
        assert_eq!(app.webhook(&text_from("15551230001", &format!("wamid.{message}"), "hello?")).await, 200);
    }
    operator.until_overview("went silent without taking leave").await;
    let says = "no worker serves webhooks";
    operator.until_overview(says).await;
    assert!(operator.get(&leads(&operator, says).await).await.ok().contains("process_webhook"));
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 5);
    until("nobody complains about webhooks", async || !operator.get("/ops").await.ok().contains(says)).await;
}

#[tokio::test]
async fn a_tenants_flood_is_seen_and_the_tenant_waits_while_others_do_not() {
    let mut app = App::start_api_only().await;
    app.db
        .run(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'probe', 'probes', 1, 5, '{\"act\": \"succeed\"}' FROM generate_series(1, 1500);
             INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'probe', 'probes', 2, 5, '{\"act\": \"succeed\"}' FROM generate_series(1, 10)",
        )
        .await;
    let operator = Operator::of(&app).await;
    let says = "(tenant 1) has 1 000 or more jobs waiting in probes";
    operator.until_overview(says).await;
    assert!(operator.get(&leads(&operator, says).await).await.ok().contains("probe"));
    operator.submit("/ops/control", &[("what", "tenant:1"), ("act", "pause"), ("reason", "a loop at their side")]).await.to();
    app.start_worker(&[]).await;
    let done =
        async |tenant: i32| app.db.count(&format!("SELECT count(*) FROM jobs_done WHERE kind = 'probe' AND tenant_id = {tenant}")).await;
    until("the other tenant's are done", async || done(2).await == 10).await;
    assert_eq!(done(1).await, 0);
    let filter = "/ops/jobs?state=queued&tenant=1";
    assert!(operator.get(filter).await.ok().contains("rel=\"next\""));
    operator.submit("/ops/control", &[("what", "tenant:1"), ("act", "resume")]).await.to();
    until("it goes on", async || done(1).await == 1_500).await;
}

#[tokio::test]
async fn an_expired_token_is_seen_and_what_waited_goes_out_with_the_new_one() {
    let desk = Desk::sending().await;
    desk.provider.script(|_| {
        (401, json!({"error": {"message": "Error validating access token", "type": "OAuthException", "code": 190, "error_subcode": 463}}))
    });
    let first = desk.say(CUSTOMER, "one").await;
    desk.until_status(&first, "failed").await;
    let second = desk.say(CUSTOMER, "two").await;
    let operator = Operator::of(&desk.app).await;
    operator.until_overview("is in error").await;
    let journey = operator.get(&format!("/ops/journey?q={first}")).await.ok();
    assert!(journey.contains("failed: ") && journey.contains("give the channel a new token"), "{journey}");
    until("the next one says what it waits for", async || {
        operator.get(&format!("/ops/journey?q={second}")).await.text.contains("channel in error: it needs a new token")
    })
    .await;
    // The tenant gives a new token; the operator lets what waits go at once.
    desk.provider.script(crate::flows::sending::accepts);
    let config = json!({"config": {"phoneNumberId": crate::flows::sending::NUMBER, "accessToken": "a new token"}});
    desk.app.patch(&desk.ann, &format!("/api/channels/{}", desk.channel), config).await.expect(200);
    let id = desk.app.db.text("SELECT id::text FROM jobs WHERE kind = 'send_outbound'").await;
    until("it goes out", async || {
        operator.submit(&format!("/ops/jobs/{id}"), &[("act", "now")]).await;
        desk.stored_status(&second).await == "sent"
    })
    .await;
    let overview = desk.app.ops("GET", "overview", Value::Null).await.expect(200);
    assert!(!overview["complaints"].to_string().contains("is in error"), "{overview:#}");
}
