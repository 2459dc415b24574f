//! The feeder: names due jobs to the workers, and never more than a window of them.

use super::{Leading, lanes::Lanes, packing, suspects::Suspects};
use domain::TenantId;
use jobs::{
    dispatch::Dispatch,
    queue::{Queue, Window},
};
use std::{error::Error, time::Duration};
use store::ledger;
use tokio::time::Instant;

/// How often an idle queue is looked at when no wake comes. Without Redis there are none, so it is looked at more often.
const IDLE: Duration = Duration::from_millis(200);
const IDLE_WITHOUT_WAKES: Duration = Duration::from_millis(10);
/// How often the lanes are read anew when wakes name them.
const LOOK: Duration = Duration::from_millis(250);
/// How often a busy one is.
const BUSY: Duration = Duration::from_millis(3);
/// After a batch of this weight or more, the next one gathers for so long, and is of the next shard only: larger batches cost much
/// less per webhook, and one at a time leaves room for those who take webhooks. A quiet queue does not wait.
const GATHER_FROM: i32 = 20;
const GATHER: Duration = Duration::from_millis(20);
/// After so many single jobs, the next ones gather for so long: a statement for each would cost more than the jobs.
const MANY_SINGLE: usize = 8;
const GATHER_SINGLE: Duration = Duration::from_millis(8);
/// The pause after a failure.
const TROUBLE: Duration = Duration::from_millis(200);
/// How often due jobs are moved to their lanes.
const PROMOTE: Duration = Duration::from_millis(100);
/// How many at once.
const PROMOTE_LIMIT: i64 = 1_000;
/// How often the pauses and the number of slots are read.
const SETTINGS: Duration = Duration::from_secs(1);

struct Feeder<D> {
    leading: Leading<D>,
    queue: Queue,
    lanes: Lanes,
    suspects: Suspects,
    promoted: Option<Instant>,
    /// Until when the next batch gathers, and its shard.
    gathering: Option<(Instant, i32)>,
    settings: (Option<Instant>, Settings),
}

#[derive(Clone, Copy, Default)]
struct Settings {
    slots: usize,
    paused: bool,
}

/// What a round found.
enum Round {
    /// Hints went out, or many wait: look again soon.
    Busy,
    /// Nothing to do until somebody rings.
    Idle,
    /// Nothing to do until then, whoever rings.
    Gathering(Instant),
}

/// Feeds `queue` until it is aborted.
pub(super) async fn feed<D: Dispatch>(leading: Leading<D>, queue: Queue) {
    let idle = if leading.redis.is_some() { IDLE } else { IDLE_WITHOUT_WAKES };
    let mut feeder = Feeder {
        lanes: Lanes::new(queue.name, if leading.redis.is_some() { LOOK } else { IDLE_WITHOUT_WAKES }),
        suspects: Suspects::new(),
        promoted: None,
        gathering: None,
        settings: (None, Settings::default()),
        leading,
        queue,
    };
    let mut troubled = false;
    loop {
        let limit = feeder.leading.config.worker_dead_after * 2;
        let pause = match store::within(limit, async { Ok(feeder.round().await) }).await.unwrap_or_else(|silence| Err(silence.into())) {
            Ok(round) => {
                if std::mem::take(&mut troubled) {
                    tracing::info!(queue = queue.name, "feeding again");
                }
                match round {
                    Round::Busy => BUSY,
                    Round::Idle => idle,
                    Round::Gathering(until) => {
                        tokio::time::sleep_until(until).await;
                        continue;
                    }
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut troubled, true) {
                    tracing::warn!(queue = queue.name, %error, "cannot feed; trying until it works");
                }
                feeder.lanes.forget();
                TROUBLE
            }
        };
        let rang = feeder.leading.bells.wait(queue.name, pause).await;
        feeder.lanes.hear(rang);
    }
}

impl<D: Dispatch> Feeder<D> {
    async fn round(&mut self) -> Result<Round, Box<dyn Error + Send + Sync>> {
        let settings = self.settings().await?;
        // Nobody would take a hint of a queue that no worker serves.
        if settings.paused || settings.slots == 0 {
            return Ok(Round::Idle);
        }
        if let Some((until, _)) = self.gathering.filter(|(until, _)| *until > Instant::now()) {
            return Ok(Round::Gathering(until));
        }
        let shard = self.gathering.map(|(_, shard)| shard);
        let (pool, name) = (&self.leading.pool, self.queue.name);
        let waiting = self.leading.dispatch.waiting(name).await?;
        metrics::gauge!("switchboard_dispatch_window", "queue" => name).set(if waiting.hints == usize::MAX {
            0.0
        } else {
            count(waiting.hints)
        });
        if waiting.hints != usize::MAX {
            self.leading.figures.record(name, |lane| lane.window = Some((waiting.hints as u64, self.window(settings) as u64)));
        }
        if waiting.emptied {
            tracing::info!(queue = name, "the dispatcher was empty; feeding from the start");
            self.lanes.forget();
        }
        if self.promoted.is_none_or(|at| at.elapsed() > PROMOTE) {
            ledger::promote_due(pool, name, PROMOTE_LIMIT).await?;
            self.promoted = Some(Instant::now());
        }
        let window = self.window(settings);
        // While a batch waits to be taken, the next one grows. Single jobs are chosen when it is worth a statement.
        let refill = if self.queue.batch_weight.is_some() { 1 } else { window * 3 / 4 };
        if waiting.hints >= refill {
            return Ok(if waiting.hints == usize::MAX { Round::Idle } else { Round::Busy });
        }
        let mut hints = self.suspects.next(pool, self.queue).await?;
        let free = window - waiting.hints;
        let chosen = self.lanes.choose(pool, packing::jobs_for(self.queue, free), shard).await?;
        let weight = chosen.iter().fold(0_i32, |sum, job| sum.saturating_add(job.weight));
        let (packed, left) = packing::pack(self.queue, chosen, free);
        self.lanes.put_back(&left);
        hints.extend(packed);
        self.gathering = None;
        if hints.is_empty() && shard.is_some() {
            // The others may have something.
            return Ok(Round::Busy);
        }
        if hints.is_empty() {
            return Ok(if waiting.hints > 0 || !left.is_empty() { Round::Busy } else { Round::Idle });
        }
        metrics::counter!("switchboard_hints_dispatched_total", "queue" => name).increment(hints.len() as u64);
        let many = hints.len() >= MANY_SINGLE;
        self.leading.dispatch.push(name, hints).await?;
        if self.queue.batch_weight.is_none() && many {
            return Ok(Round::Gathering(Instant::now() + GATHER_SINGLE));
        }
        if self.queue.batch_weight.is_some() && weight >= GATHER_FROM {
            self.gathering = Some((Instant::now() + GATHER, shard.map_or(0, |shard| (shard + 1) % TenantId::SHARDS)));
        }
        Ok(Round::Busy)
    }

    /// How many hints may wait in the dispatcher.
    fn window(&self, settings: Settings) -> usize {
        match self.queue.window {
            Window::Fixed(hints) => hints,
            Window::PerSlot(hints) => (hints * settings.slots).max(2),
        }
    }

    async fn settings(&mut self) -> Result<Settings, store::StoreError> {
        if self.settings.0.is_none_or(|at| at.elapsed() > SETTINGS) {
            let (pool, name) = (&self.leading.pool, self.queue.name);
            let held = ledger::held(pool).await?;
            let paused = held.queues.iter().any(|queue| queue == name);
            let slots = usize::try_from(ledger::live_slots(pool, name).await?).unwrap_or(0);
            if self.settings.1.paused && !paused {
                // Hints that went out during the pause were refused.
                self.lanes.forget();
            }
            self.lanes.hold(held);
            self.settings = (Some(Instant::now()), Settings { slots, paused });
        }
        Ok(self.settings.1)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; windows are small")]
fn count(hints: usize) -> f64 {
    hints as f64
}
