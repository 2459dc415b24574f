//! `/api/webhook` and `/api/facebook/webhook`: Meta's handshake, and its signed webhooks of all its products.

use super::{
    Intake, Seldom,
    channel_secrets::ChannelSecrets,
    intake::{Verified, answer},
};
use crate::ApiError;
use bytes::Bytes;
use channels::{
    meta_signature::{SignatureError, SignatureKey},
    registry,
};
use platform::{Secret, TraceContext, telemetry};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{HeaderValue, StatusCode},
};
use std::{sync::Arc, time::Instant};
use tracing::Instrument;

const SIGNATURE: &str = "x-hub-signature-256";
const TEXT: &str = "text/plain; charset=utf-8";
/// What is answered to a webhook that is stored. Meta looks at the status only.
const RECEIVED: &[u8] = b"EVENT_RECEIVED";

/// What both handlers need.
pub(crate) struct MetaWebhook {
    pub intake: Arc<Intake>,
    pub verify_tokens: Vec<Secret>,
    /// `None`: no app secret is configured, so only tenants' own verify.
    pub key: Option<SignatureKey>,
    pub secrets: Arc<ChannelSecrets>,
    /// Webhooks whose signature, and handshakes whose token, was wrong.
    pub unverified: Seldom,
}

/// `GET`: Meta asks whether this address is ours
/// (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests>).
pub(crate) struct Handshake(pub Arc<MetaWebhook>);

/// `POST`: a webhook.
pub(crate) struct Receive(pub Arc<MetaWebhook>);

#[async_trait]
impl Handler for Handshake {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        if let Some(challenge) = self.0.challenge(req).await {
            return answer(res, TEXT, Bytes::from(challenge));
        }
        if let Some(handshakes) = self.0.unverified.again("handshake".to_owned()) {
            tracing::warn!(handshakes, "refused a handshake: is META_VERIFY_TOKEN the token that was entered at Meta?");
        }
        let message = "The handshake needs hub.mode=subscribe, the configured hub.verify_token and a hub.challenge";
        let error = ApiError::new(StatusCode::FORBIDDEN, "handshake_refused", message);
        error.write(req, depot, res).await;
    }
}

#[async_trait]
impl Handler for Receive {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        let started = Instant::now();
        // A span costs more than all of our own work on a webhook, so there is none unless it is exported.
        let span = if telemetry::exporting() { tracing::info_span!("http.meta.webhook") } else { tracing::Span::none() };
        let trace = Intake::trace(req, &span);
        match self.0.receive(req, trace, started).instrument(span).await {
            Ok(()) => answer(res, TEXT, Bytes::from_static(RECEIVED)),
            Err(error) => error.write(req, depot, res).await,
        }
    }
}

impl MetaWebhook {
    async fn challenge(&self, req: &Request) -> Option<String> {
        let (mode, token) = (req.query::<String>("hub.mode")?, req.query::<String>("hub.verify_token")?);
        // All are compared, so that the time does not tell which one was close.
        let known = self.verify_tokens.iter().fold(false, |known, secret| secret.matches(&token) | known);
        if mode == "subscribe" && (known || self.secrets.is_verify_token(&token).await) { req.query("hub.challenge") } else { None }
    }

    /// Verifies and keeps one webhook. `Ok`: it is durable.
    async fn receive(&self, req: &mut Request, trace: TraceContext, started: Instant) -> Result<(), ApiError> {
        let (body, reading) = self.intake.read(req).await?;
        let header = req.headers().get(SIGNATURE).map(HeaderValue::as_bytes);
        let verified = match &self.key {
            Some(key) => key.verify(header, &body),
            None => Err(SignatureError::Mismatch),
        };
        // A signed body that cannot be read is kept as well: its job will say what is wrong with it.
        let (kind, channel_ids) = registry::of_meta(&body);
        let tenant = match verified {
            Ok(()) => None,
            Err(SignatureError::Mismatch) => match self.secrets.owner_who_signed(kind.naming, &channel_ids, header, &body).await? {
                Some(tenant) => Some(tenant),
                None => return Err(self.unverified(SignatureError::Mismatch)),
            },
            Err(error) => return Err(self.unverified(error)),
        };
        drop(reading);
        self.intake.keep(Verified { kind, channel_ids, tenant, body }, trace, started).await
    }

    fn unverified(&self, error: SignatureError) -> ApiError {
        self.intake.measures.refused("signature");
        if let Some(webhooks) = self.unverified.again(error.to_string()) {
            tracing::warn!(webhooks, %error, "refused webhooks that are not signed with META_APP_SECRET: is it the secret of this Meta app?");
        }
        ApiError::new(StatusCode::UNAUTHORIZED, "signature_invalid", "The signature X-Hub-Signature-256 is missing or wrong")
            .with_detail(&error)
    }
}
