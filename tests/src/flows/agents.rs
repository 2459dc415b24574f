//! Agents that answer customers. The model is scripted from <https://platform.openai.com/docs/api-reference/chat/create>.

use super::sending::{CUSTOMER, NUMBER};
use crate::harness::{App, Database, Provider, Received, User, text_to, until};
use serde_json::{Value, json};

pub(crate) const EVERYTHING: &[&str] = &["--queues", "webhooks,overrides,outbound,chores,agents,documents"];

/// A tenant with an agent, a model and WhatsApp. No customer has written yet.
pub(crate) struct Office {
    pub(crate) app: App,
    pub(crate) model: Provider,
    pub(crate) whatsapp: Provider,
    pub(crate) ann: User,
}

pub(crate) fn says(text: &str) -> (u16, Value) {
    (
        200,
        json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}}),
    )
}

pub(crate) fn fails(status: u16) -> (u16, Value) {
    (status, json!({"error": {"message": "said the model", "type": "t", "param": null, "code": "c"}}))
}

pub(crate) fn body(call: &Received) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

impl Office {
    pub(crate) async fn open(with_model: bool) -> Self {
        Self::open_with(with_model, &[]).await
    }

    pub(crate) async fn open_with(with_model: bool, more: &[(&str, &str)]) -> Self {
        let (model, whatsapp) = (Provider::start().await, Provider::start().await);
        model.script(|_| says("We open at nine."));
        whatsapp.script(|call| {
            let id = format!("wamid.{}", body(call)["biz_opaque_callback_data"].as_str().unwrap());
            (200, json!({"messaging_product": "whatsapp", "messages": [{"id": id}]}))
        });
        // More requests than a tenant may make in a minute.
        let mut environment = vec![("META_GRAPH_URL", whatsapp.url.as_str()), ("RATE_LIMIT_PLATFORM_PER_MIN", "0")];
        if with_model {
            environment.extend([
                ("OPENAI_BASE_URL", model.url.as_str()),
                ("OPENAI_API_KEY", "key of the tests"),
                ("OPENAI_MODEL", "standard"),
            ]);
        }
        environment.extend_from_slice(more);
        let mut app = App::without_processes(Database::create().await, &environment).await;
        app.start_api().await;
        app.start_worker(EVERYTHING).await;
        let ann = app.register("ann").await;
        let config = json!({"phoneNumberId": NUMBER, "accessToken": "token of ann"});
        app.post(&ann, "/api/channels", json!({"type": "WHATSAPP", "name": "WhatsApp", "config": config})).await.expect(201);
        let agent = json!({"name": "Front desk", "system_prompt": "You know when we open.", "temperature": 0.5});
        app.post(&ann, "/api/admin/agents", agent).await.expect(201);
        Self { app, model, whatsapp, ann }
    }

    /// The first message is a minute old, what follows is newer than the answer to it.
    pub(crate) async fn hears(&self, id: &str, text: &str) {
        let age = if id == "wamid.1" { 60 } else { -5 };
        assert_eq!(self.app.webhook(&text_to(NUMBER, CUSTOMER, id, text, age)).await, 200);
    }

    pub(crate) async fn count(&self, condition: &str) -> i64 {
        self.app.db.count(&format!("SELECT count(*) FROM {condition}")).await
    }

    pub(crate) async fn until_count(&self, condition: &str, wanted: i64) {
        until(&format!("{wanted} of {condition}"), async || self.count(condition).await == wanted).await;
    }

    pub(crate) async fn until_idle(&self) {
        self.until_count("jobs WHERE queue IN ('webhooks', 'agents', 'outbound')", 0).await;
    }

    /// What reached the customer, in order.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.whatsapp.received().iter().map(|call| body(call)["text"]["body"].as_str().unwrap().to_owned()).collect()
    }

    /// The cooldown is over.
    pub(crate) async fn wait_over(&self) {
        self.until_count("jobs WHERE queue = 'agents' AND run_at IS NOT NULL", 1).await;
        self.app.db.run("UPDATE chat_conversations SET auto_replied_at = auto_replied_at - interval '1 minute'").await;
        self.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'agents'").await;
    }
}

#[tokio::test]
async fn an_agent_answers_once_with_what_was_said_before() {
    let office = Office::open(true).await;
    office.hears("wamid.1", "When do you open?").await;
    office.hears("wamid.1", "When do you open?").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["We open at nine."]);
    let asked = office.model.received();
    assert_eq!((asked.len(), asked[0].line.as_str()), (1, "POST /chat/completions"));
    assert!(asked[0].head.to_ascii_lowercase().contains("authorization: bearer key of the tests"));
    let question = json!({"role": "user", "content": "When do you open?"});
    let mut question_asked = body(&asked[0]);
    let tools = question_asked.as_object_mut().unwrap().remove("tools").unwrap();
    assert_eq!(
        question_asked,
        json!({"model": "standard", "temperature": 0.5, "messages": [{"role": "system", "content": "You know when we open."}, question]})
    );
    assert_eq!((&tools[0]["type"], &tools[0]["function"]["name"]), (&json!("function"), &json!("escalate_to_human")));
    let run = office
        .app
        .db
        .text("SELECT concat_ws(' ', outcome, model, prompt_tokens, completion_tokens, message_id IS NOT NULL) FROM agent_runs")
        .await;
    assert_eq!(run, "replied m-1 19 10 t");
    // What comes within the cooldown is answered together when it is over.
    office.model.script(|_| says("Until six."));
    office.hears("wamid.2", "And when").await;
    office.hears("wamid.3", "do you close?").await;
    office.until_count("jobs WHERE queue = 'webhooks'", 0).await;
    office.wait_over().await;
    office.until_count("chat_messages WHERE status = 'sent'", 2).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["We open at nine.", "Until six."]);
    let messages = body(&office.model.received()[1])["messages"].clone();
    assert_eq!(
        messages.as_array().unwrap()[1..],
        [
            question,
            json!({"role": "assistant", "content": "We open at nine."}),
            json!({"role": "user", "content": "And when\ndo you close?"})
        ]
    );
}

#[tokio::test]
async fn a_person_who_writes_while_the_agent_thinks_is_not_talked_over() {
    let office = Office::open(true).await;
    office.model.answer(false);
    office.hears("wamid.1", "Hello?").await;
    until("the model is asked", async || office.model.received().len() == 1).await;
    let person = json!({"to": format!("+{CUSTOMER}"), "type": "text", "content": {"text": "I am here"}});
    office.app.post(&office.ann, "/api/messages", person).await.expect(201);
    office.model.answer(true);
    office.until_idle().await;
    assert_eq!(office.sent(), ["I am here"]);
    assert_eq!(office.app.db.texts("SELECT outcome FROM agent_runs").await, ["overtaken"]);
    // While the person has the conversation, nobody asks the model.
    office.hears("wamid.2", "Good").await;
    office.until_idle().await;
    assert_eq!((office.model.received().len(), office.sent().len()), (1, 1));
    // Given back, the agent goes on.
    let conversation = office.app.db.text("SELECT id::text FROM chat_conversations").await;
    office.app.post(&office.ann, &format!("/api/conversations/{conversation}/release"), json!({})).await.expect(200);
    office.hears("wamid.3", "When do you open?").await;
    office.until_count("agent_runs WHERE outcome = 'replied'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["I am here", "We open at nine."]);
}

#[tokio::test]
async fn an_answer_that_still_waits_when_a_person_writes_does_not_go_out() {
    let office = Office::open(true).await;
    assert!(office.app.switchboard(&["jobs", "pause", "outbound"], &[], "").status.success());
    office.hears("wamid.1", "Hello?").await;
    office.until_count("agent_runs WHERE outcome = 'replied'", 1).await;
    let person = json!({"to": format!("+{CUSTOMER}"), "type": "text", "content": {"text": "I am here"}});
    office.app.post(&office.ann, "/api/messages", person).await.expect(201);
    assert!(office.app.switchboard(&["jobs", "resume", "outbound"], &[], "").status.success());
    office.until_count("jobs WHERE queue = 'outbound'", 0).await;
    assert_eq!(office.sent(), ["I am here"]);
    let why = office.app.db.text("SELECT errors -> 0 ->> 'title' FROM chat_messages WHERE status = 'failed'").await;
    assert!(why.contains("person"), "{why}");
}

#[tokio::test]
async fn a_worker_killed_while_the_model_thinks_answers_once_and_not_never() {
    let mut office = Office::open(true).await;
    office.model.answer(false);
    office.hears("wamid.1", "Hello?").await;
    until("the model is asked", async || office.model.received().len() == 1).await;
    office.app.kill_worker(0);
    office.model.answer(true);
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    assert_eq!((office.sent(), office.model.received().len()), (vec!["We open at nine.".to_owned()], 2));
}

#[tokio::test]
async fn a_model_that_fails_sends_the_customer_nothing_and_tells_people_why() {
    let mut office = Office::open(true).await;
    office.model.script(|_| fails(401));
    office.hears("wamid.1", "Hello?").await;
    office.until_count("agent_runs WHERE outcome = 'failed' AND error LIKE '%said the model%'", 1).await;
    office.until_idle().await;
    // Trouble that may pass is tried again.
    office.model.script(|_| fails(500));
    office.hears("wamid.2", "Anybody?").await;
    office.until_count("jobs WHERE queue = 'agents' AND run_at IS NOT NULL AND attempt = 1", 1).await;
    office.model.script(|_| says("Yes."));
    office.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'agents'").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["Yes."]);
    // And in the end it is a dead letter, which answers when it is driven again.
    office.app.expect_dead(1);
    office.model.script(|_| fails(503));
    office.hears("wamid.3", "Thanks").await;
    office.wait_over().await;
    office.app.db.run("UPDATE jobs SET max_attempts = 1 WHERE queue = 'agents'").await;
    office.until_count("jobs_dead WHERE kind = 'run_auto_reply'", 1).await;
    assert_eq!(office.count("agent_runs WHERE outcome = 'failed'").await, 2);
    office.model.script(|_| says("You are welcome."));
    let job = office.app.db.text("SELECT id::text FROM jobs_dead").await;
    assert!(office.app.switchboard(&["jobs", "retry", &job], &[], "").status.success());
    office.until_count("chat_messages WHERE status = 'sent'", 2).await;
    office.app.expect_dead(0);
    assert_eq!(office.sent(), ["Yes.", "You are welcome."]);
}

#[tokio::test]
async fn without_a_key_the_agent_repeats_what_it_heard_and_without_an_agent_nobody_answers() {
    let office = Office::open(false).await;
    office.hears("wamid.1", "Is this thing on?").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    assert!(office.sent()[0].contains("Is this thing on?"));
    let id = office.app.db.text("SELECT id::text FROM agents").await;
    office.app.put(&office.ann, &format!("/api/admin/agents/{id}"), json!({"is_active": false})).await.expect(200);
    office.hears("wamid.2", "Hello?").await;
    office.until_idle().await;
    assert_eq!((office.sent().len(), office.count("jobs_done WHERE kind = 'run_auto_reply'").await), (1, 1));
    assert!(office.model.received().is_empty());
}

#[tokio::test]
async fn agents_are_made_changed_and_deleted_by_admins_of_their_tenant() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let agent = json!({"name": "Front desk", "description": "first", "system_prompt": "Be kind.", "model": "m", "temperature": 1.5, "max_tokens": 100});
    let made = app.post(&ann, "/api/admin/agents", agent.clone()).await.expect(201);
    assert_eq!((&made["is_active"], &made["temperature"], &made["model"]), (&json!(true), &json!(1.5), &json!("m")));
    let path = format!("/api/admin/agents/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&ann, &path).await.expect(200), made);
    app.post(&ann, "/api/admin/agents", agent.clone()).await.expect(409);
    let changed = app.put(&ann, &path, json!({"name": "Desk", "temperature": 0.25})).await.expect(200);
    assert_eq!((&changed["name"], &changed["system_prompt"], &changed["temperature"]), (&json!("Desk"), &json!("Be kind."), &json!(0.25)));
    assert_eq!(app.get(&ann, "/api/admin/agents").await.expect(200).as_array().unwrap().len(), 1);
    assert_eq!(app.post(&ann, "/api/admin/agents/reload-cache", json!({})).await.expect(200)["agents"], 1);
    for bad in [
        json!({"name": "x"}),
        json!({"system_prompt": "x"}),
        json!({"name": " ", "system_prompt": "x"}),
        json!({"name": "x", "system_prompt": "x", "temperature": 3}),
        json!({"name": "x", "system_prompt": "x", "max_tokens": 0}),
        json!({"name": "x", "system_prompt": "p".repeat(20_001)}),
        json!({"name": 7, "system_prompt": "x"}),
    ] {
        let answer = app.post(&ann, "/api/admin/agents", bad.clone()).await.expect(422);
        assert!(answer["detail"].is_string(), "{bad:.100}: {answer}");
    }
    let (bob, eve) = (app.colleague(&ann, "bob", "agent").await, app.register("eve").await);
    app.get(&bob, "/api/admin/agents").await.expect(403);
    app.post(&bob, "/api/admin/agents", agent).await.expect(403);
    app.get(&eve, &path).await.expect(404);
    app.put(&eve, &path, json!({"name": "mine"})).await.expect(404);
    app.delete(&eve, &path).await.expect(404);
    app.delete(&ann, &path).await.expect(204);
    app.get(&ann, &path).await.expect(404);
}
