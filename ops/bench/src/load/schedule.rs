//! Decides which request goes out next and when. In an open loop a request's time runs from when it was due, so a
//! server that stalls is charged for everything that piled up behind the stall (no coordinated omission).

use std::collections::VecDeque;
use std::time::Duration;

/// What a provider waits before it sends a refused webhook again (shortened: Meta waits longer each time).
const RETRY_AFTER: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) index: usize,
    pub(super) attempt: u32,
    /// Since the start of the run; the latency of the accepted attempt counts from here.
    pub(super) due: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Send(Ticket),
    /// Nothing is due before this much time has passed.
    Wait(Duration),
    /// Everything has been handed out.
    Nothing,
}

pub(super) struct Schedule {
    total: usize,
    next: usize,
    rate: Option<f64>,
    attempts: u32,
    again: VecDeque<(Duration, Ticket)>,
}

impl Schedule {
    /// `rate` in requests a second; `None` is a closed loop, where a request is due as soon as a connection is free.
    pub(super) fn new(total: usize, rate: Option<f64>, attempts: u32) -> Self {
        Self { total, next: 0, rate, attempts, again: VecDeque::new() }
    }

    pub(super) fn turn(&mut self, now: Duration) -> Turn {
        if let Some((_, ticket)) = self.again.pop_front_if(|(at, _)| *at <= now) {
            return Turn::Send(ticket);
        }
        if self.next < self.total {
            let due = self.rate.map_or(now, |rate| Duration::from_secs_f64(crate::numbers::float_of(self.next) / rate));
            if due > now {
                let retry = self.again.front().map_or(due, |(at, _)| *at);
                return Turn::Wait(due.min(retry).saturating_sub(now));
            }
            self.next += 1;
            return Turn::Send(Ticket { index: self.next - 1, attempt: 1, due });
        }
        self.again.front().map_or(Turn::Nothing, |(at, _)| Turn::Wait(at.saturating_sub(now)))
    }

    /// Whether the ticket will be handed out again; false when its attempts are used up.
    pub(super) fn retry(&mut self, ticket: Ticket, now: Duration) -> bool {
        let more = ticket.attempt < self.attempts;
        if more {
            self.again.push_back((now + RETRY_AFTER, Ticket { attempt: ticket.attempt + 1, ..ticket }));
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn an_open_loop_keeps_the_time_at_which_a_request_was_due() {
        let mut schedule = Schedule::new(3, Some(100.0), 1);
        assert_eq!(schedule.turn(ms(0)), Turn::Send(Ticket { index: 0, attempt: 1, due: ms(0) }));
        assert_eq!(schedule.turn(ms(4)), Turn::Wait(ms(6)));
        assert_eq!(schedule.turn(ms(500)), Turn::Send(Ticket { index: 1, attempt: 1, due: ms(10) }));
        assert_eq!(schedule.turn(ms(500)), Turn::Send(Ticket { index: 2, attempt: 1, due: ms(20) }));
        assert_eq!(schedule.turn(ms(500)), Turn::Nothing);
    }

    #[test]
    fn a_refused_request_comes_back_later_with_its_first_due_time_until_its_attempts_are_used_up() {
        let mut schedule = Schedule::new(1, None, 2);
        let Turn::Send(ticket) = schedule.turn(ms(5)) else { panic!("it is due") };
        assert!(schedule.retry(ticket, ms(10)));
        assert_eq!(schedule.turn(ms(10)), Turn::Wait(RETRY_AFTER));
        let again = Ticket { index: 0, attempt: 2, due: ms(5) };
        assert_eq!(schedule.turn(ms(10) + RETRY_AFTER), Turn::Send(again));
        assert!(!schedule.retry(again, ms(300)));
        assert_eq!(schedule.turn(ms(900)), Turn::Nothing);
    }
}
