//! When a failed job runs again. Pure: the same arguments always give the same answer.

use crate::JobError;
use std::time::Duration;

/// How a kind of job is queued and retried.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub queue: &'static str,
    /// After so many failures of its own a job is a dead letter.
    pub max_attempts: i16,
    /// The delay after the first failure; doubles with each further one.
    pub backoff: Duration,
    pub max_backoff: Duration,
    /// A run that takes longer is stopped, and counts as failed.
    pub timeout: Duration,
}

/// A crash costs no attempt but counts here: a job that is running when its process dies for the fourth time is buried.
/// Once it was alone in the crash, once in a small group, and then strictly alone (see `workers::maintenance::feeder`);
/// the fourth is for bad luck.
pub const MAX_CRASHES: i16 = 4;

/// How soon a job runs again whose failure was not its own.
const SURROUNDINGS_DELAY: Duration = Duration::from_millis(250);

/// What becomes of a run that failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Run it again after this time; the attempt counts.
    Retry(Duration),
    /// Run it again after this time; the attempt does not count.
    Snooze(Duration),
    /// It is a dead letter.
    Dead,
}

impl Policy {
    /// Decides what becomes of a job that failed with `error` on its `attempt`-th run (from 1).
    ///
    /// `jitter` in 0..=1 spreads retries over the second half of the delay, so that many jobs that failed together do not
    /// come back together. Delays are counted by Postgres's clock.
    pub fn decide(&self, error: &JobError, attempt: i16, max_attempts: i16, jitter: f64) -> Decision {
        let spent = attempt >= max_attempts;
        match error {
            JobError::Snooze(after) | JobError::Wait { delay: after, .. } => Decision::Snooze(*after),
            JobError::Surroundings(_) | JobError::Fenced => Decision::Snooze(SURROUNDINGS_DELAY.mul_f64(1.0 + jitter.clamp(0.0, 1.0))),
            JobError::Fail { .. } => Decision::Dead,
            JobError::Retry { .. } | JobError::RetryAfter { .. } if spent => Decision::Dead,
            JobError::RetryAfter { delay, .. } => Decision::Retry((*delay).max(self.delay(attempt, jitter))),
            JobError::Retry { .. } => Decision::Retry(self.delay(attempt, jitter)),
        }
    }

    fn delay(&self, attempt: i16, jitter: f64) -> Duration {
        let doublings = u32::from(attempt.saturating_sub(1).clamp(0, 30).unsigned_abs());
        let full = self.backoff.saturating_mul(1_u32 << doublings).min(self.max_backoff);
        full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Policy = Policy {
        queue: "q",
        max_attempts: 5,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_mins(1),
        timeout: Duration::from_secs(10),
    };

    fn retry() -> JobError {
        JobError::retry("test", "again")
    }

    proptest! {
        #[test]
        fn a_retry_never_exceeds_the_maximum_nor_half_of_its_own_delay(attempt in 1_i16..1000, jitter in 0.0..=1.0_f64) {
            let Decision::Retry(delay) = POLICY.decide(&retry(), attempt, i16::MAX, jitter) else { panic!("not a retry") };
            let full = POLICY.backoff.saturating_mul(2_u32.saturating_pow(u32::from(attempt.unsigned_abs()) - 1)).min(POLICY.max_backoff);
            prop_assert!(delay <= full && delay >= full / 2);
        }

        #[test]
        fn more_attempts_never_wait_less(attempt in 1_i16..1000, jitter in 0.0..=1.0_f64) {
            let delay = |n| match POLICY.decide(&retry(), n, i16::MAX, jitter) { Decision::Retry(d) => d, other => panic!("{other:?}") };
            prop_assert!(delay(attempt) <= delay(attempt + 1));
        }

        #[test]
        fn the_last_attempt_is_dead_and_only_own_failures_reach_it(attempt in 1_i16..100, max in 1_i16..100, jitter in 0.0..=1.0_f64) {
            let dead = POLICY.decide(&retry(), attempt, max, jitter) == Decision::Dead;
            prop_assert_eq!(dead, attempt >= max);
            let snoozed = matches!(POLICY.decide(&JobError::Snooze(Duration::from_secs(3)), attempt, max, jitter), Decision::Snooze(_));
            prop_assert!(snoozed);
            let fenced = matches!(POLICY.decide(&JobError::Fenced, attempt, max, jitter), Decision::Snooze(_));
            prop_assert!(fenced);
        }

        #[test]
        fn a_retry_after_is_never_cut_short(attempt in 1_i16..4, seconds in 0_u64..100_000, jitter in 0.0..=1.0_f64) {
            let error = JobError::RetryAfter { delay: Duration::from_secs(seconds), class: "test", message: String::new() };
            let Decision::Retry(delay) = POLICY.decide(&error, attempt, 5, jitter) else { panic!("not a retry") };
            prop_assert!(delay >= Duration::from_secs(seconds));
        }

        #[test]
        fn a_failure_that_is_final_is_dead_at_once(attempt in 1_i16..100, jitter in 0.0..=1.0_f64) {
            prop_assert_eq!(POLICY.decide(&JobError::fail("test", "never"), attempt, i16::MAX, jitter), Decision::Dead);
        }
    }
}
