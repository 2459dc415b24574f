//! What all webhooks share: their bodies are read within bounds, kept, and answered when they are durable.

use super::{Inbox, Measures, inbox::Refusal};
use crate::{
    ApiError,
    body::{self, BodyError},
};
use bytes::Bytes;
use channels::registry::ChannelKind;
use domain::{RawEventId, TenantId};
use platform::{Clock, TraceContext};
use salvo::{
    Request, Response,
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
use tokio::sync::{Semaphore, SemaphorePermit};

/// The largest body that is taken; Meta sends up to 3 MB
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview>).
const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;
/// The same in KiB: what a body of unknown length is counted as while it is read.
pub(crate) const LARGEST_KIB: usize = MAX_BODY_BYTES / 1024;
const TRACEPARENT: &str = "traceparent";
/// `Retry-After` goes round from 1 to this, so that those who were refused together do not come back together.
const MAX_RETRY_AFTER_SECONDS: u8 = 5;

/// The way into the inbox.
pub(crate) struct Intake {
    pub inbox: Inbox,
    pub measures: Arc<Measures>,
    pub clock: Arc<dyn Clock>,
    pub refusals: AtomicU8,
    /// One permit for each KiB of bodies that are being read: before it is known whom a body is from, it may come from anybody.
    pub reading: Semaphore,
}

/// A webhook that may be kept: it is known whom it is from.
pub(super) struct Verified {
    pub kind: &'static ChannelKind,
    /// The channels that it names.
    pub channel_ids: Vec<String>,
    /// The only tenant whose channels it may touch. `None`: it may touch all.
    pub tenant: Option<TenantId>,
    pub body: Bytes,
}

impl Intake {
    pub(super) fn trace(req: &Request, span: &tracing::Span) -> TraceContext {
        TraceContext::begin(req.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()), span)
    }

    /// Reads a body. Hold the permit until it is verified.
    pub(super) async fn read(&self, req: &mut Request) -> Result<(Bytes, SemaphorePermit<'_>), ApiError> {
        let may_discard = !req.headers().contains_key(EXPECT);
        let Ok(reading) = self.reading.try_acquire_many(reserved_kib(req.headers())) else {
            return Err(self.refused(Refusal::Full));
        };
        let body = body::read(req.take_body(), MAX_BODY_BYTES, may_discard).await.map_err(|error| self.unread(error))?;
        Ok((body, reading))
    }

    /// Keeps a webhook. `Ok`: it is durable, and so is its job.
    pub(super) async fn keep(&self, webhook: Verified, trace: TraceContext, started: Instant) -> Result<(), ApiError> {
        let place = self.inbox.enter(webhook.body.len()).map_err(|refusal| self.refused(refusal))?;
        let event = NewRawEvent {
            id: RawEventId::generate(),
            tenant_id: webhook.tenant,
            channel_kind: webhook.kind.kind,
            channel_ids: webhook.channel_ids,
            naming: webhook.kind.naming,
            trace_id: Some(trace.trace_id().to_string()),
            received_at: self.clock.now(),
            body: webhook.body,
        };
        self.inbox.keep(place, event, trace).await.map_err(|refusal| self.refused(refusal))?;
        self.measures.accepted(started.elapsed());
        Ok(())
    }

    fn unread(&self, error: BodyError) -> ApiError {
        let (reason, error) = match error {
            BodyError::TooLarge => ("too_large", ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE).closing()),
            BodyError::TooSlow => ("too_slow", ApiError::from_status(StatusCode::REQUEST_TIMEOUT).closing()),
            BodyError::Broken(error) => ("broken", ApiError::from_status(StatusCode::BAD_REQUEST).with_detail(&error).closing()),
        };
        self.measures.refused(reason);
        error
    }

    fn refused(&self, refusal: Refusal) -> ApiError {
        self.measures.refused(refusal.reason());
        let seconds = 1 + self.refusals.fetch_add(1, Ordering::Relaxed) % MAX_RETRY_AFTER_SECONDS;
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "try_again", "The webhook was not taken; send it again later")
            .with_detail(&refusal.reason())
            .with_retry_after(seconds.into())
    }
}

/// A 200 with a body.
pub(super) fn answer(res: &mut Response, content_type: &'static str, body: Bytes) {
    res.status_code(StatusCode::OK);
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    res.body = ResBody::Once(body);
}

/// How much memory a request's body may take, in KiB: what it declares, at most the largest that is taken.
fn reserved_kib(headers: &HeaderMap) -> u32 {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<usize>().ok());
    let kib = declared.map_or(LARGEST_KIB, |bytes| bytes.div_ceil(1024).clamp(1, LARGEST_KIB));
    u32::try_from(kib).unwrap_or(u32::MAX)
}
