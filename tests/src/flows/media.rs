//! Files that customers send are copied before their addresses expire, and shown by links that we sign. The scripted provider is written from
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>.

use crate::harness::{App, Database, Provider, Received, SENDING, User, change, sign, until};
use serde_json::{Value, json};

const NUMBER: &str = "106540352242922";

struct Shop {
    app: App,
    provider: Provider,
    ann: User,
}

/// Answers for `url`, the provider's own.
fn provides(url: String, mime_type: &'static str, file: String) -> impl Fn(&Received) -> (u16, Value) {
    move |call| match call.line.as_str() {
        "GET /v23.0/77001" => {
            (200, json!({"url": format!("{url}/lookaside"), "mime_type": mime_type, "messaging_product": "whatsapp", "id": "77001"}))
        }
        "GET /lookaside" => (200, json!({"$type": mime_type, "$file": file})),
        other => panic!("{other}"),
    }
}

impl Shop {
    async fn open(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let host = provider.url.trim_start_matches("http://").to_owned();
        let folder = format!("{}/switchboard-media-{}", std::env::temp_dir().display(), uuid::Uuid::new_v4());
        let mut environment =
            vec![("META_GRAPH_URL", provider.url.as_str()), ("SWITCHBOARD_ALLOW_HOSTS", host.as_str()), ("MEDIA_STORE", folder.as_str())];
        environment.retain(|(name, _)| !settings.iter().any(|(set, _)| set == name));
        environment.extend(settings);
        let mut app = App::without_processes(Database::create().await, &environment).await;
        app.start_api().await;
        app.start_worker(SENDING).await;
        let ann = app.register("ann").await;
        let config = json!({"phoneNumberId": NUMBER, "accessToken": "token of ann"});
        app.post(&ann, "/api/channels", json!({"type": "WHATSAPP", "name": "W", "config": config})).await.expect(201);
        Self { app, provider, ann }
    }

    async fn picture(&self) -> String {
        let image = json!({"id": "77001", "mime_type": "image/png", "caption": "look"});
        let message = json!({"from": "15551230001", "id": "w1", "timestamp": "1760000000", "type": "image", "image": image});
        for _ in 0..2 {
            assert_eq!(self.app.webhook(&change(NUMBER, &json!({"messages": [message]}))).await, 200);
        }
        self.app.drain().await;
        self.app.db.text("SELECT id::text FROM chat_messages").await
    }

    async fn noted(&self) -> Value {
        serde_json::from_str(&self.app.db.text("SELECT media::text FROM chat_messages").await).unwrap()
    }
}

#[tokio::test]
async fn a_picture_is_copied_once_and_shown_by_a_link_that_is_good_for_it_alone() {
    let shop = Shop::open(&[]).await;
    shop.provider.script(provides(shop.provider.url.clone(), "image/png", "the picture".to_owned()));
    let id = shop.picture().await;
    let calls = shop.provider.received();
    assert_eq!(calls.len(), 2, "{calls:#?}");
    assert!(calls.iter().all(|call| call.head.to_ascii_lowercase().contains("authorization: bearer token of ann")));
    let shown = shop.app.get(&shop.ann, &format!("/api/messages/{id}")).await.expect(200)["data"]["content"].clone();
    assert_eq!((&shown["caption"], &shown["mimeType"]), (&json!("look"), &json!("image/png")));
    let link = shown["mediaUrl"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("http://127.0.0.1:{}/media/{id}?", shop.app.port)), "{link}");
    let file = shop.app.http.get(&link).send().await.unwrap();
    let header = |name: &str| file.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (file.status().as_u16(), header("content-type"), header("x-content-type-options")),
        (200, "image/png".to_owned(), "nosniff".to_owned())
    );
    assert_eq!(file.text().await.unwrap(), "the picture");
    let other = link.replace(&id, &uuid::Uuid::new_v4().to_string());
    for bad in [
        link.replace("signature=", "signature=0"),
        link.replace("expires=", "expires=9"),
        other,
        link.split('?').next().unwrap().to_owned(),
    ] {
        assert_eq!(shop.app.http.get(&bad).send().await.unwrap().status().as_u16(), 403, "{bad}");
    }
}

#[tokio::test]
async fn what_is_too_large_or_not_what_it_says_is_not_copied_and_the_reason_is_noted() {
    for (settings, mime_type, file, reason) in [
        (&[("MEDIA_MAX_BYTES", "10")][..], "image/png", "12345678901", "larger than 10 bytes"),
        (&[], "text/html", "<script>", "it is text/html"),
        (&[("SWITCHBOARD_ALLOW_HOSTS", "")], "image/png", "x", "private network"),
    ] {
        let shop = Shop::open(settings).await;
        shop.provider.script(provides(shop.provider.url.clone(), mime_type, file.to_owned()));
        let id = shop.picture().await;
        let noted = shop.noted().await;
        assert!(noted["error"].as_str().unwrap().contains(reason) && noted.get("stored").is_none(), "{noted}");
        // The rest of the message is as it was.
        let shown = shop.app.get(&shop.ann, &format!("/api/messages/{id}")).await.expect(200);
        assert_eq!((&shown["data"]["content"]["caption"], &shown["data"]["content"]["mediaUrl"]), (&json!("look"), &Value::Null));
        if reason == "private network" {
            assert_eq!(shop.provider.received().len(), 1, "only the provider that the operator named was asked");
        }
    }
}

#[tokio::test]
async fn a_page_that_names_an_address_of_ours_gets_nothing_from_it() {
    let shop = Shop::open(&[("SWITCHBOARD_ALLOW_HOSTS", "")]).await;
    let config = json!({"pageId": "900100", "pageAccessToken": "t"});
    shop.app.post(&shop.ann, "/api/channels", json!({"type": "FACEBOOK", "name": "P", "config": config})).await.expect(201);
    shop.provider.script(|_| (200, json!({})));
    let secret = format!("http://127.0.0.1:{}/metrics", shop.app.port);
    let body = json!({"object": "page", "entry": [{"id": "900100", "messaging": [{"sender": {"id": "7"}, "recipient": {"id": "900100"}, "timestamp": 1_760_000_000_000_u64,
        "message": {"mid": "m1", "attachments": [{"type": "file", "payload": {"url": secret}}]}}]}]})
    .to_string();
    let request = shop.app.request("POST", "/api/facebook/webhook").header("x-hub-signature-256", sign(&body)).body(body);
    assert_eq!(shop.app.send(request).await.status, 200);
    shop.app.drain().await;
    assert!(shop.noted().await["error"].as_str().unwrap().contains("private network"));
}

#[tokio::test]
async fn a_copy_that_fails_for_now_is_made_later() {
    let shop = Shop::open(&[]).await;
    shop.provider.script(|_| (503, json!({})));
    let image = json!({"id": "77001", "mime_type": "image/png"});
    let message = json!({"from": "15551230001", "id": "w1", "timestamp": "1760000000", "type": "image", "image": image});
    assert_eq!(shop.app.webhook(&change(NUMBER, &json!({"messages": [message]}))).await, 200);
    until("it was asked", async || !shop.provider.received().is_empty()).await;
    shop.provider.script(provides(shop.provider.url.clone(), "image/png", "the picture".to_owned()));
    until("it is copied", async || {
        shop.app.db.run("UPDATE jobs SET run_at = NULL WHERE kind = 'copy_media' AND state = 'queued'").await;
        shop.noted().await.get("stored").is_some()
    })
    .await;
}
