//! Handing hints from the feeder to workers. A hint names jobs; it carries nothing, and losing it costs milliseconds.

use apalis_core::{
    backend::TaskSink,
    task::{builder::TaskBuilder, task_id::TaskId},
};
use apalis_redis::{Config, ConnectionManager, RedisStorage};
use domain::JobId;
use futures::stream;
use redis::aio::ConnectionManagerConfig;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};
use tokio::sync::mpsc;
use uuid::Uuid;

/// "These jobs are due." Several only in a batched queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    pub jobs: Vec<JobId>,
}

/// What a dispatcher holds that no worker has taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub hints: usize,
    /// Everything it held is gone (Redis was emptied, or this is its first use).
    pub emptied: bool,
}

/// Carries hints from the feeder to workers.
pub trait Dispatch: Clone + Send + 'static {
    /// How many hints of `queue` wait to be taken.
    fn waiting(&mut self, queue: &'static str) -> impl Future<Output = Result<Waiting, DispatchError>> + Send;

    /// Hands over `hints`. Some of them may get lost, or arrive twice: neither matters.
    fn push(&mut self, queue: &'static str, hints: Vec<Hint>) -> impl Future<Output = Result<(), DispatchError>> + Send;
}

#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("Redis is not available: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("apalis-redis refused a hint: {0}")]
    Push(String),
}

/// Redis channel on which the feeder wakes the workers of a queue.
pub fn hints_channel(queue: &str) -> String {
    format!("switchboard:hints:{queue}")
}

/// How a queue is stored in Redis, for the feeder and the workers alike.
///
/// `lock_tasks` off: on, each task costs a scan of the waiting list. Results are "persisted" because otherwise tasks are
/// never acknowledged; the cleaner removes them.
pub fn redis_config(queue: &str, batch_size: usize) -> Config {
    Config::default()
        .queue(format!("switchboard:{queue}"))
        .batch_size(batch_size)
        .heartbeat_interval(Duration::from_secs(2))
        .missed_heartbeats(5)
        .lock_tasks(false)
        .emit_events(false)
        .persist_results(true)
}

/// A connection that reconnects by itself. Time-outs are generous because a time-out ends an apalis worker.
pub async fn redis_connection(client: &redis::Client) -> Result<ConnectionManager, redis::RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(Duration::from_secs(5)))
        .set_connection_timeout(Some(Duration::from_secs(5)));
    client.get_connection_manager_with_config(config).await
}

/// Through apalis-redis. Connects when it is first used, and reconnects by itself.
#[derive(Clone, Debug)]
pub struct RedisDispatch {
    client: redis::Client,
    connection: Option<ConnectionManager>,
}

/// apalis's promotion of pushed tasks fails for good above about 8,000 of them, so pushes are small and the window is bounded.
const PUSH_CHUNK: usize = 250;

impl RedisDispatch {
    pub fn new(client: redis::Client) -> Self {
        Self { client, connection: None }
    }

    async fn connection(&mut self) -> Result<&mut ConnectionManager, DispatchError> {
        if self.connection.is_none() {
            self.connection = Some(redis_connection(&self.client).await?);
        }
        self.connection.as_mut().ok_or_else(|| DispatchError::Push("no connection".to_owned()))
    }
}

impl Dispatch for RedisDispatch {
    async fn waiting(&mut self, queue: &'static str) -> Result<Waiting, DispatchError> {
        let config = redis_config(queue, 1);
        // The marker tells that Redis was emptied: with it went every hint.
        let marker = format!("switchboard:{queue}:feeder");
        let (fresh, active, scheduled): (bool, usize, usize) = redis::pipe()
            .set_nx(&marker, 1)
            .llen(config.active_jobs_list())
            .zcard(config.scheduled_jobs_set())
            .query_async(self.connection().await?)
            .await?;
        Ok(Waiting { hints: active + scheduled, emptied: fresh })
    }

    async fn push(&mut self, queue: &'static str, hints: Vec<Hint>) -> Result<(), DispatchError> {
        let connection = self.connection().await?;
        let mut storage = RedisStorage::<Hint>::new(connection.clone()).with_config(redis_config(queue, 1));
        let channel = hints_channel(queue);
        for chunk in hints.chunks(PUSH_CHUNK) {
            // apalis orders tasks of one second by their ids: ids that only grow keep the feeder's order.
            let task = |hint: &Hint| TaskBuilder::new(hint.clone()).task_id(TaskId::from_string(Uuid::now_v7().to_string())).build();
            let tasks: Vec<_> = chunk.iter().map(task).collect();
            storage.push_all(stream::iter(tasks)).await.map_err(|error| DispatchError::Push(error.to_string()))?;
            redis::cmd("PUBLISH").arg(&channel).arg("").query_async::<()>(connection).await?;
        }
        Ok(())
    }
}

/// Within one process, without Redis.
#[derive(Clone, Debug)]
pub struct LocalDispatch {
    queues: HashMap<&'static str, mpsc::Sender<Hint>>,
}

/// More than any window.
const LOCAL_CAPACITY: usize = 4_096;

impl LocalDispatch {
    /// A dispatcher for `queues`, and the ends from which this process's workers take.
    pub fn new(queues: impl IntoIterator<Item = &'static str>) -> (Self, HashMap<&'static str, mpsc::Receiver<Hint>>) {
        let (senders, receivers) = queues
            .into_iter()
            .map(|queue| {
                let (sender, receiver) = mpsc::channel(LOCAL_CAPACITY);
                ((queue, sender), (queue, receiver))
            })
            .unzip();
        (Self { queues: senders }, receivers)
    }
}

impl Dispatch for LocalDispatch {
    async fn waiting(&mut self, queue: &'static str) -> Result<Waiting, DispatchError> {
        // A queue that this process does not work counts as full: nobody would take its hints.
        let hints = self.queues.get(queue).map_or(usize::MAX, |sender| sender.max_capacity() - sender.capacity());
        Ok(Waiting { hints, emptied: false })
    }

    async fn push(&mut self, queue: &'static str, hints: Vec<Hint>) -> Result<(), DispatchError> {
        if let Some(sender) = self.queues.get(queue) {
            for hint in hints {
                if sender.try_send(hint).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}
