//! How fast providers take messages. Who sends keeps to it; what a provider answers to those that came too fast is in `sending`.

use std::time::Duration;

/// One message every `interval` in the long run, `burst` of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub interval: Duration,
    pub burst: u32,
}

/// A channel's limits.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For all messages of this type together. Types with different rates do not count against each other.
    pub channel: fn(&str) -> Rate,
    /// For the messages to one person or group, by the channel's id of them.
    pub person: fn(&str) -> Option<Rate>,
}

impl Rate {
    /// So many messages a second, and so many at once.
    pub const fn per_second(messages: u32) -> Self {
        Self { interval: Duration::from_micros(1_000_000 / messages as u64), burst: messages }
    }
}
