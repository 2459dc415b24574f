//! Chat on a website: visitors with a widget's token, people with their own. The model streams as
//! <https://platform.openai.com/docs/api-reference/chat-streaming> says.

use super::agents::{Office, body, fails, says};
use super::sending::{CUSTOMER, NUMBER};
use crate::harness::{Answer, Events, text_to, until};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::Uuid;

/// A visitor of ann's website.
struct Visitor {
    token: String,
    session: String,
}

fn piece(words: &str, ended: Option<&str>) -> String {
    let delta = if ended.is_some() { json!({}) } else { json!({"content": words}) };
    let chunk =
        json!({"object": "chat.completion.chunk", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": ended}]});
    format!("data: {chunk}\n\n")
}

/// The first words at once, the rest when the model may answer.
fn streams(first: &str, rest: &str) -> (u16, Value) {
    let end = json!({"choices": [], "usage": {"prompt_tokens": 19, "completion_tokens": 10}});
    let rest = format!("{}{}data: {end}\n\ndata: [DONE]\n\n", piece(rest, None), piece("", Some("stop")));
    (200, json!({"$type": "text/event-stream", "$file": piece(first, None), "$rest": rest}))
}

/// Cut off after the first words.
fn breaks_off(first: &str) -> (u16, Value) {
    (200, json!({"$type": "text/event-stream", "$file": piece(first, None), "$rest": ""}))
}

impl Office {
    fn widget(&self, path: &str) -> String {
        format!("/api/public/widgets/{}/{path}", self.ann.tenant)
    }

    async fn visitor(&self) -> Visitor {
        self.app.put(&self.ann, &format!("/api/admin/widgets/{}", self.ann.tenant), json!({"enabled": true})).await.expect(200);
        let config = self.app.call("GET", &self.widget("config"), None, Value::Null).await.expect(200);
        let text = |name: &str| config[name].as_str().unwrap().to_owned();
        Visitor { token: text("widget_token"), session: text("session_id") }
    }

    fn saying(&self, visitor: &Visitor, name: &str, text: &str) -> RequestBuilder {
        let body = json!({"session_id": visitor.session, "message": text, "message_id": name});
        self.app.patient_request("POST", &self.widget("chat")).header("x-widget-token", &visitor.token).json(&body)
    }

    async fn says(&self, visitor: &Visitor, name: &str, text: &str) -> Answer {
        self.app.send(self.saying(visitor, name, text)).await
    }

    async fn messages(&self, visitor: &Visitor) -> Vec<String> {
        let answer = self.app.call("GET", &self.widget("messages"), Some(&visitor.token), Value::Null).await.expect(200);
        let line = |message: &Value| format!("{}: {}", message["role"].as_str().unwrap(), message["content"].as_str().unwrap());
        answer["messages"].as_array().unwrap().iter().map(line).collect()
    }

    async fn chat(&self, body: Value) -> Answer {
        self.app.post(&self.ann, &format!("/api/{}/chat", self.ann.tenant), body).await
    }
}

#[tokio::test]
async fn a_visitor_is_answered_and_the_same_message_again_is_the_same_answer() {
    let office = Office::open(true).await;
    let visitor = office.visitor().await;
    let first = office.says(&visitor, "a", "When do you open?").await.expect(200);
    assert_eq!(
        (&first["response"], &first["status"], &first["session_id"]),
        (&json!("We open at nine."), &json!("active"), &json!(visitor.session))
    );
    assert_eq!((&first["message"]["role"], &first["message"]["by_person"]), (&json!("assistant"), &json!(false)));
    assert_eq!(office.says(&visitor, "a", "When do you open?").await.expect(200), first);
    // No cooldown holds, and what was said before is known.
    office.model.script(|_| says("Until six."));
    let second = office.says(&visitor, "b", "And until when?").await.expect(200);
    assert_eq!(second["response"], "Until six.");
    let asked = office.model.received();
    assert_eq!(
        (asked.len(), &body(&asked[0])["stream"], &body(&asked[1])["messages"][2]["content"]),
        (2, &json!(true), &json!("We open at nine."))
    );
    assert_eq!(
        office.messages(&visitor).await,
        ["user: When do you open?", "assistant: We open at nine.", "user: And until when?", "assistant: Until six."]
    );
    office.until_idle().await;
    let stored = office.app.db.texts("SELECT concat_ws(' ', direction, status, channel_source) FROM chat_messages ORDER BY id").await;
    assert_eq!(stored, ["inbound received widget", "outbound sent widget", "inbound received widget", "outbound sent widget"]);
    assert_eq!(office.count("jobs_done WHERE kind = 'send_outbound'").await, 0, "a website has no provider to send to");
    // It is in the inbox like everything else.
    let inbox = office.app.get(&office.ann, "/api/conversations").await.expect(200);
    assert!(inbox.to_string().contains(&visitor.session), "{inbox}");
}

#[tokio::test]
async fn words_come_while_the_model_thinks() {
    let office = Office::open(true).await;
    let visitor = office.visitor().await;
    office.model.script(|_| streams("We open ", "at nine."));
    office.model.answer(false);
    let mut events = Events::open(office.saying(&visitor, "a", "When do you open?")).await;
    let session = events.until("session").await;
    assert_eq!(session["session_id"], json!(visitor.session));
    events.until("start").await;
    assert_eq!(events.until("token").await, json!({"text": "We open "}), "before the model has finished");
    office.model.answer(true);
    let rest = events.rest().await;
    let (name, last) = rest.last().unwrap();
    assert_eq!((name.as_str(), &last["response"], &last["message_id"]), ("message", &json!("We open at nine."), &session["message_id"]));
    assert_eq!(rest[0], ("token".to_owned(), json!({"text": "at nine."})));
    let run = office.app.db.text("SELECT concat_ws(' ', outcome, model, prompt_tokens, completion_tokens) FROM agent_runs").await;
    assert_eq!(run, "replied m-1 19 10");
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_an_answer_begins_anew_and_answers_once() {
    let mut office = Office::open(true).await;
    let visitor = office.visitor().await;
    office.model.script(|_| streams("We open ", "at nine."));
    office.model.answer(false);
    let mut events = Events::open(office.saying(&visitor, "a", "When do you open?")).await;
    events.until("token").await;
    office.app.kill_worker(0);
    events.until("start").await;
    office.model.answer(true);
    assert_eq!(events.until("message").await["response"], "We open at nine.");
    office.until_idle().await;
    assert_eq!(office.messages(&visitor).await, ["user: When do you open?", "assistant: We open at nine."]);
}

#[tokio::test]
async fn an_api_killed_while_somebody_waits_loses_nothing_and_the_answer_is_there_when_they_come_back() {
    let mut office = Office::open(true).await;
    let visitor = office.visitor().await;
    office.model.script(|_| streams("We open ", "at nine."));
    office.model.answer(false);
    let mut events = Events::open(office.saying(&visitor, "a", "When do you open?")).await;
    events.until("token").await;
    office.app.kill_api();
    assert!(events.rest().await.iter().all(|(event, _)| event != "message"));
    office.model.answer(true);
    office.until_count("agent_runs WHERE outcome = 'replied'", 1).await;
    let health = office.app.url("/health");
    until("the api is back", async || office.app.http.get(&health).send().await.is_ok()).await;
    let mut again = Events::open(office.saying(&visitor, "a", "When do you open?")).await;
    assert_eq!(again.until("message").await["response"], "We open at nine.");
    assert_eq!((office.model.received().len(), office.messages(&visitor).await.len()), (1, 2));
}

#[tokio::test]
async fn nobody_who_waits_stops_the_model_and_whoever_comes_back_is_answered() {
    let office = Office::open(true).await;
    let visitor = office.visitor().await;
    office.model.script(|_| streams("We open ", "at nine."));
    office.model.answer(false);
    let mut events = Events::open(office.saying(&visitor, "a", "When do you open?")).await;
    events.until("token").await;
    drop(events);
    office.until_count("agent_runs WHERE outcome = 'abandoned'", 1).await;
    office.until_idle().await;
    assert_eq!(office.messages(&visitor).await, ["user: When do you open?"]);
    assert_eq!(office.count("escalations").await, 0);
    office.model.answer(true);
    assert_eq!(office.says(&visitor, "a", "When do you open?").await.expect(200)["response"], "We open at nine.");
    assert_eq!((office.model.received().len(), office.messages(&visitor).await.len()), (2, 2));
}

#[tokio::test]
async fn an_answer_that_nobody_works_on_is_asked_for_again() {
    let office = Office::open(true).await;
    let visitor = office.visitor().await;
    assert!(office.app.switchboard(&["jobs", "pause", "agents"], &[], "").status.success());
    let mut events = Events::open(office.saying(&visitor, "a", "When do you open?")).await;
    events.until("session").await;
    // As if the run had ended because nobody listened, just when the visitor came back.
    office.app.db.run("DELETE FROM jobs WHERE queue = 'agents'").await;
    assert!(office.app.switchboard(&["jobs", "resume", "agents"], &[], "").status.success());
    assert_eq!(events.until("message").await["response"], "We open at nine.");
    assert_eq!((office.model.received().len(), office.messages(&visitor).await.len()), (1, 2));
}

#[tokio::test]
async fn sessions_that_begin_at_once_are_one_or_the_newest_is_open() {
    let office = Office::open(true).await;
    // The same session, of somebody new, five times at once.
    let (session, user) = (Uuid::new_v4(), Uuid::new_v4());
    let say = |session: Uuid, user: Uuid, name: &str| {
        office.chat(json!({"session_id": session, "user_id": user, "message": "Hello?", "message_id": name}))
    };
    let answers = futures::future::join_all(["a", "b", "c", "d", "e"].map(|name| say(session, user, name))).await;
    for answer in answers {
        assert_eq!(answer.expect(200)["session_id"], json!(session));
    }
    assert_eq!((office.count("chat_conversations").await, office.count("customers").await), (1, 1));
    // Five sessions of another new user at once: one stays open.
    let other = Uuid::new_v4();
    let names = ["f", "g", "h", "i", "j"];
    for answer in futures::future::join_all(names.map(|name| say(Uuid::new_v4(), other, name))).await {
        answer.expect(200);
    }
    assert_eq!((office.count("chat_conversations").await, office.count("customers").await), (6, 2));
    assert_eq!(office.count(&format!("chat_conversations WHERE customer_id = '{other}' AND status <> 'closed'")).await, 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again_and_one_that_never_comes_calls_a_person() {
    let mut office = Office::open(true).await;
    let visitor = office.visitor().await;
    office.model.script(|_| breaks_off("We op"));
    let mut events = Events::open(office.saying(&visitor, "a", "When do you open?")).await;
    events.until("token").await;
    office.until_count("jobs WHERE queue = 'agents' AND run_at IS NOT NULL", 1).await;
    office.model.script(|_| streams("We open ", "at nine."));
    office.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'agents'").await;
    events.until("start").await;
    assert_eq!(events.until("message").await["response"], "We open at nine.");
    // In the end a person is called.
    office.app.expect_dead(1);
    office.model.script(|_| fails(503));
    let mut events = Events::open(office.saying(&visitor, "b", "And until when?")).await;
    office.until_count("jobs WHERE queue = 'agents' AND run_at IS NOT NULL", 1).await;
    office.app.db.run("UPDATE jobs SET run_at = now(), max_attempts = attempt WHERE queue = 'agents'").await;
    let last = events.until("message").await;
    assert_eq!((&last["status"], &last["response"]), (&json!("escalated"), &Value::Null));
}

#[tokio::test]
async fn a_person_who_takes_over_is_heard_by_the_visitor() {
    let office = Office::open(true).await;
    let visitor = office.visitor().await;
    office.says(&visitor, "a", "Hello?").await.expect(200);
    let mut events = Events::open(office.app.patient_request("GET", &office.widget("events")).bearer_auth(&visitor.token)).await;
    events.until("ready").await;
    let escalate = format!("/api/admin/escalation/{}/escalate", visitor.session);
    office.app.post(&office.ann, &escalate, json!({})).await.expect(200);
    let waiting = office.says(&visitor, "b", "A person, please").await.expect(200);
    assert_eq!((&waiting["status"], &waiting["response"]), (&json!("escalated"), &Value::Null));
    let words = json!({"session_id": visitor.session, "message": "I am Ann"});
    let sent = office.app.post(&office.ann, &format!("/api/{}/supporter/message", office.ann.tenant), words).await.expect(201);
    assert_eq!(sent["status"], "sent");
    let mut heard = events.until("message").await;
    while heard["content"] != "I am Ann" {
        heard = events.until("message").await;
    }
    assert_eq!((&heard["role"], &heard["id"]), (&json!("assistant"), &sent["id"]));
    let assigned = office.says(&visitor, "c", "Thank you").await.expect(200);
    assert_eq!(assigned["status"], "assigned");
    // Resolved, the agent answers again.
    office.app.post(&office.ann, &format!("/api/admin/escalation/{}/resolve", visitor.session), json!({})).await.expect(200);
    assert_eq!(office.says(&visitor, "d", "When do you open?").await.expect(200)["response"], "We open at nine.");
    // Somebody else hears none of it.
    let eve = office.visitor().await;
    assert!(office.messages(&eve).await.is_empty());
}

#[tokio::test]
async fn without_an_agent_or_while_it_is_slow_the_visitor_is_told_so() {
    let office = Office::open(true).await;
    let visitor = office.visitor().await;
    let id = office.app.db.text("SELECT id::text FROM agents").await;
    office.app.put(&office.ann, &format!("/api/admin/agents/{id}"), json!({"is_active": false})).await.expect(200);
    let answer = office.says(&visitor, "a", "Hello?").await.expect(200);
    assert_eq!((&answer["status"], &answer["response"]), (&json!("active"), &Value::Null));
    assert_eq!(office.count("jobs_done WHERE kind = 'run_auto_reply'").await, 0);
    // While Redis is away the answer comes as a whole.
    office.app.put(&office.ann, &format!("/api/admin/agents/{id}"), json!({"is_active": true})).await.expect(200);
    office.app.redis.command::<i64>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    assert_eq!(office.says(&visitor, "b", "Hello?").await.expect(200)["response"], "We open at nine.");
}

#[tokio::test]
async fn a_widget_token_opens_its_own_session_and_nothing_else() {
    let office = Office::open(true).await;
    let (visitor, other) = (office.visitor().await, office.visitor().await);
    assert_ne!(visitor.session, other.session);
    let eve = office.app.register("eve").await;
    // Nowhere else.
    for path in ["/api/conversations", "/api/auth/me", "/api/admin/agents", "/api/admin/escalation/queue", "/api/channels", "/api/tickets"]
    {
        office.app.call("GET", path, Some(&visitor.token), Value::Null).await.expect(401);
    }
    // Not for another tenant, nor another session, nor another's messages.
    let elsewhere = format!("/api/public/widgets/{}/chat", eve.tenant);
    office.app.call("POST", &elsewhere, Some(&visitor.token), json!({"message": "x"})).await.expect(404);
    office.app.call("POST", &format!("/api/{}/chat", eve.tenant_number), Some(&visitor.token), json!({"message": "x"})).await.expect(404);
    for path in [office.widget("chat"), format!("/api/{}/chat", office.ann.tenant)] {
        let stolen = json!({"session_id": other.session, "message": "x"});
        office.app.call("POST", &path, Some(&visitor.token), stolen).await.expect(403);
    }
    assert!(office.messages(&other).await.is_empty());
    // Nor forged, expired, or a user's on the public path.
    let key = jsonwebtoken::EncodingKey::from_secret(b"a secret of the tests");
    let sign = |claims: Value| jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let claims = |exp: i64| json!({"aud": "widget", "tid": office.ann.tenant_number, "session_id": visitor.session, "exp": exp});
    let now = office.app.db.count("SELECT extract(epoch FROM now())::int8").await;
    assert_eq!(
        office.app.call("GET", &office.widget("messages"), Some(&sign(claims(now + 60))), Value::Null).await.status,
        200,
        "the forger's tool works"
    );
    let mut of_users = claims(now + 60);
    of_users["aud"] = json!("users");
    let bad = [sign(claims(now - 60)), sign(of_users), office.ann.token.clone(), "x".to_owned(), String::new()];
    for token in bad {
        office.app.call("GET", &office.widget("messages"), Some(&token), Value::Null).await.expect(401);
    }
    // An expired one is renewed for its session, but not for ever.
    let renew = async |token: &str| {
        let config = office.app.send(office.app.request("GET", &office.widget("config")).header("x-widget-token", token)).await.expect(200);
        config["session_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(renew(&sign(claims(now - 60))).await, visitor.session);
    assert_ne!(renew(&sign(claims(now - 40 * 86_400))).await, visitor.session);
    let mut of_eve = claims(now + 60);
    of_eve["tid"] = json!(eve.tenant_number);
    assert_ne!(renew(&sign(of_eve)).await, visitor.session);
}

#[tokio::test]
async fn a_widget_is_used_where_its_owner_lists_it_and_while_it_is_on() {
    let office = Office::open(true).await;
    let admin = format!("/api/admin/widgets/{}", office.ann.tenant);
    let off = office.app.call("GET", &office.widget("config"), None, Value::Null).await.expect(200);
    assert_eq!((&off["enabled"], &off["widget_token"]), (&json!(false), &Value::Null), "nobody has switched it on");
    let look = json!({"primary_color": "#AA0000", "welcome_message": "Hi!", "position": "bottom-left", "enabled": true, "title": "Ann",
        "allowed_origins": ["https://www.Example.com/", "http://localhost:8080"]});
    let put = office.app.put(&office.ann, &admin, look).await.expect(200);
    assert_eq!(put["allowed_origins"], json!(["https://www.example.com", "http://localhost:8080"]));
    assert_eq!(office.app.get(&office.ann, &format!("/api/admin/widgets/{}", office.ann.tenant_number)).await.expect(200), put);
    let ask = async |origin: Option<&str>| {
        let mut request = office.app.request("GET", &office.widget("config"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        office.app.send(request).await
    };
    let shown = ask(Some("https://www.example.com")).await;
    assert_eq!(shown.header("access-control-allow-origin"), Some("https://www.example.com"));
    let shown = shown.expect(200);
    assert_eq!(
        json!([shown["title"], shown["primary_color"], shown["welcome_message"], shown["position"], shown["enabled"]]),
        json!(["Ann", "#AA0000", "Hi!", "bottom-left", true])
    );
    ask(None).await.expect(200);
    let refused = ask(Some("https://evil.example.com")).await.expect(403);
    assert!(refused["detail"].as_str().unwrap().contains("https://evil.example.com"), "{refused}");
    let token = shown["widget_token"].as_str().unwrap();
    let chat = |origin: &str| {
        office
            .app
            .request("POST", &office.widget("chat"))
            .header("x-widget-token", token)
            .header("origin", origin)
            .json(&json!({"message": "Hello?"}))
    };
    office.app.send(chat("https://evil.example.com")).await.expect(403);
    office.app.send(chat("http://localhost:8080")).await.expect(200);
    for bad in [
        json!({"primary_color": "red"}),
        json!({"primary_color": "#12345"}),
        json!({"position": "top"}),
        json!({"title": " "}),
        json!({"welcome_message": "x".repeat(501)}),
        json!({"allowed_origins": ["example.com"]}),
        json!({"allowed_origins": ["https://example.com/path"]}),
        json!({"allowed_origins": ["javascript:alert(1)"]}),
        json!({"enabled": "yes"}),
    ] {
        office.app.put(&office.ann, &admin, bad.clone()).await.expect(422);
    }
    let (bob, eve) = (office.app.colleague(&office.ann, "bob", "agent").await, office.app.register("eve").await);
    office.app.put(&bob, &admin, json!({"enabled": false})).await.expect(403);
    office.app.put(&eve, &admin, json!({"enabled": false})).await.expect(404);
    office.app.call("GET", &format!("/api/public/widgets/{}/config", Uuid::new_v4()), None, Value::Null).await.expect(404);
    // Switched off, tokens are worth nothing.
    office.app.put(&office.ann, &admin, json!({"enabled": false})).await.expect(200);
    office.app.send(chat("http://localhost:8080")).await.expect(403);
}

#[tokio::test]
async fn people_chat_for_their_users_in_sessions_of_their_own_tenant() {
    let office = Office::open(true).await;
    let (session, user) = (Uuid::new_v4(), Uuid::new_v4());
    let first = office.chat(json!({"session_id": session, "message": "Hello?", "user_id": user})).await.expect(200);
    assert_eq!(json!([first["session_id"], first["user_id"], first["response"]]), json!([session, user, "We open at nine."]));
    // A session without a name gets one.
    let nameless = office.chat(json!({"message": "Hello?"})).await.expect(200);
    assert!(nameless["session_id"].is_string() && nameless["session_id"] != json!(session));
    // Another user's, another channel's, another tenant's.
    office.chat(json!({"session_id": session, "message": "x", "user_id": Uuid::new_v4()})).await.expect(404);
    assert_eq!(office.app.webhook(&text_to(NUMBER, CUSTOMER, "wamid.1", "hi", 60)).await, 200);
    office.until_count("chat_conversations WHERE channel_source = 'whatsapp'", 1).await;
    let whatsapp = office.app.db.text("SELECT id::text FROM chat_conversations WHERE channel_source = 'whatsapp'").await;
    office.chat(json!({"session_id": whatsapp, "message": "I am the customer"})).await.expect(404);
    let eve = office.app.register("eve").await;
    office.app.post(&eve, &format!("/api/{}/chat", eve.tenant), json!({"session_id": session, "message": "x"})).await.expect(404);
    office.app.post(&eve, &format!("/api/{}/chat", office.ann.tenant), json!({"message": "x"})).await.expect(404);
    // A user's next session closes the one before, which opens again when they write in it.
    let next = Uuid::new_v4();
    office.chat(json!({"session_id": next, "message": "Hello again", "user_id": user})).await.expect(200);
    let open = "SELECT id::text FROM chat_conversations WHERE channel_source = 'widget' AND status = 'open' AND customer_id = '";
    assert_eq!(office.app.db.text(&format!("{open}{user}'")).await, next.to_string());
    office.chat(json!({"session_id": session, "message": "Back", "user_id": user})).await.expect(200);
    assert_eq!(office.app.db.text(&format!("{open}{user}'")).await, session.to_string());
    for bad in [
        json!({"message": ""}),
        json!({"message": "x".repeat(4_097)}),
        json!({"message": "x", "session_id": "7"}),
        json!({"message": "x", "user_id": "7"}),
        json!({"message": "x", "message_id": ""}),
        json!({"message": 7}),
        json!({}),
    ] {
        office.chat(bad).await.expect(422);
    }
    assert_eq!(office.count("chat_messages WHERE content = 'x'").await, 0);
    office.until_idle().await;
}

#[tokio::test]
async fn visitors_who_write_too_fast_are_slowed_down_each_for_themselves() {
    let office = Office::open(true).await;
    let (fast, slow) = (office.visitor().await, office.visitor().await);
    for turn in 0..20 {
        office.says(&fast, &format!("m{turn}"), "Hello?").await.expect(200);
    }
    let refused = office.says(&fast, "m20", "Hello?").await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (429, true));
    office.says(&slow, "a", "Hello?").await.expect(200);
    assert_eq!(office.messages(&fast).await.len(), 40, "reading is not limited so");
}
