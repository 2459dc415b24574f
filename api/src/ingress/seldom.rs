//! Lines that would fill the log if each occasion wrote one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The pause between two lines for one reason.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts occasions by their reason (one of a few), and says when to write a line about them.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<BTreeMap<String, Reason>>);

#[derive(Debug, Default)]
struct Reason {
    written: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// One more occasion. `Some`: write a line now; so many occasions were there since the last one.
    pub(super) fn again(&self, reason: String) -> Option<u64> {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = reasons.entry(reason).or_default();
        state.since += 1;
        if state.written.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        state.written = Some(Instant::now());
        Some(std::mem::take(&mut state.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occasion_of_each_reason_writes_a_line_and_those_that_follow_closely_are_counted() {
        let seldom = Seldom::default();
        let again = |reason: &str| seldom.again(reason.to_owned());
        assert_eq!(again("missing"), Some(1));
        assert_eq!((again("missing"), again("missing")), (None, None));
        assert_eq!(again("wrong"), Some(1));
        seldom.0.lock().unwrap().get_mut("missing").unwrap().written = None;
        assert_eq!(again("missing"), Some(3));
    }
}
