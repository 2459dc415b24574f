//! What operators do with the tool: admins, the demo tenant, new keys.

use super::NUMBER;
use crate::harness::App;
use serde_json::{Value, json};

/// Runs the tool; its output as JSON, or what it said against it.
fn switchboard(app: &App, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Result<Value, String> {
    let output = app.switchboard(&[arguments, &["--json"]].concat(), environment, input);
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

async fn login(app: &App, email: &str, password: &str) -> crate::harness::Answer {
    app.call("POST", "/api/auth/login", None, json!({"email": email, "password": password})).await
}

#[tokio::test]
async fn an_admin_is_made_in_a_new_tenant_or_in_an_old_one() {
    let app = App::start_api_only().await;
    let made = switchboard(&app, &["create-admin", "--email", "root@example.com", "--tenant-name", "New Shop"], &[], "").unwrap();
    assert_eq!(made["role"], json!("owner"));
    let session = login(&app, "root@example.com", made["password"].as_str().unwrap()).await.expect(200);
    assert_eq!((&session["tenant"]["name"], &session["user"]["role"]), (&json!("New Shop"), &json!("owner")));
    let tenant = made["tenant_id"].to_string();
    let arguments = ["create-admin", "--email", "second@example.com", "--tenant", &tenant, "--password-stdin"];
    let second = switchboard(&app, &arguments, &[], "a good password\n").unwrap();
    assert_eq!((&second["role"], &second["password"]), (&json!("admin"), &Value::Null));
    login(&app, "second@example.com", "a good password").await.expect(200);
    let third = switchboard(
        &app,
        &["create-admin", "--email", "third@example.com", "--tenant", made["tenant_public_id"].as_str().unwrap(), "--owner"],
        &[],
        "",
    );
    assert_eq!(third.unwrap()["role"], json!("owner"));
    let refused = |arguments: &[&str], input: &str| switchboard(&app, &[&["create-admin"], arguments].concat(), &[], input).unwrap_err();
    assert!(refused(&["--email", "second@example.com", "--tenant", &tenant], "").contains("is taken"));
    assert!(refused(&["--email", "fourth@example.com", "--tenant", "999999"], "").contains("there is no tenant"));
    assert!(refused(&["--email", "nonsense", "--tenant", &tenant], "").contains("not an e-mail address"));
    assert!(refused(&["--email", "fourth@example.com", "--tenant", &tenant, "--password-stdin"], "short").contains("at least 8"));
    assert_eq!(app.db.count("SELECT count(*) FROM audit_log WHERE act = 'user.create' AND actor = 'cli:tester'").await, 3);
}

#[tokio::test]
async fn the_demo_tenant_is_lifelike_and_made_once() {
    let app = App::start_api_only().await;
    let environment =
        [("DEMO_PASSWORD", "demo password"), ("META_ACCESS_TOKEN", "EAAG-demo"), ("SWITCHBOARD_ENCRYPTION_KEY", "a key of the tests")];
    let seeded = switchboard(&app, &["seed"], &environment, "").unwrap();
    assert_eq!(seeded["users"].as_array().unwrap().len(), 3);
    let owner = login(&app, "owner@demo.example", "demo password").await.expect(200)["accessToken"].as_str().unwrap().to_owned();
    let get = async |path: &str| app.call("GET", path, Some(&owner), Value::Null).await.expect(200);
    let conversations = get("/api/conversations").await;
    assert!(conversations["data"]["pagination"]["total"].as_i64().unwrap() >= 6);
    assert_eq!(conversations["data"]["conversations"][0]["contactName"], json!("Priya Nair"));
    assert!(get("/api/analytics/overview").await["data"]["dailyActivity"].as_array().unwrap().len() > 1);
    assert!(get("/api/settings").await["data"]["whatsappConfig"]["hasAccessToken"].as_bool().unwrap());
    assert!(get("/api/templates").await["data"]["pagination"]["total"].as_i64().unwrap() >= 2);
    assert_eq!(get("/api/channels").await.as_array().unwrap().len(), 3);
    let agent = app.call("POST", "/api/login", None, json!({"username": "demo.agent", "password": "demo password"})).await.expect(200);
    let token = agent["access_token"].as_str();
    assert_eq!(agent["user"]["role"], json!("empleado"));
    let summary = app.call("GET", "/api/summary", token, Value::Null).await.expect(200);
    assert_eq!((&summary["tickets"], &summary["users_count"]), (&json!({"open": 2, "in_progress": 1, "closed": 1}), &json!(3)));
    let unread = app.db.count("SELECT sum(unread_count)::int8 FROM chat_conversations").await;
    assert_eq!(summary["unread_messages"], json!(unread));
    assert!(!app.call("GET", "/api/events", token, Value::Null).await.expect(200).as_array().unwrap().is_empty());
    let before =
        app.db.count("SELECT (SELECT count(*) FROM chat_messages) + (SELECT count(*) FROM users) + (SELECT count(*) FROM tickets)").await;
    switchboard(&app, &["seed"], &environment, "").unwrap();
    let after =
        app.db.count("SELECT (SELECT count(*) FROM chat_messages) + (SELECT count(*) FROM users) + (SELECT count(*) FROM tickets)").await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn secrets_are_sealed_anew_and_the_old_key_can_go() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    for (number, token) in [(NUMBER, "one"), ("106540352242999", "two")] {
        let body = json!({"name": "Shop", "type": "WHATSAPP", "config": {"phoneNumberId": number, "accessToken": token, "appSecret": "s"}});
        app.post(&ann, "/api/channels", body).await.expect(201);
    }
    let tool = json!({"name": "x", "config": {"url": "https://example.com"}, "secrets": {"key": "s"}});
    app.post(&ann, "/api/admin/tools", tool).await.expect(201);
    app.put(&ann, &format!("/api/admin/tenants/{}/model", ann.tenant), json!({"api_key": "s"})).await.expect(200);
    let keys = "SELECT string_agg(DISTINCT split_part(sealed, '.', 2), ' ') FROM (
                  SELECT value AS sealed FROM channel_instances, jsonb_each_text(secrets) UNION ALL
                  SELECT value FROM tools, jsonb_each_text(secrets) UNION ALL SELECT api_key FROM model_settings) all_of_them";
    let old = app.db.text(keys).await;
    let rotate = |environment: &[(&str, &str)]| switchboard(&app, &["rotate-keys"], environment, "");
    assert!(rotate(&[]).unwrap_err().contains("SWITCHBOARD_ENCRYPTION_KEY"));
    assert!(rotate(&[("SWITCHBOARD_ENCRYPTION_KEY", "new")]).unwrap_err().contains("OLD_ENCRYPTION_KEYS"));
    assert_eq!(app.db.text(keys).await, old);
    let both = [("SWITCHBOARD_ENCRYPTION_KEY", "new"), ("SWITCHBOARD_OLD_ENCRYPTION_KEYS", "a key of the tests")];
    assert_eq!(rotate(&both).unwrap(), json!({"rotated": 6, "current": 0}));
    let new = app.db.text(keys).await;
    assert!(new != old && !new.contains(' '), "one key for all: {new}");
    assert_eq!(rotate(&[("SWITCHBOARD_ENCRYPTION_KEY", "new")]).unwrap(), json!({"rotated": 0, "current": 6}));
}
