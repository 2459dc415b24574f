//! A lane for each channel: so many calls at once, and none for a while when the provider cannot be reached or asked us to wait. A
//! slow or dead provider so takes a part of a process's slots, never all.
//!
//! Each process has its own: what they know is learnt again within a few calls.

use domain::ChannelInstanceId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// After so many failures in a row a lane is closed.
const FAILURES: u32 = 3;
/// For how long at first; doubles while the first call afterwards fails as well.
const CLOSED_FOR: Duration = Duration::from_secs(2);
const LONGEST_CLOSED: Duration = Duration::from_mins(1);
/// What a call is taken to last before any has been made.
const FIRST_GUESS: Duration = Duration::from_millis(100);
/// Lanes that are kept when they are not in use.
const MOST_LANES: usize = 10_000;

/// All lanes of a process.
#[derive(Debug)]
pub struct Lanes {
    /// Calls at once in one lane.
    width: usize,
    lanes: Mutex<HashMap<ChannelInstanceId, Lane>>,
}

#[derive(Debug)]
struct Lane {
    calls: usize,
    failures: u32,
    closed_until: Option<Instant>,
    /// Why it is closed.
    why: Option<Arc<str>>,
    /// What a call takes, averaged.
    call: Duration,
    /// When a call last ended, or began in an empty lane: calls that hang take at least so long.
    moved: Instant,
    /// When the last of those that were sent away should come back.
    turn: Instant,
}

/// The right to make one call; given back when it is dropped.
#[derive(Debug)]
pub struct Pass {
    lanes: Arc<Lanes>,
    channel: ChannelInstanceId,
    since: Instant,
}

impl Lanes {
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), lanes: Mutex::default() }
    }

    /// Takes a place in the channel's lane, or says when to come back.
    pub fn enter(self: &Arc<Self>, channel: ChannelInstanceId) -> Result<Pass, Duration> {
        let now = Instant::now();
        let mut lanes = self.lock();
        if lanes.len() > MOST_LANES {
            lanes.retain(|_, lane| lane.calls > 0 || lane.closed_until.is_some_and(|until| until > now));
        }
        let lane = lanes.entry(channel).or_insert(Lane {
            calls: 0,
            failures: 0,
            closed_until: None,
            why: None,
            call: FIRST_GUESS,
            moved: now,
            turn: now,
        });
        // A lane that was closed lets one call through to see.
        let width = if lane.failures >= FAILURES { 1 } else { self.width };
        let open_in = lane.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if open_in.is_zero() && lane.calls < width {
            if lane.calls == 0 {
                lane.moved = now;
            }
            lane.calls += 1;
            return Ok(Pass { lanes: self.clone(), channel, since: now });
        }
        // Those who wait come back one by one, as fast as calls end when all is well, so that waiting costs little however many wait,
        // and none waits for long once it is over.
        let call = lane.call.max(now - lane.moved);
        let soonest = now + open_in + call.min(Duration::from_secs(1));
        let next = lane.turn.max(soonest) + call / u32::try_from(self.width).unwrap_or(u32::MAX);
        lane.turn = next.min(soonest + LONGEST_CLOSED);
        Err(lane.turn.saturating_duration_since(now))
    }

    /// Why the channel's lane is closed, or lets one call through only to see, if so it is.
    pub fn why(&self, channel: ChannelInstanceId) -> Option<Arc<str>> {
        let now = Instant::now();
        let lanes = self.lock();
        let lane = lanes.get(&channel).filter(|lane| lane.failures >= FAILURES || lane.closed_until.is_some_and(|until| until > now));
        lane.and_then(|lane| lane.why.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelInstanceId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The provider answered.
    pub fn answered(&self) {
        self.change(|lane, took| {
            (lane.failures, lane.closed_until) = (0, None);
            lane.call = (lane.call * 7 + took) / 8;
        });
    }

    /// The provider could not be reached, or not serve.
    pub fn failed(&self) {
        self.change(|lane, _| {
            lane.failures = lane.failures.saturating_add(1);
            if let Some(more) = lane.failures.checked_sub(FAILURES) {
                let closed = CLOSED_FOR.saturating_mul(1 << more.min(10)).min(LONGEST_CLOSED);
                (lane.closed_until, lane.why) = (Some(Instant::now() + closed), Some("provider unavailable".into()));
            }
        });
    }

    /// The provider asked us to wait.
    pub fn told_to_wait(&self, delay: Duration, why: &str) {
        self.change(|lane, _| {
            (lane.closed_until, lane.why) = (lane.closed_until.max(Some(Instant::now() + delay)), Some(why.into()));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Lane, Duration)) {
        if let Some(lane) = self.lanes.lock().get_mut(&self.channel) {
            change(lane, self.since.elapsed());
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.change(|lane, _| (lane.calls, lane.moved) = (lane.calls.saturating_sub(1), Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> (Arc<Lanes>, ChannelInstanceId, ChannelInstanceId) {
        (Arc::new(Lanes::new(2)), ChannelInstanceId::generate(), ChannelInstanceId::generate())
    }

    /// So much later: everything that is remembered lies so much further back.
    fn pass_time(lanes: &Lanes, time: Duration) {
        for lane in lanes.lock().values_mut() {
            lane.closed_until = lane.closed_until.map(|until| until - time);
            (lane.moved, lane.turn) = (lane.moved - time, lane.turn - time);
        }
    }

    #[test]
    fn a_full_lane_sends_away_and_leaves_others_alone() {
        let (lanes, slow, quick) = lanes();
        let (first, _second) = (lanes.enter(slow).unwrap(), lanes.enter(slow).unwrap());
        let (third, fourth) = (lanes.enter(slow).unwrap_err(), lanes.enter(slow).unwrap_err());
        assert!(Duration::ZERO < third && third < fourth, "they come back one after the other: {third:?} {fourth:?}");
        lanes.enter(quick).unwrap();
        drop(first);
        lanes.enter(slow).unwrap();
    }

    #[test]
    fn calls_that_hang_send_others_away_for_longer_before_any_has_ended() {
        let (lanes, slow, _) = lanes();
        let _both = (lanes.enter(slow).unwrap(), lanes.enter(slow).unwrap());
        let at_first = lanes.enter(slow).unwrap_err();
        pass_time(&lanes, Duration::from_secs(4));
        let (next, after) = (lanes.enter(slow).unwrap_err(), lanes.enter(slow).unwrap_err());
        assert!(
            at_first < Duration::from_secs(1) && next >= Duration::from_secs(3) && after > next + Duration::from_secs(1),
            "{next:?} {after:?}"
        );
    }

    #[test]
    fn a_dead_provider_is_asked_by_one_call_at_a_time_and_ever_more_seldom() {
        let (lanes, dead, _) = lanes();
        for _ in 0..FAILURES {
            lanes.enter(dead).unwrap().failed();
        }
        assert_eq!(lanes.why(dead).as_deref(), Some("provider unavailable"));
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            let closed = lanes.enter(dead).unwrap_err();
            assert!(closed > last && closed < LONGEST_CLOSED * 2);
            last = closed;
            pass_time(&lanes, closed);
            let probe = lanes.enter(dead).unwrap();
            lanes.enter(dead).unwrap_err();
            probe.failed();
        }
        pass_time(&lanes, LONGEST_CLOSED);
        lanes.enter(dead).unwrap().answered();
        let _both = (lanes.enter(dead).unwrap(), lanes.enter(dead).unwrap());
    }

    #[test]
    fn a_provider_that_asks_for_patience_gets_it() {
        let (lanes, busy, _) = lanes();
        lanes.enter(busy).unwrap().told_to_wait(Duration::from_secs(30), "too fast");
        assert!(lanes.enter(busy).unwrap_err() > Duration::from_secs(29));
        assert_eq!(lanes.why(busy).as_deref(), Some("too fast"));
        pass_time(&lanes, Duration::from_secs(30));
        assert_eq!(lanes.why(busy), None);
        lanes.enter(busy).unwrap();
    }
}
