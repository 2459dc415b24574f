//! Which jobs of a queue come next: tenants in turn, each behind its cursor. All of it is memory; losing it costs one
//! reading from the start.

use domain::TenantId;
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};
use store::{
    PgPool, StoreError,
    ledger::{self, FeedPosition, Held, Lane, ReadyJob},
};
use tokio::time::Instant;

/// Every so often all cursors go back to the start: finds jobs whose hints were lost.
const SWEEP: Duration = Duration::from_secs(3);
/// Every so often cursors go back a little: finds jobs whose transactions committed out of order.
const STEP_BACK: Duration = Duration::from_millis(200);
/// How far: longer than such a transaction takes, but for rare ones, which the sweep finds.
const STEP: Duration = Duration::from_millis(400);
/// How long a job counts as dispatched and is not named again, at least; twice that at most.
const REMEMBERED: Duration = Duration::from_millis(1_500);
/// So many jobs are read at once, at most, beyond those that are wanted.
const LONGEST_STEP: usize = 4_096;
/// Safety nets may take this part of the time, whatever they cost.
const NET_SHARE: u32 = 50;

/// The feeder's memory of one queue.
#[derive(Debug)]
pub(super) struct Lanes {
    queue: &'static str,
    /// How often to read which lanes there are.
    look: Duration,
    known: Vec<Lane>,
    cursors: BTreeMap<Lane, FeedPosition>,
    /// Positions named in hints lately, in two generations. (Not ids: a job that is queued again has a new position.)
    dispatched: (HashSet<FeedPosition>, HashSet<FeedPosition>),
    turned_at: Instant,
    /// Which lane is first in the next round, for the rounds of each shard and for those of all.
    turns: BTreeMap<Option<i32>, usize>,
    /// When the lanes were read, and how long it took.
    looked: (Option<Instant>, Duration),
    swept: (Instant, Duration),
    positions: VecDeque<(Instant, FeedPosition)>,
    held: Held,
}

impl Lanes {
    pub(super) fn new(queue: &'static str, look: Duration) -> Self {
        let now = Instant::now();
        Self {
            queue,
            look,
            known: Vec::new(),
            cursors: BTreeMap::new(),
            dispatched: <_>::default(),
            turned_at: now,
            turns: BTreeMap::new(),
            looked: (None, Duration::ZERO),
            swept: (now, Duration::ZERO),
            positions: VecDeque::new(),
            held: Held::default(),
        }
    }

    /// What operators hold from now on. What they let go is looked for from the start, for its hints were refused.
    pub(super) fn hold(&mut self, held: Held) {
        let let_go = self.held.kinds.iter().any(|kind| !held.kinds.contains(kind))
            || self.held.tenants.iter().any(|tenant| !held.tenants.contains(tenant));
        if let_go {
            self.forget();
        }
        self.held = held;
    }

    /// Forgets what was dispatched: the dispatcher lost it, or it was not taken.
    pub(super) fn forget(&mut self) {
        self.cursors.clear();
        self.dispatched = <_>::default();
        self.looked.0 = None;
    }

    /// Producers said that these tenants have work.
    pub(super) fn hear(&mut self, tenants: impl IntoIterator<Item = TenantId>) {
        for tenant_id in tenants {
            let lane = Lane { priority: 0, tenant_id };
            if let Err(place) = self.known.binary_search(&lane) {
                self.known.insert(place, lane);
            }
        }
    }

    /// Up to `limit` jobs (of one shard, if it is given) that were not chosen lately: the lanes of the best priority first, within
    /// it tenants in turn.
    pub(super) async fn choose(&mut self, pool: &PgPool, limit: usize, shard: Option<i32>) -> Result<Vec<ReadyJob>, StoreError> {
        let started = Instant::now();
        let sweeping = self.prepare(pool).await?;
        let mut chosen = Vec::new();
        let mut rest: Vec<Lane> = self
            .known
            .iter()
            .filter(|lane| shard.is_none_or(|shard| lane.tenant_id.shard() == shard) && !self.held.tenants.contains(&lane.tenant_id))
            .copied()
            .collect();
        while chosen.len() < limit && !rest.is_empty() {
            let best = rest.first().map_or(0, |lane| lane.priority);
            let split = rest.partition_point(|lane| lane.priority == best);
            let mut active: Vec<Lane> = rest.drain(..split).collect();
            let turn = self.turns.entry(shard).or_default();
            let first = *turn % active.len().max(1);
            active.rotate_left(first);
            // The next round begins with the lanes that this one may not reach.
            *turn = first + if limit < active.len() { limit } else { 1 };
            self.take_in_turn(pool, active, limit, &mut chosen).await?;
        }
        if sweeping {
            self.swept = (Instant::now(), started.elapsed());
        }
        Ok(chosen)
    }

    /// Jobs that were chosen but not dispatched after all.
    pub(super) fn put_back(&mut self, jobs: &[ReadyJob]) {
        for job in jobs {
            self.dispatched.0.remove(&job.position);
            if let Some(cursor) = self.cursors.get_mut(&job.lane) {
                *cursor = (*cursor).min(job.position - 1);
            }
        }
    }

    async fn take_in_turn(
        &mut self,
        pool: &PgPool,
        mut active: Vec<Lane>,
        limit: usize,
        chosen: &mut Vec<ReadyJob>,
    ) -> Result<(), StoreError> {
        // Behind many that cannot be dispatched, the next that can is found in few steps.
        for step in 0..u32::MAX {
            let want = limit.saturating_sub(chosen.len());
            active.truncate(want);
            if active.is_empty() {
                break;
            }
            let least = want.div_ceil(active.len()).max(4);
            let each = least.saturating_mul(1 << step.min(16)).min(LONGEST_STEP / active.len()).max(least);
            let from: Vec<_> = active.iter().map(|lane| (*lane, self.cursors.get(lane).copied().unwrap_or(0))).collect();
            let heads = ledger::heads(pool, self.queue, &self.held.kinds, &from, i64::try_from(each).unwrap_or(i64::MAX)).await?;
            let mut read: BTreeMap<Lane, usize> = BTreeMap::new();
            let mut ranked = Vec::with_capacity(heads.len());
            for job in heads {
                let rank = read.entry(job.lane).or_default();
                *rank += 1;
                self.cursors.entry(job.lane).and_modify(|cursor| *cursor = (*cursor).max(job.position)).or_insert(job.position);
                if job.is_head && !self.dispatched.0.contains(&job.position) && !self.dispatched.1.contains(&job.position) {
                    ranked.push((*rank, job));
                }
            }
            ranked.sort_by_key(|(rank, _)| *rank);
            let ranked: Vec<ReadyJob> = ranked.into_iter().map(|(_, job)| job).collect();
            let (now, later) = ranked.split_at(ranked.len().min(want));
            self.dispatched.0.extend(now.iter().map(|job| job.position));
            chosen.extend_from_slice(now);
            self.put_back(later);
            active.retain(|lane| read.get(lane).is_some_and(|count| *count == each));
        }
        Ok(())
    }

    /// Refreshes what is known of the queue as far as it is time to. True: this is a sweep.
    async fn prepare(&mut self, pool: &PgPool) -> Result<bool, StoreError> {
        let now = Instant::now();
        if now - self.turned_at > REMEMBERED {
            self.dispatched.1 = std::mem::take(&mut self.dispatched.0);
            self.turned_at = now;
        }
        let sweeping = now - self.swept.0 > SWEEP + self.swept.1 * NET_SHARE;
        if sweeping {
            self.cursors.clear();
        } else if self.positions.back().is_none_or(|(at, _)| now - *at > STEP_BACK) {
            self.step_back(pool, now).await?;
        }
        if sweeping || self.looked.0.is_none_or(|at| now - at > self.look + self.looked.1 * 20) {
            self.known = ledger::lanes(pool, self.queue).await?;
            self.looked = (Some(Instant::now()), now.elapsed());
        }
        Ok(sweeping)
    }

    async fn step_back(&mut self, pool: &PgPool, now: Instant) -> Result<(), StoreError> {
        let newest = ledger::last_position(pool).await?;
        self.positions.push_back((now, newest));
        while self.positions.len() > 1 && self.positions.get(1).is_some_and(|(at, _)| now - *at > STEP) {
            self.positions.pop_front();
        }
        if let Some((_, then)) = self.positions.front().filter(|(_, then)| *then < newest) {
            self.cursors.values_mut().for_each(|cursor| *cursor = (*cursor).min(*then));
        }
        Ok(())
    }
}
