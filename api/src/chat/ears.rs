//! Hearing what agents say while they say it: one connection to Redis, on which each conversation that somebody waits in has a channel.

use domain::ConversationId;
use futures::StreamExt;
use jobs::live::{self, Live};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

/// Pieces that may wait for whoever listens; what is more is not seen.
const WAITING: usize = 1_024;
/// How long Redis may take to say that it listens. Without it the answer comes as a whole.
const PATIENCE: Duration = Duration::from_millis(250);
const AFTER_TROUBLE: Duration = Duration::from_millis(200);

/// All of this process.
pub(crate) struct Ears {
    /// `None`: there is no Redis.
    commands: Option<mpsc::UnboundedSender<Command>>,
    listening: Arc<Listening>,
    next: AtomicU64,
}

/// Who listens, by channel.
#[derive(Default)]
struct Listening(Mutex<HashMap<String, HashMap<u64, mpsc::Sender<Live>>>>);

enum Command {
    Subscribe(String, oneshot::Sender<()>),
    Unsubscribe(String),
}

/// Hears one conversation, until it is dropped.
pub(crate) struct Ear {
    id: u64,
    channel: String,
    pub(super) live: mpsc::Receiver<Live>,
    commands: Option<mpsc::UnboundedSender<Command>>,
    listening: Arc<Listening>,
}

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ears").field("channels", &self.listening.all().len()).finish_non_exhaustive()
    }
}

impl Listening {
    fn all(&self) -> MutexGuard<'_, HashMap<String, HashMap<u64, mpsc::Sender<Live>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, channel: &str, what: &Live) {
        for sender in self.all().get(channel).into_iter().flat_map(HashMap::values) {
            if sender.try_send(what.clone()).is_err() {
                tracing::debug!(channel, "whoever waits for an answer is slow: they get it as a whole");
            }
        }
    }
}

impl Ears {
    pub(crate) fn new(redis: Option<redis::Client>, chores: &mut JoinSet<()>) -> Self {
        let listening = Arc::<Listening>::default();
        let commands = redis.map(|client| {
            let (sender, receiver) = mpsc::unbounded_channel();
            chores.spawn(hear(client, listening.clone(), receiver));
            sender
        });
        Self { commands, listening, next: AtomicU64::new(0) }
    }

    /// Listens to a conversation. When this returns nothing is missed any more, if Redis is there.
    pub(crate) async fn listen(&self, conversation: ConversationId) -> Ear {
        let (id, channel) = (self.next.fetch_add(1, Ordering::Relaxed), live::channel(conversation));
        let (sender, receiver) = mpsc::channel(WAITING);
        let ear = Ear { id, channel: channel.clone(), live: receiver, commands: self.commands.clone(), listening: self.listening.clone() };
        self.listening.all().entry(channel.clone()).or_default().insert(id, sender);
        if let Some(commands) = &self.commands {
            // Also if another listens already: perhaps their subscription is not there yet.
            let (done, is_done) = oneshot::channel();
            if commands.send(Command::Subscribe(channel, done)).is_ok() && timeout(PATIENCE, is_done).await.is_err() {
                tracing::debug!("Redis does not say that it listens: the answer comes as a whole");
            }
        }
        ear
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut all = self.listening.all();
        let Some(others) = all.get_mut(&self.channel) else { return };
        others.remove(&self.id);
        if others.is_empty() {
            all.remove(&self.channel);
            drop(all);
            if let Some(commands) = &self.commands {
                // The other end is gone only when the process stops.
                commands.send(Command::Unsubscribe(self.channel.clone())).unwrap_or_default();
            }
        }
    }
}

/// Keeps the connection, for ever.
async fn hear(client: redis::Client, listening: Arc<Listening>, mut commands: mpsc::UnboundedReceiver<Command>) {
    loop {
        if let Ok(pubsub) = client.get_async_pubsub().await {
            let (mut sink, mut stream) = pubsub.split();
            let wanted: Vec<String> = listening.all().keys().cloned().collect();
            let mut is_good = wanted.is_empty() || sink.subscribe(&wanted).await.is_ok();
            while is_good {
                tokio::select! {
                    command = commands.recv() => is_good = match command {
                        None => return,
                        Some(Command::Subscribe(channel, done)) => {
                            let subscribed = sink.subscribe(&channel).await.is_ok();
                            // Whoever asked may not wait any more.
                            done.send(()).unwrap_or_default();
                            subscribed
                        }
                        // Somebody may have come meanwhile.
                        Some(Command::Unsubscribe(channel)) => {
                            let unwanted = !listening.all().contains_key(&channel);
                            !unwanted || sink.unsubscribe(&channel).await.is_ok()
                        }
                    },
                    message = stream.next() => match message {
                        Some(message) => {
                            if let Some(what) = message.get_payload::<String>().ok().and_then(|text| serde_json::from_str(&text).ok()) {
                                listening.tell(message.get_channel_name(), &what);
                            }
                        }
                        None => is_good = false,
                    },
                }
            }
        }
        tokio::time::sleep(AFTER_TROUBLE).await;
    }
}
