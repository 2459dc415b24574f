//! Messenger and Instagram, both ways. Bodies and the scripted provider are written from
//! <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events> and
//! <https://developers.facebook.com/docs/messenger-platform/reference/send-api>.

use crate::harness::{Answer, App, CUT, Database, Provider, Received, SENDING, User, sign, until};
use channels::meta_signature::SignatureKey;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

const PAGE: &str = "900100";
const PERSON: &str = "700200";

struct Page {
    app: App,
    provider: Provider,
    ann: User,
}

fn accepts(call: &Received) -> (u16, Value) {
    if call.line.starts_with("GET") {
        return (200, json!({"first_name": "Grace", "last_name": "Hopper", "profile_pic": "https://cdn.example/p.jpg", "id": PERSON}));
    }
    let body: Value = serde_json::from_str(&call.body).unwrap();
    (
        200,
        json!({"recipient_id": body["recipient"]["id"], "message_id": format!("m.{}", body["message"]["text"].as_str().unwrap_or("file"))}),
    )
}

impl Page {
    async fn of(kind: &str) -> Self {
        let provider = Provider::start().await;
        provider.script(accepts);
        let mut app = App::without_processes(Database::create().await, &[("META_GRAPH_URL", &provider.url)]).await;
        app.start_api().await;
        app.start_worker(SENDING).await;
        let ann = app.register("ann").await;
        let config = match kind {
            "FACEBOOK" => json!({"pageId": PAGE, "pageAccessToken": "token of ann"}),
            _ => json!({"accountId": PAGE, "accessToken": "token of ann"}),
        };
        app.post(&ann, "/api/channels", json!({"type": kind, "name": kind, "config": config})).await.expect(201);
        Self { app, provider, ann }
    }

    async fn hook(&self, path: &str, body: &str, signature: &str) -> Answer {
        let request = self.app.request("POST", path).header("x-hub-signature-256", signature).header("content-type", "application/json");
        self.app.send(request.body(body.to_owned())).await
    }

    async fn deliver(&self, body: &str) {
        assert_eq!(self.hook("/api/facebook/webhook", body, &sign(body)).await.status, 200);
        self.app.drain().await;
    }

    async fn say(&self, text: &str) -> String {
        let conversation = self.app.db.text("SELECT id::text FROM chat_conversations").await;
        let sent = self.app.post(&self.ann, "/api/messages/send", json!({"conversationId": conversation, "text": text})).await.expect(202);
        sent["message"]["id"].as_str().unwrap().to_owned()
    }

    async fn until_status(&self, id: &str, status: &str) {
        let sql = format!("SELECT status FROM chat_messages WHERE id = '{id}'");
        until(&format!("{id} is {status}"), async || self.app.db.text(&sql).await == status).await;
    }

    async fn told(&self) -> Vec<String> {
        let sql = "SELECT direction || ' ' || message_type || ' ' || coalesce(content, '-') || ' ' || status FROM chat_messages
                   WHERE conversation_id IS NOT NULL ORDER BY sent_at, content";
        self.app.db.texts(sql).await
    }
}

/// Milliseconds now, and so many seconds from now.
fn millis(seconds: i64) -> i64 {
    chrono::DateTime::<chrono::Utc>::from(std::time::UNIX_EPOCH + std::time::UNIX_EPOCH.elapsed().unwrap()).timestamp_millis()
        + seconds * 1_000
}

fn body(object: &str, page: &str, events: &[Value]) -> String {
    json!({"object": object, "entry": [{"id": page, "time": millis(0), "messaging": events}]}).to_string()
}

fn from_person(at: i64, part: &Value) -> Value {
    let mut event = json!({"sender": {"id": PERSON}, "recipient": {"id": PAGE}, "timestamp": at});
    event.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    event
}

fn text(mid: &str, text: &str, at: i64) -> Value {
    from_person(at, &json!({"message": {"mid": mid, "text": text}}))
}

fn echo(mid: &str, text: &str, at: i64, metadata: Option<&str>) -> Value {
    json!({"sender": {"id": PAGE}, "recipient": {"id": PERSON}, "timestamp": at,
        "message": {"mid": mid, "text": text, "is_echo": true, "app_id": 1, "metadata": metadata}})
}

#[tokio::test]
async fn both_addresses_take_both_products_and_people_are_looked_up_once() {
    let page = Page::of("FACEBOOK").await;
    let bodies = [body("page", PAGE, &[text("m1", "one", millis(-9))]), body("page", PAGE, &[text("m2", "two", millis(-8))])];
    for (path, body) in ["/api/webhook", "/api/facebook/webhook"].iter().zip(&bodies) {
        for _ in 0..2 {
            assert_eq!(page.hook(path, body, &sign(body)).await.status, 200);
        }
        page.app.drain().await;
        assert_eq!(page.hook(path, body, "sha256=00").await.status, 401);
        let handshake = page
            .app
            .call(
                "GET",
                &format!("{path}?hub.mode=subscribe&hub.verify_token={}&hub.challenge=77", "the%20verify%20token%20of%20the%20tests"),
                None,
                Value::Null,
            )
            .await;
        assert_eq!((handshake.status, handshake.body), (200, json!(77)));
    }
    assert_eq!(page.told().await, ["inbound text one received", "inbound text two received"]);
    assert_eq!(
        page.app.db.texts("SELECT name || ' ' || avatar_url || ' ' || facebook_psid FROM customers").await,
        [format!("Grace Hopper https://cdn.example/p.jpg {PERSON}")]
    );
    let asked: Vec<String> = page.provider.received().into_iter().map(|call| call.line).collect();
    assert_eq!(asked, [format!("GET /v23.0/{PERSON}?fields=first_name,last_name,profile_pic")]);
}

#[tokio::test]
async fn an_answer_goes_out_as_documented_and_its_receipts_move_it() {
    let page = Page::of("FACEBOOK").await;
    page.deliver(&body("page", PAGE, &[text("m1", "hello", millis(-9))])).await;
    let id = page.say("hi").await;
    page.until_status(&id, "sent").await;
    let call = page.provider.received().pop().unwrap();
    assert_eq!(call.line, format!("POST /v23.0/{PAGE}/messages"));
    assert!(call.head.to_ascii_lowercase().contains("authorization: bearer token of ann"));
    let expected = json!({"recipient": {"id": PERSON}, "messaging_type": "RESPONSE", "message": {"text": "hi", "metadata": id}});
    assert_eq!(serde_json::from_str::<Value>(&call.body).unwrap(), expected);
    // The echo of our own message is nobody's, and a mark moves what was sent before it.
    page.deliver(&body("page", PAGE, &[echo("m.hi", "hi", millis(0), Some(&id))])).await;
    page.deliver(&body("page", PAGE, &[from_person(millis(0), &json!({"delivery": {"watermark": millis(60)}}))])).await;
    page.until_status(&id, "delivered").await;
    page.deliver(&body("page", PAGE, &[from_person(millis(0), &json!({"read": {"watermark": millis(60)}}))])).await;
    page.until_status(&id, "read").await;
    page.deliver(&body("page", PAGE, &[from_person(millis(0), &json!({"delivery": {"watermark": millis(60)}}))])).await;
    assert_eq!(page.told().await, ["inbound text hello received", "outbound text hi read"]);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_echo() {
    for (kind, object) in [("FACEBOOK", "page"), ("INSTAGRAM", "instagram")] {
        let page = Page::of(kind).await;
        page.deliver(&body(object, PAGE, &[text("m1", "hello", millis(-9))])).await;
        page.provider.script(|call| if call.line.starts_with("GET") { accepts(call) } else { (CUT, Value::Null) });
        let id = page.say("hi").await;
        page.until_status(&id, "unknown").await;
        let metadata = (kind == "FACEBOOK").then_some(id.as_str());
        page.deliver(&body(object, PAGE, &[echo("m.9", "hi", millis(0), metadata)])).await;
        assert_eq!(page.told().await, ["inbound text hello received", "outbound text hi sent"], "{kind}");
        assert_eq!(page.app.db.text(&format!("SELECT external_id FROM chat_messages WHERE id = '{id}'")).await, "m.9");
        // The same again changes nothing, and what somebody else wrote is theirs.
        page.deliver(&body(object, PAGE, &[echo("m.9", "hi", millis(0), metadata), echo("m.10", "I am a person", millis(1), None)])).await;
        assert_eq!(
            page.told().await,
            ["inbound text hello received", "outbound text hi sent", "outbound text I am a person sent"],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_person_at_the_page_keeps_the_bot_away_until_released() {
    let page = Page::of("FACEBOOK").await;
    page.deliver(&body("page", PAGE, &[text("m1", "hello", millis(-9)), echo("m2", "I will help", millis(-5), None)])).await;
    let overridden = "SELECT count(*) FROM chat_conversations WHERE human_override_until > now() + interval '23 hours'";
    assert_eq!(page.app.db.count(overridden).await, 1);
    assert_eq!(page.app.db.count("SELECT count(*) FROM jobs WHERE kind = 'expire_override'").await, 1);
    let id = page.app.db.text("SELECT id::text FROM chat_conversations").await;
    let released = page.app.post(&page.ann, &format!("/api/conversations/{id}/release"), Value::Null).await.expect(200);
    assert_eq!(released["data"]["humanOverrideUntil"], Value::Null);
    assert_eq!(page.app.db.count(overridden).await, 0);
    let eve = page.app.register("eve").await;
    page.app.post(&eve, &format!("/api/conversations/{id}/release"), Value::Null).await.expect(404);
}

#[tokio::test]
async fn after_a_day_a_persons_answer_is_tagged_and_after_a_week_it_fails_with_the_reason() {
    let page = Page::of("FACEBOOK").await;
    page.deliver(&body("page", PAGE, &[text("m1", "hello", millis(-25 * 3_600))])).await;
    let id = page.say("hi").await;
    page.until_status(&id, "sent").await;
    let call: Value = serde_json::from_str(&page.provider.received().pop().unwrap().body).unwrap();
    assert_eq!((&call["messaging_type"], &call["tag"]), (&json!("MESSAGE_TAG"), &json!("HUMAN_AGENT")));
    page.app.db.run("UPDATE chat_conversations SET last_inbound_at = last_inbound_at - interval '8 days'").await;
    let late = page.say("too late").await;
    page.until_status(&late, "failed").await;
    let errors = page.app.db.text(&format!("SELECT errors::text FROM chat_messages WHERE id = '{late}'")).await;
    assert!(errors.contains("seven days"), "{errors}");
}

#[tokio::test]
async fn a_tenants_own_app_signs_for_its_own_channels_only() {
    let page = Page::of("FACEBOOK").await;
    let eve = page.app.register("eve").await;
    let own = json!({"pageId": "555", "pageAccessToken": "t", "appSecret": "eve's own app", "verifyToken": "eve's token"});
    page.app.post(&eve, "/api/channels", json!({"type": "FACEBOOK", "name": "Eve", "config": own})).await.expect(201);
    let signed = |body: &str| SignatureKey::new(b"eve's own app").sign(body.as_bytes());
    let event = |page: &str, mid: &str| json!({"sender": {"id": "1"}, "recipient": {"id": page}, "timestamp": millis(-5), "message": {"mid": mid, "text": mid}});
    let hers = body("page", "555", &[event("555", "hers")]);
    assert_eq!(page.hook("/api/facebook/webhook", &hers, &signed(&hers)).await.status, 200);
    let anns = body("page", PAGE, &[event(PAGE, "forged")]);
    assert_eq!(page.hook("/api/facebook/webhook", &anns, &signed(&anns)).await.status, 401);
    let both = body("page", PAGE, &[event(PAGE, "forged too"), event("555", "hers too")]);
    assert_eq!(page.hook("/api/facebook/webhook", &both, &signed(&both)).await.status, 200);
    page.app.drain().await;
    assert_eq!(page.app.db.texts("SELECT content FROM chat_messages ORDER BY content").await, ["hers", "hers too"]);
    for (token, status) in [("eve%27s%20token", 200), ("nobody%27s", 403)] {
        let path = format!("/api/facebook/webhook?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=5");
        assert_eq!(page.app.call("GET", &path, None, Value::Null).await.status, status);
    }
}

/// What a conversation ends as, by the provider's ids.
async fn final_state(page: &Page, channel_external_id: &str) -> Vec<String> {
    let sql = format!(
        "SELECT m.external_id || ' ' || m.direction || ' ' || m.message_type || ' ' || coalesce(m.content, '-') || ' ' || m.status || ' ' ||
                (m.revoked_at IS NOT NULL)::text || ' ' || coalesce((SELECT string_agg(r.value ->> 'emoji', ',') FROM jsonb_each(m.reactions) r), '-')
         FROM chat_messages m JOIN channel_instances c ON c.id = m.channel_instance_id WHERE c.external_id = '{channel_external_id}' ORDER BY 1"
    );
    page.app.db.texts(&sql).await
}

#[tokio::test]
async fn any_schedule_of_the_same_events_ends_the_same() {
    let page = Page::of("FACEBOOK").await;
    let (mut runner, mut first) = (TestRunner::deterministic(), None);
    for round in 0..12 {
        // A page and a person of its own for each schedule.
        let (page_id, person) = (format!("8000{round}"), format!("6000{round}"));
        let config = json!({"pageId": page_id, "pageAccessToken": "t"});
        page.app.post(&page.ann, "/api/channels", json!({"type": "FACEBOOK", "name": "P", "config": config})).await.expect(201);
        let at = 1_760_000_000_000_i64;
        let of = |mut event: Value, inbound: bool| {
            let ends = if inbound { ("sender", "recipient") } else { ("recipient", "sender") };
            event[ends.0] = json!({"id": person});
            event[ends.1] = json!({"id": page_id});
            event
        };
        let events = vec![
            of(text("a", "hello", at), true),
            of(echo("b", "hi", at + 1_000, None), false),
            of(echo("c", "more", at + 2_000, None), false),
            of(echo("d", "later", at + 9_000, None), false),
            of(from_person(at + 3_000, &json!({"delivery": {"mids": ["b"], "watermark": at + 1_500}})), true),
            of(from_person(at + 4_000, &json!({"read": {"watermark": at + 2_500}})), true),
            of(from_person(at + 5_000, &json!({"reaction": {"mid": "b", "action": "react", "emoji": "👍"}})), true),
            of(from_person(at + 6_000, &json!({"reaction": {"mid": "b", "action": "unreact"}})), true),
            of(from_person(at + 7_000, &json!({"reaction": {"mid": "c", "action": "react", "emoji": "❤"}})), true),
            of(from_person(at + 8_000, &json!({"message": {"mid": "a", "is_deleted": true}})), true),
        ];
        // Each event once or twice, in any order, in bodies of one to three.
        let twice: Vec<Value> = events.iter().chain(events.iter().step_by(round % 3 + 1)).cloned().collect();
        let order = proptest::strategy::Just(twice).prop_shuffle().new_tree(&mut runner).unwrap().current();
        for part in order.chunks(round % 3 + 1) {
            let body = body("page", &page_id, part);
            assert_eq!(page.hook("/api/webhook", &body, &sign(&body)).await.status, 200);
            if round % 2 == 0 {
                page.app.drain().await;
            }
        }
        page.app.drain().await;
        let state = final_state(&page, &page_id).await;
        let expected = first.get_or_insert_with(|| state.clone());
        assert_eq!(&state, expected, "schedule {round}");
    }
    let expected = [
        "a inbound text hello received true -",
        "b outbound text hi read false -",
        "c outbound text more read false ❤",
        "d outbound text later sent false -",
    ];
    assert_eq!(first.unwrap(), expected);
}
