//! Telling the feeder that there is work, after the commit that wrote it. Losing a wake costs the feeder's next look.

use domain::TenantId;
use redis::aio::ConnectionManagerConfig;
use std::{collections::BTreeSet, fmt, time::Duration};
use tokio::sync::mpsc;

/// Redis channel on which producers say that a queue has work: `queue tenant,tenant,...`.
pub const WAKE_CHANNEL: &str = "switchboard:wake";

/// The pause after a ring: those that come meanwhile become one. The first one never waits.
const PAUSE: Duration = Duration::from_millis(5);

/// Rings for the feeder. Cheap to clone; never blocks and never fails.
#[derive(Clone)]
pub struct Waker(Option<mpsc::Sender<(&'static str, TenantId)>>);

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Waker(redis)" } else { "Waker(none)" })
    }
}

impl Waker {
    /// Without Redis the feeder looks often enough by itself.
    pub fn none() -> Self {
        Self(None)
    }

    /// Rings through Redis. Connects in the background, and again whenever the connection is lost; wakes are dropped while
    /// Redis is away.
    pub fn redis(client: redis::Client) -> Self {
        let (sender, receiver) = mpsc::channel(1_024);
        tokio::spawn(publish(client, receiver));
        Self(Some(sender))
    }

    /// Says that `tenants` have work in `queue`. Call it after the commit.
    pub fn ring(&self, queue: &'static str, tenants: impl IntoIterator<Item = TenantId>) {
        if let Some(sender) = &self.0 {
            for tenant in tenants {
                // A full channel means that Redis is slow or away: the feeder's own look finds the work.
                if sender.try_send((queue, tenant)).is_err() {
                    break;
                }
            }
        }
    }
}

async fn publish(client: redis::Client, mut receiver: mpsc::Receiver<(&'static str, TenantId)>) {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)))
        .set_number_of_retries(0);
    let mut manager = None;
    let mut pending = Vec::new();
    while receiver.recv_many(&mut pending, 1_024).await > 0 {
        let rung: BTreeSet<_> = pending.drain(..).collect();
        if manager.is_none() {
            manager = client.get_connection_manager_with_config(config.clone()).await.ok();
        }
        let Some(connection) = &mut manager else { continue };
        let mut pipe = redis::pipe();
        for queue in rung.iter().map(|(queue, _)| *queue).collect::<BTreeSet<_>>() {
            let tenants: Vec<String> = rung.iter().filter(|(q, _)| *q == queue).map(|(_, tenant)| tenant.to_string()).collect();
            pipe.publish(WAKE_CHANNEL, format!("{queue} {}", tenants.join(","))).ignore();
        }
        if let Err(error) = pipe.query_async::<()>(connection).await {
            tracing::debug!(%error, "wake not published; the feeder will look by itself");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
