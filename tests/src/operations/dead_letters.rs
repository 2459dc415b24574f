//! Groups of dead letters: a canary, releases at a pace that stop when they fail, and giving up.

use super::client::{Operator, between};
use crate::harness::{App, until};
use serde_json::{Value, json};

/// A worker whose probes all died.
async fn dead(count: i32) -> App {
    let mut app = App::start().await;
    app.expect_dead(count.into());
    app.probe(json!("fail"), count).await;
    app.drain().await;
    app
}

async fn act(app: &App, location: &str) -> Value {
    let id = location.rsplit('/').next().unwrap();
    app.ops("GET", &format!("acts/{id}"), Value::Null).await.expect(200)
}

#[tokio::test]
async fn a_group_is_looked_at_tried_with_one_and_released_at_a_pace() {
    let app = dead(40).await;
    let operator = Operator::of(&app).await;
    let groups = app.ops("GET", "dead-letters", Value::Null).await.expect(200);
    let group = &groups["groups"][0];
    assert_eq!((&group["fingerprint"], &group["count"], &group["lately"]), (&json!("probe:probe"), &json!(40), &json!(40)));
    let here = "/ops/dead/group?f=probe%3Aprobe";
    let page = operator.get(here).await.ok();
    assert!(page.contains("They die in a burst") && page.contains("asked to fail") && page.contains("Release all 40"), "{page}");
    // The canary dies again; a release stops by itself.
    let canary = operator.submit(here, &[("act", "canary")]).await.to();
    let job = canary.rsplit('/').next().unwrap();
    until("the canary died again", async || {
        app.db.count(&format!("SELECT count(*) FROM jobs_dead WHERE id = '{job}' AND jsonb_array_length(errors) = 2")).await == 1
    })
    .await;
    let release = operator.submit(here, &[("act", "release"), ("per_second", "40")]).await.to();
    until("it stopped by itself", async || act(&app, &release).await["state"] == "stopped").await;
    let stopped = act(&app, &release).await;
    assert!(stopped["note"].as_str().unwrap().contains("died again") && stopped["done"].as_i64().unwrap() < 40, "{stopped}");
    assert!(operator.get(&release).await.ok().contains("stopped by itself"));
    until("what it released is dead again", async || app.db.count("SELECT count(*) FROM jobs_dead").await == 40).await;
    // What was wrong is mended: all of it runs, and nothing twice.
    app.db.run("UPDATE jobs_dead SET args = '{\"act\": \"succeed\"}'").await;
    let release = operator.submit(here, &[("act", "release"), ("per_second", "100"), ("reason", "mended")]).await.to();
    until("all are done", async || act(&app, &release).await["state"] == "done").await;
    assert_eq!((&act(&app, &release).await["done"], &act(&app, &release).await["reason"]), (&json!(40), &json!("mended")));
    until("each once", async || app.db.count("SELECT count(*) FROM jobs_done WHERE state = 'done'").await == 40).await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_dead").await, 0);
    assert!(operator.get(here).await.ok().contains("No dead letter is of this group"));
    for (field, value) in [("per_second", "0"), ("per_second", "100000"), ("per_second", "x")] {
        assert_eq!(operator.submit(here, &[("act", "release"), (field, value)]).await.status, 400);
    }
    app.ops("POST", "dead-letters/release", json!({"fingerprint": "probe:probe"})).await.expect(404);
    app.ops("POST", "dead-letters/canary", json!({"fingerprint": "none"})).await.expect(404);
}

#[tokio::test]
async fn a_release_survives_its_leader_and_is_stopped_by_an_operator() {
    let mut app = dead(30).await;
    app.db.run("UPDATE jobs_dead SET args = '{\"act\": \"succeed\"}'").await;
    let begun = app.ops("POST", "dead-letters/release", json!({"fingerprint": "probe:probe", "per_second": 5})).await.expect(202);
    let id = begun["act"].as_str().unwrap().to_owned();
    let handled = async |app: &App| act(app, &id).await["done"].as_i64().unwrap();
    until("it has begun", async || handled(&app).await > 0).await;
    app.workers[0].kill();
    let before = handled(&app).await;
    app.start_worker(&[]).await;
    until("another leader goes on", async || handled(&app).await > before).await;
    app.ops("POST", &format!("acts/{id}/stop"), json!({"reason": "enough"})).await.expect(200);
    let stopped = act(&app, &id).await;
    let (done, left) = (stopped["done"].as_i64().unwrap(), app.db.count("SELECT count(*) FROM jobs_dead").await);
    assert_eq!((&stopped["state"], done + left), (&json!("stopped"), 30));
    until("what was released is done", async || app.db.count("SELECT count(*) FROM jobs_done").await == done).await;
    assert_eq!(app.ops("POST", &format!("acts/{id}/stop"), json!({})).await.expect(200)["done"], json!("it was over already"));
    // The rest is given up.
    let begun = app.ops("POST", "dead-letters/discard", json!({"fingerprint": "probe:probe", "per_second": 1000})).await.expect(202);
    until("the rest is discarded", async || act(&app, begun["act"].as_str().unwrap()).await["state"] == "done").await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_done WHERE state = 'discarded'").await, left);
}

#[tokio::test]
async fn a_canary_runs_while_its_kind_is_paused_and_the_rest_is_not_released_before_it_is_resumed() {
    let app = dead(3).await;
    app.db.run("UPDATE jobs_dead SET args = '{\"act\": \"succeed\"}'").await;
    let group = json!({"fingerprint": "probe:probe", "per_second": 100});
    app.ops("POST", "pauses", json!({"what": "kind:probe"})).await.expect(200);
    assert_eq!(app.ops("POST", "dead-letters/release", group.clone()).await.expect(409)["code"], json!("paused"));
    app.ops("POST", "dead-letters/canary", group.clone()).await.expect(202);
    let done = async || app.db.count("SELECT count(*) FROM jobs_done WHERE state = 'done'").await;
    until("the canary ran", async || done().await == 1).await;
    // One that is retried as others are waits.
    let other = app.db.text("SELECT id::text FROM jobs_dead LIMIT 1").await;
    app.ops("POST", &format!("jobs/{other}/retry"), json!({})).await.expect(200);
    app.ops("POST", "pauses", json!({"what": "queue:probes"})).await.expect(200);
    assert_eq!(app.ops("POST", "dead-letters/canary", group.clone()).await.expect(409)["code"], json!("paused"));
    app.ops("POST", "resume", json!({"what": "queue:probes"})).await.expect(200);
    assert_eq!((done().await, app.db.count("SELECT count(*) FROM jobs").await), (1, 1));
    app.ops("POST", "resume", json!({"what": "kind:probe"})).await.expect(200);
    app.ops("POST", "dead-letters/release", group).await.expect(202);
    until("all ran", async || done().await == 3).await;
}

#[tokio::test]
async fn an_act_that_cannot_go_on_stops_and_says_why_and_holds_up_no_other() {
    let app = dead(2).await;
    app.db.run("UPDATE jobs_dead SET args = '{\"act\": \"succeed\"}'").await;
    // As another version may have written it.
    let id = "01900000-0000-7000-8000-000000000001";
    app.db
        .run(&format!(
            "INSERT INTO paced_acts (id, act, filter, per_second, total, actor) VALUES ('{id}', 'retry', '{{\"ids\": \"all\"}}', 5, 1, 'x')"
        ))
        .await;
    app.ops("POST", "dead-letters/release", json!({"fingerprint": "probe:probe"})).await.expect(202);
    until("the other is done", async || app.db.count("SELECT count(*) FROM jobs_done").await == 2).await;
    until("it is stopped", async || act(&app, id).await["state"] == "stopped").await;
    assert!(act(&app, id).await["note"].as_str().unwrap().contains("cannot read it"));
}

#[tokio::test]
async fn where_not_all_were_counted_nobody_says_how_many_are_left() {
    let app = App::start_api_only().await;
    let id = |n: i32| format!("01900000-0000-7000-8000-00000000000{n}");
    let (letters, webhooks) = (store::operator::groups::COUNTED, 100_000);
    app.db
        .run(&format!(
            "INSERT INTO paced_acts (id, act, filter, per_second, total, done, actor) VALUES
               ('{}', 'retry', '{{\"fingerprint\": \"probe:probe\"}}', 20, {letters}, 1500, 'test'),
               ('{}', 'replay', '{{}}', 20, {webhooks}, {webhooks} + 1500, 'test'),
               ('{}', 'discard', '{{}}', 20, 2000, 1500, 'test')",
            id(1),
            id(2),
            id(3)
        ))
        .await;
    let operator = Operator::of(&app).await;
    let page = async |n: i32| operator.get(&format!("/ops/acts/{}", id(n))).await.ok();
    for n in [1, 2] {
        let page = page(n).await;
        assert!(page.contains("00 000 or more, 20 a second</p>") && !between(&page, "<progress", ">").contains("value"), "{page}");
    }
    let counted = page(3).await;
    assert!(counted.contains("1 500 of 2 000, 20 a second, 25 s left</p>"), "{counted}");
    let all = operator.get("/ops/acts").await.ok();
    assert!(all.matches("00 000 or more</td>").count() == 2 && all.contains("<td>2 000</td>"), "{all}");
}
