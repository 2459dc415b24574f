//! Those who watch hear everything, once, in order, also over a reconnect; and nobody hears another tenant's.

use crate::harness::{App, Watcher, status_for, text_to, until};
use serde_json::{Value, json};

const NUMBER: &str = "106540352242922";
const CUSTOMER: &str = "15551230001";

struct Shop {
    app: App,
    ann: crate::harness::User,
    channel: String,
}

impl Shop {
    async fn open() -> Self {
        let app = App::start().await;
        let ann = app.register("ann").await;
        let channel = app.whatsapp_channel(&ann, NUMBER).await;
        Self { app, ann, channel }
    }

    async fn watch(&self) -> Watcher {
        Watcher::connect(self.app.port, json!({"token": self.ann.token})).await.unwrap()
    }

    async fn watch_from(&self, cursor: &str) -> Watcher {
        Watcher::connect(self.app.port, json!({"token": self.ann.token, "cursor": cursor})).await.unwrap()
    }

    async fn hear(&self, id: &str, text: &str) {
        assert_eq!(self.app.webhook(&text_to(NUMBER, CUSTOMER, id, text, 60)).await, 200);
        self.app.drain().await;
    }

    async fn conversation(&self) -> String {
        self.app.db.text("SELECT id::text FROM chat_conversations").await
    }
}

fn texts(watcher: &Watcher) -> Vec<Value> {
    watcher.all("message:new").into_iter().map(|data| data["content"]["text"].clone()).collect()
}

fn says(text: &'static str) -> impl Fn(&Value) -> bool {
    move |data| data["content"]["text"] == text
}

#[tokio::test]
async fn a_message_is_told_in_both_vocabularies_and_receipts_are_too() {
    let shop = Shop::open().await;
    let (watcher, plain) =
        (shop.watch().await, Watcher::open(shop.app.port, &shop.ann.tenant, &format!("token={}", shop.ann.token)).await.ok().unwrap());
    shop.hear("w1", "hello").await;
    let id = shop.conversation().await;
    for watcher in [&watcher, &plain] {
        let new = watcher.until_heard("message:new", says("hello")).await;
        assert_eq!((&new["conversationId"], &new["direction"], &new["whatsappId"]), (&json!(id), &json!("INBOUND"), &json!("w1")));
        let created = watcher.until_heard("message-created", |_| true).await;
        assert_eq!(
            (&created["channelInstanceId"], &created["conversationId"], &created["message"]["text"]),
            (&json!(shop.channel), &json!(id), &json!("hello"))
        );
        let updated = watcher.until_heard("conversation-updated", |_| true).await;
        assert_eq!((&updated["channelInstanceId"], &updated["conversation"]["id"]), (&json!(shop.channel), &json!(id)));
        assert_eq!(watcher.until_heard("conversation:updated", |_| true).await["unreadCount"], json!(1));
    }
    let sent = shop
        .app
        .post(&shop.ann, "/api/messages", json!({"to": format!("+{CUSTOMER}"), "type": "text", "content": {"text": "hi"}}))
        .await
        .expect(201);
    let sent = sent["data"]["id"].as_str().unwrap();
    watcher.until_heard("message:new", says("hi")).await;
    shop.app.db.run(&format!("UPDATE chat_messages SET external_id = 'w2', status = 'sent' WHERE id = '{sent}'")).await;
    assert_eq!(shop.app.webhook(&status_for(NUMBER, "w2", "read")).await, 200);
    let status = watcher.until_heard("message:status", |data| data["status"] == "READ").await;
    assert_eq!((&status["messageId"], &status["conversationId"]), (&json!(sent), &json!(id)));
    shop.app.patch(&shop.ann, &format!("/api/conversations/{id}"), json!({"status": "CLOSED"})).await.expect(200);
    watcher.until_heard("conversation:updated", |data| data["status"] == "CLOSED").await;
    shop.app.patch(&shop.ann, &format!("/api/channels/{}", shop.channel), json!({"status": "DISCONNECTED"})).await.expect(200);
    watcher.until_heard("channel-status", |data| data["status"] == "DISCONNECTED").await;
}

#[tokio::test]
async fn rooms_are_the_tenants_own_and_tell_only_what_is_theirs() {
    let shop = Shop::open().await;
    let eve = shop.app.register("eve").await;
    shop.hear("w1", "hello").await;
    let id = shop.conversation().await;
    for auth in [json!({}), json!({"token": "x"}), json!({"token": shop.ann.refresh_token}), json!("x")] {
        let refused = Watcher::connect(shop.app.port, auth.clone()).await.err().unwrap();
        assert!(refused.contains("Unauthorized"), "{auth}: {refused}");
    }
    assert_eq!(Watcher::open(shop.app.port, &shop.ann.tenant, "").await.err(), Some(401));
    assert_eq!(Watcher::open(shop.app.port, &shop.ann.tenant, &format!("token={}", eve.token)).await.err(), Some(404));
    let hers = Watcher::connect(shop.app.port, json!({"token": eve.token})).await.unwrap();
    for (event, room) in
        [("join-conversation", json!(id)), ("join-channel", json!({"channelInstanceId": shop.channel})), ("join-channel", json!(5))]
    {
        assert_eq!(hers.ask(event, room).await["success"], json!(false), "{event}");
    }
    let (by_channel, elsewhere) = (shop.watch().await, shop.watch().await);
    assert_eq!(by_channel.ask("join-channel", json!({"channelInstanceId": shop.channel})).await["success"], json!(true));
    let other = shop.app.whatsapp_channel(&shop.ann, "999").await;
    assert_eq!(elsewhere.ask("join-channel", json!(other)).await["success"], json!(true));
    shop.hear("w2", "second").await;
    by_channel.until_heard("message-created", |data| data["message"]["text"] == "second").await;
    assert_eq!(shop.app.webhook(&text_to("999", CUSTOMER, "w3", "there", 50)).await, 200);
    elsewhere.until_heard("message-created", |data| data["message"]["text"] == "there").await;
    assert!(elsewhere.all("message-created").len() == 1 && elsewhere.all("message:new").is_empty(), "{:#?}", elsewhere.heard());
    assert!(by_channel.all("message-created").len() == 1 && by_channel.all("message:new").is_empty(), "{:#?}", by_channel.heard());
    assert_eq!(elsewhere.ask("join-conversation", json!({"conversationId": id})).await["success"], json!(true));
    shop.hear("w4", "fourth").await;
    elsewhere.until_heard("message:new", says("fourth")).await;
    assert_eq!(elsewhere.ask("leave-conversation", json!(id)).await["success"], json!(true));
    shop.hear("w5", "fifth").await;
    by_channel.until_heard("message-created", |data| data["message"]["text"] == "fifth").await;
    assert_eq!(texts(&elsewhere), ["fourth"]);
    assert!(hers.heard().iter().all(|(event, _)| ["ready", "ack", "join-error"].contains(&event.as_str())), "{:#?}", hers.heard());
}

#[tokio::test]
async fn nothing_is_missed_over_a_reconnect_whatever_was_killed_meanwhile() {
    let mut shop = Shop::open().await;
    let watcher = shop.watch().await;
    shop.hear("w1", "one").await;
    watcher.until_heard("conversation:updated", |_| true).await;
    let cursor = watcher.cursor();
    drop(watcher);
    shop.hear("w2", "two").await;
    shop.app.kill_api();
    shop.app.start_api().await;
    shop.hear("w3", "three").await;
    let back = shop.watch_from(&cursor).await;
    // The newest may come after `ready`, while something older still runs.
    back.until_heard("message:new", says("three")).await;
    assert_eq!(texts(&back), ["two", "three"]);
    shop.app.redis.command::<String>(&["FLUSHALL"]).await.unwrap();
    shop.hear("w4", "four").await;
    back.until_heard("message:new", says("four")).await;
    assert_eq!(texts(&back), ["two", "three", "four"]);
    let again = shop.watch_from(&back.cursor()).await;
    assert!(texts(&again).is_empty(), "{:#?}", again.heard());
    // A client that was cut off between two events of one change gets the rest of it.
    let first = back.all("message-created").into_iter().next().unwrap();
    let rest = shop.watch_from(first["cursor"].as_str().unwrap()).await;
    assert_eq!(texts(&rest), ["two", "three", "four"]);
}

#[tokio::test]
async fn who_was_away_for_too_long_is_told_to_begin_anew() {
    let shop = Shop::open().await;
    let watcher = shop.watch().await;
    shop.hear("w1", "one").await;
    watcher.until_heard("message:new", says("one")).await;
    shop.app.db.run("DELETE FROM realtime_events").await;
    for cursor in [watcher.cursor().as_str(), "nonsense", "1-1"] {
        let back = shop.watch_from(cursor).await;
        assert_eq!(back.all("reload").len(), 1, "{cursor}: {:#?}", back.heard());
    }
}

#[tokio::test]
async fn what_an_older_transaction_tells_later_comes_first() {
    let shop = Shop::open().await;
    shop.hear("w1", "one").await;
    let watcher = shop.watch().await;
    let conversation = shop.conversation().await;
    let mut older = shop.app.db.pool().begin().await.unwrap();
    let change = json!([{"kind": "conversation_updated", "conversation": conversation}]);
    let tenant = i32::try_from(shop.ann.tenant_number).unwrap();
    let insert = format!("INSERT INTO realtime_events (tenant_id, events) VALUES ({tenant}, '{change}')");
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut *older).await.unwrap();
    shop.hear("w2", "two").await;
    older.commit().await.unwrap();
    watcher.until_heard("message:new", says("two")).await;
    let told: Vec<String> = watcher.heard().into_iter().map(|(event, _)| event).filter(|event| event.contains(':')).collect();
    // What was told just before it came may be told to it too.
    assert!(told.ends_with(&["conversation:updated", "message:new", "conversation:updated"].map(str::to_owned)), "{told:?}");
}

#[tokio::test]
async fn who_signs_out_hears_no_more() {
    let shop = Shop::open().await;
    let again = shop.app.sign_in(&shop.ann.email).await;
    let (mine, other) = (Watcher::connect(shop.app.port, json!({"token": again.token})).await.unwrap(), shop.watch().await);
    shop.app.post(&again, "/api/auth/logout", json!({})).await;
    mine.until_heard("closed", |_| true).await;
    shop.hear("w1", "one").await;
    other.until_heard("message:new", says("one")).await;
    assert!(texts(&mine).is_empty() && other.all("closed").is_empty());
}

#[tokio::test]
async fn typing_is_passed_on_between_processes_to_others_only() {
    let mut shop = Shop::open().await;
    shop.hear("w1", "one").await;
    let id = shop.conversation().await;
    let second = shop.app.start_second_api().await;
    let bob = shop.app.colleague(&shop.ann, "bob", "agent").await;
    let theirs = Watcher::connect(second, json!({"token": bob.token})).await.unwrap();
    theirs.ask("join-conversation", json!(id)).await;
    let mine = shop.watch().await;
    until("it is passed on", async || {
        mine.tell("typing-start", &json!({"conversationId": id}));
        !theirs.all("typing:start").is_empty()
    })
    .await;
    assert_eq!(theirs.all("typing:start")[0], json!({"conversationId": id, "userId": shop.ann.id}));
    mine.tell("typing-stop", &json!(id));
    theirs.until_heard("typing:stop", |_| true).await;
    assert!(mine.all("typing:start").is_empty());
}

#[tokio::test]
async fn who_cannot_keep_up_is_dropped_and_gets_the_rest_when_it_comes_back() {
    use futures::{SinkExt, StreamExt};
    let shop = Shop::open().await;
    let watcher = shop.watch().await;
    let url = format!("ws://127.0.0.1:{}/api/{}/ws?token={}", shop.app.port, shop.ann.tenant, shop.ann.token);
    let (mut deaf, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    deaf.send(tokio_tungstenite::tungstenite::Message::text("{\"event\":\"ping\"}")).await.unwrap();
    let url = format!("ws://127.0.0.1:{}/socket.io/?EIO=4&transport=websocket", shop.app.port);
    let (mut deaf_too, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    deaf_too.send(tokio_tungstenite::tungstenite::Message::text(format!("40{}", json!({"token": shop.ann.token})))).await.unwrap();
    let long = "x".repeat(4_000);
    for batch in 0..8 {
        let elements: Vec<Value> = (0..400)
            .map(|n| json!({"from": CUSTOMER, "id": format!("b{batch}.{n}"), "timestamp": "1760000000", "type": "text", "text": {"body": long}}))
            .collect();
        assert_eq!(shop.app.webhook(&crate::harness::change(NUMBER, &json!({"messages": elements}))).await, 200);
        shop.app.drain().await;
    }
    until("both were dropped", async || {
        let metrics = shop.app.call("GET", "/metrics", None, Value::Null).await.body;
        let dropped =
            metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix("switchboard_realtime_dropped_total ")).map(str::to_owned);
        dropped.is_some_and(|count| count.parse::<f64>().unwrap() >= 2.0)
    })
    .await;
    // The one that listens hears all of it, or was dropped as well and is told where to go on from.
    let mut heard = 0;
    while let Some(Ok(message)) = deaf.next().await {
        heard += usize::from(message.is_text());
    }
    assert!(heard > 0, "the connection ended after what had been sent");
    // Socket.IO's way of saying so is a packet behind what waited (<https://socket.io/docs/v4/socket-io-protocol/>, DISCONNECT).
    let mut last = String::new();
    while last != "41" {
        last = deaf_too.next().await.expect("it is told that it was dropped").unwrap().into_text().unwrap().to_string();
    }
    assert!(!watcher.heard().is_empty());
}
