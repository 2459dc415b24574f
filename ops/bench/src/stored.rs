//! Watches single messages arrive in Postgres: polls for their external ids in a tight loop on one connection, on a
//! thread of its own. A latency is therefore late by at most one pause and one query.

use crate::load;
use crate::numbers::microseconds;
use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use std::collections::HashMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use uuid::Uuid;

const PAUSE: Duration = Duration::from_micros(500);
/// A message that is not stored after this long counts as lost.
const PATIENCE: Duration = Duration::from_mins(2);
const QUERY: &str = "SELECT external_id FROM chat_messages WHERE tenant_id = $1 AND channel_instance_id = $2 AND external_id = ANY ($3)";

/// The channel whose messages are watched.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    pub tenant_id: i32,
    pub id: Uuid,
}

pub struct StoredWatch {
    sent: mpsc::Sender<(String, Instant)>,
    stored: mpsc::Receiver<String>,
    thread: JoinHandle<Result<Stored>>,
}

pub struct Stored {
    /// Microseconds from the given time to the row being visible.
    pub latency: Histogram<u64>,
    pub lost: usize,
}

impl StoredWatch {
    pub fn start(connect: tokio_postgres::Config, channel: Channel) -> Result<Self> {
        let (sent, incoming) = mpsc::channel();
        let (outgoing, stored) = mpsc::channel();
        let thread = std::thread::Builder::new().name("stored-watch".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(watch(&connect, channel, &incoming, &outgoing))
        })?;
        Ok(Self { sent, stored, thread })
    }

    /// Watch for `external_id`, whose latency counts from `since`.
    pub fn expect(&self, external_id: String, since: Instant) -> Result<()> {
        self.sent.send((external_id, since)).map_err(|_| anyhow!("the watch has ended"))
    }

    /// Blocks until a message is stored that had not been reported before.
    pub fn next(&self) -> Result<String> {
        self.stored.recv_timeout(PATIENCE).context("no message was stored")
    }

    /// Waits for everything still expected.
    pub fn finish(self) -> Result<Stored> {
        drop(self.sent);
        self.thread.join().map_err(|_| anyhow!("the watch panicked"))?
    }
}

async fn watch(
    connect: &tokio_postgres::Config,
    channel: Channel,
    incoming: &mpsc::Receiver<(String, Instant)>,
    outgoing: &mpsc::Sender<String>,
) -> Result<Stored> {
    let (client, connection) = connect.connect(tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    let statement = client.prepare(QUERY).await?;
    let mut open: HashMap<String, Instant> = HashMap::new();
    let mut result = Stored { latency: load::latencies()?, lost: 0 };
    loop {
        if open.is_empty() {
            let Ok((id, since)) = incoming.recv() else { break };
            open.insert(id, since);
        }
        open.extend(incoming.try_iter());
        let ids: Vec<&str> = open.keys().map(String::as_str).collect();
        let rows = client.query(&statement, &[&channel.tenant_id, &channel.id, &ids]).await?;
        let now = Instant::now();
        for row in rows {
            let id: String = row.try_get(0)?;
            if let Some(since) = open.remove(&id) {
                result.latency.saturating_record(microseconds(now.duration_since(since)));
                // Nobody may be listening: not every scenario waits for each message.
                outgoing.send(id).ok();
            }
        }
        let waiting = open.len();
        open.retain(|_, since| since.elapsed() < PATIENCE);
        result.lost += waiting - open.len();
        // Blocks this thread's runtime on purpose: its timers are too coarse, and nothing else runs on it.
        std::thread::sleep(PAUSE);
    }
    driver.abort();
    Ok(result)
}
