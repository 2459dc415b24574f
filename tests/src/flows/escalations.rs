//! Conversations that are handed over to people, and back.

use super::agents::{Office, body, fails, says};
use crate::harness::{Answer, User};
use futures::future::join_all;
use serde_json::{Value, json};

/// The model asks for tools, and says `text` along with it.
pub(super) fn calls(text: Option<&str>, tools: &[(&str, &str)]) -> (u16, Value) {
    let calls: Vec<_> = tools
        .iter()
        .enumerate()
        .map(|(at, (name, arguments))| json!({"id": format!("call_{at}"), "type": "function", "function": {"name": name, "arguments": arguments}}))
        .collect();
    let (status, mut said) = says("");
    said["choices"][0]["message"] = json!({"role": "assistant", "content": text, "refusal": null, "tool_calls": calls});
    said["choices"][0]["finish_reason"] = json!("tool_calls");
    (status, said)
}

fn wants_a_person() -> (u16, Value) {
    calls(Some("I will fetch somebody."), &[("escalate_to_human", r#"{"reason": "wants a refund"}"#)])
}

impl Office {
    async fn conversation(&self) -> String {
        self.app.db.text("SELECT id::text FROM chat_conversations").await
    }

    async fn queue(&self, user: &User) -> Vec<Value> {
        self.app.get(user, "/api/admin/escalation/queue").await.expect(200).as_array().unwrap().clone()
    }

    async fn act(&self, user: &User, act: &str, body: Value) -> Answer {
        self.app.post(user, &format!("/api/admin/escalation/{}/{act}", self.conversation().await), body).await
    }

    async fn writes_as_supporter(&self, user: &User, text: &str) -> Answer {
        let body = json!({"session_id": self.conversation().await, "message": text});
        self.app.post(user, &format!("/api/{}/supporter/message", user.tenant), body).await
    }
}

#[tokio::test]
async fn an_agent_that_calls_a_person_keeps_quiet_until_the_person_is_done() {
    let office = Office::open(true).await;
    let sam = office.app.colleague(&office.ann, "sam", "agent").await;
    office.model.script(|_| wants_a_person());
    office.hears("wamid.1", "I want my money back").await;
    office.until_count("agent_runs WHERE outcome = 'escalated'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["I will fetch somebody."]);
    let queue = office.queue(&sam).await;
    assert_eq!(queue.len(), 1);
    let conversation = office.conversation().await;
    let expected = json!([conversation, "escalated", "wants a refund", "agent", "whatsapp", null]);
    let shown = |of: &Value| json!([of["session_id"], of["status"], of["reason"], of["raised_by"], of["channel"], of["assigned_to"]]);
    assert_eq!(shown(&queue[0]), expected);
    assert!(queue[0]["waiting_seconds"].as_i64().unwrap() >= 0 && queue[0]["customer"]["phone_number"].is_string(), "{}", queue[0]);
    // Whatever the customer says meanwhile, nobody asks the model.
    office.hears("wamid.2", "Hello?").await;
    office.until_idle().await;
    assert_eq!(office.model.received().len(), 1);
    // Writing takes it.
    let sent = office.writes_as_supporter(&sam, "I am Sam").await.expect(201);
    assert_eq!((&sent["message"], &sent["session_id"]), (&json!("I am Sam"), &json!(conversation)));
    office.until_count("chat_messages WHERE status = 'sent'", 2).await;
    assert!(office.queue(&sam).await.is_empty());
    let own = office.app.get(&sam, &format!("/api/{}/supporter/sessions", sam.tenant_number)).await.expect(200);
    assert_eq!((own[0]["status"].clone(), own[0]["assigned_to"]["id"].clone()), (json!("assigned"), json!(sam.id)));
    let staff = office.app.get(&office.ann, "/api/admin/escalation/staff").await.expect(200);
    let busy: Vec<_> = staff.as_array().unwrap().iter().map(|one| (one["name"].clone(), one["open_sessions"].clone())).collect();
    assert_eq!(busy, [(json!("ann"), json!(0)), (json!("sam"), json!(1))]);
    // Resolved, the agent goes on; resolving again changes nothing.
    for _ in 0..2 {
        let resolved = office.act(&sam, "resolve", json!({"note": "refunded"})).await.expect(200);
        assert_eq!((&resolved["status"], &resolved["note"]), (&json!("resolved"), &json!("refunded")));
    }
    office.writes_as_supporter(&sam, "One more thing").await.expect(409);
    office.model.script(|_| says("You are welcome."));
    office.app.db.run("UPDATE chat_conversations SET auto_replied_at = auto_replied_at - interval '1 minute'").await;
    office.hears("wamid.3", "Thank you").await;
    office.until_count("agent_runs WHERE outcome = 'replied'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["I will fetch somebody.", "I am Sam", "You are welcome."]);
    let acts = office
        .app
        .db
        .texts("SELECT act FROM audit_log WHERE act IN ('session.escalate', 'session.assign', 'session.resolve') ORDER BY id")
        .await;
    assert_eq!(acts, ["session.resolve"]);
}

#[tokio::test]
async fn a_session_is_assigned_once_however_many_want_it() {
    let office = Office::open(true).await;
    office.hears("wamid.1", "Hello?").await;
    office.until_count("agent_runs WHERE outcome = 'replied'", 1).await;
    office.until_idle().await;
    let (sam, tom) = (office.app.colleague(&office.ann, "sam", "agent").await, office.app.colleague(&office.ann, "tom", "agent").await);
    office.act(&sam, "assign", json!({})).await.expect(404);
    let first = office.act(&tom, "escalate", json!({"reason": "a friend of mine"})).await.expect(200);
    assert_eq!(office.act(&sam, "escalate", json!({"reason": "mine too"})).await.expect(200)["id"], first["id"], "it is escalated once");
    office.act(&tom, "assign", json!({"supporter_id": sam.id})).await.expect(403);
    office.act(&office.ann, "assign", json!({"supporter_id": office.ann.tenant})).await.expect(422);
    let (a, b) = (&sam, &tom);
    let answers = join_all((0..10).map(|turn| office.act(if turn % 2 == 0 { a } else { b }, "assign", json!({})))).await;
    let winner = office.app.db.text("SELECT assigned_to::text FROM escalations").await;
    for (turn, answer) in answers.into_iter().enumerate() {
        let own = [a, b][turn % 2].id == winner;
        assert_eq!(answer.status, if own { 200 } else { 409 }, "{}", answer.body);
    }
    assert_eq!(office.app.db.text("SELECT assigned_to::text FROM chat_conversations").await, winner);
    let loser = if sam.id == winner { &tom } else { &sam };
    let refused = office.writes_as_supporter(loser, "me!").await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains(if sam.id == winner { "sam" } else { "tom" }), "{refused}");
    office.act(loser, "resolve", json!({})).await.expect(409);
    for bad in [json!({"supporter_id": "x"}), json!({"supporter_id": 7})] {
        office.act(&office.ann, "assign", bad).await.expect(422);
    }
    office.act(&office.ann, "assign", json!({"supporter_id": loser.id})).await.expect(409);
    // When its supporter leaves, it waits again.
    office.app.delete(&office.ann, &format!("/api/auth/users/{winner}")).await.expect(204);
    assert_eq!(office.queue(loser).await.len(), 1);
    // Closing the conversation ends it.
    let path = format!("/api/conversations/{}", office.conversation().await);
    office.app.patch(&office.ann, &path, json!({"status": "CLOSED"})).await.expect(200);
    assert!(office.queue(loser).await.is_empty());
}

#[tokio::test]
async fn a_person_who_is_called_while_the_agent_thinks_is_not_talked_over() {
    let office = Office::open(true).await;
    office.model.answer(false);
    office.hears("wamid.1", "Hello?").await;
    crate::harness::until("the model is asked", async || office.model.received().len() == 1).await;
    office.act(&office.ann, "escalate", json!({})).await.expect(200);
    office.model.answer(true);
    office.until_idle().await;
    assert_eq!((office.sent().len(), office.app.db.texts("SELECT outcome FROM agent_runs").await), (0, vec!["overtaken".to_owned()]));
}

#[tokio::test]
async fn a_model_that_fails_calls_a_person_and_one_that_recovers_sends_them_back() {
    let office = Office::open(true).await;
    office.model.script(|_| fails(401));
    office.hears("wamid.1", "Hello?").await;
    office.until_count("agent_runs WHERE outcome = 'failed'", 1).await;
    office.until_idle().await;
    let queue = office.queue(&office.ann).await;
    assert_eq!((queue.len(), &queue[0]["raised_by"]), (1, &json!("failure")));
    assert!(queue[0]["reason"].as_str().unwrap().contains("said the model"), "{}", queue[0]);
    office.model.script(|_| says("Yes?"));
    office.hears("wamid.2", "Anybody?").await;
    office.until_count("agent_runs WHERE outcome = 'replied'", 1).await;
    office.until_idle().await;
    assert_eq!((office.sent(), office.queue(&office.ann).await.len()), (vec!["Yes?".to_owned()], 0));
    // A person who wants what a failure has called for is not sent back.
    office.model.script(|_| fails(401));
    office.hears("wamid.3", "And now?").await;
    office.wait_over().await;
    office.until_count("escalations WHERE resolved_at IS NULL AND raised_by = 'failure'", 1).await;
    office.until_idle().await;
    let mine = office.act(&office.ann, "escalate", json!({"reason": "I know them"})).await.expect(200);
    assert_eq!((&mine["raised_by"], &mine["reason"]), (&json!("person"), &json!("I know them")));
    let asked = office.model.received().len();
    office.hears("wamid.4", "Hello?").await;
    office.until_idle().await;
    assert_eq!((office.model.received().len(), office.queue(&office.ann).await.len()), (asked, 1));
}

#[tokio::test]
async fn a_model_that_asks_for_tools_that_do_not_exist_is_told_so_and_not_for_ever() {
    let office = Office::open(true).await;
    office.model.script(|call| {
        if body(call)["messages"].as_array().unwrap().iter().any(|turn| turn["role"] == "tool") {
            says("I cannot do that.")
        } else {
            calls(None, &[("drop_tables", "{}"), ("read_mail", "nonsense")])
        }
    });
    office.hears("wamid.1", "Delete everything").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["I cannot do that."]);
    let messages = body(&office.model.received()[1])["messages"].clone();
    let results: Vec<_> =
        messages.as_array().unwrap().iter().filter(|turn| turn["role"] == "tool").map(|turn| turn["tool_call_id"].clone()).collect();
    assert_eq!(results, [json!("call_0"), json!("call_1")]);
    assert_eq!(office.app.db.text("SELECT (prompt_tokens || ' ' || completion_tokens) FROM agent_runs").await, "38 20");
    // One that never answers is given up, and a person is called.
    office.model.script(|_| calls(None, &[("drop_tables", "{}")]));
    office.hears("wamid.2", "Delete everything!").await;
    office.wait_over().await;
    office.until_count("agent_runs WHERE outcome = 'failed'", 1).await;
    office.until_idle().await;
    assert_eq!((office.model.received().len(), office.queue(&office.ann).await.len()), (8, 1));
}

#[tokio::test]
async fn supporters_are_made_by_admins_and_see_nothing_of_other_tenants() {
    let office = Office::open(true).await;
    let new = json!({"email": "kim@example.com", "password": "a good password", "name": "Kim"});
    let made = office.app.post(&office.ann, "/api/admin/escalation/staff", new.clone()).await.expect(201);
    assert_eq!((&made["role"], &made["name"], &made["open_sessions"]), (&json!("agent"), &json!("Kim"), &json!(0)));
    office.app.post(&office.ann, "/api/admin/escalation/staff", new.clone()).await.expect(409);
    let sam = office.app.colleague(&office.ann, "sam", "agent").await;
    office
        .app
        .post(&sam, "/api/admin/escalation/staff", json!({"email": "x@example.com", "password": "a good password", "name": "x"}))
        .await
        .expect(403);
    for bad in [
        json!({"email": "x", "password": "a good password", "name": "x"}),
        json!({"email": "x@example.com", "password": "x", "name": "x"}),
        json!({}),
    ] {
        office.app.post(&office.ann, "/api/admin/escalation/staff", bad).await.expect(422);
    }
    let eve = office.app.register("eve").await;
    office.app.get(&eve, &format!("/api/{}/supporter/sessions", office.ann.tenant)).await.expect(404);
    office.app.get(&eve, &format!("/api/{}/supporter/sessions", office.ann.tenant_number)).await.expect(404);
    office.app.get(&eve, &format!("/api/{}/supporter/sessions", eve.tenant)).await.expect(200);
    assert!(office.queue(&eve).await.is_empty());
}
