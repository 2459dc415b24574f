//! What a process did in the last minute, for the operators' pages: how much of each queue, how long it waited and ran, what went wrong.
//! Every process tells it to Postgres every few seconds; sums over processes are the figures of the whole installation.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The minute is cut into pieces; the oldest falls off as a new one begins.
const PIECE: Duration = Duration::from_secs(5);
const PIECES: u64 = 12;
/// The last so many whole pieces are what [`Lane::recent`] counts.
const RECENT: u64 = 2;
/// The seconds that [`Lane::recent`] is about.
pub const RECENT_SECONDS: u64 = PIECE.as_secs() * RECENT;
/// The bounds of a histogram's buckets grow by half from this many seconds on.
const FIRST_BOUND: f64 = 0.0005;
const GROWTH: f64 = 1.5;
const LAST_BUCKET: u8 = 60;

/// How long things took, in buckets that grow by half: exact within a quarter or so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(BTreeMap<u8, u64>);

impl Histogram {
    pub fn record(&mut self, seconds: f64, times: u64) {
        let bucket = (seconds / FIRST_BOUND).max(1.0).log(GROWTH).ceil().min(f64::from(LAST_BUCKET));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to LAST_BUCKET")]
        let bucket = bucket as u8;
        *self.0.entry(bucket).or_default() += times;
    }

    pub fn add(&mut self, other: &Self) {
        for (bucket, times) in &other.0 {
            *self.0.entry(*bucket).or_default() += times;
        }
    }

    /// The time, in seconds, within which the part `q` (0 to 1) stayed. `None`: nothing was recorded.
    #[expect(clippy::cast_precision_loss, reason = "counts of a minute are far below 2^52")]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let wanted = self.0.values().sum::<u64>() as f64 * q;
        let mut before = 0.0;
        for (bucket, times) in &self.0 {
            let times = *times as f64;
            if before + times >= wanted {
                let upper = FIRST_BOUND * GROWTH.powi(i32::from(*bucket));
                let lower = if *bucket == 0 { 0.0 } else { upper / GROWTH };
                return Some(lower + (upper - lower) * ((wanted - before) / times).clamp(0.0, 1.0));
            }
            before += times;
        }
        None
    }
}

/// The last minute of one queue in one process; or of webhooks, in the lane `ingest`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lane {
    /// Jobs that ended well, or webhooks that were taken.
    pub done: u64,
    /// The same in the last [`RECENT_SECONDS`].
    pub recent: u64,
    /// Runs that failed, or webhooks that were refused.
    pub failed: u64,
    /// Failures by class, or refusals by reason.
    pub errors: BTreeMap<String, u64>,
    /// From the enqueueing to the first run (no later one counts); for webhooks from the first byte to the 200.
    pub wait: Histogram,
    /// Runs, but for those that found that it is not their time yet.
    pub run: Histogram,
    /// Hints in the dispatcher, and how many there may be: known to the leader only.
    pub window: Option<(u64, u64)>,
}

impl Lane {
    pub fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.recent += other.recent;
        self.failed += other.failed;
        for (class, times) in &other.errors {
            *self.errors.entry(class.clone()).or_default() += times;
        }
        self.wait.add(&other.wait);
        self.run.add(&other.run);
        self.window = self.window.or(other.window);
    }
}

/// Lanes by name.
pub type Lanes = BTreeMap<String, Lane>;

/// Collects. Recording takes well below a microsecond.
#[derive(Debug)]
pub struct Figures {
    started: Instant,
    lanes: Mutex<BTreeMap<&'static str, VecDeque<(u64, Lane)>>>,
}

impl Default for Figures {
    fn default() -> Self {
        Self { started: Instant::now(), lanes: Mutex::default() }
    }
}

impl Figures {
    fn piece(&self) -> u64 {
        self.started.elapsed().as_secs() / PIECE.as_secs()
    }

    /// Adds to a lane.
    pub fn record(&self, lane: &'static str, add: impl FnOnce(&mut Lane)) {
        self.record_at(self.piece(), lane, add);
    }

    /// The last minute.
    pub fn last_minute(&self) -> Lanes {
        self.last_minute_at(self.piece())
    }

    fn record_at(&self, piece: u64, lane: &'static str, add: impl FnOnce(&mut Lane)) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = lanes.entry(lane).or_default();
        if pieces.back().is_none_or(|(newest, _)| *newest < piece) {
            pieces.push_back((piece, Lane::default()));
            pieces.retain(|(old, _)| old + PIECES >= piece);
        }
        if let Some((_, newest)) = pieces.back_mut() {
            add(newest);
        }
    }

    fn last_minute_at(&self, piece: u64) -> Lanes {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |pieces: &VecDeque<(u64, Lane)>| {
            // Whole pieces only: the one that has just begun would make every rate look low.
            let whole = pieces.iter().filter(|(at, _)| *at < piece && at + PIECES >= piece);
            let mut sum = whole.fold(Lane::default(), |mut sum, (at, lane)| {
                sum.add(lane);
                if at + RECENT >= piece {
                    sum.recent += lane.done;
                }
                sum
            });
            sum.window = pieces.back().filter(|(at, _)| at + RECENT >= piece).and_then(|(_, newest)| newest.window);
            sum
        };
        lanes.iter().map(|(name, pieces)| ((*name).to_owned(), sum(pieces))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_within_its_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for millis in 1..=1_000 {
            histogram.record(f64::from(millis) / 1_000.0, 1);
        }
        let within = |q: f64, expected: f64| {
            let found = histogram.quantile(q).unwrap();
            assert!((found / expected - 1.0).abs() < 0.25, "{q}: {found} for {expected}");
        };
        within(0.5, 0.5);
        within(0.95, 0.95);
        let mut extreme = Histogram::default();
        extreme.record(-1.0, 1);
        extreme.record(f64::MAX, 1);
        assert!(extreme.quantile(0.1).unwrap() < 0.001);
        assert!(extreme.quantile(1.0).unwrap() > 1e6);
    }

    #[test]
    fn the_last_minute_is_whole_pieces_and_forgets_what_is_older() {
        let figures = Figures::default();
        for piece in 0..20 {
            figures.record_at(piece, "probes", |lane| lane.done += piece);
        }
        let minute = figures.last_minute_at(20);
        assert_eq!((minute["probes"].done, minute["probes"].recent), ((8..20).sum(), 18 + 19));
        let minute = figures.last_minute_at(19);
        assert_eq!(
            (minute["probes"].done, minute["probes"].recent),
            ((7..19).sum(), 17 + 18),
            "the piece that began just now does not count"
        );
        assert_eq!(figures.last_minute_at(40)["probes"], Lane::default());
    }

    #[test]
    fn lanes_of_processes_add_up_and_survive_json() {
        let mut one = Lane { done: 1, failed: 1, errors: BTreeMap::from([("timed_out".to_owned(), 1)]), ..Lane::default() };
        one.run.record(0.1, 3);
        let two = Lane { window: Some((3, 4)), ..one.clone() };
        one.add(&two);
        assert_eq!((one.done, one.errors["timed_out"], one.window), (2, 2, Some((3, 4))));
        assert_eq!(serde_json::from_value::<Lane>(serde_json::to_value(&one).unwrap()).unwrap(), one);
    }
}
