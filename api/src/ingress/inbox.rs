//! The inbox: webhooks that wait for their commit, bounded in events and bytes. A place in it is given back when it is answered.

use super::{GroupCommit, Measures, writer};
use platform::TraceContext;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use store::raw_events::NewRawEvent;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Why a webhook was not stored. All of these are answered 503: the provider keeps it and sends it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many events or bytes wait.
    Full,
    /// Postgres is away, or too slow.
    Database,
    /// Postgres refused this very event.
    Data,
    /// The writer died while it held it.
    Writer,
    /// The process stops.
    Stopping,
}

impl Refusal {
    /// The label of the metric.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Database => "database",
            Self::Data => "data",
            Self::Writer => "writer",
            Self::Stopping => "stopping",
        }
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub events: usize,
    pub bytes: usize,
}

/// How much waits, and whether there is any use in waiting.
#[derive(Debug)]
pub(super) struct Gate {
    limits: Limits,
    events: AtomicUsize,
    bytes: AtomicUsize,
    database_away: AtomicBool,
}

/// A place in the inbox.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    bytes: usize,
}

/// A webhook that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub event: NewRawEvent,
    pub trace: TraceContext,
    pub waiter: Waiter,
}

/// Who waits for it. Dropped without an answer, the webhook counts as refused.
#[derive(Debug)]
pub(super) struct Waiter {
    answer: oneshot::Sender<Result<(), Refusal>>,
    _place: Place,
}

impl Waiter {
    pub(super) fn answer(self, result: Result<(), Refusal>) {
        // A client that went away hears nothing; if its event was kept, it will be processed all the same.
        self.answer.send(result).ok();
    }
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, events: AtomicUsize::new(0), bytes: AtomicUsize::new(0), database_away: AtomicBool::new(false) })
    }

    pub(super) fn enter(self: &Arc<Self>, bytes: usize) -> Result<Place, Refusal> {
        if self.database_away.load(Ordering::Relaxed) {
            return Err(Refusal::Database);
        }
        let events = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let place = Place { gate: self.clone(), bytes };
        if events > self.limits.events || held > self.limits.bytes { Err(Refusal::Full) } else { Ok(place) }
    }

    /// While the database is away nobody is let in.
    pub(super) fn set_database_away(&self, away: bool) {
        self.database_away.store(away, Ordering::Relaxed);
    }

    /// Events and bytes that wait.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.events.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.events.fetch_sub(1, Ordering::Relaxed);
        self.gate.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Hands webhooks to the writer. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    sender: mpsc::UnboundedSender<Held>,
    gate: Arc<Gate>,
    stop: watch::Sender<bool>,
    pub(super) measures: Arc<Measures>,
}

impl Inbox {
    /// Starts the writer. It ends, having written what waits, after `close`.
    pub(crate) fn start(limits: Limits, commit: GroupCommit, measures: Arc<Measures>) -> (Self, JoinHandle<()>) {
        // Unbounded, because the gate bounds it.
        let (sender, receiver) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let gate = Gate::new(limits);
        let writer = tokio::spawn(writer::supervise(receiver, stopping, gate.clone(), Arc::new(commit), measures.clone()));
        (Self { sender, gate, stop, measures }, writer)
    }

    /// A place for a body of this size.
    pub(super) fn enter(&self, bytes: usize) -> Result<Place, Refusal> {
        self.gate.enter(bytes)
    }

    /// Keeps `event`. `Ok`: it is durable, and so is its job.
    pub(super) async fn keep(&self, place: Place, event: NewRawEvent, trace: TraceContext) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        let held = Held { event, trace, waiter: Waiter { answer, _place: place } };
        self.sender.send(held).map_err(|_| Refusal::Stopping)?;
        answered.await.unwrap_or(Err(Refusal::Writer))
    }

    /// Takes nothing more; what waits is still written.
    pub(crate) fn close(&self) {
        self.stop.send_replace(true);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use bytes::Bytes;
    use domain::{ChannelNaming, RawEventId};

    /// A webhook of `bytes` bytes for `gate`, and where its answer arrives.
    pub(in crate::ingress) fn held(gate: &Arc<Gate>, bytes: usize) -> (Held, oneshot::Receiver<Result<(), Refusal>>) {
        let event = NewRawEvent {
            id: RawEventId::generate(),
            tenant_id: None,
            channel_kind: "test",
            channel_ids: Vec::new(),
            naming: ChannelNaming::InstanceId,
            trace_id: None,
            received_at: chrono::DateTime::UNIX_EPOCH,
            body: Bytes::from(vec![0; bytes]),
        };
        let (answer, answered) = oneshot::channel();
        let waiter = Waiter { answer, _place: gate.enter(bytes).unwrap() };
        (Held { event, trace: TraceContext::generate(), waiter }, answered)
    }

    #[test]
    fn the_inbox_is_full_by_events_or_by_bytes_and_a_place_that_is_given_back_is_free() {
        let gate = Gate::new(Limits { events: 2, bytes: 100 });
        let first = gate.enter(60).unwrap();
        assert_eq!(gate.enter(41).unwrap_err(), Refusal::Full);
        let second = gate.enter(40).unwrap();
        assert_eq!(gate.enter(0).unwrap_err(), Refusal::Full);
        assert_eq!(gate.held(), (2, 100));
        drop(first);
        assert_eq!(gate.held(), (1, 40));
        let third = gate.enter(60).unwrap();
        drop((second, third));
        assert_eq!(gate.held(), (0, 0));
    }

    #[test]
    fn nobody_enters_while_the_database_is_away() {
        let gate = Gate::new(Limits { events: 2, bytes: 100 });
        gate.set_database_away(true);
        assert_eq!(gate.enter(1).unwrap_err(), Refusal::Database);
        gate.set_database_away(false);
        assert!(gate.enter(1).is_ok());
    }

    #[test]
    fn a_waiter_that_is_dropped_gives_its_place_back_unanswered() {
        let gate = Gate::new(Limits { events: 2, bytes: 100 });
        let (held, mut answered) = held(&gate, 10);
        drop(held);
        assert_eq!(gate.held(), (0, 0));
        assert!(answered.try_recv().is_err());
    }
}
