//! Lines that would fill the log if each occasion wrote one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The pause between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts occasions, and says when to write a line about them.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// One more occasion. `Some`: write a line now; so many occasions were there since the last one.
    pub(super) fn again(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        if state.0.is_some_and(|last| last.elapsed() < PAUSE) {
            return None;
        }
        state.0 = Some(Instant::now());
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occasion_writes_a_line_and_those_that_follow_closely_are_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.again(), Some(1));
        assert_eq!((seldom.again(), seldom.again()), (None, None));
        seldom.0.lock().unwrap().0 = None;
        assert_eq!(seldom.again(), Some(3));
    }
}
