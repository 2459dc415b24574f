//! Channels by the ids that webhooks name, remembered for a while. Misses are never remembered, for a channel may be created any
//! moment, nor channels whose webhooks are held, for they may be enabled any moment.

use crate::{
    StoreError,
    channel_instances::{FoundChannel, find},
};
use domain::ChannelNaming;
use sqlx::PgPool;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a hit is believed; so long it may take until webhooks that are to be held are. A provider's id practically never moves to another tenant; if it does, what comes so soon after
/// counts as unrouted (with a warning), since it was received for the tenant before.
const BELIEVED_FOR: Duration = Duration::from_secs(30);
/// Beyond this many channels of one naming the map starts over, so that its memory is bounded.
const CAPACITY: usize = 100_000;

/// What was found, and when.
type Known = HashMap<ChannelNaming, HashMap<String, (FoundChannel, Instant)>>;

/// A cache that everything in a process shares.
#[derive(Debug, Default)]
pub struct ChannelMap {
    known: Mutex<Known>,
}

/// The channels of a batch.
#[derive(Debug, Default)]
pub struct FoundChannels(HashMap<ChannelNaming, HashMap<String, FoundChannel>>);

impl FoundChannels {
    /// `None`: nobody has it.
    pub fn get(&self, naming: ChannelNaming, id: &str) -> Option<&FoundChannel> {
        self.0.get(&naming)?.get(id)
    }

    /// Adds a channel.
    pub fn insert(&mut self, naming: ChannelNaming, id: String, channel: FoundChannel) {
        self.0.entry(naming).or_default().insert(id, channel);
    }
}

impl ChannelMap {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channels of these ids; those that nobody has are absent. At most one query for each naming, for what is not remembered.
    pub async fn resolve(&self, pool: &PgPool, named: &[(ChannelNaming, &str)]) -> Result<FoundChannels, StoreError> {
        let now = Instant::now();
        let mut found = FoundChannels::default();
        let mut missing: HashMap<ChannelNaming, BTreeSet<String>> = HashMap::new();
        {
            let known = self.known();
            for &(naming, id) in named {
                if found.get(naming, id).is_some() {
                    continue;
                }
                match known.get(&naming).and_then(|of_naming| of_naming.get(id)) {
                    Some((channel, at)) if now.duration_since(*at) < BELIEVED_FOR => found.insert(naming, id.to_owned(), *channel),
                    _ => {
                        missing.entry(naming).or_default().insert(id.to_owned());
                    }
                }
            }
        }
        for (naming, ids) in missing {
            let read = find(pool, naming, &ids.into_iter().collect::<Vec<_>>()).await?;
            let mut known = self.known();
            let of_naming = known.entry(naming).or_default();
            if of_naming.len() + read.len() > CAPACITY {
                of_naming.clear();
            }
            of_naming.extend(read.iter().filter(|(_, channel)| channel.enabled).map(|(id, channel)| (id.clone(), (*channel, now))));
            for (id, channel) in read {
                found.insert(naming, id, channel);
            }
        }
        Ok(found)
    }
}
