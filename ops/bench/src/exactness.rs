//! Waits until everything sent is stored, and then compares what is stored with what must be.

use crate::lab::Database;
use crate::numbers::float;
use crate::workload::Workload;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long the count may stand still before the wait is given up.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Exactness {
    pub missing: usize,
    pub duplicate: usize,
    pub unexpected: usize,
    /// Seeded outbound messages whose status is not the furthest one that was reported.
    pub wrong_status: usize,
}

impl Exactness {
    pub fn holds(&self) -> bool {
        self.missing + self.duplicate + self.unexpected + self.wrong_status == 0
    }

    pub fn describe(&self) -> Value {
        json!({ "exact": self.holds(), "missing": self.missing, "duplicate": self.duplicate, "unexpected": self.unexpected,
                "wrong_status": self.wrong_status })
    }
}

/// Returns when the last expected row was seen, or `None` if the count stood still before that.
pub async fn wait_until_stored(database: &Database, workload: &Workload) -> Result<Option<Instant>> {
    let read = workload.outbound().iter().filter(|message| message.last_status == "read").count();
    let expected = i64::try_from(workload.inbound_ids().count() + read)?;
    let mut last = (Instant::now(), count(database).await?);
    let mut moved = Instant::now();
    let mut pause = Duration::from_millis(100);
    while last.1 < expected {
        tokio::time::sleep(pause).await;
        let now = (Instant::now(), count(database).await?);
        if now.1 > last.1 {
            moved = now.0;
            pause = next_pause(last, now, expected);
        } else if moved.elapsed() > PATIENCE {
            return Ok(None);
        }
        last = now;
    }
    Ok(Some(Instant::now()))
}

/// Rarely while there is far to go, often when it is close: counting takes CPU from the system that is measured.
fn next_pause(before: (Instant, i64), now: (Instant, i64), expected: i64) -> Duration {
    let left = float(u64::try_from(expected - now.1).unwrap_or(0));
    let progress = float(u64::try_from(now.1 - before.1).unwrap_or(1).max(1));
    let secs = left / progress * now.0.duration_since(before.0).as_secs_f64() / 2.0;
    Duration::from_secs_f64(secs.clamp(0.02, 2.0))
}

async fn count(database: &Database) -> Result<i64> {
    let row = database.client.query_one("SELECT count(*) FROM chat_messages WHERE direction = 'inbound' OR status = 'read'", &[]).await?;
    Ok(row.try_get(0)?)
}

pub async fn check(database: &Database, workload: &Workload) -> Result<Exactness> {
    let mut found: HashMap<String, usize> = workload.inbound_ids().map(|id| (id, 0)).collect();
    let mut unexpected = 0;
    for row in database.client.query("SELECT coalesce(external_id, '') FROM chat_messages WHERE direction = 'inbound'", &[]).await? {
        match found.get_mut(row.try_get::<_, &str>(0)?) {
            Some(times) => *times += 1,
            None => unexpected += 1,
        }
    }
    let missing = found.values().filter(|times| **times == 0).count();
    let duplicate = found.values().map(|times| times.saturating_sub(1)).sum();
    Ok(Exactness { missing, duplicate, unexpected, wrong_status: wrong_statuses(database, workload).await? })
}

async fn wrong_statuses(database: &Database, workload: &Workload) -> Result<usize> {
    let mut expected: HashMap<String, &str> = workload.outbound().into_iter().map(|message| (message.wamid, message.last_status)).collect();
    let mut wrong = 0;
    for row in database.client.query("SELECT external_id, status FROM chat_messages WHERE direction = 'outbound'", &[]).await? {
        let (id, status): (Option<&str>, &str) = (row.try_get(0)?, row.try_get(1)?);
        // A row taken out of `expected` before, or never in it, is a duplicate or a stranger.
        if id.and_then(|id| expected.remove(id)) != Some(status) {
            wrong += 1;
        }
    }
    Ok(wrong + expected.len())
}
