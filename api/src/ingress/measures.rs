//! What is counted about webhooks. Handles are looked up once: each request would pay for it otherwise.

use metrics::{Counter, Gauge, Histogram};
use platform::figures::Figures;
use std::{sync::Arc, time::Duration};

/// Webhooks among the figures of queues.
const LANE: &str = "ingest";

pub(crate) struct Measures {
    /// What operators see of the last minute, in the lane `ingest`.
    pub(crate) figures: Arc<Figures>,
    accepted: Counter,
    /// From the first byte of the body to the answer, accepted webhooks only.
    ack_seconds: Histogram,
    pub(super) inbox_events: Gauge,
    pub(super) inbox_bytes: Gauge,
    pub(super) commit_seconds: Histogram,
    pub(super) commit_events: Histogram,
}

impl std::fmt::Debug for Measures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Measures")
    }
}

impl Measures {
    /// After the recorder is installed.
    pub(crate) fn new() -> Self {
        metrics::describe_counter!("switchboard_webhooks_accepted_total", "Webhooks that were stored and answered 200");
        metrics::describe_counter!("switchboard_webhooks_refused_total", "Webhooks that were not stored, by reason");
        metrics::describe_histogram!("switchboard_webhook_ack_seconds", "Time from a webhook's arrival to its 200");
        metrics::describe_gauge!("switchboard_inbox_events", "Webhooks that wait for their commit");
        metrics::describe_gauge!("switchboard_inbox_bytes", "Bytes of webhooks that wait for their commit");
        metrics::describe_histogram!("switchboard_group_commit_seconds", "Time that one group commit takes");
        metrics::describe_histogram!("switchboard_group_commit_events", "Webhooks in one group commit");
        Self {
            figures: Arc::default(),
            accepted: metrics::counter!("switchboard_webhooks_accepted_total"),
            ack_seconds: metrics::histogram!("switchboard_webhook_ack_seconds"),
            inbox_events: metrics::gauge!("switchboard_inbox_events"),
            inbox_bytes: metrics::gauge!("switchboard_inbox_bytes"),
            commit_seconds: metrics::histogram!("switchboard_group_commit_seconds"),
            commit_events: metrics::histogram!("switchboard_group_commit_events"),
        }
    }

    /// A webhook was answered 200, so long after its first byte.
    pub(super) fn accepted(&self, took: Duration) {
        self.accepted.increment(1);
        self.ack_seconds.record(took);
        self.figures.record(LANE, |lane| {
            lane.done += 1;
            lane.wait.record(took.as_secs_f64(), 1);
        });
    }

    pub(super) fn refused(&self, reason: &'static str) {
        metrics::counter!("switchboard_webhooks_refused_total", "reason" => reason).increment(1);
        self.figures.record(LANE, |lane| {
            lane.failed += 1;
            *lane.errors.entry(reason.to_owned()).or_default() += 1;
        });
    }
}
