//! What wakes the feeder: producers (through Redis), and workers of this process that take a hint.

use domain::TenantId;
use futures::StreamExt;
use jobs::{queue, wake::WAKE_CHANNEL};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// A bell for each queue, and who rang.
#[derive(Debug)]
pub(crate) struct Bells(BTreeMap<&'static str, Bell>);

#[derive(Debug, Default)]
struct Bell {
    notify: Notify,
    tenants: Mutex<BTreeSet<TenantId>>,
}

impl Default for Bells {
    fn default() -> Self {
        Self(queue::ALL.into_iter().map(|queue| (queue.name, Bell::default())).collect())
    }
}

impl Bell {
    fn tenants(&self) -> MutexGuard<'_, BTreeSet<TenantId>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bells {
    /// `tenants` have new work in `queue`.
    fn ring(&self, queue: &str, tenants: impl IntoIterator<Item = TenantId>) {
        if let Some(bell) = self.0.get(queue) {
            bell.tenants().extend(tenants);
            bell.notify.notify_one();
        }
    }

    /// There may be room in `queue`.
    pub(crate) fn nudge(&self, queue: &str) {
        if let Some(bell) = self.0.get(queue) {
            bell.notify.notify_one();
        }
    }

    /// Waits for a ring, at most `limit`, and returns who rang since the last time.
    pub(super) async fn wait(&self, queue: &str, limit: Duration) -> BTreeSet<TenantId> {
        let Some(bell) = self.0.get(queue) else { return BTreeSet::new() };
        // Both ways of ending mean the same: look again.
        tokio::time::timeout(limit, bell.notify.notified()).await.unwrap_or_default();
        std::mem::take(&mut *bell.tenants())
    }
}

/// Hears producers until it is aborted; subscribes again whenever the connection is lost.
pub(super) async fn listen(client: redis::Client, bells: Arc<Bells>) {
    loop {
        if let Ok(mut pubsub) = client.get_async_pubsub().await
            && pubsub.subscribe(WAKE_CHANNEL).await.is_ok()
        {
            let mut messages = pubsub.on_message();
            while let Some(message) = messages.next().await {
                if let Ok(text) = message.get_payload::<String>()
                    && let Some((queue, tenants)) = text.split_once(' ')
                {
                    bells.ring(queue, tenants.split(',').filter_map(|tenant| tenant.parse().ok()).map(TenantId));
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
