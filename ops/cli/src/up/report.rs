//! What `up` prints once all is up: the message that came out, the addresses, the credentials, and lines to try.

use super::demo::CUSTOMER_PHONE;
use crate::console::Console;
use std::path::PathBuf;
use store::{operator_status::ShownMessage, tenants::SeededChannel};

/// A block with the message that the demo webhook became.
pub(super) fn message(console: &Console, channel: &SeededChannel, message: &ShownMessage) {
    console.plain("");
    console.plain("  one signed WhatsApp webhook went in, and this came out (chat_messages):");
    for (name, value) in [
        ("tenant", format!("{} ({})", channel.store_name, channel.tenant_id)),
        ("channel", format!("WHATSAPP {}", channel.external_id)),
        ("conversation", message.conversation_id.map_or_else(|| "none".to_owned(), |id| id.to_string())),
        (
            "from",
            format!("{} {}", message.customer_name.as_deref().unwrap_or(""), message.customer_phone.as_deref().unwrap_or(""))
                .trim()
                .to_owned(),
        ),
        ("message", format!("{} {}, {}", message.direction, message.message_type, message.status)),
        ("text", message.content.clone().unwrap_or_default()),
        ("external_id", message.external_id.clone().unwrap_or_default()),
    ] {
        console.plain(&format!("    {name:<13} {value}"));
    }
    console.plain("");
}

/// What the lines to try need to know.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) url: String,
    pub(super) env_file: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) channel: SeededChannel,
    pub(super) postgres: String,
    pub(super) redis: String,
    pub(super) metrics: String,
}

impl Report {
    /// The line that tools wait for.
    pub(super) fn ready(&self, console: &Console) {
        console.plain(&format!("ready: {}", self.url));
    }

    /// What to do with it.
    pub(super) fn print(&self, console: &Console) {
        let (url, env) = (self.url.as_str(), self.env_file.display());
        console.plain("");
        for (name, value) in [
            ("api", format!("{url}/docs (OpenAPI: {url}/openapi.json)")),
            ("sign in", format!("owner@demo.example, admin@demo.example, agent@demo.example; DEMO_PASSWORD is in {env}")),
            ("operations", format!("{url}/ops (sign in with ADMIN_TOKEN, which is in {env})")),
            ("chat", format!("{url}/widget/demo/{} (a page with the chat widget)", self.channel.public_id)),
            ("webhooks", format!("{url}/api/webhook")),
            ("health", format!("{url}/health")),
            ("metrics", self.metrics.clone()),
            ("postgres", self.postgres.clone()),
            ("redis", self.redis.clone()),
            ("demo tenant", format!("{} (id {}, {})", self.channel.store_name, self.channel.tenant_id, self.channel.public_id)),
            ("demo channel", format!("WhatsApp phone number id {}", self.channel.external_id)),
            ("credentials", format!("in {env}: META_APP_SECRET, META_VERIFY_TOKEN, ADMIN_TOKEN, INTERNAL_API_TOKEN, DATABASE_URL, ...")),
            ("logs", format!("{} (Postgres, Redis)", self.logs.display())),
        ] {
            console.plain(&format!("  {name:<13} {value}"));
        }
        console.plain("");
        console.plain("  try (each line can be pasted):");
        let env = env.to_string();
        for line in [
            health(url),
            signed_in(url, &env),
            operator(url, &env),
            handshake(url, &env),
            signed_post(url, &env, &self.channel.external_id),
        ] {
            console.plain("");
            console.plain(&line);
        }
        console.plain("");
        console.plain("  Ctrl-C stops everything.");
    }
}

fn health(url: &str) -> String {
    format!("curl -i {url}/health")
}

/// Signs in as the demo's owner and lists conversations.
fn signed_in(url: &str, env: &str) -> String {
    format!(
        "(. '{env}'; token=$(curl -s {url}/api/auth/login -H 'Content-Type: application/json' -d \"{{\\\"email\\\": \\\"owner@demo.example\\\", \\\"password\\\": \\\"$DEMO_PASSWORD\\\"}}\" \\
         | sed 's/.*\"accessToken\":\"\\([^\"]*\\)\".*/\\1/'); curl \"{url}/api/conversations?limit=2\" -H \"Authorization: Bearer $token\")"
    )
}

fn operator(url: &str, env: &str) -> String {
    format!("(. '{env}'; curl {url}/admin/stats -H \"X-Admin-Token: $ADMIN_TOKEN\")")
}

/// In a subshell, so that the secrets stay out of the shell's history and environment.
fn handshake(url: &str, env: &str) -> String {
    format!(
        "(. '{env}'; curl -iG {url}/api/webhook -d hub.mode=subscribe -d hub.challenge=1158201444 --data-urlencode \"hub.verify_token=$META_VERIFY_TOKEN\")"
    )
}

fn signed_post(url: &str, env: &str, phone_number_id: &str) -> String {
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"100000000000000","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550100000","phone_number_id":"{phone_number_id}"}},"contacts":[{{"profile":{{"name":"Ada Demo"}},"wa_id":"{CUSTOMER_PHONE}"}}],"messages":[{{"from":"{CUSTOMER_PHONE}","id":"wamid.%s","timestamp":"%s","type":"text","text":{{"body":"Hello from curl"}}}}]}}}}]}}]}}"#
    );
    format!(
        "(. '{env}'; body=$(printf '{body}' \"$$.$(date +%s)\" \"$(date +%s)\"); curl -i {url}/api/webhook -H 'Content-Type: application/json' \
         -H \"X-Hub-Signature-256: sha256=$(printf %s \"$body\" | openssl dgst -sha256 -hmac \"$META_APP_SECRET\" | sed 's/^.* //')\" --data-binary \"$body\")"
    )
}
