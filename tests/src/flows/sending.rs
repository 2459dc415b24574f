//! Messages on their way out: each ends sent once, or failed or unknown with the reason shown, whatever the provider answers and
//! whoever is killed. The provider is scripted from Meta's documentation
//! (<https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages>).

use crate::harness::{App, CUT, Database, Provider, Received, SENDING, User, change, status_for, text_to, until};
use serde_json::{Value, json};

pub(crate) const NUMBER: &str = "106540352242922";
pub(crate) const CUSTOMER: &str = "15551230001";

/// A tenant with a WhatsApp channel at a scripted provider, to whom a customer has just written. No worker sends yet.
pub(crate) struct Desk {
    pub(crate) app: App,
    pub(crate) provider: Provider,
    pub(crate) ann: User,
    pub(crate) channel: String,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let provider = Provider::start().await;
        provider.script(accepts);
        let mut app = App::without_processes(Database::create().await, &[("META_GRAPH_URL", &provider.url)]).await;
        app.start_api().await;
        app.start_worker(&[]).await;
        let ann = app.register("ann").await;
        let config = json!({"phoneNumberId": NUMBER, "accessToken": "token of ann"});
        let channel = app.post(&ann, "/api/channels", json!({"type": "WHATSAPP", "name": "WhatsApp", "config": config})).await.expect(201);
        let desk = Self { channel: channel["id"].as_str().unwrap().to_owned(), app, provider, ann };
        desk.hear_from(CUSTOMER).await;
        desk
    }

    /// The same, with a worker that sends.
    pub(crate) async fn sending() -> Self {
        let mut desk = Box::pin(Self::open()).await;
        desk.app.start_worker(SENDING).await;
        desk
    }

    pub(crate) async fn hear_from(&self, phone: &str) {
        assert_eq!(self.app.webhook(&text_to(NUMBER, phone, &format!("wamid.in.{phone}"), "hello?", 60)).await, 200);
        self.app.drain().await;
    }

    /// Submits a text; returns the message's id.
    pub(crate) async fn say(&self, to: &str, text: &str) -> String {
        let body = json!({"to": format!("+{to}"), "type": "text", "content": {"text": text}});
        self.app.post(&self.ann, "/api/messages", body).await.expect(201)["data"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn stored_status(&self, id: &str) -> String {
        self.app.db.text(&format!("SELECT status FROM chat_messages WHERE id = '{id}'")).await
    }

    pub(crate) async fn until_status(&self, id: &str, status: &str) {
        until(&format!("{id} is {status}"), async || self.stored_status(id).await == status).await;
    }

    /// The message as the contract shows it.
    pub(crate) async fn shown(&self, id: &str) -> Value {
        self.app.get(&self.ann, &format!("/api/messages/{id}")).await.expect(200)["data"].clone()
    }

    async fn until_received(&self, count: usize) {
        until(&format!("the provider has {count} calls"), async || self.provider.received().len() >= count).await;
    }

    /// The texts that reached the provider, in order.
    fn texts(&self) -> Vec<String> {
        self.provider.received().iter().map(|call| body(call)["text"]["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Nothing is left to do, and nothing is on its way.
    pub(crate) async fn until_idle(&self) {
        until("nothing waits to be sent", async || self.app.db.count("SELECT count(*) FROM jobs WHERE queue = 'outbound'").await == 0)
            .await;
        assert_eq!(self.app.db.count("SELECT count(*) FROM chat_messages WHERE status IN ('pending', 'sending')").await, 0);
    }
}

pub(crate) fn body(call: &Received) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

/// As the documentation shows an acceptance; the id is made of ours, so that each message has its own.
pub(crate) fn accepts(call: &Received) -> (u16, Value) {
    let body = body(call);
    let id = format!("wamid.{}", body["biz_opaque_callback_data"].as_str().unwrap());
    (200, json!({"messaging_product": "whatsapp", "contacts": [{"input": body["to"], "wa_id": body["to"]}], "messages": [{"id": id}]}))
}

pub(crate) fn refuses(code: i64) -> (u16, Value) {
    (
        400,
        json!({"error": {"message": format!("(#{code}) said"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "in detail"}, "fbtrace_id": "x"}}),
    )
}

/// A receipt that carries our id, as all receipts of our messages do.
pub(crate) fn receipt(id: &str, status: &str) -> String {
    change(
        NUMBER,
        &json!({"statuses": [{"id": format!("wamid.{id}"), "status": status, "timestamp": "1760000000",
        "recipient_id": CUSTOMER, "biz_opaque_callback_data": id}]}),
    )
}

#[tokio::test]
async fn a_message_is_handed_over_once_and_its_receipts_move_it() {
    let desk = Desk::sending().await;
    let id = desk.say(CUSTOMER, "your parcel is on its way").await;
    desk.until_status(&id, "sent").await;
    let calls = desk.provider.received();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].line, format!("POST /v23.0/{NUMBER}/messages"));
    assert!(calls[0].head.to_ascii_lowercase().contains("authorization: bearer token of ann"), "{}", calls[0].head);
    assert_eq!(
        body(&calls[0]),
        json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": CUSTOMER, "type": "text",
            "text": {"body": "your parcel is on its way", "preview_url": true}, "biz_opaque_callback_data": id})
    );
    let shown = desk.shown(&id).await;
    assert_eq!((&shown["status"], &shown["whatsappId"]), (&json!("SENT"), &json!(format!("wamid.{id}"))));
    for (status, expected) in [("read", "READ"), ("delivered", "READ"), ("sent", "READ")] {
        assert_eq!(desk.app.webhook(&status_for(NUMBER, &format!("wamid.{id}"), status)).await, 200);
        desk.app.drain().await;
        assert_eq!(desk.shown(&id).await["status"], expected, "{status}");
    }
    desk.until_idle().await;
    assert_eq!(desk.app.db.texts("SELECT state FROM jobs_done WHERE kind = 'send_outbound'").await, ["done"]);
}

#[tokio::test]
async fn files_and_templates_go_out_as_documented() {
    let desk = Desk::sending().await;
    let contents = [
        json!({"type": "image", "content": {"mediaUrl": "https://files.example/a.jpg", "caption": "look"}}),
        json!({"type": "document", "content": {"mediaUrl": "https://files.example/a.pdf", "fileName": "invoice.pdf"}}),
        json!({"type": "template", "content": {"name": "welcome", "language": "de"}}),
    ];
    for mut content in contents {
        content["to"] = json!(format!("+{CUSTOMER}"));
        desk.app.post(&desk.ann, "/api/messages", content).await.expect(201);
    }
    desk.until_idle().await;
    let sent: Vec<Value> = desk.provider.received().iter().map(body).collect();
    assert_eq!(sent[0]["image"], json!({"link": "https://files.example/a.jpg", "caption": "look"}));
    assert_eq!(sent[1]["document"], json!({"link": "https://files.example/a.pdf", "filename": "invoice.pdf"}));
    assert_eq!(sent[2]["template"], json!({"name": "welcome", "language": {"code": "de"}}));
}

#[tokio::test]
async fn a_conversation_goes_out_in_order_however_many_workers_there_are() {
    let mut desk = Desk::open().await;
    desk.hear_from("15551230002").await;
    for n in 0..30 {
        desk.say(if n % 3 == 0 { "15551230002" } else { CUSTOMER }, &n.to_string()).await;
    }
    desk.app.start_worker(SENDING).await;
    desk.app.start_worker(SENDING).await;
    desk.until_idle().await;
    let numbers: Vec<u32> = desk.texts().iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 30);
    for remainders in [&[0][..], &[1, 2]] {
        let of_one: Vec<u32> = numbers.iter().copied().filter(|n| remainders.contains(&(n % 3))).collect();
        assert!(of_one.is_sorted(), "{of_one:?}");
    }
}

#[tokio::test]
async fn what_whatsapp_refuses_for_good_fails_with_a_sentence_and_the_next_one_goes_out() {
    let desk = Desk::sending().await;
    desk.provider.script(|call| if call.body.contains("too late") { refuses(131_047) } else { accepts(call) });
    let (refused, next) = (desk.say(CUSTOMER, "too late").await, desk.say(CUSTOMER, "next").await);
    desk.until_status(&next, "sent").await;
    let shown = desk.shown(&refused).await;
    assert_eq!((&shown["status"], &shown["errors"][0]["code"]), (&json!("FAILED"), &json!(131_047)));
    assert!(shown["errors"][0]["title"].as_str().unwrap().contains("template"), "{shown}");
    assert_eq!(shown["errors"][0]["message"], "in detail");
    desk.until_idle().await;
    assert_eq!(desk.texts(), ["too late", "next"]);
    assert_eq!(desk.app.db.count("SELECT count(*) FROM jobs_dead").await, 0);
}

#[tokio::test]
async fn trouble_of_the_provider_is_waited_out_and_costs_no_attempt() {
    let desk = Desk::sending().await;
    let troubles = [(503, json!({})), refuses(130_429), (500, json!({"error": {"code": 2, "message": "down"}})), refuses(131_056)];
    let calls = std::sync::atomic::AtomicUsize::new(0);
    desk.provider.script(move |call| {
        let n = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        troubles.get(n).cloned().unwrap_or_else(|| accepts(call))
    });
    let id = desk.say(CUSTOMER, "patience").await;
    desk.until_received(1).await;
    desk.until_status(&id, "pending").await;
    desk.until_status(&id, "sent").await;
    assert_eq!(desk.texts(), ["patience"; 5]);
    desk.until_idle().await;
    assert_eq!(desk.app.db.texts("SELECT attempt::text FROM jobs_done WHERE kind = 'send_outbound'").await, ["1"]);
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_keeps_the_queue_waiting() {
    let provider_port = crate::harness::free_port();
    let mut desk = Desk::open().await;
    desk.app.set("META_GRAPH_URL", &format!("http://127.0.0.1:{provider_port}"));
    let worker = desk.app.start_worker(SENDING).await;
    let ids = [desk.say(CUSTOMER, "one").await, desk.say(CUSTOMER, "two").await];
    until("the first was tried", async || {
        desk.app.db.count("SELECT count(*) FROM jobs WHERE queue = 'outbound' AND run_at IS NOT NULL").await > 0
    })
    .await;
    assert_eq!(desk.stored_status(&ids[0]).await, "pending");
    desk.app.workers[worker].terminate();
    desk.app.set("META_GRAPH_URL", &desk.provider.url.clone());
    desk.app.start_worker(SENDING).await;
    desk.until_idle().await;
    assert_eq!(desk.texts(), ["one", "two"]);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_never_repeated_and_settled_by_the_receipt() {
    let desk = Desk::sending().await;
    let losses = [(CUT, json!(null)), (500, json!("garbage")), (502, json!({})), (200, json!({"messages": []}))];
    for (n, loss) in losses.into_iter().enumerate() {
        let text = format!("lost {n}");
        let lost = text.clone();
        desk.provider.script(move |call| if call.body.contains(&lost) { loss.clone() } else { accepts(call) });
        let id = desk.say(CUSTOMER, &text).await;
        desk.until_status(&id, "unknown").await;
        let shown = desk.shown(&id).await;
        assert_eq!((&shown["status"], &shown["meta"]["unknown"], &shown["whatsappId"]), (&json!("PENDING"), &json!(true), &Value::Null));
        assert!(shown["errors"][0]["title"].as_str().unwrap().contains("may or may not"), "{shown}");
        assert_eq!(desk.app.webhook(&receipt(&id, "delivered")).await, 200);
        desk.app.drain().await;
        let shown = desk.shown(&id).await;
        assert_eq!(
            (&shown["status"], &shown["errors"], &shown["whatsappId"]),
            (&json!("DELIVERED"), &Value::Null, &json!(format!("wamid.{id}")))
        );
        assert_eq!(desk.texts().iter().filter(|sent| **sent == text).count(), 1);
    }
    let after = desk.say(CUSTOMER, "after").await;
    desk.until_status(&after, "sent").await;
    desk.until_idle().await;
}

#[tokio::test]
async fn a_receipt_may_be_faster_than_the_answer() {
    let desk = Desk::sending().await;
    for with_our_id in [true, false] {
        desk.provider.answer(false);
        let already = desk.provider.received().len();
        let id = desk.say(CUSTOMER, "quick").await;
        desk.until_received(already + 1).await;
        let early = if with_our_id { receipt(&id, "read") } else { status_for(NUMBER, &format!("wamid.{id}"), "read") };
        assert_eq!(desk.app.webhook(&early).await, 200);
        desk.app.drain().await;
        desk.provider.answer(true);
        desk.until_idle().await;
        let shown = desk.shown(&id).await;
        assert_eq!((&shown["status"], &shown["whatsappId"]), (&json!("READ"), &json!(format!("wamid.{id}"))), "{with_our_id}");
        assert_eq!(desk.app.db.count("SELECT count(*) FROM chat_messages WHERE message_type = 'placeholder'").await, 0);
    }
}

#[tokio::test]
async fn a_worker_killed_during_the_call_leaves_the_message_unknown_and_the_next_one_goes_out() {
    let mut desk = Desk::open().await;
    let worker = desk.app.start_worker(SENDING).await;
    desk.provider.answer(false);
    let (first, second) = (desk.say(CUSTOMER, "first").await, desk.say(CUSTOMER, "second").await);
    desk.until_received(1).await;
    desk.app.workers[worker].kill();
    desk.provider.answer(true);
    desk.app.start_worker(SENDING).await;
    desk.until_status(&second, "sent").await;
    assert_eq!(desk.stored_status(&first).await, "unknown");
    desk.until_idle().await;
    assert_eq!(desk.texts(), ["first", "second"]);
}

#[tokio::test]
async fn a_worker_that_stalls_until_it_is_rescued_still_tells_what_the_provider_said() {
    let mut desk = Desk::open().await;
    let worker = desk.app.start_worker(SENDING).await;
    desk.provider.answer(false);
    let id = desk.say(CUSTOMER, "slowly").await;
    desk.until_received(1).await;
    desk.app.workers[worker].signal("STOP");
    desk.app.start_worker(SENDING).await;
    desk.until_status(&id, "unknown").await;
    desk.provider.answer(true);
    desk.app.workers[worker].signal("CONT");
    desk.until_status(&id, "sent").await;
    assert_eq!(desk.texts(), ["slowly"]);
}

#[tokio::test]
async fn workers_killed_again_and_again_send_nothing_twice_and_lose_nothing() {
    let mut desk = Desk::open().await;
    let people: Vec<String> = (0..8).map(|n| format!("1555124000{n}")).collect();
    for phone in &people {
        desk.hear_from(phone).await;
    }
    for n in 0..64 {
        desk.say(&people[n % people.len()], &format!("{n:02}")).await;
    }
    for round in 0..4 {
        let worker = desk.app.start_worker(SENDING).await;
        desk.until_received(round * 8 + 8).await;
        desk.app.workers[worker].kill();
    }
    desk.app.start_worker(SENDING).await;
    desk.until_idle().await;
    let mut received = desk.texts();
    received.sort_unstable();
    let mut distinct = received.clone();
    distinct.dedup();
    assert_eq!(received, distinct, "each reached the provider once at most");
    let statuses = desk.app.db.texts("SELECT content || ' ' || status FROM chat_messages WHERE direction = 'outbound' ORDER BY 1").await;
    assert_eq!(statuses.len(), 64);
    for line in statuses {
        let (text, status) = line.split_once(' ').unwrap();
        let arrived = received.iter().any(|sent| sent == text);
        assert!(status == "unknown" || (status == "sent" && arrived), "{line}, arrived: {arrived}");
    }
}

#[tokio::test]
async fn a_rejected_token_stops_the_channel_until_it_has_a_new_one() {
    let desk = Desk::sending().await;
    desk.provider.script(|call| if call.head.contains("token of ann") { refuses(190) } else { accepts(call) });
    let first = desk.say(CUSTOMER, "first").await;
    desk.until_status(&first, "failed").await;
    let path = format!("/api/channels/{}", desk.channel);
    let channel = desk.app.get(&desk.ann, &path).await.expect(200);
    assert_eq!(channel["status"], "ERROR", "{channel}");
    assert!(channel["metadata"]["error"].as_str().unwrap().contains("token"), "{channel}");
    let second = desk.say(CUSTOMER, "second").await;
    until("it was looked at", async || {
        desk.app.db.count("SELECT count(*) FROM jobs WHERE queue = 'outbound' AND run_at IS NOT NULL").await == 1
    })
    .await;
    assert_eq!((desk.stored_status(&second).await.as_str(), desk.texts()), ("pending", vec!["first".to_owned()]));
    let changed = desk.app.patch(&desk.ann, &path, json!({"config": {"accessToken": "a new token"}})).await.expect(200);
    assert_eq!((&changed["status"], &changed["metadata"]["error"]), (&json!("CONNECTED"), &Value::Null));
    desk.until_status(&second, "sent").await;
    desk.until_idle().await;
    assert_eq!((desk.texts(), desk.stored_status(&first).await.as_str()), (vec!["first".to_owned(), "second".to_owned()], "failed"));
}

#[tokio::test]
async fn a_message_that_goes_wrong_again_and_again_is_a_dead_letter_that_can_be_driven_again() {
    let mut desk = Desk::open().await;
    desk.app.expect_dead(1);
    desk.provider.script(|_| refuses(131_000));
    let id = desk.say(CUSTOMER, "unlucky").await;
    desk.app.db.run("UPDATE jobs SET max_attempts = 2 WHERE queue = 'outbound'").await;
    desk.app.start_worker(SENDING).await;
    desk.until_status(&id, "failed").await;
    assert_eq!(desk.texts(), ["unlucky"; 2]);
    assert_eq!(desk.shown(&id).await["errors"][0]["code"], 131_000);
    let job = desk.app.db.text("SELECT id::text FROM jobs_dead WHERE kind = 'send_outbound'").await;
    desk.provider.script(accepts);
    let driven = desk.app.switchboard(&["jobs", "retry", &job], &[], "");
    assert!(driven.status.success(), "{driven:?}");
    desk.until_status(&id, "sent").await;
    assert_eq!(desk.shown(&id).await["errors"], Value::Null);
    desk.app.expect_dead(0);
    desk.until_idle().await;
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let mut desk = Desk::open().await;
    let id = desk.say(CUSTOMER, "forgotten").await;
    desk.app.db.run("UPDATE chat_messages SET created_at = now() - interval '25 hours' WHERE direction = 'outbound'").await;
    desk.app.db.run("UPDATE channel_instances SET status = 'ERROR'").await;
    desk.app.start_worker(SENDING).await;
    // A day in which it was not looked at, say because an operator held it, is none in which it could not be sent.
    let waits = "SELECT count(*) FROM jobs WHERE queue = 'outbound' AND (errors -> -1 ->> 'waited_s')::float8 BETWEEN 15 AND 18.1 AND run_at IS NOT NULL";
    until("it waits", async || desk.app.db.count(waits).await == 1).await;
    desk.app.db.run("UPDATE jobs SET run_at = now(), errors = jsonb_set(errors, '{-1,waited_s}', '86390') WHERE queue = 'outbound'").await;
    let longer = "SELECT count(*) FROM jobs WHERE queue = 'outbound' AND (errors -> -1 ->> 'waited_s')::float8 BETWEEN 86405 AND 86409 AND run_at IS NOT NULL";
    until("it waits for longer than a day", async || desk.app.db.count(longer).await == 1).await;
    desk.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'outbound'").await;
    desk.until_status(&id, "failed").await;
    assert!(desk.shown(&id).await["errors"][0]["title"].as_str().unwrap().contains("reconnect"));
    assert!(desk.provider.received().is_empty());
    assert_eq!(desk.app.db.count("SELECT count(*) FROM jobs_dead WHERE kind = 'send_outbound'").await, 1);
}
