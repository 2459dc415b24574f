//! Channels by the provider's id, remembered for a while. Misses are never remembered: a channel may be created any moment.

use crate::{
    StoreError,
    channel_instances::{ChannelRef, find_by_external_ids},
};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a hit is believed. A provider's id practically never moves to another tenant; if it does, what comes so soon after
/// counts as unrouted (with a warning), since it was received for the tenant before.
const BELIEVED_FOR: Duration = Duration::from_secs(30);
/// Beyond this many channels the map starts over, so that its memory is bounded.
const CAPACITY: usize = 100_000;

/// A cache of one channel type, shared by everything in a process.
#[derive(Debug)]
pub struct ChannelMap {
    channel_type: &'static str,
    known: Mutex<HashMap<String, (ChannelRef, Instant)>>,
}

impl ChannelMap {
    /// `channel_type`: as in `channel_instances.type`, for example `WHATSAPP`.
    pub fn new(channel_type: &'static str) -> Self {
        Self { channel_type, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (ChannelRef, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channels of `external_ids`; those that nobody has are absent. At most one query, for what is not remembered.
    pub async fn resolve<'a>(
        &self,
        pool: &PgPool,
        external_ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, ChannelRef>, StoreError> {
        let now = Instant::now();
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let known = self.known();
            for id in external_ids {
                if found.contains_key(id) {
                    continue;
                }
                match known.get(id) {
                    Some((channel, at)) if now.duration_since(*at) < BELIEVED_FOR => {
                        found.insert(id.to_owned(), *channel);
                    }
                    _ => missing.push(id.to_owned()),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        missing.sort_unstable();
        missing.dedup();
        let read = find_by_external_ids(pool, self.channel_type, &missing).await?;
        let mut known = self.known();
        if known.len() + read.len() > CAPACITY {
            known.clear();
        }
        known.extend(read.iter().map(|(id, channel)| (id.clone(), (*channel, now))));
        found.extend(read);
        Ok(found)
    }
}
