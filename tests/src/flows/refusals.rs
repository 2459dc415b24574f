//! Hostile and broken input, and what is answered to requests that nothing serves.

use super::deliver;
use crate::harness::{App, Database, OTHER_PHONE_NUMBER_ID, PHONE_NUMBER_ID, VERIFY_TOKEN, change, message, messages, sign_bytes, text};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MARA: &str = "15551230001";

async fn api_only() -> App {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    app
}

/// Sends bytes that may be anything, rightly signed.
async fn send(app: &App, body: Vec<u8>) -> u16 {
    let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", sign_bytes(&body)).body(body);
    request.send().await.unwrap().status().as_u16()
}

/// A body in chunks of 64 KiB and without a length, as one request of HTTP/1.1. Returns the whole answer.
async fn send_chunked(app: &App, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", app.port)).await.unwrap();
    let head = format!(
        "POST /api/webhook HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\nx-hub-signature-256: {}\r\n\r\n",
        sign_bytes(body)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in body.chunks(64 * 1024) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        stream.write_all(chunk).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn words(id: &str) -> Value {
    message(MARA, id, 0, "text", json!({"body": id}))
}

/// A body with this JSON text as an element between two good messages.
fn between_good_ones(element: &str) -> String {
    messages(&[words("wamid.before"), json!("ELEMENT"), words("wamid.behind")]).replace("\"ELEMENT\"", element)
}

async fn written(app: &App) -> Vec<String> {
    app.db.texts("SELECT external_id || ' ' || message_type FROM chat_messages ORDER BY 1").await
}

#[tokio::test]
async fn a_body_without_a_length_is_taken_up_to_the_limit_and_refused_beyond_it() {
    let app = App::start().await;
    let mut body = text("wamid.1").into_bytes();
    body.resize(3 * 1024 * 1024, b' ');
    assert!(send_chunked(&app, &body).await.starts_with("HTTP/1.1 200 "));
    body.push(b' ');
    let answer = send_chunked(&app, &body).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"success\":false"), "{answer}");
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 1);
    assert_eq!(written(&app).await, ["wamid.1 text"]);
}

#[tokio::test]
async fn signed_bodies_that_are_no_json_objects_are_kept_as_received_and_dead_lettered() {
    let mut app = App::start().await;
    let mut not_utf8 = text("wamid.1").into_bytes();
    not_utf8[30] = 0xff;
    let raw_nul = text("wamid.1").replace("text of", "text\0of").into_bytes();
    let bodies = [Vec::new(), not_utf8, raw_nul, b"[]".to_vec(), b"null".to_vec(), b"7".to_vec(), vec![0; 100], b"{\"object\":".to_vec()];
    for body in &bodies {
        assert_eq!(send(&app, body.clone()).await, 200);
    }
    app.expect_dead(8);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT DISTINCT fingerprint FROM jobs_dead").await, ["process_webhook:malformed"]);
    let mut kept = app.db.texts("SELECT encode(body, 'hex') FROM raw_webhook_events ORDER BY id").await;
    kept.retain(|body| !body.is_empty());
    assert_eq!(kept.len(), 7);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 0);
    // What is wrong is told without repeating what the customer wrote.
    assert_eq!(app.db.count("SELECT count(*) FROM jobs_dead WHERE errors::text LIKE '%text of%' OR errors::text LIKE '%wamid%'").await, 0);
}

#[tokio::test]
async fn nesting_without_end_costs_no_neighbour_its_message() {
    let app = App::start().await;
    for depth in [200, 100_000] {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        deliver(&app, &between_good_ones(&lists)).await;
        deliver(&app, &between_good_ones(&objects)).await;
        let id = format!("wamid.{depth}");
        let text = format!(
            r#"{{"id":"{id}","from":"{MARA}","type":"text","text":{{"body":"hi"}},"context":{{"x":{lists}}},"referral":{objects}}}"#
        );
        deliver(&app, &between_good_ones(&text)).await;
    }
    assert_eq!(written(&app).await, ["wamid.100000 text", "wamid.200 text", "wamid.before text", "wamid.behind text"]);
}

#[tokio::test]
async fn characters_that_postgres_cannot_store_are_replaced() {
    let app = App::start().await;
    let element = r#"{"id":"wamid.\u0000A","from":"US.\u0000","type":"text","text":{"body":"a\u0000b\ud800c\\u0000"},"referral":{"\u0000":"\u0000"}}"#;
    deliver(&app, &between_good_ones(element)).await;
    assert_eq!(
        app.db.texts("SELECT external_id || ' ' || content FROM chat_messages WHERE external_id LIKE '%A'").await,
        ["wamid.\u{fffd}A a\u{fffd}b\u{fffd}c\\u0000"]
    );
    assert_eq!(app.db.count("SELECT count(*) FROM customer_identities WHERE external_id = U&'US.\\FFFD'").await, 1);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 3);
}

#[tokio::test]
async fn endless_ids_are_not_taken_over_and_cost_no_neighbour_its_message() {
    let app = App::start().await;
    let endless = "9".repeat(100_000);
    for element in [
        format!(r#"{{"id":"{endless}","from":"{MARA}","type":"text","text":{{"body":"hi"}}}}"#),
        format!(r#"{{"id":"wamid.from","from":"{endless}","type":"text","text":{{"body":"hi"}}}}"#),
        format!(r#"{{"id":"wamid.user","from":"{MARA}","from_user_id":"{endless}","type":"text","text":{{"body":"hi"}}}}"#),
        format!(r#"{{"id":"wamid.reply","from":"{MARA}","type":"text","text":{{"body":"hi"}},"context":{{"id":"{endless}"}}}}"#),
        format!(r#"{{"id":"wamid.react","from":"{MARA}","type":"reaction","reaction":{{"message_id":"{endless}","emoji":"x"}}}}"#),
        format!(r#"{{"id":"wamid.type","from":"{MARA}","type":"{endless}"}}"#),
        format!(r#"{{"id":"wamid.long","from":"{}","type":"text","text":{{"body":"hi"}}}}"#, "7".repeat(512)),
    ] {
        deliver(&app, &between_good_ones(&element)).await;
    }
    assert_eq!(
        written(&app).await,
        [
            "wamid.before text",
            "wamid.behind text",
            "wamid.long text",
            "wamid.react unsupported",
            "wamid.reply text",
            "wamid.type unsupported",
            "wamid.user text"
        ]
    );
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 7);
}

#[tokio::test]
async fn an_endless_channel_id_beside_a_known_one_costs_only_its_own_part() {
    let app = App::start().await;
    let mut body: Value = serde_json::from_str(&text("wamid.1")).unwrap();
    let other: Value = serde_json::from_str(&change(&"9".repeat(100_000), &json!({"messages": [words("wamid.2")]}))).unwrap();
    let odd: Value = serde_json::from_str(&change("1\n2", &json!({"messages": [words("wamid.3")]}))).unwrap();
    body["entry"].as_array_mut().unwrap().extend([other["entry"][0].clone(), odd["entry"][0].clone()]);
    deliver(&app, &body.to_string()).await;
    assert_eq!(written(&app).await, ["wamid.1 text"]);
}

#[tokio::test]
async fn an_endless_name_and_text_are_kept_whole() {
    let app = App::start().await;
    let long = "é".repeat(400_000);
    let contact = json!({"wa_id": MARA, "profile": {"name": long}});
    deliver(
        &app,
        &change(PHONE_NUMBER_ID, &json!({"contacts": [contact], "messages": [message(MARA, "wamid.1", 0, "text", json!({"body": long}))]})),
    )
    .await;
    assert_eq!(app.db.texts("SELECT length(name) || ' ' || length(content) FROM customers, chat_messages").await, ["400000 400000"]);
}

#[tokio::test]
async fn of_a_key_given_twice_the_last_one_counts() {
    let app = App::start().await;
    let element =
        format!(r#"{{"id":"wamid.A","id":"wamid.B","from":"{MARA}","type":"image","type":"text","text":{{"body":"a","body":"b"}}}}"#);
    let id = format!("\"phone_number_id\":\"{PHONE_NUMBER_ID}\"");
    let body = messages(&[json!("ELEMENT")])
        .replace("\"ELEMENT\"", &element)
        .replace(&id, &format!("\"phone_number_id\":\"{OTHER_PHONE_NUMBER_ID}\",{id}"));
    deliver(&app, &body).await;
    assert_eq!(app.db.texts("SELECT tenant_id || ' ' || external_id || ' ' || content FROM chat_messages").await, ["1 wamid.B b"]);
}

/// Status, headers that matter, and body.
async fn ask(app: &App, method: &str, path: &str) -> (u16, Option<String>, String) {
    let answer = app.http.request(method.parse().unwrap(), app.url(path)).send().await.unwrap();
    let allow = answer.headers().get("allow").map(|allow| allow.to_str().unwrap().to_owned());
    (answer.status().as_u16(), allow, answer.text().await.unwrap())
}

#[tokio::test]
async fn a_path_that_nobody_owns_is_answered_in_the_body_of_the_platform_contract() {
    let app = api_only().await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/api"),
        ("GET", "/api/webhooks"),
        ("DELETE", "/health/x"),
        ("GET", "/%2e%2e/etc/passwd"),
        ("GET", "/%ff%00"),
    ] {
        let (status, _, body) = ask(&app, method, path).await;
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{method} {path}: {body}"));
        assert_eq!(
            (status, &body["status_code"], body["detail"].is_string(), body.as_object().unwrap().len()),
            (404, &json!(404), true, 2),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_path_below_a_contracts_own_is_answered_in_its_dialect() {
    let app = api_only().await;
    let (status, _, body) = ask(&app, "GET", "/api/webhook/nowhere").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["success"], body["message"].is_string(), body.as_object().unwrap().len()), (404, &json!(false), true, 2));
}

#[tokio::test]
async fn a_wrong_method_is_answered_405_in_the_dialect_of_the_path() {
    let app = api_only().await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (status, _, body) = ask(&app, method, "/api/webhook").await;
        assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()["success"].clone()), (405, json!(false)), "{method}: {body}");
        let (status, _, body) = ask(&app, method, "/health").await;
        assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()["status_code"].clone()), (405, json!(405)), "{method}: {body}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_which_ones_are_right() {
    let app = api_only().await;
    for (path, expected) in
        [("/api/webhook", vec!["GET", "HEAD", "POST"]), ("/health", vec!["GET", "HEAD"]), ("/metrics", vec!["GET", "HEAD"])]
    {
        let (status, allow, _) = ask(&app, "DELETE", path).await;
        let allow = allow.unwrap_or_default();
        let mut methods: Vec<&str> = allow.split(',').map(str::trim).collect();
        methods.sort_unstable();
        assert_eq!((status, methods), (405, expected), "{path}");
    }
}

#[tokio::test]
async fn a_head_request_has_the_status_of_get_and_no_body() {
    let app = api_only().await;
    let handshake = format!("/api/webhook?hub.mode=subscribe&hub.challenge=7&hub.verify_token={}", VERIFY_TOKEN.replace(' ', "%20"));
    for (path, expected) in [("/health", 200), ("/metrics", 200), (handshake.as_str(), 200), ("/api/webhook", 403), ("/nowhere", 404)] {
        let (status, _, body) = ask(&app, "HEAD", path).await;
        assert_eq!((status, body.as_str()), (expected, ""), "{path}");
        assert_eq!(ask(&app, "GET", path).await.0, expected, "{path}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_http_end_their_connection_only() {
    let app = api_only().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"POST /api/webhook HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", app.port)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
}
