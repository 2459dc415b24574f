//! Telling the feeder that there is work, and the API that there is something to show, after the commit that wrote it. Losing a wake costs
//! their next look.

use domain::TenantId;
use redis::aio::ConnectionManagerConfig;
use std::{collections::BTreeSet, fmt, time::Duration};
use tokio::sync::mpsc;

/// Redis channel on which producers say that a queue has work: `queue tenant,tenant,...`.
pub const WAKE_CHANNEL: &str = "switchboard:wake";

/// Redis channel on which it is said that tenants have something to show to those who watch: `tenant,tenant,...`.
pub const CHANGED_CHANNEL: &str = "switchboard:changed";

/// What is rung for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bell {
    Queue(&'static str),
    Changed,
}

/// The pause after a ring: those that come meanwhile become one. The first one never waits.
const PAUSE: Duration = Duration::from_millis(5);

/// Rings. Cheap to clone; never blocks and never fails.
#[derive(Clone)]
pub struct Waker(Option<mpsc::Sender<(Bell, TenantId)>>);

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
        self.send(Bell::Queue(queue), tenants);
    }

    /// Says that there is something new to show of `tenants`. Call it after the commit.
    pub fn changed(&self, tenants: impl IntoIterator<Item = TenantId>) {
        self.send(Bell::Changed, tenants);
    }

    fn send(&self, bell: Bell, tenants: impl IntoIterator<Item = TenantId>) {
        if let Some(sender) = &self.0 {
            for tenant in tenants {
                // A full channel means that Redis is slow or away: whoever listens looks by themselves.
                if sender.try_send((bell, tenant)).is_err() {
                    break;
                }
            }
        }
    }
}

async fn publish(client: redis::Client, mut receiver: mpsc::Receiver<(Bell, TenantId)>) {
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
        for bell in rung.iter().map(|(bell, _)| *bell).collect::<BTreeSet<_>>() {
            let tenants: Vec<String> = rung.iter().filter(|(other, _)| *other == bell).map(|(_, tenant)| tenant.to_string()).collect();
            match bell {
                Bell::Queue(queue) => pipe.publish(WAKE_CHANNEL, format!("{queue} {}", tenants.join(","))).ignore(),
                Bell::Changed => pipe.publish(CHANGED_CHANNEL, tenants.join(",")).ignore(),
            };
        }
        if let Err(error) = pipe.query_async::<()>(connection).await {
            tracing::debug!(%error, "wake not published; the feeder will look by itself");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
