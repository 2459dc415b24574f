//! Splits a batch that was refused for its data, so that one bad event fails alone. Parts come in order, so their answers do.

use std::ops::Range;

pub(super) struct Parts {
    /// The leftmost last.
    open: Vec<Range<usize>>,
}

impl Parts {
    pub(super) fn whole(count: usize) -> Self {
        let mut parts = Self { open: Vec::new() };
        parts.again(0..count);
        parts
    }

    /// `part` comes again.
    pub(super) fn again(&mut self, part: Range<usize>) {
        if !part.is_empty() {
            self.open.push(part);
        }
    }

    /// `part` comes again as two halves.
    pub(super) fn halve(&mut self, part: Range<usize>) {
        let middle = part.start + part.len() / 2;
        self.again(middle..part.end);
        self.again(part.start..middle);
    }
}

impl Iterator for Parts {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        self.open.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts parts that hold none of `bad`; returns what was kept and what was refused, and the number of attempts.
    fn run(count: usize, bad: &[usize]) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut kept, mut refused, mut attempts) = (Vec::new(), Vec::new(), 0);
        let mut parts = Parts::whole(count);
        let mut answered = 0;
        while let Some(part) = parts.next() {
            attempts += 1;
            if !bad.iter().any(|index| part.contains(index)) {
                assert_eq!(part.start, answered, "answers are in order");
                answered = part.end;
                kept.extend(part);
            } else if part.len() == 1 {
                answered = part.end;
                refused.extend(part);
            } else {
                parts.halve(part);
            }
        }
        assert_eq!(answered, count, "all are answered");
        (kept, refused, attempts)
    }

    #[test]
    fn a_good_batch_is_one_part() {
        assert_eq!(run(5, &[]), ((0..5).collect(), vec![], 1));
        assert_eq!(run(0, &[]), (vec![], vec![], 0));
    }

    #[test]
    fn a_bad_event_fails_alone_and_its_neighbours_are_kept() {
        for bad in 0..7 {
            let (kept, refused, _) = run(7, &[bad]);
            assert_eq!(refused, [bad]);
            assert_eq!(kept, (0..7).filter(|index| *index != bad).collect::<Vec<_>>());
        }
        assert_eq!(run(1, &[0]), (vec![], vec![0], 1));
    }

    #[test]
    fn one_bad_event_in_a_thousand_takes_about_twenty_attempts() {
        let (kept, refused, attempts) = run(1_000, &[617]);
        assert_eq!((kept.len(), refused.len()), (999, 1));
        assert!(attempts <= 21, "{attempts}");
    }
}
