//! The agent platform's administration: tenants, permissions, sessions and chat users.

use super::{inbox, receive};
use crate::harness::{ADMIN_TOKEN, Answer, App};
use serde_json::{Value, json};
use uuid::Uuid;

async fn operator(app: &App, method: &str, path: &str, body: Value) -> Answer {
    let request = app.request(method, path).header("x-admin-token", ADMIN_TOKEN);
    app.send(if body.is_null() { request } else { request.json(&body) }).await
}

#[tokio::test]
async fn tenants_are_made_by_the_operator_and_changed_by_their_own() {
    let app = App::start_api_only().await;
    let (ann, eve) = (app.register("ann").await, app.register("eve").await);
    let bob = app.colleague(&ann, "bob", "agent").await;
    let shoes = json!({"name": "Shoes", "subdomain": "Shoes", "settings": {"theme": "dark"}});
    let made = operator(&app, "POST", "/api/admin/tenants", shoes.clone()).await.expect(201);
    assert_eq!(json!([made["name"], made["subdomain"], made["settings"]]), json!(["Shoes", "shoes", {"theme": "dark"}]));
    operator(&app, "POST", "/api/admin/tenants", shoes.clone()).await.expect(409);
    app.post(&ann, "/api/admin/tenants", json!({"name": "x"})).await.expect(403);
    let all = operator(&app, "GET", "/api/admin/tenants", Value::Null).await.expect(200);
    let names: Vec<_> = all.as_array().unwrap().iter().map(|tenant| tenant["name"].as_str().unwrap()).collect();
    assert!(["Shoes", "ann ltd", "eve ltd"].iter().all(|name| names.contains(name)), "{names:?}");
    let own = app.get(&ann, "/api/admin/tenants").await.expect(200);
    assert_eq!((own.as_array().unwrap().len(), &own[0]["id"]), (1, &json!(ann.tenant)));
    // By UUID or by number.
    for key in [ann.tenant.clone(), ann.tenant_number.to_string()] {
        let changed =
            app.put(&ann, &format!("/api/admin/tenants/{key}"), json!({"name": "Ann & Co", "settings": {"a": 1}})).await.expect(200);
        assert_eq!((&changed["name"], &changed["settings"]), (&json!("Ann & Co"), &json!({"a": 1})));
        app.get(&eve, &format!("/api/admin/tenants/{key}")).await.expect(404);
        app.put(&eve, &format!("/api/admin/tenants/{key}"), json!({"name": "mine"})).await.expect(404);
        app.put(&eve, &format!("/api/admin/tenants/{key}/permissions"), json!({})).await.expect(404);
        app.get(&bob, &format!("/api/admin/tenants/{key}")).await.expect(403);
    }
    operator(&app, "PUT", &format!("/api/admin/tenants/{}", eve.tenant), json!({"subdomain": "eve"})).await.expect(200);
    for bad in [
        json!({"subdomain": "a b"}),
        json!({"subdomain": "-a"}),
        json!({"name": ""}),
        json!({"settings": []}),
        json!({"settings": {"humanOverrideTtlSeconds": "soon"}}),
        json!({"settings": {"webhookConfig": 7}}),
    ] {
        app.put(&ann, &format!("/api/admin/tenants/{}", ann.tenant), bad.clone()).await.expect(422);
    }
    for token in ["wrong", ""] {
        app.send(app.request("GET", "/api/admin/tenants").header("x-admin-token", token)).await.expect(401);
    }
    app.call("GET", "/api/admin/tenants", None, Value::Null).await.expect(401);
    // What a tenant may use: all, until somebody says otherwise.
    let path = format!("/api/admin/tenants/{}/permissions", ann.tenant);
    assert_eq!(app.get(&ann, &path).await.expect(200), json!({"agent_ids": null, "tool_ids": null}));
    let agent = Uuid::new_v4();
    let set = operator(&app, "PUT", &path, json!({"agent_ids": [agent], "tool_ids": []})).await.expect(200);
    assert_eq!((app.get(&ann, &path).await.expect(200), &set["agent_ids"]), (set.clone(), &json!([agent])));
    app.put(&ann, &path, json!({"agent_ids": ["x"]})).await.expect(422);
}

#[tokio::test]
async fn sessions_are_conversations_in_the_words_of_the_platform() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    let eve = app.register("eve").await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    receive(&app, "15551230002", "wamid.2", "hi").await;
    let base = format!("/api/{}/session", ann.tenant);
    let list = app.get(&ann, &base).await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let (first, user) = (list[0]["session_id"].as_str().unwrap().to_owned(), list[0]["user_id"].as_str().unwrap().to_owned());
    assert_eq!((&list[0]["status"], &list[0]["channel"]), (&json!("active"), &json!("whatsapp")));
    let of_user = app.get(&ann, &format!("{base}?user_id={user}")).await.expect(200);
    assert_eq!((of_user.as_array().unwrap().len(), &of_user[0]["session_id"]), (1, &json!(first)));
    let read = app.get(&ann, &format!("{base}/{first}")).await.expect(200);
    assert_eq!((&read["messages"][0]["role"], &read["session_id"]), (&json!("user"), &json!(first)));
    app.post(&ann, &format!("/api/admin/escalation/{first}/escalate"), json!({})).await.expect(200);
    let status = async |status: &str| app.get(&ann, &format!("{base}?status={status}")).await.expect(200).as_array().unwrap().len();
    assert_eq!((status("active").await, status("escalated").await, status("assigned").await), (1, 1, 0));
    app.post(&ann, &format!("/api/admin/escalation/{first}/assign"), json!({})).await.expect(200);
    assert_eq!((status("escalated").await, status("assigned").await), (0, 1));
    app.delete(&ann, &format!("{base}/{first}")).await.expect(204);
    assert_eq!((status("assigned").await, status("resolved").await), (0, 1));
    assert_eq!(app.get(&ann, "/api/admin/sessions?limit=1").await.expect(200).as_array().unwrap().len(), 1);
    app.get(&ann, &format!("/api/admin/sessions/{first}")).await.expect(200);
    for path in
        [base.clone(), format!("{base}/{first}"), format!("/api/admin/sessions/{first}"), format!("/api/{}/session/{first}", eve.tenant)]
    {
        app.get(&eve, &path).await.expect(404);
    }
    assert!(app.get(&eve, "/api/admin/sessions").await.expect(200).as_array().unwrap().is_empty());
    for bad in ["status=open", "limit=0", "user_id=x"] {
        app.get(&ann, &format!("{base}?{bad}")).await.expect(422);
    }
}

#[tokio::test]
async fn chat_users_are_customers_and_may_be_made_before_they_write() {
    let app = App::start_api_only().await;
    let (ann, eve) = (app.register("ann").await, app.register("eve").await);
    let bob = app.colleague(&ann, "bob", "agent").await;
    let base = format!("/api/{}/chat-users", ann.tenant);
    let made = app.post(&bob, &base, json!({"name": "Kim", "email": "kim@example.com", "tags": ["vip"]})).await.expect(201);
    let one = format!("{base}/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&bob, &one).await.expect(200), made);
    let changed = app.put(&bob, &one, json!({"phone_number": "+1 555 123 0001", "email": null})).await.expect(200);
    assert_eq!(
        json!([changed["name"], changed["email"], changed["phone_number"], changed["tags"]]),
        json!(["Kim", null, "+15551230001", ["vip"]])
    );
    app.post(&ann, &base, json!({"name": "Twin", "phone_number": "+15551230001"})).await.expect(409);
    assert_eq!(app.get(&ann, &format!("{base}?search=kim")).await.expect(200).as_array().unwrap().len(), 1);
    // What they say is theirs.
    let said = app.post(&ann, &format!("/api/{}/chat", ann.tenant), json!({"message": "Hello", "user_id": made["id"]})).await.expect(200);
    assert_eq!(said["user_id"], made["id"]);
    app.delete(&ann, &one).await.expect(409);
    let other = app.post(&ann, &base, json!({"email": "lee@example.com"})).await.expect(201);
    let other = format!("{base}/{}", other["id"].as_str().unwrap());
    app.delete(&bob, &other).await.expect(403);
    app.delete(&ann, &other).await.expect(204);
    app.get(&ann, &other).await.expect(404);
    for bad in [json!({}), json!({"email": "x"}), json!({"name": ""}), json!({"name": "x", "phone_number": "abc"})] {
        app.post(&ann, &base, bad).await.expect(422);
    }
    app.get(&eve, &one).await.expect(404);
    app.get(&eve, &format!("/api/{}/chat-users", eve.tenant)).await.expect(200);
}
