//! `/api/webhook`: Meta's handshake, and its signed webhooks.

use super::{Inbox, Measures, Seldom, inbox::Refusal};
use crate::{
    ApiError,
    body::{self, BodyError},
};
use bytes::Bytes;
use channels::{
    meta_signature::{SignatureError, SignatureKey},
    whatsapp_cloud,
};
use domain::RawEventId;
use platform::{Clock, Secret, TraceContext, telemetry};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{
        HeaderMap, HeaderValue, ResBody, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};
use store::raw_events::NewRawEvent;
use tokio::sync::Semaphore;
use tracing::Instrument;

/// The largest body that is taken; Meta sends up to 3 MB
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview>).
const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;
/// The same in KiB: what a body of unknown length is counted as while it is read.
pub(crate) const LARGEST_KIB: usize = MAX_BODY_BYTES / 1024;
const SIGNATURE: &str = "x-hub-signature-256";
const TRACEPARENT: &str = "traceparent";
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// What is answered to a webhook that is stored. Meta looks at the status only.
const RECEIVED: &[u8] = b"EVENT_RECEIVED";
/// `Retry-After` goes round from 1 to this, so that those who were refused together do not come back together.
const MAX_RETRY_AFTER_SECONDS: u8 = 5;

/// What both handlers need.
pub(crate) struct MetaWebhook {
    pub verify_tokens: Vec<Secret>,
    /// `None`: no app secret is configured, so nothing can be verified and everything is refused.
    pub key: Option<SignatureKey>,
    pub inbox: Inbox,
    pub measures: Arc<Measures>,
    pub clock: Arc<dyn Clock>,
    pub refusals: AtomicU8,
    /// Webhooks whose signature, and handshakes whose token, was wrong.
    pub unverified: Seldom,
    /// One permit for each KiB of bodies that are being read: before its signature is checked, a body may come from anybody.
    pub reading: Semaphore,
}

/// `GET`: Meta asks whether this address is ours
/// (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests>).
pub(crate) struct Handshake(pub Arc<MetaWebhook>);

/// `POST`: a webhook.
pub(crate) struct Receive(pub Arc<MetaWebhook>);

#[async_trait]
impl Handler for Handshake {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        if let Some(challenge) = self.0.challenge(req) {
            return answer(res, Bytes::from(challenge));
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
        let span = if telemetry::exporting() { tracing::info_span!("http.cloud.webhook") } else { tracing::Span::none() };
        let header = req.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace = TraceContext::begin(header, &span);
        let result = self.0.receive(req, trace).instrument(span).await;
        match result {
            Ok(()) => {
                self.0.measures.accepted.increment(1);
                self.0.measures.ack_seconds.record(started.elapsed());
                answer(res, Bytes::from_static(RECEIVED));
            }
            Err(error) => error.write(req, depot, res).await,
        }
    }
}

fn answer(res: &mut Response, body: Bytes) {
    res.status_code(StatusCode::OK);
    res.headers_mut().insert(CONTENT_TYPE, TEXT);
    res.body = ResBody::Once(body);
}

impl MetaWebhook {
    fn challenge(&self, req: &Request) -> Option<String> {
        let (mode, token) = (req.query::<String>("hub.mode")?, req.query::<String>("hub.verify_token")?);
        // All are compared, so that the time does not tell which one was close.
        let known = self.verify_tokens.iter().fold(false, |known, secret| secret.matches(&token) | known);
        if mode == "subscribe" && known { req.query("hub.challenge") } else { None }
    }

    /// Verifies and keeps one webhook. `Ok`: it is durable.
    async fn receive(&self, req: &mut Request, trace: TraceContext) -> Result<(), ApiError> {
        let may_discard = !req.headers().contains_key(EXPECT);
        let Ok(reading) = self.reading.try_acquire_many(reserved_kib(req.headers())) else {
            return Err(self.refused(Refusal::Full));
        };
        let body = body::read(req.take_body(), MAX_BODY_BYTES, may_discard).await.map_err(unread)?;
        self.verify(req, &body).map_err(|error| self.unverified(error))?;
        drop(reading);
        let place = self.inbox.enter(body.len()).map_err(|refusal| self.refused(refusal))?;
        let event = NewRawEvent {
            id: RawEventId::generate(),
            tenant_id: None,
            channel_kind: whatsapp_cloud::KIND,
            // A signed body that cannot be read is kept as well: its job will say what is wrong with it.
            channel_ids: whatsapp_cloud::route(&body).unwrap_or_default(),
            naming: whatsapp_cloud::CHANNEL.naming,
            trace_id: Some(trace.trace_id().to_string()),
            received_at: self.clock.now(),
            body,
        };
        self.inbox.keep(place, event, trace).await.map_err(|refusal| self.refused(refusal))
    }

    fn verify(&self, req: &Request, body: &[u8]) -> Result<(), SignatureError> {
        let header = req.headers().get(SIGNATURE).map(HeaderValue::as_bytes);
        let key = self.key.as_ref().ok_or(SignatureError::Mismatch)?;
        key.verify(header, body)
    }

    fn unverified(&self, error: SignatureError) -> ApiError {
        Measures::refused("signature");
        if let Some(webhooks) = self.unverified.again(error.to_string()) {
            tracing::warn!(webhooks, %error, "refused webhooks that are not signed with META_APP_SECRET: is it the secret of this Meta app?");
        }
        ApiError::new(StatusCode::UNAUTHORIZED, "signature_invalid", "The signature X-Hub-Signature-256 is missing or wrong")
            .with_detail(&error)
    }

    fn refused(&self, refusal: Refusal) -> ApiError {
        Measures::refused(refusal.reason());
        let seconds = 1 + self.refusals.fetch_add(1, Ordering::Relaxed) % MAX_RETRY_AFTER_SECONDS;
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "try_again", "The webhook was not taken; send it again later")
            .with_detail(&refusal.reason())
            .with_retry_after(seconds.into())
    }
}

/// How much memory a request's body may take, in KiB: what it declares, at most the largest that is taken.
fn reserved_kib(headers: &HeaderMap) -> u32 {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<usize>().ok());
    let kib = declared.map_or(LARGEST_KIB, |bytes| bytes.div_ceil(1024).clamp(1, LARGEST_KIB));
    u32::try_from(kib).unwrap_or(u32::MAX)
}

fn unread(error: BodyError) -> ApiError {
    let (reason, error) = match error {
        BodyError::TooLarge => ("too_large", ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE).closing()),
        BodyError::TooSlow => ("too_slow", ApiError::from_status(StatusCode::REQUEST_TIMEOUT).closing()),
        BodyError::Broken(error) => ("broken", ApiError::from_status(StatusCode::BAD_REQUEST).with_detail(&error).closing()),
    };
    Measures::refused(reason);
    error
}
