//! The queues: which jobs wait together, and how they are handed to workers.

/// A queue. Workers choose queues; kinds belong to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    pub name: &'static str,
    /// Jobs that one worker process runs at once, unless `--concurrency` says otherwise. For a batched queue: batches.
    pub concurrency: usize,
    /// `Some(weight)`: jobs travel in batches of about this total weight (see `NewJob::weight`).
    pub batch_weight: Option<i32>,
    pub window: Window,
}

/// How many hints may wait in the dispatcher. What is beyond stays in the ledger, where it costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// For jobs that take no time: enough that workers never wait for the feeder.
    Fixed(usize),
    /// For jobs that wait on the network, and for batches: this many per slot of the live workers, at least two.
    PerSlot(usize),
}

/// Incoming webhooks. Two batches at once overlap one's round trips with the other's work; more only wait for the same rows.
pub const WEBHOOKS: Queue = Queue { name: "webhooks", concurrency: 2, batch_weight: Some(500), window: Window::PerSlot(1) };
/// Messages to send. They wait for providers, so many run at once; a channel may have a part of them (see `send_outbound::Lanes`).
pub const OUTBOUND: Queue = Queue { name: "outbound", concurrency: 128, batch_weight: None, window: Window::PerSlot(1) };
/// Human overrides that end.
pub const OVERRIDES: Queue = Queue { name: "overrides", concurrency: 16, batch_weight: None, window: Window::Fixed(2_000) };
/// Agents' answers. They wait for models, so very many run at once.
pub const AGENTS: Queue = Queue { name: "agents", concurrency: 500, batch_weight: None, window: Window::PerSlot(1) };
/// Documents that agents shall know. Each is read by a process of its own, which may use much memory.
pub const DOCUMENTS: Queue = Queue { name: "documents", concurrency: 2, batch_weight: None, window: Window::PerSlot(1) };
/// What is done in the background: imports, and asking providers about channels and people.
pub const CHORES: Queue = Queue { name: "chores", concurrency: 8, batch_weight: None, window: Window::PerSlot(1) };
/// Jobs for trying and measuring the engine; only with `SWITCHBOARD_BENCH_JOBS`.
pub const PROBES: Queue = Queue { name: "probes", concurrency: 64, batch_weight: None, window: Window::Fixed(2_000) };

/// Every queue.
pub const ALL: [Queue; 7] = [WEBHOOKS, OUTBOUND, OVERRIDES, AGENTS, DOCUMENTS, CHORES, PROBES];

/// Finds a queue by name.
pub fn find(name: &str) -> Option<Queue> {
    ALL.into_iter().find(|queue| queue.name == name)
}
