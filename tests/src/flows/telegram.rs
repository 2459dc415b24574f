//! Telegram bots, both ways. Updates and the scripted provider are written from <https://core.telegram.org/bots/api>.

use crate::harness::{App, CUT, Database, Provider, Received, SENDING, User, until};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

const TOKEN: &str = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11";

struct Bot {
    app: App,
    provider: Provider,
    ann: User,
    channel: String,
    /// Where Telegram was told to send updates, and the secret that it shows.
    path: String,
    secret: String,
}

fn accepts(call: &Received) -> (u16, Value) {
    if call.line.ends_with("/setWebhook") {
        return (200, json!({"ok": true, "result": true}));
    }
    if call.line.starts_with("GET") {
        return (
            400,
            json!({"ok": false, "error_code": 400, "description": "Bad Request: wrong file_id or the file is temporarily unavailable"}),
        );
    }
    let body: Value = serde_json::from_str(&call.body).unwrap();
    let id = call.body.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) >> 1;
    (200, json!({"ok": true, "result": {"message_id": id, "chat": {"id": body["chat_id"], "type": "private"}}}))
}

fn refuses(code: u16, parameters: Value) -> impl Fn(&Received) -> (u16, Value) {
    move |_| (code, json!({"ok": false, "error_code": code, "description": "said", "parameters": parameters}))
}

impl Bot {
    async fn connect() -> Self {
        let provider = Provider::start().await;
        provider.script(accepts);
        let mut app =
            App::without_processes(Database::create().await, &[("TELEGRAM_API_URL", &provider.url), ("PUBLIC_URL", "https://us.example")])
                .await;
        app.start_api().await;
        app.start_worker(SENDING).await;
        let ann = app.register("ann").await;
        let channel = app
            .post(&ann, "/api/channels", json!({"type": "TELEGRAM_BOT", "name": "Bot", "config": {"botToken": TOKEN}}))
            .await
            .expect(201);
        let channel = channel["id"].as_str().unwrap().to_owned();
        until("the bot is connected", async || {
            app.get(&ann, &format!("/api/channels/{channel}")).await.expect(200)["status"] == "CONNECTED"
        })
        .await;
        let asked = provider.received();
        assert_eq!((asked.len(), asked[0].line.as_str()), (1, format!("POST /bot{TOKEN}/setWebhook").as_str()));
        let body: Value = serde_json::from_str(&asked[0].body).unwrap();
        let path = format!("/api/telegram/bot/webhook/{channel}");
        assert_eq!(body["url"], format!("https://us.example{path}"));
        let secret = body["secret_token"].as_str().unwrap().to_owned();
        assert!((32..=256).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{secret}");
        Self { app, provider, ann, channel, path, secret }
    }

    async fn update_with(&self, secret: Option<&str>, path: &str, body: String) -> crate::harness::Answer {
        let mut request = self.app.request("POST", path).header("content-type", "application/json").body(body);
        if let Some(secret) = secret {
            request = request.header("x-telegram-bot-api-secret-token", secret);
        }
        self.app.send(request).await
    }

    async fn update(&self, update: &Value) -> Value {
        self.update_with(Some(&self.secret), &self.path, update.to_string()).await.expect(200)
    }

    /// A private message of Ada's.
    async fn hears(&self, id: u32, text: &str) {
        self.update(&json!({"update_id": id, "message": private(id, text)})).await;
        self.app.drain().await;
    }

    async fn conversation(&self) -> String {
        self.app.db.text("SELECT id::text FROM chat_conversations WHERE status <> 'closed'").await
    }

    async fn say(&self, text: &str) -> String {
        let conversation = self.conversation().await;
        let sent = self.app.post(&self.ann, "/api/messages/send", json!({"conversationId": conversation, "text": text})).await.expect(202);
        assert_eq!((&sent["queue"]["status"], &sent["message"]["status"]), (&json!("PENDING"), &json!("PENDING")));
        sent["message"]["id"].as_str().unwrap().to_owned()
    }

    async fn until_status(&self, id: &str, status: &str) {
        let sql = format!("SELECT status FROM channel_message_queue WHERE message_id = '{id}'");
        until(&format!("{id} is {status}"), async || self.app.db.text(&sql).await == status).await;
    }

    /// Bodies of messages that the provider was asked to send.
    fn sent(&self) -> Vec<Value> {
        let calls =
            self.provider.received().into_iter().filter(|call| call.line.starts_with("POST") && !call.line.ends_with("/setWebhook"));
        calls.map(|call| serde_json::from_str(&call.body).unwrap()).collect()
    }
}

fn private(id: u32, text: &str) -> Value {
    json!({"message_id": id, "date": 1_760_000_000 + id, "text": text, "from": {"id": 42, "is_bot": false, "first_name": "Ada"},
        "chat": {"id": 42, "type": "private", "first_name": "Ada"}})
}

#[tokio::test]
async fn an_update_is_taken_by_its_secret_and_once() {
    let bot = Bot::connect().await;
    let update = json!({"update_id": 7, "message": private(7, "hello")});
    let other = bot.app.register("eve").await;
    let theirs = bot
        .app
        .post(
            &other,
            "/api/channels",
            json!({"type": "TELEGRAM_BOT", "name": "B", "config": {"botToken": TOKEN.replace("123456", "654321")}}),
        )
        .await
        .expect(201);
    let their_path = format!("/api/telegram/bot/webhook/{}", theirs["id"].as_str().unwrap());
    for (secret, path) in [
        (None, bot.path.clone()),
        (Some("wrong"), bot.path.clone()),
        (Some(""), bot.path.clone()),
        (Some(bot.secret.as_str()), their_path),
        (Some(bot.secret.as_str()), format!("/api/telegram/bot/webhook/{}", uuid::Uuid::new_v4())),
        (Some(bot.secret.as_str()), "/api/telegram/bot/webhook/nobody".to_owned()),
    ] {
        let refused = bot.update_with(secret, &path, update.to_string()).await.expect(401);
        assert_eq!(refused["success"], json!(false), "{path}");
    }
    let large = bot.update_with(Some(&bot.secret), &bot.path, " ".repeat(3 * 1024 * 1024 + 1)).await;
    assert_eq!(large.status, 413);
    assert_eq!(bot.app.db.count("SELECT count(*) FROM raw_webhook_events").await, 0);
    for _ in 0..2 {
        assert_eq!(bot.update(&update).await, json!({"ok": true}));
    }
    bot.app.drain().await;
    let told = bot.app.db.texts("SELECT external_id || ' ' || content || ' ' || status FROM chat_messages").await;
    assert_eq!(told, ["42:7 hello received"]);
    assert_eq!(bot.app.db.texts("SELECT name FROM customers").await, ["Ada"]);
}

#[tokio::test]
async fn an_update_that_is_no_json_is_a_dead_letter_and_keeps_nobody_up() {
    let mut bot = Bot::connect().await;
    bot.app.expect_dead(1);
    bot.update_with(Some(&bot.secret), &bot.path, "{".to_owned()).await.expect(200);
    bot.hears(8, "after it").await;
    assert_eq!(bot.app.db.texts("SELECT content FROM chat_messages").await, ["after it"]);
}

#[tokio::test]
async fn edits_buttons_files_and_migrations_arrive() {
    let bot = Bot::connect().await;
    bot.hears(7, "helo").await;
    let mut edited = private(7, "hello");
    edited["edit_date"] = json!(1_760_000_100);
    bot.update(&json!({"update_id": 8, "edited_message": edited})).await;
    let pressed = json!({"update_id": 9, "callback_query": {"id": "Q1", "from": {"id": 42, "first_name": "Ada"}, "message": private(7, "hello"), "data": "yes"}});
    assert_eq!(bot.update(&pressed).await, json!({"method": "answerCallbackQuery", "callback_query_id": "Q1"}));
    let mut photo = private(10, "");
    photo.as_object_mut().unwrap().remove("text");
    photo["photo"] = json!([{"file_id": "SMALL", "width": 90}, {"file_id": "LARGE", "width": 900}]);
    bot.update(&json!({"update_id": 10, "message": photo})).await;
    bot.app.drain().await;
    let told = bot.app.db.texts("SELECT message_type || ' ' || coalesce(content, '-') || ' ' || coalesce(media #>> '{extra,fileId}', '-') FROM chat_messages ORDER BY id").await;
    assert_eq!(told, ["text hello -", "button yes -", "image - LARGE"]);

    let group = |id: i64, more: Value| {
        let mut message = json!({"message_id": 20, "date": 1_760_000_200, "from": {"id": 42, "first_name": "Ada"}, "chat": {"id": id, "type": "group", "title": "Club"}});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    bot.update(&json!({"update_id": 11, "message": group(-5, json!({"text": "hi all"}))})).await;
    bot.app.drain().await;
    bot.update(&json!({"update_id": 12, "message": group(-5, json!({"message_id": 21, "migrate_to_chat_id": -1_009}))})).await;
    bot.app.drain().await;
    bot.update(&json!({"update_id": 13, "message": group(-1_009, json!({"message_id": 1, "text": "still us"}))})).await;
    bot.app.drain().await;
    let club = "SELECT count(DISTINCT m.conversation_id) FROM chat_messages m WHERE content IN ('hi all', 'still us')";
    assert_eq!(bot.app.db.count(club).await, 1, "a group that moved goes on in its conversation");
    let id = bot.app.db.text("SELECT conversation_id::text FROM chat_messages WHERE content = 'still us'").await;
    bot.app.post(&bot.ann, "/api/messages/send", json!({"conversationId": id, "text": "welcome"})).await.expect(202);
    until("it is sent to where the group is now", async || bot.sent().iter().any(|body| body["chat_id"] == json!(-1_009))).await;
}

#[tokio::test]
async fn an_answer_goes_to_the_chat_and_waits_as_long_as_telegram_says() {
    let bot = Bot::connect().await;
    bot.hears(7, "hello").await;
    bot.provider.script(refuses(429, json!({"retry_after": 1})));
    let (first, second) = (bot.say("one").await, bot.say("two").await);
    until("it was asked", async || !bot.sent().is_empty()).await;
    bot.provider.script(accepts);
    bot.until_status(&first, "SENT").await;
    bot.until_status(&second, "SENT").await;
    let texts: Vec<Value> = bot.sent().into_iter().map(|body| body["text"].clone()).collect();
    assert_eq!(texts[texts.len() - 2..], [json!("one"), json!("two")], "in order, each once after the refusal");
    let external = bot.app.db.text(&format!("SELECT external_id FROM chat_messages WHERE id = '{first}'")).await;
    assert!(external.starts_with("42:"), "{external}");
    // What we sent comes back when somebody answers it.
    let mut answer = private(99, "what?");
    answer["reply_to_message"] = json!({"message_id": external.trim_start_matches("42:").parse::<i64>().unwrap(), "chat": {"id": 42}});
    bot.update(&json!({"update_id": 99, "message": answer})).await;
    bot.app.drain().await;
    assert_eq!(bot.app.db.text("SELECT reply_to FROM chat_messages WHERE content = 'what?'").await, external);
}

#[tokio::test]
async fn a_revoked_token_fails_one_message_and_holds_the_rest_until_there_is_a_new_one() {
    let bot = Bot::connect().await;
    bot.hears(7, "hello").await;
    bot.provider.script(refuses(401, json!({})));
    let first = bot.say("one").await;
    bot.until_status(&first, "FAILED").await;
    let shown = bot.app.get(&bot.ann, &format!("/api/channels/{}", bot.channel)).await.expect(200);
    assert_eq!(shown["status"], "ERROR");
    assert!(shown["metadata"]["error"].as_str().unwrap().contains("BotFather"), "{shown}");
    let second = bot.say("two").await;
    bot.provider.script(accepts);
    let asked = bot.sent().len();
    bot.app
        .patch(&bot.ann, &format!("/api/channels/{}", bot.channel), json!({"config": {"botToken": "123456:ANOTHER-KEY-1234567890abcdef"}}))
        .await
        .expect(200);
    bot.app.db.run("UPDATE jobs SET run_at = NULL WHERE queue = 'outbound' AND state = 'queued'").await;
    bot.until_status(&second, "SENT").await;
    assert_eq!(bot.sent().len(), asked + 1);
}

#[tokio::test]
async fn a_blocked_bot_is_told_and_a_lost_answer_is_not_repeated() {
    let bot = Bot::connect().await;
    bot.hears(7, "hello").await;
    bot.provider.script(refuses(403, json!({})));
    let refused = bot.say("one").await;
    bot.until_status(&refused, "FAILED").await;
    bot.provider.script(|_| (CUT, Value::Null));
    let lost = bot.say("two").await;
    let sql = format!("SELECT status FROM chat_messages WHERE id = '{lost}'");
    until("it is unknown", async || bot.app.db.text(&sql).await == "unknown").await;
    bot.provider.script(accepts);
    let third = bot.say("three").await;
    bot.until_status(&third, "SENT").await;
    let texts: Vec<Value> = bot.sent().into_iter().map(|body| body["text"].clone()).collect();
    assert_eq!(texts, [json!("one"), json!("two"), json!("three")]);
}

#[tokio::test]
async fn a_group_that_has_moved_is_written_to_where_it_is() {
    let bot = Bot::connect().await;
    bot.hears(7, "hello").await;
    bot.provider.script(|call| {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        if body["chat_id"] == json!(42) { refuses(400, json!({"migrate_to_chat_id": -1_042}))(call) } else { accepts(call) }
    });
    let id = bot.say("there?").await;
    until("it is asked again", async || {
        bot.app.db.run("UPDATE jobs SET run_at = NULL WHERE queue = 'outbound' AND state = 'queued'").await;
        bot.sent().len() == 2
    })
    .await;
    bot.until_status(&id, "SENT").await;
    assert_eq!(bot.sent()[1]["chat_id"], json!(-1_042));
}

/// What a person and their group said, at any moment; ids of this schedule's own. Some happen in one second: the update's number tells
/// which came first.
fn story(base: i64) -> Vec<Value> {
    let (person, group, moved) = (70_000 + base, -50_000 - base, -1_000_000 - base);
    let at = 1_760_000_000;
    let from = json!({"id": person, "first_name": "Ada"});
    let said = |chat: i64, kind: &str, id: i64, more: Value| {
        let mut message = json!({"message_id": id, "date": at + id, "from": from, "chat": {"id": chat, "type": kind, "title": "Club"}});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let private = |id: i64, more: Value| said(person, "private", id, more);
    let reaction = |date: i64, emojis: &[&str]| {
        let new: Vec<Value> = emojis.iter().map(|emoji| json!({"type": "emoji", "emoji": emoji})).collect();
        json!({"chat": {"id": person, "type": "private"}, "message_id": 1, "date": at + date, "user": from, "old_reaction": [], "new_reaction": new})
    };
    let picture = |caption: &str| json!({"photo": [{"file_id": "LARGE", "width": 900}], "caption": caption});
    let updates = [
        ("message", private(1, json!({"text": "helo"}))),
        ("edited_message", private(1, json!({"text": "hallo", "edit_date": at + 20}))),
        ("edited_message", private(1, json!({"text": "hello", "edit_date": at + 20}))),
        ("message", private(2, picture("ours"))),
        (
            "edited_message",
            private(2, {
                let mut new = picture("theirs");
                new["edit_date"] = json!(at + 30);
                new
            }),
        ),
        ("message_reaction", reaction(40, &["👍"])),
        ("message_reaction", reaction(40, &[])),
        ("message_reaction", reaction(40, &["❤"])),
        ("callback_query", json!({"id": format!("Q{base}"), "from": from, "message": private(1, json!({"text": "hello"})), "data": "yes"})),
        ("message", said(group, "group", 5, json!({"text": "hi all"}))),
        ("message", said(group, "group", 6, json!({"migrate_to_chat_id": moved}))),
        ("message", said(moved, "supergroup", 1, json!({"migrate_from_chat_id": group}))),
        ("message", said(moved, "supergroup", 2, json!({"text": "still us"}))),
    ];
    let numbered = updates.into_iter().zip(base..).map(|((kind, update), number)| json!({"update_id": number, kind: update}));
    numbered.collect()
}

#[tokio::test]
async fn any_schedule_of_the_same_updates_ends_the_same() {
    let bot = Bot::connect().await;
    let mut runner = TestRunner::deterministic();
    let expected = [
        "moved:1 system system migrate from chat id -",
        "moved:2 inbound text still us -",
        "group:5 inbound text hi all -",
        "group:6 system system migrate to chat id -",
        "private:1 inbound text hello ❤",
        "private:2 inbound image theirs -",
        "callback:Q inbound button yes -",
    ];
    for round in 0..12_usize {
        let base = 100 * (i64::try_from(round).unwrap() + 1);
        let updates = story(base);
        // Each update once or twice, in any order, some of them waiting together.
        let twice: Vec<Value> = updates.iter().chain(updates.iter().step_by(round % 3 + 1)).cloned().collect();
        let order = proptest::strategy::Just(twice).prop_shuffle().new_tree(&mut runner).unwrap().current();
        for together in order.chunks(round % 5 + 1) {
            for update in together {
                bot.update(update).await;
            }
            bot.app.drain().await;
        }
        let names = [(70_000 + base).to_string(), (-50_000 - base).to_string(), (-1_000_000 - base).to_string(), format!("Q{base}")];
        let of_round = format!(
            "m.external_id LIKE '{}:%' OR m.external_id LIKE '{}:%' OR m.external_id LIKE '{}:%' OR m.external_id = 'callback:{}'",
            names[0], names[1], names[2], names[3]
        );
        let sql = format!(
            "SELECT m.external_id || ' ' || m.direction || ' ' || m.message_type || ' ' || coalesce(m.content, '-') || ' ' ||
                    coalesce((SELECT string_agg(r.value ->> 'emoji', ',') FROM jsonb_each(m.reactions) r), '-')
             FROM chat_messages m WHERE {of_round} ORDER BY 1"
        );
        let plain =
            |row: String| names.iter().zip(["private", "group", "moved", "Q"]).fold(row, |row, (name, plain)| row.replace(name, plain));
        let state: Vec<String> = bot.app.db.texts(&sql).await.into_iter().map(plain).collect();
        assert_eq!(state, expected, "schedule {round}: {order:?}");
        let conversations =
            bot.app.db.count(&format!("SELECT count(DISTINCT m.conversation_id) FROM chat_messages m WHERE {of_round}")).await;
        assert_eq!(conversations, 2, "the person's and the group's, which moved: schedule {round}: {order:?}");
    }
}
