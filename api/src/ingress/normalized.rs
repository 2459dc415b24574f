//! Messages that a service posts in the normalized shape: kept like webhooks, answered when they are durable.

use super::Inbox;
use crate::ApiError;
use bytes::Bytes;
use channels::normalized::{self, Inbound};
use chrono::{DateTime, Utc};
use domain::RawEventId;
use platform::TraceContext;
use salvo::http::StatusCode;
use store::raw_events::NewRawEvent;

impl Inbox {
    /// Keeps `messages`, all or none. `Ok`: they are durable, and so is their job.
    pub(crate) async fn keep_normalized(&self, messages: &[Inbound], now: DateTime<Utc>) -> Result<(), ApiError> {
        let body = Bytes::from(serde_json::to_vec(messages).map_err(|error| ApiError::internal(&error))?);
        let trace = TraceContext::generate();
        let event = NewRawEvent {
            id: RawEventId::generate(),
            tenant_id: None,
            channel_kind: normalized::KIND,
            channel_ids: normalized::route(&body).map_err(|error| ApiError::internal(&error))?,
            naming: normalized::CHANNEL.naming,
            trace_id: Some(trace.trace_id().to_string()),
            received_at: now,
            body,
        };
        let kept = async { self.keep(self.enter(event.body.len())?, event, trace).await };
        kept.await.map_err(|refusal| {
            self.measures.refused(refusal.reason());
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "try_again", "The messages were not taken; send them again later")
                .with_detail(&refusal.reason())
                .with_retry_after(1)
        })
    }
}
