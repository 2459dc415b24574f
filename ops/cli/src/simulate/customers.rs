//! The customers' side: receipts and answers, as signed webhooks.

use crate::{
    console,
    error::{CliError, Doing},
};
use channels::meta_signature::SignatureKey;
use platform::{Clock, SystemClock};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

/// A customer answers so often; then they have said what they had to say, and no two machines talk for ever.
const MOST_ANSWERS: u32 = 3;
const DELIVERED_AFTER: Duration = Duration::from_millis(400);
const READ_AFTER: Duration = Duration::from_millis(800);
const ANSWERED_AFTER: Duration = Duration::from_millis(1_500);

/// What somebody was sent.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// The business's end: a phone number id, page, account or bot token.
    pub(super) end: String,
    pub(super) person: String,
    /// The provider's id of the message.
    pub(super) id: String,
    pub(super) said: String,
    /// What receipts give back.
    pub(super) ours: String,
}

/// Meta's products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    WhatsApp,
    Messenger,
    Instagram,
}

/// A webhook about a number.
fn change(end: &str, name: &str, element: &Value) -> Value {
    let metadata = json!({"display_phone_number": "15550100000", "phone_number_id": end});
    let value = json!({"messaging_product": "whatsapp", "metadata": metadata, name: [element]});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "simulated", "changes": [{"field": "messages", "value": value}]}]})
}

/// Where a bot's updates go.
#[derive(Clone, Debug)]
pub(super) struct Bot {
    pub(super) url: String,
    pub(super) secret: String,
}

/// Everybody who writes to the businesses.
pub(super) struct Customers {
    http: reqwest::Client,
    webhook: String,
    key: SignatureKey,
    bots: Mutex<HashMap<String, Bot>>,
    answers: Mutex<HashMap<(String, String), u32>>,
    templates: Mutex<HashMap<String, Vec<Value>>>,
    ids: AtomicU64,
}

impl Customers {
    pub(super) fn new(api: &str, app_secret: &str) -> Result<Self, CliError> {
        let http = platform::http::builder().timeout(Duration::from_secs(10)).no_proxy().build();
        let clock = SystemClock;
        Ok(Self {
            http: http.map_err(std::io::Error::other).doing(|| "making an HTTP client".to_owned())?,
            webhook: format!("{api}/api/webhook"),
            key: SignatureKey::new(app_secret.as_bytes()),
            bots: Mutex::default(),
            answers: Mutex::default(),
            templates: Mutex::default(),
            // Ids of another run must not come again.
            ids: AtomicU64::new(clock.now().timestamp().unsigned_abs() << 8),
        })
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Seconds since 1970.
    #[expect(clippy::unused_self, reason = "the customers' clock")]
    pub(super) fn now(&self) -> i64 {
        SystemClock.now().timestamp()
    }

    /// What this customer says now, if they still say something.
    fn answer_to(&self, heard: &Heard) -> Option<String> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = answers.entry((heard.end.clone(), heard.person.clone())).or_default();
        *count += 1;
        let text = ["Thank you! How long will it take?", "All right, I will wait for it.", "Great, that was all."];
        text.get(usize::try_from(*count).unwrap_or(usize::MAX).saturating_sub(1))
            .filter(|_| *count <= MOST_ANSWERS)
            .map(|text| (*text).to_owned())
    }

    async fn post(&self, body: &Value) {
        let body = body.to_string();
        let request = self
            .http
            .post(&self.webhook)
            .header("content-type", "application/json")
            .header("x-hub-signature-256", self.key.sign(body.as_bytes()));
        self.report(request.body(body).send().await);
    }

    #[expect(clippy::unused_self, reason = "one of the customers' steps")]
    fn report(&self, sent: reqwest::Result<reqwest::Response>) {
        match sent {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => console::note(&format!("a webhook was answered {}", answer.status())),
            Err(error) => console::note(&format!("a webhook could not be sent: {}", error.without_url())),
        }
    }

    /// Receipts and an answer on WhatsApp.
    pub(super) fn whatsapp(self: &Arc<Self>, heard: Heard) {
        console::line(&format!("WhatsApp {} -> {}: {}", heard.end, heard.person, heard.said));
        let this = self.clone();
        tokio::spawn(async move {
            for (status, after) in [("sent", Duration::ZERO), ("delivered", DELIVERED_AFTER), ("read", READ_AFTER)] {
                sleep(after).await;
                let receipt = json!({"id": heard.id, "status": status, "timestamp": this.now().to_string(), "recipient_id": heard.person,
                    "biz_opaque_callback_data": heard.ours});
                this.post(&change(&heard.end, "statuses", &receipt)).await;
            }
            let Some(answer) = this.answer_to(&heard) else { return };
            sleep(ANSWERED_AFTER).await;
            this.write(Product::WhatsApp, &heard.end, &heard.person, &answer).await;
        });
    }

    /// Somebody writes.
    pub(super) async fn write(&self, product: Product, end: &str, person: &str, text: &str) {
        console::line(&format!("{product:?} {end} <- {person}: {text}"));
        if product != Product::WhatsApp {
            let message = json!({"message": {"mid": format!("m_simulated_{}", self.next_id()), "text": text}});
            return self.post(&self.event(product, end, person, message)).await;
        }
        let sender = if person.bytes().all(|byte| byte.is_ascii_digit()) { "from" } else { "from_user_id" };
        let id = format!("wamid.simulated.{}", self.next_id());
        let message = json!({sender: person, "id": id, "timestamp": self.now().to_string(), "type": "text", "text": {"body": text}});
        self.post(&change(end, "messages", &message)).await;
    }

    /// A webhook of Messenger or Instagram.
    fn event(&self, product: Product, end: &str, person: &str, part: Value) -> Value {
        let object = if product == Product::Instagram { "instagram" } else { "page" };
        let mut event = json!({"sender": {"id": person}, "recipient": {"id": end}, "timestamp": self.now() * 1_000});
        if let (Value::Object(event), Value::Object(part)) = (&mut event, part) {
            event.extend(part);
        }
        json!({"object": object, "entry": [{"id": end, "time": self.now() * 1_000, "messaging": [event]}]})
    }

    /// A template is submitted: after a moment it is approved.
    pub(super) fn submit(self: &Arc<Self>, account: &str, draft: &Value) -> Value {
        let (id, text) = (self.next_id(), |name: &str| draft.get(name).and_then(Value::as_str).unwrap_or_default().to_owned());
        console::line(&format!("WhatsApp account {account}: template {} ({}) is submitted", text("name"), text("language")));
        let mut template = draft.clone();
        if let Value::Object(template) = &mut template {
            template.extend([("id".to_owned(), json!(id.to_string())), ("status".to_owned(), json!("APPROVED"))]);
        }
        self.templates.lock().unwrap_or_else(PoisonError::into_inner).entry(account.to_owned()).or_default().push(template);
        let value = json!({"event": "APPROVED", "message_template_id": id, "message_template_name": text("name"),
            "message_template_language": text("language"), "reason": "NONE"});
        let (this, account) = (self.clone(), account.to_owned());
        tokio::spawn(async move {
            sleep(ANSWERED_AFTER).await;
            let change = json!({"field": "message_template_status_update", "value": value});
            let entry = json!({"id": account, "time": this.now(), "changes": [change]});
            this.post(&json!({"object": "whatsapp_business_account", "entry": [entry]})).await;
        });
        json!({"id": id.to_string(), "status": "PENDING", "category": text("category")})
    }

    /// An account's templates, of this run.
    pub(super) fn templates(&self, account: &str) -> Value {
        let templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        json!({"data": templates.get(account).cloned().unwrap_or_default()})
    }

    /// One of them is deleted.
    pub(super) fn delete_template(&self, account: &str, id: &str) -> Value {
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        templates.entry(account.to_owned()).or_default().retain(|template| template.get("id").and_then(Value::as_str) != Some(id));
        json!({"success": true})
    }

    /// Receipts and an answer on Messenger or Instagram.
    pub(super) fn messenger(self: &Arc<Self>, product: Product, heard: Heard) {
        console::line(&format!("{product:?} {} -> {}: {}", heard.end, heard.person, heard.said));
        let this = self.clone();
        tokio::spawn(async move {
            let event = |part: Value| this.event(product, &heard.end, &heard.person, part);
            sleep(DELIVERED_AFTER).await;
            this.post(&event(json!({"delivery": {"mids": [heard.id], "watermark": this.now() * 1_000 + 999}}))).await;
            sleep(READ_AFTER).await;
            this.post(&event(json!({"read": {"watermark": this.now() * 1_000 + 999}}))).await;
            let Some(answer) = this.answer_to(&heard) else { return };
            sleep(ANSWERED_AFTER).await;
            this.write(product, &heard.end, &heard.person, &answer).await;
        });
    }

    /// A bot's webhook is set: its first customer comes.
    pub(super) fn meet(self: &Arc<Self>, token: &str, bot: Bot) {
        console::line(&format!("Telegram: updates go to {}", bot.url));
        self.bots.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), bot);
        let (this, token) = (self.clone(), token.to_owned());
        tokio::spawn(async move {
            sleep(ANSWERED_AFTER).await;
            this.update(&token, "5550100", "Hello, is anybody there?").await;
        });
    }

    /// An answer on Telegram, which has no receipts.
    pub(super) fn telegram(self: &Arc<Self>, heard: Heard) {
        console::line(&format!("Telegram -> {}: {}", heard.person, heard.said));
        let this = self.clone();
        tokio::spawn(async move {
            let Some(answer) = this.answer_to(&heard) else { return };
            sleep(ANSWERED_AFTER).await;
            this.update(&heard.end, &heard.person, &answer).await;
        });
    }

    async fn update(&self, token: &str, chat: &str, text: &str) {
        let bot = self.bots.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        let (Some(bot), Ok(chat)) = (bot, chat.parse::<i64>()) else { return };
        console::line(&format!("Telegram <- {chat}: {text}"));
        let id = self.next_id();
        let update = json!({"update_id": id, "message": {"message_id": id, "date": self.now(), "text": text,
            "from": {"id": chat, "is_bot": false, "first_name": "Tela", "last_name": "Gram"}, "chat": {"id": chat, "type": "private", "first_name": "Tela"}}});
        let request = self.http.post(&bot.url).header("x-telegram-bot-api-secret-token", bot.secret).json(&update);
        self.report(request.send().await);
    }
}
