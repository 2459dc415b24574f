//! Finding jobs and doing something about one.

use super::client::{Operator, between, escaped};
use crate::harness::{App, until};
use serde_json::{Value, json};

/// Queued jobs that nobody runs, with ids in order.
async fn queue(app: &App, count: i32) {
    app.db
        .run(&format!(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args, errors)
             SELECT ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'probe', 'probes', 1 + n % 2, 5, '{{\"act\": \"succeed\"}}',
                    CASE WHEN n % 10 = 0 THEN '[{{\"class\": \"timed_out\", \"message\": \"Took 100% too long\"}}]'::jsonb ELSE '[]' END
             FROM generate_series(1, {count}) n"
        ))
        .await;
}

async fn found(app: &App, query: &str) -> Vec<String> {
    let answer = app.ops("GET", &format!("jobs?{query}"), Value::Null).await.expect(200);
    answer["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn jobs_are_found_by_whatever_is_known_of_them_each_once_over_all_pages() {
    let app = App::start_api_only().await;
    queue(&app, 120).await;
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let answer = app.ops("GET", &format!("jobs?queue=probes{before}"), Value::Null).await.expect(200);
        seen.extend(answer["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(next) = answer["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (120, &sorted), "newest first, each once");
    assert_eq!(found(&app, "error=100%25%20TOO&state=queued").await.len(), 12);
    assert_eq!(found(&app, "error=100x").await.len(), 0, "a percent sign is a percent sign");
    assert_eq!(found(&app, "tenant=2&error=too").await.len(), 0);
    assert_eq!(found(&app, "tenant=2&kind=probe").await.len(), 50, "a page");
    assert_eq!(found(&app, "id=01900000-0000-7000-8000-000000000007").await.len(), 1);
    assert_eq!(found(&app, "state=dead").await.len() + found(&app, "state=running").await.len() + found(&app, "state=done").await.len(), 0);
    assert_eq!(found(&app, "from=2030-01-01T00:00").await.len() + found(&app, "person=%2B4930123456").await.len(), 0);
    for bad in ["state=lost", "kind=none", "queue=none", "tenant=x", "from=yesterday", "id=7", "before=x", "channel=x"] {
        let refused = app.ops("GET", &format!("jobs?{bad}"), Value::Null).await.expect(400);
        assert!(refused["message"].as_str().unwrap().starts_with(bad.split('=').next().unwrap()), "{bad}: {refused}");
    }
    let operator = Operator::of(&app).await;
    let page = operator.get("/ops/jobs?queue=probes&state=queued").await.ok();
    assert!(page.contains("rel=\"next\"") && page.contains("queue=probes&amp;state=queued&amp;before="), "{page}");
    assert_eq!(operator.get("/ops/jobs?state=lost").await.status, 400);
    assert_eq!(operator.get("/ops/jobs/01900000-0000-7000-8000-0000000000ff").await.status, 404);
    assert_eq!(operator.get("/ops/jobs/nonsense").await.status, 404);
}

#[tokio::test]
async fn a_queue_too_long_to_be_counted_is_estimated() {
    let app = App::start_api_only().await;
    app.db
        .run(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'probe', 'probes', 1, 5, '{}' FROM generate_series(1, 8000);
             INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, run_at, args) SELECT gen_random_uuid(), 'probe', 'probes', 1, 5, now() + interval '1 day', '{}' FROM generate_series(1, 6000);
             ANALYZE jobs",
        )
        .await;
    let overview = app.ops("GET", "overview", Value::Null).await.expect(200);
    let probes = overview["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == "probes").unwrap();
    assert_eq!(probes["estimated"], json!(true));
    let near = |name: &str, truth: i64| (probes[name].as_i64().unwrap() - truth).abs() < truth / 5;
    assert!(near("ready", 8_000) && near("delayed", 6_000), "{probes}");
    assert!(Operator::of(&app).await.get("/ops").await.ok().contains("≈"));
}

#[tokio::test]
async fn a_queued_job_is_snoozed_given_another_priority_let_go_and_cancelled() {
    let app = App::start_api_only().await;
    queue(&app, 2).await;
    let job = "01900000-0000-7000-8000-000000000001";
    let operator = Operator::of(&app).await;
    let here = format!("/ops/jobs/{job}");
    let column = async |column: &str| app.db.text(&format!("SELECT ({column})::text FROM jobs WHERE id = '{job}'")).await;
    operator.submit(&here, &[("act", "snooze"), ("minutes", "10")]).await.to();
    assert_eq!(column("run_at > now() + interval '9 minutes'").await, "true");
    operator.submit(&here, &[("act", "now")]).await.to();
    assert_eq!(column("run_at IS NULL").await, "true");
    operator.submit(&here, &[("act", "priority"), ("priority", "-5")]).await.to();
    assert_eq!(column("priority").await, "-5");
    app.ops("POST", &format!("jobs/{job}/priority"), json!({"priority": -10})).await.expect(200);
    // What is refused is shown again, with what was typed.
    for (act, field, typed, problem) in [
        ("priority", "priority", "-11", "priority: must be a whole number from -10 to 10"),
        ("snooze", "minutes", "0", "minutes: must be a whole number from 1 to 43200"),
        ("snooze", "minutes", "\"><b>", "minutes: must be a whole number from 1 to 43200"),
    ] {
        let refused = operator.submit(&here, &[("act", act), (field, typed), ("reason", "<i>soon</i>")]).await;
        assert_eq!(refused.status, 400);
        let form = between(&refused.text, "<p class=\"bad\" role=\"alert\">", "</form>");
        assert!(form.starts_with(problem) && form.contains(&format!("value=\"{}\"", escaped(typed))), "{form}");
        assert!(form.contains("value=\"&lt;i&gt;soon&lt;/i&gt;\"") && form.contains(&format!("value=\"{act}\"")), "{form}");
        assert!(refused.text.contains("aria-current=\"page\">Jobs</a>"), "the page is the job's");
    }
    app.db.run(&format!("UPDATE jobs SET scheduled = true, run_at = now() + interval '1 day' WHERE id = '{job}'")).await;
    operator.submit(&here, &[("act", "now")]).await.to();
    assert_eq!(column("run_at IS NULL AND NOT scheduled").await, "true", "others of its key wait for it now");
    let refused = operator.submit(&here, &[("act", "retry")]).await;
    assert!(refused.status == 409 && refused.text.contains("That cannot be done: it is no dead letter (any more)"), "{refused:?}");
    assert!(refused.text.contains("value=\"snooze\""), "what can be done is offered all the same");
    assert_eq!(operator.submit(&here, &[("act", "explode")]).await.status, 400);
    assert_eq!(operator.submit("/ops/jobs/01900000-0000-7000-8000-0000000000ff", &[("act", "cancel")]).await.status, 404);
    operator.submit(&here, &[("act", "cancel"), ("reason", "twice")]).await.to();
    assert_eq!(app.db.text("SELECT state FROM jobs_done").await, "cancelled");
    assert!(operator.get(&here).await.ok().contains("It is over"));
    assert_eq!(operator.submit(&here, &[("act", "cancel")]).await.status, 409);
    for (path, body) in [
        (format!("jobs/{job}/snooze"), json!({})),
        (format!("jobs/{job}/priority"), json!({"priority": 11})),
        (format!("jobs/{job}/edit"), json!({})),
    ] {
        app.ops("POST", &path, body).await.expect(400);
    }
    app.ops("POST", &format!("jobs/{job}/explode"), json!({})).await.expect(404);
    app.ops("POST", "jobs/01900000-0000-7000-8000-0000000000ff/cancel", json!({})).await.expect(404);
}

#[tokio::test]
async fn a_dead_letters_arguments_are_edited_checked_and_run() {
    let mut app = App::start().await;
    app.expect_dead(1);
    app.probe(json!("fail"), 1).await;
    app.drain().await;
    let job = app.db.text("SELECT id::text FROM jobs_dead").await;
    let operator = Operator::of(&app).await;
    operator.until_overview("1 dead letter waits for a decision, of 1 kind of failure").await;
    let here = format!("/ops/jobs/{job}");
    let page = operator.get(&here).await.ok();
    assert!(page.contains("asked to fail") && page.contains("Edit the arguments"), "{page}");
    for (args, problem) in [
        ("{\"act\": ", "are not JSON"),
        ("{\"act\": \"explode\"}", "are not those of probe"),
        ("</textarea><script>alert(1)</script>", "are not JSON"),
        ("", "must not be empty"),
    ] {
        let refused = operator.submit(&here, &[("act", "edit"), ("args", args), ("reason", "a \"slip\"")]).await;
        assert_eq!(refused.status, 400);
        let form = between(&refused.text, "<details open><summary>Edit the arguments and retry</summary>", "</details>");
        assert!(form.contains(problem) && form.contains("value=\"a &quot;slip&quot;\""), "{form}");
        assert!(form.contains(&format!(">{}</textarea>", escaped(args))) && !form.contains("<script"), "{form}");
    }
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_dead").await, 1, "nothing was changed");
    operator.submit(&here, &[("act", "edit"), ("args", "{\"act\": \"succeed\"}"), ("reason", "a slip")]).await.to();
    until("it is done", async || {
        app.db.count("SELECT count(*) FROM jobs_done WHERE state = 'done' AND args = '{\"act\": \"succeed\"}'").await == 1
    })
    .await;
    let act = app.db.text("SELECT (subject -> 'before' ->> 'act') || ' ' || (subject -> 'after' ->> 'act') || ' ' || reason FROM operator_acts WHERE act = 'jobs.edit'").await;
    assert_eq!(act, "fail succeed a slip");
    assert_eq!(app.ops("POST", &format!("jobs/{job}/edit"), json!({"args": {"act": "succeed"}})).await.status, 409);
    // Whoever edited it meanwhile does not lose what they typed.
    let late = operator.submit(&here, &[("act", "edit"), ("args", "{\"act\":  \"succeed\"}")]).await;
    assert_eq!(late.status, 409);
    let typed = "<summary>What was typed</summary><pre><code>{&quot;act&quot;:  &quot;succeed&quot;}</code></pre>";
    assert!(late.text.contains("it is no dead letter (any more)") && late.text.contains(typed), "{}", late.text);
}
