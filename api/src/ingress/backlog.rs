//! Whether webhooks wait for long. While they do not, the tenants in a commit share jobs; while they do, each has its own, so
//! that one tenant's flood does not hold up the others.

use jobs::{process_webhook::Lanes, queue};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use store::{PgPool, ledger};

/// A job that waits for longer than this (in seconds) means that the workers are behind.
const LONG: f64 = 0.5;
/// How often to look, and what part of the time looking may take.
const LOOK: Duration = Duration::from_millis(250);
const SHARE: u32 = 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Starts as behind: until somebody has looked, tenants take turns.
#[derive(Debug)]
pub(crate) struct Backlog(AtomicBool);

impl Backlog {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// How to enqueue webhooks now.
    pub(super) fn lanes(&self) -> Lanes {
        if self.0.load(Ordering::Relaxed) { Lanes::PerTenant } else { Lanes::Shared }
    }

    /// Looks, until it is dropped. What cannot be known counts as behind.
    pub(crate) async fn watch(&self, pool: PgPool) {
        loop {
            let started = Instant::now();
            let behind = store::within(ANSWER_WITHIN, ledger::is_behind(&pool, queue::WEBHOOKS.name, LONG)).await.unwrap_or(true);
            self.0.store(behind, Ordering::Relaxed);
            tokio::time::sleep(LOOK.max(started.elapsed() * SHARE)).await;
        }
    }
}
