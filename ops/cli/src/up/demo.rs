//! The demo: one signed WhatsApp webhook goes in, and the message that it became comes out of the database.

use super::process::Supervised;
use crate::error::CliError;
use channels::meta_signature::SignatureKey;
use chrono::{DateTime, Utc};
use domain::TenantId;
use serde_json::{Value, json};
use std::time::Duration;
use store::{PgPool, operator_status::ShownMessage};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Far more than it takes, for slow machines.
const LIMIT: Duration = Duration::from_secs(20);
/// The customer of the demo; +1 555 01xx is reserved for fiction.
pub(super) const CUSTOMER_PHONE: &str = "15550100123";

/// Where the demo goes.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) url: &'a str,
    pub(super) app_secret: &'a str,
    pub(super) tenant: TenantId,
    pub(super) phone_number_id: &'a str,
}

/// Sends the webhook and waits for its message. `now` is the database's time.
pub(super) async fn run(
    http: &reqwest::Client,
    pool: &PgPool,
    target: &Target<'_>,
    now: DateTime<Utc>,
    (api, worker): (Option<&Supervised>, Option<&Supervised>),
) -> Result<ShownMessage, CliError> {
    let external_id = format!("wamid.demo.{}", Uuid::new_v4().simple());
    let body = webhook(target.phone_number_id, &external_id, now).to_string();
    let failed = |what: String, of: Option<&Supervised>| CliError::Demo {
        what,
        name: of.map_or_else(|| "the process".to_owned(), |process| process.spec.name.clone()),
        tail: of.map_or_else(String::new, Supervised::tail),
    };
    let sent = http
        .post(format!("{}/api/webhook", target.url))
        .header("Content-Type", "application/json")
        .header("X-Hub-Signature-256", SignatureKey::new(target.app_secret.as_bytes()).sign(body.as_bytes()))
        .body(body)
        .send()
        .await;
    match sent {
        Err(error) => return Err(failed(format!("could not be sent ({error})"), api)),
        Ok(answer) if answer.status() != reqwest::StatusCode::OK => return Err(failed(format!("was answered {}", answer.status()), api)),
        Ok(_) => {}
    }
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(message) = store::operator_status::find_message(pool, target.tenant, &external_id).await? {
            return Ok(message);
        }
        if Instant::now() > deadline {
            return Err(failed(
                format!("was accepted, but no message came of it within {} s (see `switchboard jobs list`)", LIMIT.as_secs()),
                worker,
            ));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A text message as Meta documents it:
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/payload-examples#text-messages>.
fn webhook(phone_number_id: &str, external_id: &str, now: DateTime<Utc>) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": "100000000000000",
            "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": {"display_phone_number": "15550100000", "phone_number_id": phone_number_id},
                    "contacts": [{"profile": {"name": "Ada Demo"}, "wa_id": CUSTOMER_PHONE}],
                    "messages": [{
                        "from": CUSTOMER_PHONE,
                        "id": external_id,
                        "timestamp": now.timestamp().to_string(),
                        "type": "text",
                        "text": {"body": "Hello, is the blue one still in stock?"},
                    }],
                },
            }],
        }],
    })
}
