//! Workers on apalis-redis: the only place, beside `jobs::dispatch`, that names it.

use super::{Runtime, work};
use apalis::prelude::*;
use apalis_core::backend::ext::poll_strategy::Strategy;
use apalis_redis::{ConnectionManager, RedisStorage};
use futures::{StreamExt, channel::mpsc};
use jobs::{
    dispatch::{Hint, hints_channel, redis_config, redis_connection},
    queue::Queue,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// How long a worker that keeps dying waits before it is started again, at most.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// After a slot became free the next fetch waits for more of them so long.
const REFILL: Duration = Duration::from_millis(3);
/// A worker that lived this long starts again at once when it dies.
const STEADY: Duration = Duration::from_secs(30);

/// Works `queue` until `stopping`: one apalis worker after the other, each under a new name, since apalis neither lets a
/// name return at once nor survives a lost connection or an emptied Redis.
pub(crate) async fn supervise(
    runtime: Arc<Runtime>,
    client: redis::Client,
    queue: Queue,
    concurrency: usize,
    mut stopping: watch::Receiver<bool>,
) {
    let mut backoff = Duration::from_millis(100);
    let mut draining = runtime.draining.subscribe();
    while !*stopping.borrow() {
        tokio::select! {
            _ = draining.wait_for(|draining| !*draining) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let started = tokio::time::Instant::now();
        let ended = match redis_connection(&client).await {
            Ok(connection) => incarnation(&runtime, &client, connection, queue, concurrency, stopping.clone()).await,
            Err(error) => format!("Redis is not available: {error}"),
        };
        if *stopping.borrow() {
            return;
        }
        if *draining.borrow() {
            continue;
        }
        if started.elapsed() > STEADY {
            backoff = Duration::from_millis(100);
        }
        metrics::counter!("switchboard_worker_restarts_total", "queue" => queue.name).increment(1);
        tracing::warn!(queue = queue.name, reason = ended, again_in = ?backoff, "worker ended; starting another");
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// Runs one Monitor until it ends, and says why. (It returns `Ok` also when its worker died.)
async fn incarnation(
    runtime: &Arc<Runtime>,
    client: &redis::Client,
    connection: ConnectionManager,
    queue: Queue,
    concurrency: usize,
    mut stopping: watch::Receiver<bool>,
) -> String {
    // Several short jobs per fetch save round trips; long ones and batches must not wait behind each other in a buffer.
    let fetch = if queue.batch_weight.is_some() { 1 } else { 16.min(concurrency) };
    let (runtime, client) = (runtime.clone(), client.clone());
    let mut draining = runtime.draining.subscribe();
    let reason = Arc::new(std::sync::Mutex::new(String::from("it ended without an error")));
    let noted = reason.clone();
    let monitor = Monitor::new()
        .register(move |_| {
            let freed = Arc::new(Notify::new());
            let wakes = Strategy::new().stream(wakes(&client, queue.name, freed.clone())).interval(Duration::from_millis(100));
            let storage =
                RedisStorage::<Hint>::new(connection.clone()).with_config(redis_config(queue.name, fetch)).poll_with_strategy(wakes);
            WorkerBuilder::new(format!("{}:{}", queue.name, Uuid::now_v7()))
                .backend(storage)
                .data(Taker { runtime: runtime.clone(), queue: queue.name, freed })
                .concurrency(concurrency)
                .catch_panic()
                .parallelize(tokio::spawn)
                .build(handle)
        })
        .should_restart(move |_, error| {
            *noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = error.to_string();
            false
        })
        .shutdown_timeout(Duration::from_secs(7));
    let signal = async move {
        tokio::select! {
            stop = stopping.wait_for(|stop| *stop) => stop.map(drop).map_err(std::io::Error::other),
            drain = draining.wait_for(|drain| *drain) => drain.map(drop).map_err(std::io::Error::other),
        }
    };
    if let Err(error) = monitor.run_with_signal(signal).await {
        return error.to_string();
    }
    let reason = reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    reason.clone()
}

/// Whom an apalis worker works for.
#[derive(Clone)]
struct Taker {
    runtime: Arc<Runtime>,
    queue: &'static str,
    /// Rung when a hint is done, so that the next one is fetched.
    freed: Arc<Notify>,
}

/// Always `Ok`: what became of the jobs is written in the ledger, so apalis has nothing to retry.
async fn handle(hint: Hint, taker: Data<Taker>) -> Result<(), BoxDynError> {
    work(taker.runtime.clone(), taker.queue, hint).await;
    taker.freed.notify_one();
    Ok(())
}

/// What makes a worker fetch: the feeder's wakes, and slots that became free while more waits. One that waits already says it all. The task ends with the worker that listens.
fn wakes(client: &redis::Client, queue: &'static str, freed: Arc<Notify>) -> mpsc::Receiver<()> {
    let (mut sender, receiver) = mpsc::channel(1);
    let client = client.clone();
    tokio::spawn(async move {
        while !sender.is_closed() {
            if let Ok(mut pubsub) = client.get_async_pubsub().await
                && pubsub.subscribe(hints_channel(queue)).await.is_ok()
            {
                let mut messages = pubsub.on_message();
                loop {
                    tokio::select! {
                        message = messages.next() => if message.is_none() { break },
                        () = freed.notified() => tokio::time::sleep(REFILL).await,
                    }
                    if sender.try_send(()).is_err_and(|error| error.is_disconnected()) {
                        return;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    receiver
}
