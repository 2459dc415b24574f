//! What happens while an agent thinks, for whoever waits for its answer: words as they come. They go through Redis and are kept nowhere: losing them costs
//! nothing but the sight of them, since the answer is a message in Postgres.

use domain::ConversationId;
use redis::aio::ConnectionManagerConfig;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt, future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Live {
    /// The agent begins to answer: what was heard before is void.
    Began,
    Words {
        text: String,
    },
    /// The agent uses a tool.
    Tool {
        name: String,
    },
    /// Nothing new; told to learn whether anybody hears it.
    Still,
    /// It is decided: there is an answer in Postgres, or there will be none.
    Ended,
}

/// The Redis channel of a conversation.
pub fn channel(conversation: ConversationId) -> String {
    format!("switchboard:live:{conversation}")
}

/// More waits for Redis than this: what comes then is not seen.
const WAITING: usize = 16_384;

/// How long nobody must have heard anything until whoever waited is taken for gone: a client that lost its connection is back by then.
const GONE_AFTER: Duration = Duration::from_secs(5);
const STILL_EVERY: Duration = Duration::from_secs(2);

/// Tells. Cheap to clone; never blocks and never fails.
#[derive(Clone)]
pub struct Teller(Option<Redis>);

#[derive(Clone)]
struct Redis {
    sender: mpsc::Sender<(ConversationId, Live)>,
    unheard: Arc<Unheard>,
}

/// Conversations whose listeners are looked after, and since when nobody hears what is told in them.
#[derive(Default)]
struct Unheard(Mutex<HashMap<ConversationId, Option<Instant>>>);

impl Unheard {
    fn all(&self) -> MutexGuard<'_, HashMap<ConversationId, Option<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many heard what was told last; `None`: that is not known.
    fn heard(&self, conversation: ConversationId, by: Option<u64>) {
        if let Some(since) = self.all().get_mut(&conversation) {
            *since = (by == Some(0)).then(|| since.unwrap_or_else(Instant::now));
        }
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Teller(redis)" } else { "Teller(none)" })
    }
}

impl Teller {
    /// Without Redis, answers come as a whole.
    pub fn none() -> Self {
        Self(None)
    }

    /// Tells through Redis. Connects in the background, and again whenever the connection is lost.
    pub fn redis(client: redis::Client) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let unheard = Arc::<Unheard>::default();
        tokio::spawn(publish(client, receiver, unheard.clone()));
        Self(Some(Redis { sender, unheard }))
    }

    pub fn tell(&self, conversation: ConversationId, what: Live) {
        if let Some(redis) = &self.0
            && redis.sender.try_send((conversation, what)).is_err()
        {
            tracing::debug!(%conversation, "Redis is slow or away: nobody sees what the agent says before it is done");
        }
    }

    /// Ends when nobody listens to the conversation any more. Where that cannot be known, never.
    pub(crate) async fn gone(&self, conversation: ConversationId) {
        let Some(redis) = &self.0 else { return future::pending().await };
        let watched = Watched { conversation, unheard: &redis.unheard };
        watched.unheard.all().insert(conversation, None);
        loop {
            tokio::time::sleep(STILL_EVERY).await;
            self.tell(conversation, Live::Still);
            let since = redis.unheard.all().get(&conversation).copied().flatten();
            if since.is_some_and(|since| since.elapsed() >= GONE_AFTER) {
                return;
            }
        }
    }
}

/// One conversation's jobs run one at a time, so there is one of these for each.
struct Watched<'a> {
    conversation: ConversationId,
    unheard: &'a Unheard,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.unheard.all().remove(&self.conversation);
    }
}

async fn publish(client: redis::Client, mut receiver: mpsc::Receiver<(ConversationId, Live)>, unheard: Arc<Unheard>) {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)))
        .set_number_of_retries(0);
    let mut manager = None;
    let mut pending = Vec::new();
    while receiver.recv_many(&mut pending, 1_024).await > 0 {
        if manager.is_none() {
            manager = client.get_connection_manager_with_config(config.clone()).await.ok();
        }
        let told = joined(pending.drain(..));
        let heard = match &mut manager {
            Some(connection) => {
                let mut pipe = redis::pipe();
                for (conversation, what) in &told {
                    pipe.publish(channel(*conversation), serde_json::to_string(what).unwrap_or_default());
                }
                pipe.query_async::<Vec<u64>>(connection)
                    .await
                    .inspect_err(|error| tracing::debug!(%error, "what agents say was not published"))
                    .ok()
            }
            None => None,
        };
        for (number, (conversation, _)) in told.iter().enumerate() {
            unheard.heard(*conversation, heard.as_ref().and_then(|heard| heard.get(number)).copied());
        }
    }
}

/// Words that follow each other become one piece.
fn joined(told: impl Iterator<Item = (ConversationId, Live)>) -> Vec<(ConversationId, Live)> {
    let mut joined: Vec<(ConversationId, Live)> = Vec::new();
    for (conversation, what) in told {
        match (joined.last_mut(), what) {
            (Some((last, Live::Words { text })), Live::Words { text: more }) if *last == conversation => text.push_str(&more),
            (_, what) => joined.push((conversation, what)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_follow_each_other_become_one_piece() {
        let (a, b) = (ConversationId::generate(), ConversationId::generate());
        let words = |text: &str| Live::Words { text: text.to_owned() };
        let told = [(a, Live::Began), (a, words("We ")), (a, words("open")), (b, words("No")), (a, words(".")), (a, Live::Ended)];
        assert_eq!(
            joined(told.into_iter()),
            [(a, Live::Began), (a, words("We open")), (b, words("No")), (a, words(".")), (a, Live::Ended)]
        );
    }
}
