//! Which model a tenant's agents ask, what it may cost, and agents that run elsewhere.

use super::agents::{Office, body, fails, says};
use super::sending::CUSTOMER;
use crate::harness::{ADMIN_TOKEN, Answer, INTERNAL_TOKEN, Provider, until};
use serde_json::{Value, json};

impl Office {
    fn model_path(&self) -> String {
        format!("/api/admin/tenants/{}/model", self.ann.tenant)
    }

    async fn operator(&self, method: &str, path: &str, body: Value) -> Answer {
        self.app.send(self.app.request(method, path).header("x-admin-token", ADMIN_TOKEN).json(&body)).await
    }

    async fn asks(&self, text: &str) -> Value {
        self.app.post(&self.ann, &format!("/api/{}/chat", self.ann.tenant), json!({"message": text})).await.expect(200)
    }

    async fn later(&self, body: Value) -> Answer {
        self.app.send(self.app.request("POST", "/internal/messages").header("x-internal-secret", INTERNAL_TOKEN).json(&body)).await
    }
}

#[tokio::test]
async fn a_tenants_own_model_is_asked_with_its_own_key_and_nobody_elses_key_goes_there() {
    let own = Provider::start().await;
    own.script(|_| says("From the tenant's model."));
    let host = own.url.trim_start_matches("http://").to_owned();
    let office = Office::open_with(true, &[("SWITCHBOARD_ALLOW_HOSTS", host.as_str())]).await;
    // The server's key must not go where a tenant wants.
    office.app.put(&office.ann, &office.model_path(), json!({"base_url": own.url})).await.expect(422);
    let settings = json!({"base_url": format!("{}/", own.url), "api_key": "s3cret of ann", "model": "large"});
    let put = office.app.put(&office.ann, &office.model_path(), settings).await.expect(200);
    assert_eq!(json!([put["base_url"], put["has_api_key"], put["model"], put["provider"]]), json!([own.url, true, "large", null]));
    assert!(!put.to_string().contains("s3cret"), "{put}");
    assert_eq!(office.count("model_settings WHERE api_key LIKE '%s3cret%'").await, 0, "it is sealed");
    assert_eq!(office.asks("Hello?").await["response"], "From the tenant's model.");
    let asked = own.received();
    assert!(asked[0].head.to_ascii_lowercase().contains("authorization: bearer s3cret of ann"), "{}", asked[0].head);
    assert_eq!((body(&asked[0])["model"].clone(), office.model.received().len()), (json!("large"), 0));
    // Taken back, it is the server's again.
    office.app.put(&office.ann, &office.model_path(), json!({"api_key": null})).await.expect(422);
    office.app.put(&office.ann, &office.model_path(), json!({"api_key": null, "base_url": null, "model": null})).await.expect(200);
    assert_eq!(office.asks("Hello?").await["response"], "We open at nine.");
    for bad in [
        json!({"provider": "smoke signals"}),
        json!({"base_url": "ftp://example.com", "api_key": "x"}),
        json!({"api_key": ""}),
        json!({"api_key": "a\nb"}),
        json!({"model": " "}),
    ] {
        office.app.put(&office.ann, &office.model_path(), bad).await.expect(422);
    }
    let (bob, eve) = (office.app.colleague(&office.ann, "bob", "agent").await, office.app.register("eve").await);
    office.app.get(&bob, &office.model_path()).await.expect(403);
    office.app.get(&eve, &office.model_path()).await.expect(404);
    office.app.put(&eve, &office.model_path(), json!({"model": "x"})).await.expect(404);
}

#[tokio::test]
async fn a_tenants_model_in_our_own_network_is_not_asked_and_people_see_why() {
    let inside = Provider::start().await;
    let office = Office::open(true).await;
    office.app.put(&office.ann, &office.model_path(), json!({"base_url": inside.url, "api_key": "x"})).await.expect(200);
    let answer = office.asks("Hello?").await;
    assert_eq!((&answer["response"], &answer["status"]), (&Value::Null, &json!("escalated")));
    assert!(inside.received().is_empty() && office.model.received().is_empty());
    let why = office.app.db.text("SELECT reason FROM escalations").await;
    assert!(why.contains("private network"), "{why}");
}

#[tokio::test]
async fn what_agents_take_is_counted_and_a_budget_ends_it() {
    let office = Office::open_with(true, &[("MODEL_PRICES", "m=1000/10000")]).await;
    // A budget is the operator's to set.
    office.app.put(&office.ann, &office.model_path(), json!({"monthly_tokens": 1_000_000})).await.expect(403);
    office.operator("PUT", &office.model_path(), json!({"monthly_tokens": 50, "monthly_cost": 1000})).await.expect(200);
    // An answer that is tried again has cost something too: here nothing, since the model gave none.
    office.asks("Hello?").await;
    office.asks("And now?").await;
    let used = office.app.get(&office.ann, &office.model_path()).await.expect(200);
    // 19 of prompt and 10 of answer each, at 1,000 and 10,000 dollars a million.
    assert_eq!(
        json!([used["tokens_this_month"], used["cost_this_month"], used["monthly_tokens"], used["monthly_cost"]]),
        json!([58, 0.238, 50, 1000.0])
    );
    let usage = format!("/api/admin/tenants/{}/usage", office.ann.tenant);
    let days = office.app.get(&office.ann, &usage).await.expect(200);
    assert_eq!(
        json!([days[0]["model"], days[0]["answers"], days[0]["prompt_tokens"], days[0]["completion_tokens"], days[0]["cost"]]),
        json!(["m-1", 2, 38, 20, 0.238])
    );
    assert_eq!(days.as_array().unwrap().len(), 1);
    // 58 of 50: no model is asked, and a person is called.
    let answer = office.asks("And then?").await;
    assert_eq!((&answer["response"], &answer["status"]), (&Value::Null, &json!("escalated")));
    assert_eq!(office.model.received().len(), 2);
    let why = office.app.db.text("SELECT reason FROM escalations WHERE resolved_at IS NULL").await;
    assert!(why.contains("budget of 50 tokens"), "{why}");
    // With a larger one it goes on; what it costs counts as well.
    office.operator("PUT", &office.model_path(), json!({"monthly_tokens": null})).await.expect(200);
    assert_eq!(office.asks("Hello?").await["response"], "We open at nine.");
    office.operator("PUT", &office.model_path(), json!({"monthly_cost": 0.3})).await.expect(200);
    assert_eq!(office.asks("Hello?").await["response"], Value::Null);
    assert_eq!(office.model.received().len(), 3);
    for bad in [json!({"monthly_tokens": -1}), json!({"monthly_cost": -0.5}), json!({"monthly_cost": "much"})] {
        office.operator("PUT", &office.model_path(), bad).await.expect(422);
    }
    for bad in ["from=2026-02-01&to=2026-01-01", "from=2020-01-01&to=2026-01-01", "from=yesterday"] {
        office.app.get(&office.ann, &format!("{usage}?{bad}")).await.expect(422);
    }
    let eve = office.app.register("eve").await;
    office.app.get(&eve, &usage).await.expect(404);
}

/// An office whose agents run elsewhere.
async fn elsewhere() -> (Office, Provider) {
    let service = Provider::start().await;
    let url = format!("{}/turns", service.url);
    let office = Office::open_with(false, &[("AGENT_SERVICE_URL", url.as_str())]).await;
    (office, service)
}

#[tokio::test]
async fn a_service_answers_a_turn_at_once() {
    let (mut office, service) = Box::pin(elsewhere()).await;
    service
        .script(|_| (200, json!({"content": "From elsewhere.", "model": "theirs", "usage": {"prompt_tokens": 7, "completion_tokens": 3}})));
    office.hears("wamid.1", "Hello?").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["From elsewhere."]);
    let call = &service.received()[0];
    let (turn, head) = (body(call), call.head.to_ascii_lowercase());
    assert_eq!(call.line, "POST /turns");
    assert!(
        head.contains(&format!("x-internal-secret: {INTERNAL_TOKEN}"))
            && head.contains(&format!("idempotency-key: {}", turn["turn_id"].as_str().unwrap())),
        "{head}"
    );
    let conversation = office.app.db.text("SELECT id::text FROM chat_conversations").await;
    let expected = json!([conversation, office.ann.tenant_number, 0, "Front desk", [{"role": "system", "content": "You know when we open."}, {"role": "user", "content": "Hello?"}]]);
    assert_eq!(json!([turn["conversation_id"], turn["tenant_id"], turn["human_epoch"], turn["agent"]["name"], turn["messages"]]), expected);
    assert_eq!(office.app.db.texts("SELECT concat_ws(' ', model, answers, prompt_tokens) FROM model_usage").await, ["theirs 1 7"]);
    // It may want a person, and it may be away: then it is asked again, with the same turn.
    office.app.db.run("UPDATE chat_conversations SET auto_replied_at = NULL").await;
    service.script(|_| fails(503));
    office.hears("wamid.2", "My money!").await;
    office.until_count("jobs WHERE queue = 'agents' AND run_at IS NOT NULL AND attempt = 1", 1).await;
    office.app.kill_worker(0);
    service.script(|_| (200, json!({"escalate": "wants a refund"})));
    office.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'agents'").await;
    office.until_count("escalations WHERE reason = 'wants a refund' AND raised_by = 'agent'", 1).await;
    let turns: Vec<Value> = service.received()[1..].iter().map(|call| body(call)["turn_id"].clone()).collect();
    assert!(turns.len() >= 2 && turns.iter().all(|turn| *turn == turns[0]), "{turns:?}");
    assert_eq!(office.sent().len(), 1);
}

#[tokio::test]
async fn a_service_answers_later_unless_a_person_was_faster() {
    let (office, service) = Box::pin(elsewhere()).await;
    service.script(|_| (202, json!({})));
    office.hears("wamid.1", "Hello?").await;
    office.until_count("agent_runs WHERE outcome = 'handed_over'", 1).await;
    office.until_idle().await;
    assert!(office.sent().is_empty());
    let turn = body(&service.received()[0]);
    let answer = json!({"conversation_id": turn["conversation_id"], "human_epoch": turn["human_epoch"], "content": "Later."});
    office.later(answer.clone()).await.expect(201);
    until("the answer is sent", async || office.sent() == ["Later."]).await;
    // A person has written meanwhile.
    let person = json!({"to": format!("+{CUSTOMER}"), "type": "text", "content": {"text": "I am here"}});
    office.app.post(&office.ann, "/api/messages", person).await.expect(201);
    office.later(answer.clone()).await.expect(409);
    // Without the number it is a service's message, which asks nobody.
    office.later(json!({"conversation_id": turn["conversation_id"], "content": "A notice.", "escalate": "look at this"})).await.expect(201);
    until("the notice is sent", async || office.sent().last().is_some_and(|last| last == "A notice.")).await;
    assert_eq!(office.count("escalations WHERE reason = 'look at this'").await, 1);
    let mut bad = answer;
    bad["escalate"] = json!("x".repeat(1_001));
    office.later(bad).await.expect(400);
    assert_eq!(office.sent(), ["Later.", "I am here", "A notice."]);
}
