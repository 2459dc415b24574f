//! `/api/telegram/bot/webhook/{channelInstanceId}`: a bot's updates, known by the secret that Telegram was given for the address
//! (<https://core.telegram.org/bots/api#setwebhook>, `secret_token`).

use super::{
    Intake, Seldom,
    channel_secrets::ChannelSecrets,
    intake::{Verified, answer},
};
use crate::ApiError;
use bytes::Bytes;
use channels::telegram_bot;
use domain::ChannelInstanceId;
use platform::TraceContext;
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{HeaderValue, StatusCode},
};
use serde_json::json;
use std::{sync::Arc, time::Instant};

const SECRET: &str = "x-telegram-bot-api-secret-token";
const JSON: &str = "application/json; charset=utf-8";

/// What the handler needs.
pub(crate) struct TelegramWebhook {
    pub intake: Arc<Intake>,
    pub secrets: Arc<ChannelSecrets>,
    pub unverified: Seldom,
}

#[async_trait]
impl Handler for TelegramWebhook {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        let started = Instant::now();
        let trace = Intake::trace(req, &tracing::Span::none());
        match self.receive(req, trace, started).await {
            Ok(body) => answer(res, JSON, body),
            Err(error) => error.write(req, depot, res).await,
        }
    }
}

impl TelegramWebhook {
    /// Verifies and keeps one update. `Ok`: it is durable; the body is what Telegram is answered.
    async fn receive(&self, req: &mut Request, trace: TraceContext, started: Instant) -> Result<Bytes, ApiError> {
        let id: Option<ChannelInstanceId> = req.param::<String>("channel_instance_id").and_then(|id| id.parse().ok());
        let given = req.headers().get(SECRET).map(HeaderValue::as_bytes).map(<[u8]>::to_vec).unwrap_or_default();
        let is_telegram = match id {
            Some(id) => self.secrets.is_webhook_secret(id, &given).await?,
            None => false,
        };
        let Some(id) = id.filter(|_| is_telegram) else { return Err(self.unverified()) };
        let (body, reading) = self.intake.read(req).await?;
        drop(reading);
        let reply = reply(&body);
        let webhook = Verified { kind: &telegram_bot::CHANNEL, channel_ids: vec![id.to_string()], tenant: None, body };
        self.intake.keep(webhook, trace, started).await?;
        Ok(reply)
    }

    /// An address that is no channel's is answered like a wrong secret: nobody learns which there are.
    fn unverified(&self) -> ApiError {
        self.intake.measures.refused("secret");
        if let Some(updates) = self.unverified.again("telegram".to_owned()) {
            tracing::warn!(
                updates,
                "refused updates without the secret of their bot: is their webhook one that another installation has set?"
            );
        }
        ApiError::new(StatusCode::UNAUTHORIZED, "secret_invalid", "The secret X-Telegram-Bot-Api-Secret-Token is missing or wrong")
    }
}

/// A pressed button shows as pending until it is answered, which the answer to the update can do
/// (<https://core.telegram.org/bots/api#making-requests-when-getting-updates>).
fn reply(body: &[u8]) -> Bytes {
    match telegram_bot::callback_to_answer(body) {
        Some(id) => Bytes::from(json!({"method": "answerCallbackQuery", "callback_query_id": id}).to_string()),
        None => Bytes::from_static(b"{\"ok\":true}"),
    }
}
