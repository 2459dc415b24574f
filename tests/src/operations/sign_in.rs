//! Who gets in, who may act, and what keeps others from acting through them.

use super::client::{Operator, between};
use crate::harness::{ADMIN_TOKEN, App, Database, PASSWORD};
use serde_json::{Value, json};

fn tool(app: &App, arguments: &[&str]) -> String {
    let output = app.switchboard(arguments, &[], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_admin_token_opens_a_session_whose_cookie_and_pages_are_safe() {
    let app = App::start_api_only().await;
    let stranger = Operator::stranger(&app);
    assert_eq!(stranger.get("/ops/jobs?state=dead").await.to(), "/ops/sign-in?next=%2Fops%2Fjobs%3Fstate%3Ddead");
    let form = stranger.get("/ops/sign-in?next=/ops/jobs").await;
    assert!(form.text.contains("name=\"next\" value=\"/ops/jobs\""), "{}", form.text);
    assert!(stranger.get("/ops/sign-in?next=//evil.example").await.text.contains("name=\"next\" value=\"/ops\""));
    let signed = stranger.post("/ops/sign-in", &[("secret", ADMIN_TOKEN), ("next", "/ops/jobs")]).await;
    let cookie = signed.cookie("switchboard_ops").unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/ops"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "the tests' address is not behind TLS");
    assert_eq!(signed.to(), "/ops/jobs");
    let operator = Operator::of(&app).await;
    for path in
        ["/ops", "/ops/history", "/ops/jobs", "/ops/dead", "/ops/control", "/ops/journey", "/ops/webhooks", "/ops/acts", "/ops/runbook"]
    {
        let page = operator.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self'") && policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"), "{path}");
        let text = page.ok();
        assert!(
            !text.contains(" style=") && !text.contains("<style") && !text.contains("onclick") && text.matches("<script").count() == 1,
            "{path}"
        );
        assert!(text.len() < 100_000, "{path} has {} bytes", text.len());
    }
    assert_eq!(app.db.count("SELECT count(*) FROM operator_acts WHERE act = 'session.open' AND actor = 'operator'").await, 2);
    assert_eq!(app.db.count("SELECT count(*) FROM operator_sessions WHERE octet_length(token_hash) = 32").await, 2, "only hashes are kept");
}

#[tokio::test]
async fn behind_tls_the_cookie_is_for_tls_only() {
    let mut app = App::without_processes(Database::create().await, &[("PUBLIC_URL", "https://switchboard.example")]).await;
    app.start_api().await;
    let signed = Operator::stranger(&app).post("/ops/sign-in", &[("secret", ADMIN_TOKEN)]).await;
    let cookie = signed.cookie("switchboard_ops").unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    // A proxy asks for another host than the browser did: its forms are ours all the same.
    let operator = Operator::of(&app).await;
    for (origin, status) in [("https://switchboard.example.evil", 403), ("null", 403), ("https://switchboard.example", 303)] {
        let form = app.http.post(app.url("/ops/sign-out")).header("cookie", &operator.cookie).header("origin", origin);
        let form = form.header("content-type", "application/x-www-form-urlencoded").body(format!("csrf={}", operator.csrf));
        assert_eq!(form.send().await.unwrap().status(), status, "{origin}");
    }
}

#[tokio::test]
async fn wrong_secrets_forged_cookies_and_ended_sessions_do_not_open() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let mut stranger = Operator::stranger(&app);
    for fields in [
        &[("secret", "wrong")][..],
        &[("secret", "")],
        &[("name", ann.email.as_str()), ("secret", PASSWORD)],
        &[("name", "nobody@example.com"), ("secret", "x")],
    ] {
        let page = stranger.post("/ops/sign-in", fields).await;
        assert_eq!((page.status, page.cookie("switchboard_ops")), (401, None), "{fields:?}");
    }
    assert_eq!(app.db.count("SELECT count(*) FROM operator_acts WHERE act = 'session.refused'").await, 4);
    for forged in ["switchboard_ops=", "switchboard_ops=00", &format!("switchboard_ops={}", "0".repeat(64)), "switchboard_ops=' OR 1=1"] {
        forged.clone_into(&mut stranger.cookie);
        assert_eq!(stranger.get("/ops").await.status, 303, "{forged}");
        assert_eq!(stranger.get("/ops/live").await.status, 401, "{forged}");
    }
    let operator = Operator::of(&app).await;
    app.db.run("UPDATE operator_sessions SET seen_at = now() - interval '31 minutes'").await;
    assert_eq!(operator.get("/ops").await.status, 303, "nobody used it for half an hour");
    let operator = Operator::of(&app).await;
    app.db.run("UPDATE operator_sessions SET ends_at = now()").await;
    assert_eq!(operator.get("/ops").await.status, 303, "it is over");
    let operator = Operator::of(&app).await;
    assert_eq!(operator.submit("/ops/sign-out", &[]).await.to(), "/ops/sign-in");
    assert_eq!(operator.get("/ops").await.status, 303, "it was ended, whoever still has the cookie");
    assert_eq!(operator.submit("/ops/sign-out", &[]).await.status, 401);
    assert_eq!(app.db.text("SELECT string_agg(actor, ' ') FROM operator_acts WHERE act = 'session.close'").await, "operator");
}

#[tokio::test]
async fn a_new_password_ends_an_operators_sessions() {
    let app = App::start_api_only().await;
    let (ann, bob) = (app.register("ann").await, app.register("bob").await);
    for user in [&ann, &bob] {
        tool(&app, &["create-admin", "--email", &user.email, "--platform", "operator"]);
    }
    let first = Operator::signed_in(&app, &[("name", &ann.email), ("secret", PASSWORD)]).await;
    let other = Operator::signed_in(&app, &[("name", &bob.email), ("secret", PASSWORD)]).await;
    app.patch(&ann, &format!("/api/auth/users/{}", ann.id), json!({"password": "another secret"})).await.expect(200);
    assert_eq!(first.get("/ops").await.status, 303);
    assert_eq!(first.post("/ops/sign-in", &[("name", &ann.email), ("secret", PASSWORD)]).await.status, 401);
    let again = Operator::signed_in(&app, &[("name", &ann.email), ("secret", "another secret")]).await;
    assert_eq!((again.get("/ops").await.status, other.get("/ops").await.status), (200, 200));
}

#[tokio::test]
async fn appointments_and_dismissals_take_effect_at_once_and_are_noted() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let role = |role: &str| tool(&app, &["create-admin", "--email", &ann.email, "--platform", role]);
    assert!(role("operator").contains("/ops"));
    let before = Operator::signed_in(&app, &[("name", &ann.email), ("secret", PASSWORD)]).await;
    app.get(&ann, "/api/ops/overview").await.expect(200);
    assert!(role("none").contains("is no operator"));
    assert_eq!(before.get("/ops").await.status, 303);
    assert_eq!(before.post("/ops/sign-in", &[("name", &ann.email), ("secret", PASSWORD)]).await.status, 401);
    app.get(&ann, "/api/ops/overview").await.expect(403);
    role("none");
    role("viewer");
    assert_eq!(before.get("/ops").await.status, 303, "what was ended stays so");
    // Also of whoever is made a user at the same time.
    tool(&app, &["create-admin", "--email", "bob@example.com", "--tenant", &ann.tenant, "--platform", "operator"]);
    tool(&app, &["create-admin", "--email", "eve@example.com", "--tenant-name", "Eve's", "--platform", "viewer"]);
    let new = ["create-admin", "--email", "new@example.com", "--tenant", &ann.tenant, "--platform", "none"];
    assert!(!app.switchboard(&new, &[], "").status.success());
    let acts = "SELECT actor || ' ' || act || ' ' || u.email || ' ' || (subject ->> 'role') FROM operator_acts a JOIN users u ON u.id = (subject ->> 'user')::uuid
                WHERE act LIKE 'operator.%' ORDER BY a.id";
    assert_eq!(
        app.db.texts(acts).await,
        [
            "cli:tester operator.appoint ann@example.com operator",
            "cli:tester operator.dismiss ann@example.com operator",
            "cli:tester operator.appoint ann@example.com viewer",
            "cli:tester operator.appoint bob@example.com operator",
            "cli:tester operator.appoint eve@example.com viewer",
        ]
    );
}

#[tokio::test]
async fn another_admin_token_ends_the_sessions_of_the_old_one() {
    let mut app = App::start_api_only().await;
    let operator = Operator::of(&app).await;
    app.api.take().unwrap().kill();
    app.set("ADMIN_TOKEN", "another token of the tests");
    app.start_api().await;
    let mut back = Operator::stranger(&app);
    back.cookie = operator.cookie;
    assert_eq!(back.get("/ops").await.status, 303);
    assert_eq!(back.post("/ops/sign-in", &[("secret", ADMIN_TOKEN)]).await.status, 401);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let mut app = App::without_processes(Database::create().await, &[("RATE_LIMIT_SIGN_IN_PER_MIN", "2")]).await;
    app.start_api().await;
    let stranger = Operator::stranger(&app);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(stranger.post("/ops/sign-in", &[("secret", "guess")]).await.status);
    }
    assert_eq!(statuses, [401, 401, 429, 429]);
}

#[tokio::test]
async fn wrong_secrets_of_programs_are_counted_and_right_ones_are_not() {
    let mut app = App::without_processes(Database::create().await, &[("RATE_LIMIT_SIGN_IN_PER_MIN", "2")]).await;
    app.start_api().await;
    for _ in 0..4 {
        app.ops("GET", "overview", Value::Null).await.expect(200);
    }
    let guess = async |header: &str, path: &str| app.send(app.request("GET", path).header(header, "guess")).await;
    // Wherever it is tried, it is the same token.
    let mut statuses = Vec::new();
    for path in ["/api/ops/overview", "/admin/tenants", "/api/admin/tenants", "/api/ops/overview", "/admin/tenants"] {
        statuses.push(guess("x-admin-token", path).await.status);
    }
    assert_eq!(statuses, [401, 401, 429, 429, 429]);
    assert!(guess("x-admin-token", "/api/ops/overview").await.header("retry-after").is_some());
    assert_eq!(Operator::stranger(&app).post("/ops/sign-in", &[("secret", "guess")]).await.status, 401, "the form has a budget of its own");
    app.ops("GET", "overview", Value::Null).await.expect(200);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let message = app.request("POST", "/internal/messages").header("x-internal-secret", "guess").json(&json!({}));
        statuses.push(app.send(message).await.status);
    }
    assert_eq!(statuses, [401, 401, 429]);
}

#[tokio::test]
async fn many_wrong_attempts_at_once_keep_nobody_out() {
    let app = App::start_api_only().await;
    let stranger = Operator::stranger(&app);
    let (wrong, right) = ([("secret", "guess")], [("secret", ADMIN_TOKEN)]);
    let many = futures::future::join_all((0..20).map(|_| stranger.post("/ops/sign-in", &wrong)));
    let (wrong, right) = tokio::join!(many, stranger.post("/ops/sign-in", &right));
    assert_eq!(right.status, 303);
    assert!(wrong.iter().all(|page| page.status == 401), "none is turned away because others wait for their answer");
}

#[tokio::test]
async fn forms_of_other_sites_and_without_the_sessions_mark_do_nothing() {
    let app = App::start_api_only().await;
    let operator = Operator::of(&app).await;
    let pause = [("what", "queue:probes"), ("act", "pause")];
    assert_eq!(operator.post("/ops/control", &pause).await.status, 403);
    assert_eq!(operator.post("/ops/control", &[&[("csrf", "0000")], &pause[..]].concat()).await.status, 403);
    let other = Operator::of(&app).await;
    assert_eq!(
        operator.post("/ops/control", &[&[("csrf", other.csrf.as_str())], &pause[..]].concat()).await.status,
        403,
        "another session's"
    );
    let from_elsewhere = app
        .http
        .post(app.url("/ops/control"))
        .header("cookie", &operator.cookie)
        .header("origin", "https://evil.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("csrf={}&what=queue%3Aprobes&act=pause", operator.csrf));
    assert_eq!(from_elsewhere.send().await.unwrap().status(), 403);
    assert_eq!(app.db.count("SELECT count(*) FROM job_pauses").await, 0);
    assert_eq!(operator.submit("/ops/control", &pause).await.status, 303);
    assert_eq!(app.db.count("SELECT count(*) FROM job_pauses").await, 1);
    let sign_in = app.http.post(app.url("/ops/sign-in")).header("origin", "https://evil.example");
    let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded").body(format!("secret={ADMIN_TOKEN}"));
    assert_eq!(sign_in.send().await.unwrap().status(), 403, "nobody is signed in by another site");
    let json = app.http.post(app.url("/ops/control")).header("cookie", &operator.cookie).json(&json!({"what": "queue:probes"}));
    assert_eq!(json.send().await.unwrap().status(), 415);
    let large = "x".repeat(300_000);
    assert_eq!(operator.submit("/ops/control", &[("what", &large), ("act", "pause")]).await.status, 413);
}

#[tokio::test]
async fn users_with_the_flag_get_in_and_viewers_only_look() {
    let app = App::start_api_only().await;
    let (ann, bob, eve) = (app.register("ann").await, app.register("bob").await, app.register("eve").await);
    assert!(tool(&app, &["create-admin", "--email", &ann.email, "--platform", "operator"]).contains("/ops"));
    tool(&app, &["create-admin", "--email", &bob.email, "--platform", "viewer"]);
    app.db
        .run("INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) VALUES ('01900000-0000-7000-8000-000000000001', 'probe', 'probes', 1, 5, '{}')")
        .await;
    let operator = Operator::signed_in(&app, &[("name", &ann.email), ("secret", PASSWORD)]).await;
    let viewer = Operator::signed_in(&app, &[("name", &bob.email), ("secret", PASSWORD)]).await;
    let job = "/ops/jobs/01900000-0000-7000-8000-000000000001";
    let text = viewer.get(job).await.ok();
    assert!(text.contains("looks only") && !text.contains("value=\"cancel\""), "{text}");
    for (path, fields) in [
        (job, &[("act", "cancel")][..]),
        ("/ops/control", &[("what", "queue:probes"), ("act", "pause")]),
        ("/ops/dead/group?f=x", &[("act", "canary")]),
        ("/ops/acts/01900000-0000-7000-8000-000000000001", &[]),
        ("/ops/webhooks/replay", &[("per_second", "5")]),
    ] {
        let page = viewer.submit(path, fields).await;
        assert_eq!(page.status, 403, "{path}");
        assert!(page.text.contains("You may look only"), "{}", page.text);
    }
    assert_eq!(viewer.get("/ops/webhooks/replay?from=2026-01-01").await.status, 403, "a dry run locks rows");
    let reason = [("act", "cancel"), ("reason", "not needed")];
    assert_eq!(operator.submit(job, &reason).await.to(), job);
    let act = app.db.text("SELECT act || ' ' || reason || ' ' || actor FROM operator_acts WHERE act LIKE 'jobs.%'").await;
    assert_eq!(act, format!("jobs.cancel not needed user:{} ({})", ann.id, ann.email));
    // The API goes by the same flags.
    app.get(&bob, "/api/ops/overview").await.expect(200);
    let pause = json!({"what": "queue:probes"});
    assert_eq!(app.post(&bob, "/api/ops/pauses", pause.clone()).await.expect(403)["code"], json!("forbidden"));
    app.get(&eve, "/api/ops/overview").await.expect(403);
    app.call("GET", "/api/ops/overview", None, Value::Null).await.expect(401);
    app.send(app.request("GET", "/api/ops/overview").header("x-admin-token", "wrong")).await.expect(401);
    app.post(&ann, "/api/ops/pauses", pause).await.expect(200);
    // Whoever is no operator any more, or is shut out, is out at once.
    app.db
        .run(&format!(
            "DELETE FROM platform_operators WHERE user_id = '{}'; UPDATE users SET active = false WHERE id = '{}'",
            bob.id, ann.id
        ))
        .await;
    assert_eq!((viewer.get("/ops").await.status, operator.get("/ops").await.status), (303, 303));
}

#[tokio::test]
async fn what_customers_write_is_text_wherever_operators_see_it() {
    let app = App::start().await;
    let evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'";
    let body = crate::harness::change(
        crate::harness::PHONE_NUMBER_ID,
        &json!({
            "contacts": [{"profile": {"name": evil}, "wa_id": "15551230001"}],
            "messages": [{"from": "15551230001", "id": format!("wamid.{evil}"), "timestamp": "1760000000", "type": "text", "text": {"body": evil}}]
        }),
    );
    assert_eq!(app.webhook(&body).await, 200);
    app.drain().await;
    app.db
        .run(&format!(
            "UPDATE tenants SET store_name = '{e}'; UPDATE channel_instances SET name = '{e}', status = 'ERROR', metadata = jsonb_build_object('error', '{e}');
             INSERT INTO jobs_dead (id, kind, queue, tenant_id, priority, weight, attempt, crashes, max_attempts, fingerprint, args, errors, created_at, died_at)
             VALUES ('01900000-0000-7000-8000-000000000001', 'probe', 'probes', 1, 0, 1, 1, 0, 5, 'probe:{e}', jsonb_build_object('x', '{e}'),
                     jsonb_build_array(jsonb_build_object('message', '{e}', 'class', '{e}', 'at', '{e}')), now(), now());
             INSERT INTO operator_acts (actor, act, subject, affected, reason) VALUES ('{e}', '{e}', jsonb_build_object('x', '{e}'), 1, '{e}');
             INSERT INTO job_pauses (what, paused_by, reason) VALUES ('worker:{e}', '{e}', '{e}')",
            e = evil.replace('\'', "''")
        ))
        .await;
    let operator = Operator::of(&app).await;
    let webhook = app.db.text("SELECT id::text FROM raw_webhook_events").await;
    let fingerprint = super::client::encoded(&format!("probe:{evil}"));
    for path in [
        "/ops".to_owned(),
        "/ops/jobs?state=dead".to_owned(),
        format!("/ops/jobs?error={}", super::client::encoded(evil)),
        "/ops/jobs/01900000-0000-7000-8000-000000000001".to_owned(),
        "/ops/dead".to_owned(),
        format!("/ops/dead/group?f={fingerprint}"),
        "/ops/control".to_owned(),
        "/ops/acts".to_owned(),
        "/ops/webhooks".to_owned(),
        format!("/ops/webhooks/{webhook}"),
        "/ops/journey?q=%2B15551230001".to_owned(),
        format!("/ops/webhooks/replay?id={webhook}"),
    ] {
        let text = operator.get(&path).await.ok();
        assert!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{path}: {}", between(&text, "<body>", "</body>"));
    }
}
