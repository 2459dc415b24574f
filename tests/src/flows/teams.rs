//! Agents that ask each other, and answers that must have a form. The model is scripted from <https://platform.openai.com/docs/api-reference/chat/create>.

use super::agents::{Office, body, fails, says};
use super::escalations::calls;
use crate::harness::{Events, Received};
use serde_json::{Value, json};
use uuid::Uuid;

impl Office {
    async fn agent(&self, name: &str, prompt: &str, tools: &[&str]) -> String {
        let agent = json!({"name": name, "system_prompt": prompt, "tool_ids": tools, "model": "expert"});
        self.app.post(&self.ann, "/api/admin/agents", agent).await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    async fn team(&self, lead: &str, member: &str) -> Value {
        let team = json!({"name": "Shop", "lead_id": lead, "members": [{"agent_id": member, "expertise": "Refunds"}]});
        self.app.post(&self.ann, "/api/admin/teams", team).await.expect(201)
    }

    async fn runs(&self) -> Value {
        let session = self.app.db.text("SELECT id::text FROM chat_conversations").await;
        self.app.get(&self.ann, &format!("/api/admin/sessions/{session}/runs")).await.expect(200)
    }
}

fn prompt_of(call: &Received) -> String {
    body(call)["messages"][0]["content"].as_str().unwrap().to_owned()
}

/// What tools have told the model.
fn told(call: &Received) -> Vec<String> {
    let messages = body(call)["messages"].clone();
    let results = messages.as_array().unwrap().iter().filter(|turn| turn["role"] == "tool");
    results.map(|turn| turn["content"].as_str().unwrap().to_owned()).collect()
}

/// The lead asks the expert, the expert makes a ticket, and the lead says what the expert said.
fn as_a_team(call: &Received) -> (u16, Value) {
    match (prompt_of(call).as_str(), told(call).first()) {
        ("You know refunds.", None) => calls(None, &[("create_ticket", r#"{"subject": "Refund"}"#)]),
        ("You know refunds.", Some(_)) => says("Fourteen days."),
        (_, None) => calls(None, &[("ask_refunds", r#"{"question": "How long does a refund take?"}"#)]),
        (_, Some(said)) => says(&format!("My colleague says: {said}")),
    }
}

#[tokio::test]
async fn a_lead_asks_its_colleague_once_though_the_run_is_done_again() {
    let office = Office::open(true).await;
    let ticket = office.base_tool("create_ticket").await;
    let expert = office.agent("Refunds", "You know refunds.", &[&ticket]).await;
    let lead = office.agent("Lead", "You lead.", &[]).await;
    office.team(&lead, &expert).await;
    office.model.script(as_a_team);
    office.hears("wamid.1", "When is my money back?").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["My colleague says: Fourteen days."]);
    let asked = office.model.received();
    let offered = |call: &Received| -> Vec<String> {
        let tools = body(call)["tools"].clone();
        tools.as_array().into_iter().flatten().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(asked.iter().map(prompt_of).collect::<Vec<_>>(), ["You lead.", "You know refunds.", "You know refunds.", "You lead."]);
    assert_eq!(
        (offered(&asked[0]), offered(&asked[1])),
        (vec!["escalate_to_human".to_owned(), "ask_refunds".to_owned()], vec!["create_ticket".to_owned()])
    );
    let question = body(&asked[1])["messages"][2]["content"].as_str().unwrap().to_owned();
    assert!(question.contains("Customer: When is my money back?") && question.ends_with("How long does a refund take?"), "{question}");
    let runs = office.runs().await;
    let run = &runs[0];
    let expected =
        json!(["replied", lead, 38, 20, "ask_refunds", "Fourteen days.", expert, lead, "How long does a refund take?", "Fourteen days."]);
    let (step, collaboration) = (&run["steps"][0], &run["collaborations"][0]);
    let shown = json!([
        run["outcome"],
        run["agent_id"],
        run["prompt_tokens"],
        run["completion_tokens"],
        step["tool"],
        step["result"],
        collaboration["agent_id"],
        collaboration["asked_by"],
        collaboration["question"],
        collaboration["answer"]
    ]);
    assert_eq!(shown, expected);
    let at = collaboration["created_at"].as_str().unwrap();
    assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
    // All four answers are counted, each once.
    let counted = "SELECT concat_ws(' ', answers, prompt_tokens, completion_tokens) FROM model_usage";
    assert_eq!(office.app.db.texts(counted).await, ["2 76 40"]);
    // The lead's model fails after the colleague has answered: the colleague is not asked again.
    office.app.db.run("UPDATE chat_conversations SET auto_replied_at = NULL").await;
    let before = office.model.received().len();
    office.model.script(|call| if prompt_of(call) == "You lead." && !told(call).is_empty() { fails(503) } else { as_a_team(call) });
    office.hears("wamid.2", "And the other one?").await;
    office.until_count("jobs WHERE queue = 'agents' AND run_at IS NOT NULL AND attempt = 1", 1).await;
    assert_eq!(office.model.received().len(), before + 4);
    office.model.script(as_a_team);
    office.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'agents' AND run_at IS NOT NULL").await;
    office.until_count("chat_messages WHERE status = 'sent'", 2).await;
    office.until_idle().await;
    assert_eq!(office.sent().len(), 2);
    assert_eq!((office.count("agent_collaborations").await, office.count("tickets").await), (2, 2));
}

#[tokio::test]
async fn teams_are_made_changed_and_deleted_by_admins_of_their_tenant() {
    let office = Office::open(false).await;
    let (lead, expert) = (office.agent("Lead", "You lead.", &[]).await, office.agent("Expert", "You know.", &[]).await);
    let team = office.team(&lead, &expert).await;
    let path = format!("/api/admin/teams/{}", team["id"].as_str().unwrap());
    assert_eq!(office.app.get(&office.ann, &path).await.expect(200), team);
    assert_eq!(office.app.get(&office.ann, "/api/admin/teams").await.expect(200), json!([team]));
    for agent in [&lead, &expert] {
        let shown = office.app.get(&office.ann, &format!("/api/admin/agents/{agent}")).await.expect(200);
        assert_eq!(shown["team_ids"], json!([team["id"]]));
    }
    let changed = office.app.put(&office.ann, &path, json!({"description": "Sells", "is_active": false, "members": []})).await.expect(200);
    assert_eq!(
        json!([changed["name"], changed["description"], changed["is_active"], changed["members"]]),
        json!(["Shop", "Sells", false, []])
    );
    office.app.delete(&office.ann, &format!("/api/admin/agents/{lead}")).await.expect(409);
    office.app.post(&office.ann, "/api/admin/teams", json!({"name": "Shop", "lead_id": lead})).await.expect(409);
    let eve = office.app.register("eve").await;
    for bad in [
        json!({"name": "x"}),
        json!({"lead_id": lead}),
        json!({"name": "x", "lead_id": Uuid::new_v4()}),
        json!({"name": "x", "lead_id": lead, "members": [{"agent_id": lead, "expertise": "x"}]}),
        json!({"name": "x", "lead_id": lead, "members": [{"agent_id": Uuid::new_v4(), "expertise": "x"}]}),
        json!({"name": "x", "lead_id": lead, "members": [{"agent_id": expert, "expertise": " "}]}),
    ] {
        office.app.post(&office.ann, "/api/admin/teams", bad).await.expect(422);
    }
    // Another tenant's agents are nobody's.
    office.app.post(&eve, "/api/admin/teams", json!({"name": "Mine", "lead_id": lead})).await.expect(422);
    office.app.get(&eve, &path).await.expect(404);
    office.app.put(&eve, &path, json!({"name": "Mine"})).await.expect(404);
    office.app.delete(&eve, &path).await.expect(404);
    let bob = office.app.colleague(&office.ann, "bob", "agent").await;
    office.app.get(&bob, "/api/admin/teams").await.expect(403);
    office.app.delete(&office.ann, &path).await.expect(204);
    office.app.get(&office.ann, &path).await.expect(404);
    office.app.delete(&office.ann, &format!("/api/admin/agents/{lead}")).await.expect(204);
}

/// JSON with an answer and a mood.
fn mood() -> Value {
    json!({"name": "Answer and mood", "instructions": "Be brief.", "max_chars": 30, "text_field": "answer", "json_schema": {"type": "object",
        "required": ["answer", "mood"], "properties": {"answer": {"type": "string"}, "mood": {"enum": ["good", "bad"]}}}})
}

#[tokio::test]
async fn an_answer_has_the_form_that_it_must_have_or_does_not_go_out() {
    let office = Office::open(true).await;
    let format = office.app.post(&office.ann, "/api/admin/output-formats", mood()).await.expect(201);
    let agent = format!("/api/admin/agents/{}", office.app.db.text("SELECT id::text FROM agents").await);
    let given = office.app.put(&office.ann, &agent, json!({"output_format_id": format["id"]})).await.expect(200);
    assert_eq!(given["output_format_id"], format["id"]);
    // Not at first, but then.
    office.model.script(|call| {
        let corrections = body(call)["messages"].as_array().unwrap().iter().filter(|turn| turn["role"] == "assistant").count();
        match corrections {
            0 => says("We open at nine."),
            1 => says(r#"{"answer": "We open at nine o'clock on every working day.", "mood": "good"}"#),
            _ => says("```json\n{\"answer\": \"At nine.\", \"mood\": \"good\"}\n```"),
        }
    });
    let said = json!({"message": "When do you open?"});
    let chat = format!("/api/{}/chat", office.ann.tenant);
    let mut events = Events::open(
        office.app.patient_request("POST", &chat).bearer_auth(&office.ann.token).header("accept", "text/event-stream").json(&said),
    )
    .await;
    let heard = events.rest().await;
    let tokens: Vec<_> = heard.iter().filter(|(name, _)| name == "token").map(|(_, data)| data["text"].clone()).collect();
    assert_eq!(tokens, ["At nine."], "what is not for the visitor is not shown to them");
    assert_eq!(heard.last().unwrap().1["response"], "At nine.");
    let asked = office.model.received();
    let schema = &body(&asked[0])["response_format"]["json_schema"]["schema"];
    assert_eq!((asked.len(), schema), (3, &mood()["json_schema"]));
    let corrected =
        |number: usize| body(&asked[number])["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    assert!(corrected(1).contains("not JSON") && corrected(2).contains("more than 30"), "{} {}", corrected(1), corrected(2));
    assert_eq!(
        office.app.db.text("SELECT meta ->> 'output' FROM chat_messages WHERE direction = 'outbound'").await,
        r#"{"mood": "good", "answer": "At nine."}"#
    );
    // Never: a person is called, and the customer is sent nothing.
    office.model.script(|_| says("Hello!"));
    let answer = office.app.post(&office.ann, &chat, json!({"message": "Hello?"})).await.expect(200);
    assert_eq!((&answer["response"], &answer["status"]), (&Value::Null, &json!("escalated")));
    assert_eq!(office.count("agent_runs WHERE outcome = 'failed' AND error LIKE '%form%'").await, 1);
}

#[tokio::test]
async fn output_formats_are_made_changed_and_deleted_by_admins_of_their_tenant() {
    let office = Office::open(false).await;
    let made = office.app.post(&office.ann, "/api/admin/output-formats", mood()).await.expect(201);
    let path = format!("/api/admin/output-formats/{}", made["id"].as_str().unwrap());
    assert_eq!(office.app.get(&office.ann, &path).await.expect(200), made);
    assert_eq!(office.app.get(&office.ann, "/api/admin/output-formats").await.expect(200), json!([made]));
    let plain = office.app.put(&office.ann, &path, json!({"json_schema": null, "text_field": null, "max_chars": null})).await.expect(200);
    assert_eq!(
        json!([plain["name"], plain["json_schema"], plain["text_field"], plain["max_chars"]]),
        json!(["Answer and mood", null, null, null])
    );
    let agent = format!("/api/admin/agents/{}", office.app.db.text("SELECT id::text FROM agents").await);
    office.app.put(&office.ann, &agent, json!({"output_format_id": made["id"]})).await.expect(200);
    office.app.delete(&office.ann, &path).await.expect(409);
    office.app.post(&office.ann, "/api/admin/output-formats", mood()).await.expect(409);
    for bad in [
        json!({"instructions": "x"}),
        json!({"name": "x", "max_chars": 0}),
        json!({"name": "x", "max_chars": 5_000}),
        json!({"name": "x", "text_field": "answer"}),
        json!({"name": "x", "json_schema": mood()["json_schema"]}),
        json!({"name": "x", "json_schema": mood()["json_schema"], "text_field": "mood"}),
        json!({"name": "x", "json_schema": {"type": "object", "$ref": "https://example.com/x"}, "text_field": "answer"}),
    ] {
        office.app.post(&office.ann, "/api/admin/output-formats", bad).await.expect(422);
    }
    let (bob, eve) = (office.app.colleague(&office.ann, "bob", "agent").await, office.app.register("eve").await);
    office.app.get(&bob, "/api/admin/output-formats").await.expect(403);
    office.app.get(&eve, &path).await.expect(404);
    office.app.put(&eve, &path, json!({"name": "Mine"})).await.expect(404);
    office.app.delete(&eve, &path).await.expect(404);
    let stolen = json!({"name": "Thief", "system_prompt": "x", "output_format_id": made["id"]});
    office.app.post(&eve, "/api/admin/agents", stolen).await.expect(422);
    // Taken from the agent, it can go.
    let without = office.app.put(&office.ann, &agent, json!({"output_format_id": null, "temperature": null})).await.expect(200);
    assert_eq!((&without["output_format_id"], &without["temperature"]), (&Value::Null, &Value::Null));
    office.app.delete(&office.ann, &path).await.expect(204);
    office.app.get(&office.ann, &path).await.expect(404);
}
