//! Random moments and choices that can be had again: everything random in these tests comes from one printed seed.

use std::time::Duration;
use uuid::Uuid;

/// The seed of a run before; unset: a new one.
const SEED: &str = "SWITCHBOARD_FAULTS_SEED";

/// A generator of random numbers (splitmix64: <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// Says its seed, which is shown when the test fails.
    pub(super) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
        eprintln!("random choices of {SEED}={seed}");
        Self(seed)
    }

    /// One of its own for a task, so that tasks do not depend on each other's order.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `limit` - 1.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(super) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub(super) fn millis(&mut self, range: std::ops::Range<usize>) -> Duration {
        Duration::from_millis((range.start + self.below(range.len())) as u64)
    }

    /// Lets a random time pass, so that what follows hits a random moment.
    pub(super) async fn moment(&mut self, millis: std::ops::Range<usize>) {
        tokio::time::sleep(self.millis(millis)).await;
    }
}
