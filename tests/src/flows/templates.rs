//! Message templates at Meta. The scripted account is written from
//! <https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates>, its webhooks from
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/message_template_status_update>.

use super::sending::NUMBER;
use crate::harness::{App, CUT, Database, Provider, Received, SENDING, User, text_to, until};
use serde_json::{Value, json};

const ACCOUNT: &str = "102290129340398";

struct Shop {
    app: App,
    provider: Provider,
    ann: User,
    channel: String,
}

/// An account that takes everything and lists nothing.
fn takes(call: &Received) -> (u16, Value) {
    match method(call) {
        "GET" => (200, json!({"data": []})),
        "DELETE" => (200, json!({"success": true})),
        _ => (200, json!({"id": "9001", "status": "PENDING", "category": "MARKETING"})),
    }
}

fn method(call: &Received) -> &str {
    call.line.split(' ').next().unwrap()
}

fn refuses(code: i64, subcode: i64) -> (u16, Value) {
    (
        400,
        json!({"error": {"message": "Invalid parameter", "type": "OAuthException", "code": code, "error_subcode": subcode,
        "is_transient": false, "error_user_title": "Title", "error_user_msg": "The variables are next to each other"}}),
    )
}

fn draft(name: &str) -> Value {
    json!({"name": name, "category": "MARKETING", "language": "en", "components": [{"type": "BODY", "text": "Hello"}]})
}

/// A webhook of the account, of so many seconds.
fn verdict(id: u64, value: Value, at: i64) -> String {
    let mut value = value;
    value["message_template_id"] = json!(id);
    let field = if value.get("event").is_some() { "message_template_status_update" } else { "template_category_update" };
    json!({"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT, "time": at, "changes": [{"field": field, "value": value}]}]})
        .to_string()
}

impl Shop {
    async fn open() -> Self {
        let provider = Provider::start().await;
        provider.script(takes);
        let mut app = App::without_processes(Database::create().await, &[("META_GRAPH_URL", &provider.url)]).await;
        app.start_api().await;
        app.start_worker(SENDING).await;
        let ann = app.register("ann").await;
        let config = json!({"phoneNumberId": NUMBER, "accessToken": "token of ann", "businessAccountId": ACCOUNT});
        let channel = app.post(&ann, "/api/channels", json!({"type": "WHATSAPP", "name": "WhatsApp", "config": config})).await.expect(201);
        let shop = Self { channel: channel["id"].as_str().unwrap().to_owned(), app, provider, ann };
        shop.until_idle().await;
        shop
    }

    async fn until_idle(&self) {
        until("nothing is left to do", async || self.app.db.count("SELECT count(*) FROM jobs WHERE queue = 'chores'").await == 0).await;
    }

    async fn make(&self, name: &str) -> String {
        self.app.post(&self.ann, "/api/templates", draft(name)).await.expect(201)["data"]["id"].as_str().unwrap().to_owned()
    }

    async fn shown(&self, id: &str) -> Value {
        self.app.get(&self.ann, &format!("/api/templates/{id}")).await.expect(200)["data"].clone()
    }

    async fn until_submitted(&self, id: &str) {
        until("Meta has the template", async || self.shown(id).await["externalId"].is_string()).await;
    }

    async fn hears(&self, body: &str) {
        assert_eq!(self.app.webhook(body).await, 200);
        self.app.drain().await;
    }

    /// The names of the calls that change something.
    fn changes(&self) -> Vec<Received> {
        self.provider.received().into_iter().filter(|call| method(call) != "GET").collect()
    }

    /// The job that waits is run now.
    async fn hurry(&self) {
        let waiting = "SELECT count(*) FROM jobs WHERE queue = 'chores' AND run_at IS NOT NULL";
        until("the job waits", async || self.app.db.count(waiting).await == 1).await;
        self.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'chores'").await;
    }
}

#[tokio::test]
async fn a_template_is_submitted_once_and_webhooks_decide_whatever_their_order() {
    let shop = Shop::open().await;
    let id = shop.make("abandoned_cart").await;
    shop.until_submitted(&id).await;
    let calls = shop.changes();
    assert_eq!((calls.len(), calls[0].line.as_str()), (1, format!("POST /v23.0/{ACCOUNT}/message_templates").as_str()));
    assert!(calls[0].head.to_ascii_lowercase().contains("authorization: bearer token of ann"));
    assert_eq!(serde_json::from_str::<Value>(&calls[0].body).unwrap(), draft("abandoned_cart"));
    assert_eq!(shop.shown(&id).await["status"], "PENDING");

    let approved = verdict(9_001, json!({"event": "APPROVED", "reason": "NONE"}), 1_760_000_100);
    let rejected = verdict(
        9_001,
        json!({"event": "REJECTED", "reason": "INVALID_FORMAT", "rejection_info": {"reason": "Next to each other.", "recommendation": "Separate them."}}),
        1_760_000_200,
    );
    let category = verdict(9_001, json!({"new_category": "UTILITY"}), 1_760_000_050);
    for body in [&rejected, &approved, &category, &rejected, &category] {
        shop.hears(body).await;
        let template = shop.shown(&id).await;
        assert_eq!(
            (&template["status"], &template["rejectedReason"]),
            (&json!("REJECTED"), &json!("Next to each other. Separate them.")),
            "the latest stays"
        );
    }
    assert_eq!(shop.shown(&id).await["category"], "UTILITY");
    shop.hears(&verdict(9_001, json!({"event": "APPROVED", "reason": "NONE"}), 1_760_000_300)).await;
    let template = shop.shown(&id).await;
    assert_eq!((&template["status"], &template["rejectedReason"]), (&json!("APPROVED"), &Value::Null));
    // What is nothing to us is kept and changes nothing.
    shop.hears(&verdict(9_001, json!({"event": "FLAGGED"}), 1_760_000_400)).await;
    shop.hears(&verdict(777, json!({"event": "DISABLED"}), 1_760_000_500)).await;
    assert_eq!(shop.shown(&id).await, template);

    shop.app.delete(&shop.ann, &format!("/api/templates/{id}")).await.expect(204);
    until("it is deleted at Meta", async || shop.changes().len() == 2).await;
    assert_eq!(shop.changes()[1].line, format!("DELETE /v23.0/{ACCOUNT}/message_templates?hsm_id=9001&name=abandoned_cart"));
    shop.until_idle().await;
}

#[tokio::test]
async fn the_accounts_list_is_taken_over_page_by_page_and_what_is_gone_from_it_cannot_be_used() {
    let shop = Shop::open().await;
    let listed = |id: &str, name: &str, status: &str| {
        json!({"id": id, "name": name, "language": "en", "status": status, "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hi"}], "rejected_reason": if status == "REJECTED" { "SCAM" } else { "NONE" }})
    };
    let pages = move |first: Vec<Value>| {
        move |call: &Received| match (method(call), call.line.contains("after=c%3D1")) {
            ("GET", false) => (200, json!({"data": first, "paging": {"cursors": {"after": "c=1"}, "next": "https://graph.example/next"}})),
            ("GET", true) => {
                (200, json!({"data": [listed("2", "bad", "REJECTED"), {"id": 7}, "x"], "paging": {"cursors": {"after": "c=2"}}}))
            }
            _ => takes(call),
        }
    };
    shop.provider.script(pages(vec![listed("1", "good", "APPROVED")]));
    let synced = shop.app.post(&shop.ann, "/api/templates/sync", json!({})).await.expect(202);
    assert_eq!(synced["data"]["accounts"], 1);
    shop.until_idle().await;
    let all = async || {
        let list = shop.app.get(&shop.ann, "/api/templates").await.expect(200)["data"]["templates"].clone();
        let line = |t: &Value| format!("{} {} {} {}", t["name"], t["status"], t["externalId"], t["rejectedReason"]).replace('"', "");
        list.as_array().unwrap().iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(all().await, ["bad REJECTED 2 WhatsApp takes it for fraud", "good APPROVED 1 null"]);
    shop.app.db.run("UPDATE message_templates SET updated_at = now() - interval '1 hour', status_at = now() - interval '1 hour'").await;
    shop.provider.script(pages(Vec::new()));
    shop.app.post(&shop.ann, "/api/templates/sync", json!({})).await.expect(202);
    shop.until_idle().await;
    assert_eq!(
        all().await,
        ["bad REJECTED 2 WhatsApp takes it for fraud", "good DISABLED 1 It is not in the WhatsApp Business account any more"]
    );
    let bob = shop.app.colleague(&shop.ann, "bob", "agent").await;
    shop.app.post(&bob, "/api/templates/sync", json!({})).await.expect(403);
    let eve = shop.app.register("eve").await;
    assert!(
        shop.app.post(&eve, "/api/templates/sync", json!({})).await.expect(409)["message"].as_str().unwrap().contains("businessAccountId")
    );
}

#[tokio::test]
async fn what_meta_refuses_is_rejected_with_its_reason_and_a_bad_token_only_delays() {
    let shop = Shop::open().await;
    shop.provider.script(|call| if method(call) == "POST" { refuses(100, 2_388_040) } else { takes(call) });
    let bad = shop.make("bad").await;
    until("it is rejected", async || shop.shown(&bad).await["status"] == "REJECTED").await;
    assert!(shop.shown(&bad).await["rejectedReason"].as_str().unwrap().contains("next to each other"));
    shop.until_idle().await;

    shop.provider.script(|call| if call.head.contains("token of ann") { refuses(190, 0) } else { takes(call) });
    let waits = shop.make("waits").await;
    until("it tells why it waits", async || shop.shown(&waits).await["rejectedReason"].is_string()).await;
    assert_eq!(shop.shown(&waits).await["status"], "PENDING");
    shop.until_idle().await;
    let path = format!("/api/channels/{}", shop.channel);
    assert_ne!(shop.app.get(&shop.ann, &path).await.expect(200)["status"], "ERROR", "messages may still go out");
    shop.app.patch(&shop.ann, &path, json!({"config": {"accessToken": "another"}})).await.expect(200);
    shop.until_submitted(&waits).await;
    assert_eq!(shop.shown(&waits).await["rejectedReason"], Value::Null);
    shop.until_idle().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_in_the_list_and_nothing_is_submitted_twice() {
    let shop = Shop::open().await;
    shop.provider.script(|call| if method(call) == "POST" { (CUT, Value::Null) } else { takes(call) });
    let id = shop.make("lost").await;
    until("it was submitted", async || shop.changes().len() == 1).await;
    shop.provider.script(|call| match method(call) {
        "POST" => refuses(100, 2_388_024),
        _ => (200, json!({"data": [{"id": "55", "name": "lost", "language": "en", "status": "APPROVED", "category": "MARKETING", "components": []}]})),
    });
    shop.hurry().await;
    shop.until_submitted(&id).await;
    let template = shop.shown(&id).await;
    assert_eq!((&template["externalId"], &template["status"]), (&json!("55"), &json!("APPROVED")));
    shop.until_idle().await;
}

#[tokio::test]
async fn trouble_at_meta_is_waited_out_and_ends_as_a_dead_letter() {
    let mut shop = Shop::open().await;
    shop.app.expect_dead(1);
    shop.provider.script(|call| if method(call) == "POST" { (500, json!({"error": {"code": 2, "message": "x"}})) } else { takes(call) });
    shop.make("unlucky").await;
    until("it was tried", async || shop.changes().len() == 1).await;
    shop.app.db.run("UPDATE jobs SET max_attempts = 2 WHERE kind = 'submit_template'").await;
    shop.hurry().await;
    until("it is a dead letter", async || shop.app.db.count("SELECT count(*) FROM jobs_dead WHERE kind = 'submit_template'").await == 1)
        .await;
    assert_eq!(shop.changes().len(), 2);
}

#[tokio::test]
async fn another_tenant_that_names_the_same_account_neither_hears_of_it_nor_is_touched() {
    let shop = Shop::open().await;
    let id = shop.make("mine").await;
    shop.until_submitted(&id).await;
    let eve = shop.app.register("eve").await;
    let config = json!({"phoneNumberId": "999000999", "accessToken": "token of eve", "businessAccountId": ACCOUNT});
    shop.provider.script(|call| if call.head.contains("token of eve") { refuses(190, 0) } else { takes(call) });
    shop.app.post(&eve, "/api/channels", json!({"type": "WHATSAPP", "name": "W", "config": config})).await.expect(201);
    shop.app.post(&eve, "/api/templates", draft("mine")).await.expect(201);
    until("hers was refused", async || {
        shop.app.get(&eve, "/api/templates").await.expect(200)["data"]["templates"][0]["rejectedReason"].is_string()
    })
    .await;
    let approved = json!({"event": "APPROVED", "message_template_name": "mine", "message_template_language": "en"});
    shop.hears(&verdict(9_001, approved, 1_760_000_100)).await;
    assert_eq!(shop.shown(&id).await["status"], "APPROVED");
    assert_eq!(shop.app.get(&eve, "/api/templates").await.expect(200)["data"]["templates"][0]["status"], "PENDING");
    shop.app.get(&eve, &format!("/api/templates/{id}")).await.expect(404);
}

#[tokio::test]
async fn nobody_takes_a_number_by_naming_it_as_their_account() {
    let shop = Shop::open().await;
    let eve = shop.app.register("eve").await;
    let config = json!({"phoneNumberId": "999000999", "accessToken": "token of eve", "businessAccountId": NUMBER});
    shop.app.post(&eve, "/api/channels", json!({"type": "WHATSAPP", "name": "W", "config": config})).await.expect(201);
    // Older than the number's own channel, too.
    shop.app.db.run("UPDATE channel_instances SET created_at = created_at - interval '1 day' WHERE external_id = '999000999'").await;
    shop.hears(&text_to(NUMBER, "15551230001", "wamid.1", "for ann", 60)).await;
    let owner = shop.app.db.count("SELECT tenant_id::int8 FROM chat_messages WHERE external_id = 'wamid.1'").await;
    assert_eq!(owner, shop.ann.tenant_number);
}
